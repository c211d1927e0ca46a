//! The compiled form: a tree whose nodes know their slots, and how each is evaluated.
//!
//! Three ways in, so that nothing is copied that need not be: [`Node::test`] gives a truth value,
//! [`Node::peek`] a value that may borrow from the program (its constants), [`Node::eval`] a value that
//! lives as long as the event does. No node trusts the type check with its safety: a value of a kind that
//! cannot be there is an error, never a panic.

use super::compare::{self, Order};
use super::constant::Const;
use super::each::Each;
use super::frame::Frame;
use super::function::Row;
use super::{EvalError, Problem};
use crate::record::{Name, Value};

/// A compiled expression. `at` is where it stands in the text.
#[derive(Debug)]
pub(super) enum Node {
    Const(Const),
    /// A field of the event.
    Slot(usize),
    Name(Name),
    /// The variable of a list function, so many of them further out.
    Local(usize),
    /// A field of a nested record.
    Field {
        of: Box<Node>,
        slot: usize,
        at: u32,
    },
    /// A map's value by a constant key.
    Key {
        of: Box<Node>,
        key: Box<str>,
        at: u32,
    },
    Index {
        of: Box<Node>,
        index: Box<Node>,
        at: u32,
    },
    /// Is it there and not null?
    Has(Box<Node>),
    Not {
        of: Box<Node>,
        at: u32,
    },
    And {
        of: Box<[Node]>,
        at: u32,
    },
    Or {
        of: Box<[Node]>,
        at: u32,
    },
    If {
        parts: Box<[Node; 3]>,
        at: u32,
    },
    /// A field of the event against a constant: the common filters.
    SlotTest {
        slot: usize,
        test: Test,
        with: Const,
        at: u32,
    },
    Equal {
        sides: Box<[Node; 2]>,
        negated: bool,
        at: u32,
    },
    Ordered {
        order: Order,
        sides: Box<[Node; 2]>,
        at: u32,
    },
    /// Is it in a list or a map's keys?
    In {
        sides: Box<[Node; 2]>,
        at: u32,
    },
    /// Is it one of these constants?
    Among {
        of: Box<Node>,
        set: Box<[Const]>,
        at: u32,
    },
    Each(Box<Each>),
    List {
        items: Box<[Node]>,
        at: u32,
    },
    Map {
        entries: Box<[(Node, Node)]>,
        at: u32,
    },
    /// An overload that is certain.
    Call {
        row: &'static Row,
        args: Box<[Node]>,
        at: u32,
    },
    /// Several overloads, or one that null or a union may miss: chosen by what comes.
    Choose {
        rows: Box<[&'static Row]>,
        args: Box<[Node]>,
        at: u32,
    },
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Equal,
    NotEqual,
    Ordered(Order),
}

/// The arguments of a call, at most.
pub(super) const ARGS_MAX: usize = 4;

type Evaluated<T> = Result<T, EvalError>;

impl Node {
    /// Its truth.
    pub(super) fn test(&self, frame: &Frame<'_, '_>) -> Evaluated<bool> {
        match self {
            Node::SlotTest { slot, test, with, at } => match frame.scope.event.get(*slot) {
                Some(value) => compared(value, *test, with, frame).map_err(|p| p.at(*at)),
                None => Err(Problem::Shape.at(*at)),
            },
            Node::Ordered { order, sides, at } => {
                let (left, right) = (sides[0].peek(frame)?, sides[1].peek(frame)?);
                compare::ordered(*order, &left, &right, frame.limits).map_err(|p| p.at(*at))
            }
            Node::Equal { sides, negated, at } => {
                let (left, right) = (sides[0].peek(frame)?, sides[1].peek(frame)?);
                let equal = compare::equal(&left, &right, frame.limits).map_err(|p| p.at(*at))?;
                Ok(equal != *negated)
            }
            Node::And { of, at } => all(of, frame, true, *at),
            Node::Or { of, at } => all(of, frame, false, *at),
            Node::Not { of, at } => of.truth(frame, "!", *at).map(|truth| !truth),
            Node::Has(of) => has(of, frame),
            Node::Among { of, set, at } => {
                let value = of.peek(frame)?;
                among(&value, set, frame).map_err(|p| p.at(*at))
            }
            Node::In { sides, at } => within(sides, frame, *at),
            Node::Each(each) => each.test(frame),
            other => other.truth(frame, "?:", 0),
        }
    }

    /// Its truth, where it need not be a truth value: null and others are errors of `what`.
    fn truth(&self, frame: &Frame<'_, '_>, what: &'static str, at: u32) -> Evaluated<bool> {
        match self {
            Node::Const(_)
            | Node::Slot(_)
            | Node::Name(_)
            | Node::Local(_)
            | Node::Field { .. }
            | Node::Key { .. }
            | Node::Index { .. }
            | Node::If { .. }
            | Node::List { .. }
            | Node::Map { .. }
            | Node::Call { .. }
            | Node::Choose { .. } => match self.peek(frame)? {
                Value::Bool(truth) => Ok(truth),
                other => Err(Problem::kind(what, other.kind()).at(at)),
            },
            boolean => boolean.test(frame),
        }
    }

