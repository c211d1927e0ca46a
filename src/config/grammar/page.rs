//! A table as a page for people.

use std::fmt::Write as _;

use super::{Fields, Is, Key, Need, When};

/// The page in Markdown: the introduction, then a section for each map, from the outside in.
pub fn page(introduction: &str, title: &str, fields: &Fields) -> String {
    let mut page = introduction.to_owned();
    section(&mut page, &format!("## {title}"), fields.keys, fields.one_of, "");
    let _ = write!(
        page,
        "\n## How values are written\n\n\
         - A duration has a unit: `20ms`, `5s`, `1m30s`, `2h`, `1d`. A size too: `500kB`, `4MiB`. A ratio is a\n  \
           percentage: `5%`. A point in time is RFC 3339 with its zone: `2026-01-05T10:00:00Z`.\n\
         - A value keeps its text: `no`, `007` and `2026-01-05` are what they look like. Only where a number or\n  \
           a bool is wanted is it read as one.\n\
         - A value with `: ` or ` #` in it, or one that begins with a quote, `[`, `{{`, `*`, `&`, `!`, `|`, `>`, `%`,\n  \
           `@` or a backtick, stands in quotes; so does one with a comma or a bracket inside `{{ }}` or `[ ]`.\n\
         - No anchors, aliases, merge keys, tags or second documents; no key twice; no tabs.\n"
    );
    page
}

fn section(page: &mut String, heading: &str, keys: &[Key], one_of: &[&str], path: &str) {
    let _ = write!(page, "\n{heading}\n\n");
    if !one_of.is_empty() {
        let names: Vec<_> = one_of.iter().map(|name| format!("`{name}`")).collect();
        let _ = write!(page, "Exactly one of {}.\n\n", names.join(", "));
    }
    let _ = writeln!(page, "| key | value | without it | meaning |\n|---|---|---|---|");
    for key in keys {
        let (value, without) = match key.when {
            When::Later => (String::new(), String::new()),
            When::Now | When::NotYet => (value(&key.is), without(key, one_of)),
        };
        let not_yet = if key.when == When::Now { "" } else { "; **not yet**" };
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {}{not_yet} |",
            key.name,
            cell(&value),
            cell(&without),
            cell(key.doc)
        );
    }
    for key in keys {
        let path =
            if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        below(page, &key.is, &path);
    }
}

/// The sections of the maps that lie in a value.
fn below(page: &mut String, is: &Is, path: &str) {
    match is {
        Is::Fields(fields) | Is::Given(fields) => {
            section(page, &format!("## `{path}`"), fields.keys, fields.one_of, path);
        }
        Is::Tag(keys) => {
            let all: Vec<_> = keys.iter().map(|key| key.name).collect();
            section(page, &format!("## `{path}`"), keys, &all, path);
        }
        Is::List(of, _) | Is::Entries(_, of) | Is::NotYet(of) => below(page, of, path),
        Is::Either(of) => of.iter().for_each(|is| below(page, is, path)),
        Is::One(_) | Is::Word(_) | Is::Secret | Is::Event | Is::Any => {}
    }
}

fn value(is: &Is) -> String {
    match is {
        Is::Word(words) => {
            let shown = words.iter().map(|word| match word.when {
                When::Now => format!("`{}`", word.name),
                When::NotYet | When::Later => format!("`{}` (not yet)", word.name),
            });
            shown.collect::<Vec<_>>().join(", ")
        }
        Is::One(scalar) => scalar.expected(),
        Is::List(of, _) => format!("list: {}", value(of)),
        Is::Fields(_) => "map, see below".to_owned(),
        Is::Tag(_) => "map with one key, see below".to_owned(),
        Is::Entries(name, of) => format!("map: {} → {}", name.expected(), value(of)),
        Is::Either(of) => of.iter().map(value).collect::<Vec<_>>().join(", or "),
        Is::NotYet(of) => format!("{} (not yet)", value(of)),
        Is::Secret | Is::Event | Is::Given(_) | Is::Any => is.expected(),
    }
}

fn without(key: &Key, one_of: &[&str]) -> String {
    match key.need {
        _ if one_of.contains(&key.name) => String::new(),
        Need::Required => "refused".to_owned(),
        Need::Default(text) => format!("`{text}`"),
        Need::Otherwise(words) => words.to_owned(),
        Need::Optional => match key.is {
            Is::Fields(fields) if has_defaults(fields) => "its defaults".to_owned(),
            _ => "none".to_owned(),
        },
    }
}

fn has_defaults(fields: &Fields) -> bool {
    fields.one_of.is_empty()
        && fields.keys.iter().any(|key| match (key.need, key.is) {
            (Need::Default(_), _) => true,
            (_, Is::Fields(below)) => has_defaults(below),
            _ => false,
        })
}

/// Text in a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Fails if the file is not the page; with `ORDERMILL_WRITE_DOCS=1` it is written first.
#[cfg(test)]
pub(crate) fn same_page(file: &str, page: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("ORDERMILL_WRITE_DOCS").is_some() {
        std::fs::write(&file, page).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == page, "{} is out of date: `make docs` writes it", file.display());
}
