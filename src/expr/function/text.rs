//! Functions on text. Positions count characters (code points), as in CEL.

use crate::expr::Problem;
use crate::expr::frame::Frame;
use crate::record::Value;

type Made<'a> = Result<Value<'a>, Problem>;

pub(super) fn starts_with<'a>(frame: &Frame<'_, '_>, args: &[Value<'a>]) -> Made<'a> {
    let (text, with) = two("startsWith", args)?;
    frame.limits.look(with.len())?;
    Ok(Value::Bool(text.starts_with(with)))
}

pub(super) fn ends_with<'a>(frame: &Frame<'_, '_>, args: &[Value<'a>]) -> Made<'a> {
    let (text, with) = two("endsWith", args)?;
    frame.limits.look(with.len())?;
    Ok(Value::Bool(text.ends_with(with)))
}

pub(super) fn contains<'a>(frame: &Frame<'_, '_>, args: &[Value<'a>]) -> Made<'a> {
    let (text, part) = two("contains", args)?;
    frame.limits.look(text.len())?;
    Ok(Value::Bool(text.contains(part)))
}

pub(super) fn lower<'a>(frame: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    let text = one("lowerAscii", args)?;
    if !text.bytes().any(|b| b.is_ascii_uppercase()) {
        frame.limits.look(text.len())?;
        return Ok(Value::Str(text));
    }
    frame.charge(text.len())?;
    let kept = frame.scope.bump.alloc_str(text);
    kept.make_ascii_lowercase();
    Ok(Value::Str(kept))
}

pub(super) fn upper<'a>(frame: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    let text = one("upperAscii", args)?;
    frame.charge(text.len())?;
    let kept = frame.scope.bump.alloc_str(text);
    kept.make_ascii_uppercase();
    Ok(Value::Str(kept))
}

pub(super) fn trim<'a>(frame: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    let text = one("trim", args)?;
    frame.limits.look(text.len())?;
    Ok(Value::Str(text.trim()))
}

/// `text.replace(from, to)` or `text.replace(from, to, times)`; negative times: all.
pub(super) fn replace<'a>(frame: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    let (text, from, to, times) = match args {
        [Value::Str(text), Value::Str(from), Value::Str(to)] => (*text, *from, *to, usize::MAX),
        [Value::Str(text), Value::Str(from), Value::Str(to), Value::Int(times)] => {
            (*text, *from, *to, usize::try_from(*times).unwrap_or(usize::MAX))
        }
        _ => return Err(Problem::Shape),
    };
    frame.limits.look(text.len())?;
    let found = text.matches(from).take(times).count();
    // Charged before it is made: many short matches of a long replacement are a bomb.
    let bytes = (text.len() - found * from.len()).saturating_add(found.saturating_mul(to.len()));
    frame.charge(bytes)?;
    if found == 0 {
        return Ok(Value::Str(text));
    }
    Ok(Value::Str(frame.scope.bump.alloc_str(&text.replacen(from, to, found))))
}

/// `text.split(separator)` or `text.split(separator, parts)`: at most so many parts, the last holds the
/// rest; 0: none, negative: all. An empty separator splits between characters.
pub(super) fn split<'a>(frame: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    let (text, separator, parts) = match args {
        [Value::Str(text), Value::Str(separator)] => (*text, *separator, usize::MAX),
        [Value::Str(text), Value::Str(separator), Value::Int(parts)] => {
            (*text, *separator, usize::try_from(*parts).unwrap_or(usize::MAX))
        }
        _ => return Err(Problem::Shape),
    };
    frame.limits.look(text.len())?;
    let mut list = frame.list();
    if separator.is_empty() {
        let mut rest = text;
        while let Some(c) = rest.chars().next().filter(|_| list.len() < parts) {
            let end = if list.len() + 1 == parts { rest.len() } else { c.len_utf8() };
            let (part, left) = rest.split_at(end);
            frame.push(&mut list, Value::Str(part))?;
            rest = left;
        }
    } else {
        for part in text.splitn(parts, separator) {
            frame.push(&mut list, Value::Str(part))?;
        }
    }
    Ok(Value::List(list.into_bump_slice()))
}