    /// Its value for a look: constants are borrowed from the program.
    pub(super) fn peek<'v, 'a: 'v>(&'v self, frame: &Frame<'_, 'a>) -> Evaluated<Value<'v>> {
        match self {
            Node::Const(Const::Text(text)) => Ok(Value::Str(text)),
            Node::Const(Const::Bytes(bytes)) => Ok(Value::Bytes(bytes)),
            Node::If { parts, at } => {
                let [condition, yes, no] = &**parts;
                if condition.truth(frame, "?:", *at)? { yes.peek(frame) } else { no.peek(frame) }
            }
            other => other.eval(frame),
        }
    }

    /// Its value, which lives as long as the event.
    pub(super) fn eval<'a>(&self, frame: &Frame<'_, 'a>) -> Evaluated<Value<'a>> {
        match self {
            Node::Slot(slot) => match frame.scope.event.get(*slot) {
                Some(value) => Ok(*value),
                None => Err(Problem::Shape.at(0)),
            },
            Node::Const(constant) => constant.keep(frame).map_err(|p| p.at(0)),
            Node::Name(name) => Ok(frame.scope.name(*name)),
            Node::Local(up) => frame.local(*up).ok_or_else(|| Problem::Shape.at(0)),
            Node::Field { of, slot, at } => match of.eval(frame)? {
                Value::Record(fields) => {
                    fields.get(*slot).copied().ok_or_else(|| Problem::Shape.at(*at))
                }
                Value::Null => Err(Problem::FieldOfNull.at(*at)),
                other => Err(Problem::kind(".", other.kind()).at(*at)),
            },
            Node::Key { of, key, at } => match of.eval(frame)? {
                Value::Map(entries) => by_key(entries, key, frame).map_err(|p| p.at(*at)),
                Value::Null => Err(Problem::FieldOfNull.at(*at)),
                other => Err(Problem::kind("[]", other.kind()).at(*at)),
            },
            Node::Index { of, index, at } => {
                let (of, index) = (of.eval(frame)?, index.peek(frame)?);
                element(&of, &index, frame).map_err(|p| p.at(*at))
            }
            Node::If { parts, at } => {
                let [condition, yes, no] = &**parts;
                if condition.truth(frame, "?:", *at)? { yes.eval(frame) } else { no.eval(frame) }
            }
            Node::Each(each) => each.eval(frame),
            Node::List { items, at } => list(items, frame, *at),
            Node::Map { entries, at } => map(entries, frame, *at),
            Node::Call { row, args, at } => call(row, args, frame, *at),
            Node::Choose { rows, args, at } => choose(rows, args, frame, *at),
            boolean => boolean.test(frame).map(Value::Bool),
        }
    }
}

/// A field of the event against a constant: ints and texts, most of all filters, without a detour.
#[inline]
fn compared(
    value: &Value<'_>,
    test: Test,
    with: &Const,
    frame: &Frame<'_, '_>,
) -> Result<bool, Problem> {
    match (value, with, test) {
        (Value::Int(n), Const::Int(with), Test::Ordered(order)) => Ok(order.of(n, with)),
        (Value::Int(n), Const::Int(with), test) => Ok((n == with) == (test == Test::Equal)),
        (Value::Str(text), Const::Text(with), Test::Equal) => Ok(*text == &**with),
        (Value::Str(text), Const::Text(with), Test::NotEqual) => Ok(*text != &**with),
        (Value::Double(n), Const::Double(with), Test::Ordered(order)) => Ok(order.of(n, with)),
        (value, with, Test::Ordered(order)) => {
            compare::ordered(order, value, &with.look(), frame.limits)
        }
        (value, with, test) => {
            Ok(compare::equal(value, &with.look(), frame.limits)? == (test == Test::Equal))
        }
    }
}

