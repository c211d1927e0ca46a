//! What a template says of an event: `event.lines`, `id`, `headers.trace`; does that exist, and what must be
//! decoded for it?

use crate::expr::Env;
use crate::record::{Name, Shape, Type, Uses, nearest};

/// The names that a template may say besides its own variables.
const NAMES: [(&str, Name); 8] = [
    ("event", Name::Event),
    ("key", Name::Key),
    ("id", Name::Id),
    ("headers", Name::Headers),
    ("topic", Name::Topic),
    ("partition", Name::Partition),
    ("offset", Name::Offset),
    ("timestamp", Name::Timestamp),
];

/// The template engine's own functions.
const FUNCTIONS: [&str; 3] = ["range", "dict", "namespace"];

/// A path that says something that is not there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    /// Which part of the path, from 0.
    pub(super) part: usize,
    /// What is wrong.
    pub(super) what: String,
    /// What was probably meant.
    pub(super) hint: Option<String>,
}

/// The name that a path begins with, and what of the event it uses; nothing: it is a function.
pub(super) fn resolve(path: &str, env: &Env, uses: &mut Uses) -> Result<Option<Name>, Unknown> {
    let parts: Vec<&str> = path.split('.').collect();
    let (root, fields) = parts.split_first().map_or(("", &[][..]), |(root, rest)| (*root, rest));
    if FUNCTIONS.contains(&root) {
        return Ok(None);
    }
    let Some((_, name)) = NAMES.iter().find(|(known, _)| *known == root) else {
        return Err(unknown_name(root, env));
    };
    match name {
        Name::Event => {
            let used = below_event(env.event(), fields)?;
            uses.add(used);
        }
        Name::Headers => {}
        _ if fields.is_empty() => {}
        _ => return Err(no_fields(1, root, fields.first().copied().unwrap_or_default())),
    }
    Ok(Some(*name))
}

/// The fields of the path that lead through records: what must be decoded.
fn below_event<'p>(event: &Shape, fields: &'p [&'p str]) -> Result<&'p [&'p str], Unknown> {
    let mut shape = event;
    for (i, name) in fields.iter().enumerate() {
        let Some((_, ty)) = shape.field(name) else {
            let within = if i == 0 { "event".to_owned() } else { fields[..i].join(".") };
            let known = shape.fields.iter().map(|field| field.name.as_str());
            let hint = match nearest(name, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", known.collect::<Vec<_>>().join(", ")),
            };
            let what = format!("`{within}` has no field `{name}`");
            return Err(Unknown { part: i + 1, what, hint: Some(hint) });
        };
        let last = i + 1 == fields.len();
        match some(ty) {
            Type::Record(inner) => shape = inner,
            // What lies below is not known before the record is.
            Type::Map(_) | Type::Union(_) => return Ok(&fields[..=i]),
            _ if last => {}
            other => return Err(no_fields(i + 2, &format!("{name} ({other})"), fields[i + 1])),
        }
    }
    Ok(fields)
}

fn some(ty: &Type) -> &Type {
    match ty {
        Type::Optional(some) => some,
        other => other,
    }
}

fn no_fields(part: usize, of: &str, field: &str) -> Unknown {
    let hint = "what is done with a value is a filter, such as `| upper` or `| length`".to_owned();
    Unknown { part, what: format!("`{of}` has no field `{field}`"), hint: Some(hint) }
}

fn unknown_name(root: &str, env: &Env) -> Unknown {
    let hint = if env.event().field(root).is_some() {
        format!("did you mean `event.{root}`?")
    } else {
        let known = NAMES.iter().map(|(name, _)| *name);
        match nearest(root, known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", known.collect::<Vec<_>>().join(", ")),
        }
    };
    Unknown { part: 0, what: format!("unknown name `{root}`"), hint: Some(hint) }
}

/// Where the path's part stands in the template: the byte, or its beginning if it is written otherwise.
pub(super) fn place(template: &str, path: &str, part: usize) -> usize {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let whole = template.match_indices(path).find(|(at, _)| {
        let before = template[..*at].chars().next_back();
        let after = template[at + path.len()..].chars().next();
        !before.is_some_and(|c| word(c) || c == '.') && !after.is_some_and(word)
    });
    let within = path.split('.').take(part).map(|part| part.len() + 1).sum::<usize>();
    whole.map_or(0, |(at, _)| at + within)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::record::Field;

    fn shape(fields: &[(&str, Type)]) -> Arc<Shape> {
        let field = |(name, ty): &(&str, Type)| Field { name: (*name).into(), ty: ty.clone() };
        Arc::new(Shape { name: "Order".into(), fields: fields.iter().map(field).collect() })
    }

    fn env() -> Env {
        let customer = shape(&[("name", Type::Str), ("city", Type::Str)]);
        let lines = Type::List(Box::new(Type::Record(shape(&[("sku", Type::Str)]))));
        let order = shape(&[
            ("product_name", Type::Str),
            ("customer", Type::Optional(Box::new(Type::Record(customer)))),
            ("lines", lines),
            ("tags", Type::Map(Box::new(Type::Str))),
        ]);
        Env::new(order, Type::Str)
    }

    #[test]
    fn what_is_used_is_what_is_decoded() {
        let mut uses = Uses::nothing();
        for (path, name) in [
            ("event.product_name", Some(Name::Event)),
            ("event.customer.city", Some(Name::Event)),
            ("event.tags.colour", Some(Name::Event)),
            ("event.lines", Some(Name::Event)),
            ("id", Some(Name::Id)),
            ("headers.trace", Some(Name::Headers)),
            ("range", None),
        ] {
            assert_eq!(resolve(path, &env(), &mut uses), Ok(name), "{path}");
        }
        let mut expected = Uses::nothing();
        for path in [&["product_name"][..], &["customer", "city"], &["tags"], &["lines"]] {
            expected.add(path);
        }
        assert_eq!(uses, expected);
        assert_eq!(resolve("event", &env(), &mut uses), Ok(Some(Name::Event)));
        assert_eq!(uses, Uses::All);
    }

    #[test]
    fn what_is_not_there_is_named_with_what_was_meant() {
        for (path, part, what, hint) in [
            (
                "event.prodct_name",
                1,
                "`event` has no field `prodct_name`",
                "did you mean `product_name`?",
            ),
            ("event.customer.town", 2, "`customer` has no field `town`", "there are: name, city"),
            (
                "event.product_name.upper",
                2,
                "`product_name (string)` has no field `upper`",
                "| upper",
            ),
            ("event.lines.sku", 2, "`lines (list(record Order))` has no field `sku`", "| length"),
            ("id.x", 1, "`id` has no field `x`", "filter"),
            (
                "product_name",
                0,
                "unknown name `product_name`",
                "did you mean `event.product_name`?",
            ),
            ("evnt.x", 0, "unknown name `evnt`", "did you mean `event`?"),
        ] {
            let unknown = resolve(path, &env(), &mut Uses::nothing()).unwrap_err();
            assert_eq!((unknown.part, unknown.what.as_str()), (part, what), "{path}");
            assert!(unknown.hint.as_ref().is_some_and(|said| said.contains(hint)), "{unknown:?}");
        }
    }

    #[test]
    fn a_path_is_found_where_it_stands_as_a_word() {
        let template = "my_event.a {{ event.ab }} {{ event.a }}";
        assert_eq!(place(template, "event.a", 0), 29);
        assert_eq!(place(template, "event.a", 1), 35);
        assert_eq!(place("{{ event . a }}", "event.a", 1), 0);
    }
}