/// `list.join()` or `list.join(separator)`.
pub(super) fn join<'a>(frame: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    let (items, separator) = match args {
        [Value::List(items)] => (*items, ""),
        [Value::List(items), Value::Str(separator)] => (*items, *separator),
        _ => return Err(Problem::Shape),
    };
    let mut made = bumpalo::collections::String::new_in(frame.scope.bump);
    for (i, item) in items.iter().enumerate() {
        let Value::Str(item) = item else {
            return Err(Problem::kind("join", item.kind()));
        };
        if i > 0 {
            frame.charge(separator.len())?;
            made.push_str(separator);
        }
        frame.charge(item.len())?;
        made.push_str(item);
    }
    Ok(Value::Str(made.into_bump_str()))
}

/// `text.substring(start)` or `text.substring(start, end)`.
pub(super) fn substring<'a>(frame: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    const WHAT: &str = "substring";
    let (text, start, end) = match args {
        [Value::Str(text), Value::Int(start)] => (*text, *start, None),
        [Value::Str(text), Value::Int(start), Value::Int(end)] => (*text, *start, Some(*end)),
        _ => return Err(Problem::Shape),
    };
    frame.limits.look(text.len())?;
    let from = byte_of(text, start).ok_or(Problem::Index(WHAT))?;
    let to = match end {
        Some(end) => byte_of(text, end).ok_or(Problem::Index(WHAT))?,
        None => text.len(),
    };
    text.get(from..to).map(Value::Str).ok_or(Problem::Index(WHAT))
}

/// `text.indexOf(part)` or `text.indexOf(part, from)`; -1 where it is not in it.
pub(super) fn index_of<'a>(frame: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    let (text, part, from) = match args {
        [Value::Str(text), Value::Str(part)] => (*text, *part, 0),
        [Value::Str(text), Value::Str(part), Value::Int(from)] => (*text, *part, *from),
        _ => return Err(Problem::Shape),
    };
    frame.limits.look(text.len())?;
    let start = byte_of(text, from).ok_or(Problem::Index("indexOf"))?;
    let found = text[start..].find(part).map(|at| start + at);
    Ok(Value::Int(char_of(text, found)))
}

/// `text.lastIndexOf(part)`; -1 where it is not in it.
pub(super) fn last_index_of<'a>(frame: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    let (text, part) = two("lastIndexOf", args)?;
    frame.limits.look(text.len())?;
    Ok(Value::Int(char_of(text, text.rfind(part))))
}

/// `size(x)` or `x.size()`: characters, bytes, items or keys.
pub(super) fn size<'a>(frame: &Frame<'_, '_>, args: &[Value<'a>]) -> Made<'a> {
    let size = match args {
        [Value::Str(text)] => {
            frame.limits.look(text.len())?;
            text.chars().count()
        }
        [Value::Bytes(bytes)] => bytes.len(),
        [Value::List(items)] => items.len(),
        [Value::Map(entries)] => entries.len(),
        _ => return Err(Problem::Shape),
    };
    i64::try_from(size).map(Value::Int).map_err(|_| Problem::Overflow("size"))
}

/// The byte where the character of that number begins; the text's end counts as a place.
fn byte_of(text: &str, index: i64) -> Option<usize> {
    let index = usize::try_from(index).ok()?;
    text.char_indices().map(|(byte, _)| byte).chain([text.len()]).nth(index)
}

fn char_of(text: &str, byte: Option<usize>) -> i64 {
    byte.and_then(|byte| i64::try_from(text[..byte].chars().count()).ok()).unwrap_or(-1)
}

fn one<'a>(what: &'static str, args: &[Value<'a>]) -> Result<&'a str, Problem> {
    match args {
        [Value::Str(text)] => Ok(text),
        [other] => Err(Problem::kind(what, other.kind())),
        _ => Err(Problem::Shape),
    }
}

fn two<'a>(what: &'static str, args: &[Value<'a>]) -> Result<(&'a str, &'a str), Problem> {
    match args {
        [Value::Str(text), Value::Str(other)] => Ok((text, other)),
        [a, b] => Err(Problem::kinds(what, a.kind(), b.kind())),
        _ => Err(Problem::Shape),
    }
}