/// `&&` (`want` is true) or `||` of many: decided by the first part that is not `want`, even where
/// another part fails, as CEL has it.
fn all(of: &[Node], frame: &Frame<'_, '_>, want: bool, at: u32) -> Evaluated<bool> {
    let mut failed = None;
    for part in of {
        match part.truth(frame, if want { "&&" } else { "||" }, at) {
            Ok(truth) if truth != want => return Ok(truth),
            Ok(_) => {}
            // A spent budget is the end; any other failure may be decided by a later part.
            Err(error) if error.problem == Problem::Steps => return Err(error),
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(want), Err)
}

fn has(of: &Node, frame: &Frame<'_, '_>) -> Evaluated<bool> {
    match of.peek(frame) {
        Ok(value) => Ok(!value.is_null()),
        Err(EvalError { problem: Problem::FieldOfNull | Problem::NoKey, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn among(value: &Value<'_>, set: &[Const], frame: &Frame<'_, '_>) -> Result<bool, Problem> {
    for constant in set {
        if compare::equal(value, &constant.look(), frame.limits)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn within(sides: &[Node; 2], frame: &Frame<'_, '_>, at: u32) -> Evaluated<bool> {
    let (value, of) = (sides[0].peek(frame)?, sides[1].eval(frame)?);
    match (value, of) {
        (value, Value::List(items)) => {
            compare::among(&value, items, frame.limits).map_err(|p| p.at(at))
        }
        (Value::Str(key), Value::Map(entries)) => {
            let found = compare::entry(entries, key, frame.limits).map_err(|p| p.at(at))?;
            Ok(found.is_some())
        }
        (value, of) => Err(Problem::kinds("in", value.kind(), of.kind()).at(at)),
    }
}

fn by_key<'a>(
    entries: &[(&str, Value<'a>)],
    key: &str,
    frame: &Frame<'_, 'a>,
) -> Result<Value<'a>, Problem> {
    compare::entry(entries, key, frame.limits)?.ok_or(Problem::NoKey)
}

fn element<'a>(
    of: &Value<'a>,
    index: &Value<'_>,
    frame: &Frame<'_, 'a>,
) -> Result<Value<'a>, Problem> {
    match (of, index) {
        (Value::List(items), Value::Int(index)) => usize::try_from(*index)
            .ok()
            .and_then(|index| items.get(index).copied())
            .ok_or(Problem::Index("[]")),
        (Value::Map(entries), Value::Str(key)) => by_key(entries, key, frame),
        (Value::Null, _) => Err(Problem::FieldOfNull),
        (of, index) => Err(Problem::kinds("[]", of.kind(), index.kind())),
    }
}

fn list<'a>(items: &[Node], frame: &Frame<'_, 'a>, at: u32) -> Evaluated<Value<'a>> {
    let mut list = frame.list();
    for item in items {
        let value = item.eval(frame)?;
        frame.push(&mut list, value).map_err(|p| p.at(at))?;
    }
    Ok(Value::List(list.into_bump_slice()))
}

fn map<'a>(entries: &[(Node, Node)], frame: &Frame<'_, 'a>, at: u32) -> Evaluated<Value<'a>> {
    let mut map: bumpalo::collections::Vec<'a, (&'a str, Value<'a>)> =
        bumpalo::collections::Vec::with_capacity_in(entries.len(), frame.scope.bump);
    for (key, value) in entries {
        let (key, value) = (key.eval(frame)?, value.eval(frame)?);
        let Value::Str(key) = key else {
            return Err(Problem::kind("{}", key.kind()).at(at));
        };
        if compare::entry(&map, key, frame.limits).map_err(|p| p.at(at))?.is_some() {
            return Err(Problem::KeyTwice.at(at));
        }
        frame.item().map_err(|p| p.at(at))?;
        map.push((key, value));
    }
    Ok(Value::Map(map.into_bump_slice()))
}

fn call<'a>(row: &Row, args: &[Node], frame: &Frame<'_, 'a>, at: u32) -> Evaluated<Value<'a>> {
    let mut values = [Value::Null; ARGS_MAX];
    let values = values.get_mut(..args.len()).ok_or_else(|| Problem::Shape.at(at))?;
    for (value, arg) in values.iter_mut().zip(args) {
        *value = arg.eval(frame)?;
    }
    (row.run)(frame, values).map_err(|p| p.at(at))
}

fn choose<'a>(
    rows: &[&'static Row],
    args: &[Node],
    frame: &Frame<'_, 'a>,
    at: u32,
) -> Evaluated<Value<'a>> {
    let mut values = [Value::Null; ARGS_MAX];
    let values = values.get_mut(..args.len()).ok_or_else(|| Problem::Shape.at(at))?;
    for (value, arg) in values.iter_mut().zip(args) {
        *value = arg.eval(frame)?;
    }
    let fits = |row: &&&'static Row| {
        row.takes.iter().zip(values.iter()).all(|(takes, value)| takes.has(value.kind()))
    };
    match rows.iter().find(fits) {
        Some(row) => (row.run)(frame, values).map_err(|p| p.at(at)),
        None => Err(misfit(rows, values).at(at)),
    }
}

/// Why no overload takes these.
#[cold]
fn misfit(rows: &[&'static Row], values: &[Value<'_>]) -> Problem {
    let what = rows.first().map_or("", |row| row.sign);
    match values {
        [left, right] => Problem::kinds(what, left.kind(), right.kind()),
        [first, ..] if values.iter().all(|v| !v.is_null()) => Problem::kind(what, first.kind()),
        _ => Problem::Null(what),
    }
}
