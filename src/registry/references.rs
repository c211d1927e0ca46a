//! The schemas that a schema refers to, found transitively and within limits.

use std::collections::{BTreeSet, VecDeque};

use serde_json::Value;

use super::Error;
use super::limits::{DEPTH_MAX, REFERENCES_MAX, SCHEMA_BYTES_MAX, within_depth};
use crate::port::{Reference, SchemaText};

/// Where a referred schema lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pointer {
    /// The full name by which it is named.
    pub(super) name: String,
    /// Its subject.
    pub(super) subject: String,
    /// Its version there.
    pub(super) version: u32,
}

/// A schema as it was fetched: its text and what it points to directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fetched {
    /// Avro schema JSON.
    pub(super) text: String,
    /// What it refers to itself.
    pub(super) references: Vec<Pointer>,
}

/// A referred schema whose own references are being looked at.
struct Open {
    pointer: Option<Pointer>,
    text: String,
    pending: VecDeque<Pointer>,
}

/// Puts a schema together with everything that it refers to, each before those that name it. A schema
/// that is referred to on several ways is fetched once.
///
/// # Errors
/// `Unusable`: a cycle, more than 32 schemas, too much text or nesting, one name for two schemas; and
/// whatever `fetch` fails with.
pub(super) async fn resolve<F>(
    root: Fetched,
    fetch: impl Fn(Pointer) -> F,
) -> Result<SchemaText, Error>
where
    F: Future<Output = Result<Fetched, Error>>,
{
    let mut budget = SCHEMA_BYTES_MAX;
    spend(&mut budget, "the schema", &root.text)?;
    let mut begun: Vec<Pointer> = Vec::new();
    let mut done: Vec<Reference> = Vec::new();
    let mut open = vec![Open { pointer: None, text: root.text, pending: root.references.into() }];
    while let Some(mut top) = open.pop() {
        let Some(pointer) = top.pending.pop_front() else {
            let Some(pointer) = top.pointer else {
                return Ok(SchemaText { text: top.text, references: done });
            };
            done.push(Reference {
                name: pointer.name,
                subject: pointer.subject,
                version: pointer.version,
                text: top.text,
            });
            continue;
        };
        let on_the_way = |open: &Open| open.pointer.as_ref().is_some_and(|p| same(p, &pointer));
        if on_the_way(&top) || open.iter().any(on_the_way) {
            return Err(unusable(format!("{} refers to itself", place(&pointer))));
        }
        open.push(top);
        if begun.iter().any(|known| same(known, &pointer)) {
            continue;
        }
        if let Some(other) = begun.iter().find(|known| known.name == pointer.name) {
            return Err(unusable(format!(
                "{} and {} are both referred to as {}",
                place(other),
                place(&pointer),
                pointer.name
            )));
        }
        if begun.len() == REFERENCES_MAX {
            return Err(unusable(format!("it refers to more than {REFERENCES_MAX} schemas")));
        }
        begun.push(pointer.clone());
        let fetched = fetch(pointer.clone()).await?;
        spend(&mut budget, &place(&pointer), &fetched.text)?;
        open.push(Open {
            pointer: Some(pointer),
            text: fetched.text,
            pending: fetched.references.into(),
        });
    }
    Err(unusable("its references have no end".to_owned()))
}

fn same(one: &Pointer, other: &Pointer) -> bool {
    one.subject == other.subject && one.version == other.version
}

fn place(pointer: &Pointer) -> String {
    format!("version {} of {}", pointer.version, pointer.subject)
}

fn unusable(why: String) -> Error {
    Error::Unusable(why)
}

fn spend(budget: &mut usize, what: &str, text: &str) -> Result<(), Error> {
    if !within_depth(text, DEPTH_MAX) {
        return Err(unusable(format!("{what} is nested deeper than {DEPTH_MAX} brackets")));
    }
    *budget = budget.checked_sub(text.len()).ok_or_else(|| {
        unusable(format!("with its references it is larger than {SCHEMA_BYTES_MAX} bytes"))
    })?;
    Ok(())
}

/// The references that the schema names itself, out of all those that it has transitively: only these are
/// its own in the registry's eyes. A text that is no JSON names nothing.
pub(super) fn direct(schema: &SchemaText) -> Vec<&Reference> {
    let Ok(json) = serde_json::from_str::<Value>(&schema.text) else {
        return Vec::new();
    };
    let mut names = BTreeSet::new();
    names_used(&json, "", &mut names);
    let is_direct = |reference: &&Reference| names.contains(&reference.name);
    schema.references.iter().filter(is_direct).collect()
}

/// Collects the full names of all types that a schema mentions. Depth is bounded by the JSON parser.
fn names_used(json: &Value, namespace: &str, names: &mut BTreeSet<String>) {
    match json {
        Value::String(name) => {
            names.insert(full_name(name, namespace));
        }
        Value::Array(variants) => {
            for variant in variants {
                names_used(variant, namespace, names);
            }
        }
        Value::Object(schema) => {
            let text = |key: &str| schema.get(key).and_then(Value::as_str);
            // A name with dots carries its own namespace, which then holds for what lies inside.
            let inside = match text("name").and_then(|name| name.rsplit_once('.')) {
                Some((own, _)) => own,
                None => text("namespace").unwrap_or(namespace),
            };
            for key in ["type", "items", "values"] {
                if let Some(of) = schema.get(key) {
                    names_used(of, inside, names);
                }
            }
            let fields = schema.get("fields").and_then(Value::as_array);
            for field in fields.into_iter().flatten() {
                if let Some(of) = field.get("type") {
                    names_used(of, inside, names);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn pointer(name: &str) -> Pointer {
        Pointer { name: name.to_owned(), subject: name.to_owned(), version: 1 }
    }

    /// `graph`: who refers to whom. Answers the order of the references, and how many were fetched.
    fn resolved(root: &[&str], graph: &[(&str, &[&str])]) -> (Result<Vec<String>, Error>, usize) {
        let graph: BTreeMap<&str, &[&str]> = graph.iter().copied().collect();
        let asked = RefCell::new(0);
        let fetched = |text: &str, of: &[&str]| Fetched {
            text: text.to_owned(),
            references: of.iter().map(|name| pointer(name)).collect(),
        };
        let fetch = |pointer: Pointer| {
            *asked.borrow_mut() += 1;
            let name = pointer.name.as_str();
            let answer = fetched(name, graph.get(name).copied().unwrap_or(&[]));
            async move { Ok(answer) }
        };
        let result = futures::executor::block_on(resolve(fetched("root", root), fetch));
        let names = result.map(|schema| schema.references.into_iter().map(|r| r.name).collect());
        let asked = *asked.borrow();
        (names, asked)
    }

    #[test]
    fn each_reference_stands_once_and_before_those_that_name_it() {
        let graph: &[(&str, &[&str])] = &[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])];
        let (names, asked) = resolved(&["a", "c"], graph);
        assert_eq!(names, Ok(["c", "b", "a"].map(str::to_owned).to_vec()));
        assert_eq!(asked, 3);
    }

    #[test]
    fn a_cycle_is_refused() {
        let (names, _) = resolved(&["a"], &[("a", &["b"]), ("b", &["a"])]);
        let error = names.expect_err("a cycle").to_string();
        assert!(error.contains("refers to itself"), "{error}");
        let (names, _) = resolved(&["a"], &[("a", &["a"])]);
        assert!(names.is_err());
    }

    #[test]
    fn more_than_thirty_two_are_refused_before_more_is_asked() {
        let many: Vec<String> = (0..33).map(|i| format!("r{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let (names, asked) = resolved(&many, &[]);
        assert!(names.is_err());
        assert_eq!(asked, 32);
        assert!(resolved(&many[..32], &[]).0.is_ok());
    }

    #[test]
    fn a_schema_that_is_too_deep_or_too_large_is_refused() {
        let check = |text: String| {
            let root = Fetched { text, references: Vec::new() };
            let fetch = |_| async { Err(Error::Unusable("nothing to fetch".to_owned())) };
            futures::executor::block_on(resolve(root, fetch))
        };
        assert!(check("[".repeat(64)).is_ok());
        assert!(check("[".repeat(65)).is_err());
        assert!(check(" ".repeat(SCHEMA_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn only_what_the_text_names_is_a_reference_of_its_own() {
        let schema = |text: &str| SchemaText {
            text: text.to_owned(),
            references: ["a.b.C", "x.D", "a.b.E"]
                .map(|name| Reference {
                    name: name.to_owned(),
                    subject: String::new(),
                    version: 1,
                    text: String::new(),
                })
                .to_vec(),
        };
        let names = |text: &str| -> Vec<String> {
            let schema = schema(text);
            direct(&schema).iter().map(|r| r.name.clone()).collect()
        };
        let record = r#"{"type":"record","name":"R","namespace":"a.b","doc":"x.D","fields":[
            {"name":"c","type":["null",{"type":"array","items":"C"}]},
            {"name":"x.D","type":"string","default":"a.b.E"}]}"#;
        assert_eq!(names(record), ["a.b.C"]);
        let dotted = r#"{"type":"record","name":"a.b.R","namespace":"x","fields":[
            {"name":"m","type":{"type":"map","values":"E"}},{"name":"d","type":"x.D"}]}"#;
        assert_eq!(names(dotted), ["x.D", "a.b.E"]);
        assert_eq!(names("no json"), Vec::<String>::new());
    }

    /// What can be reached from the first of them, and whether there is a circle among it.
    fn reached(edges: &[Vec<usize>]) -> (BTreeSet<usize>, bool) {
        let mut below: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); edges.len()];
        for _ in 0..edges.len() {
            for (from, to) in edges.iter().enumerate() {
                for to in to {
                    let further = below[*to].clone();
                    below[from].extend(further);
                    below[from].insert(*to);
                }
            }
        }
        let circle = below[0].iter().any(|of| below[*of].contains(of));
        (below[0].clone(), circle)
    }

    proptest! {
        #[test]
        fn any_graph_gives_each_schema_once_and_in_order_or_is_refused_for_its_circle(
            edges in proptest::collection::vec(proptest::collection::vec(1_usize..9, 0..3), 9),
        ) {
            let names: Vec<String> = (0..9).map(|i| i.to_string()).collect();
            let of: Vec<Vec<&str>> =
                edges.iter().map(|to| to.iter().map(|i| names[*i].as_str()).collect()).collect();
            let graph: Vec<(&str, &[&str])> =
                names.iter().map(String::as_str).zip(of.iter().map(Vec::as_slice)).collect();
            let (answer, asked) = resolved(&of[0], &graph);
            let (reached, circle) = reached(&edges);
            prop_assert_eq!(answer.is_err(), circle);
            if let Ok(order) = answer {
                let order: Vec<usize> = order.iter().map(|name| name.parse().unwrap()).collect();
                prop_assert_eq!(asked, order.len());
                prop_assert_eq!(order.iter().copied().collect::<BTreeSet<_>>(), reached);
                for (at, of) in order.iter().enumerate() {
                    prop_assert!(edges[*of].iter().all(|to| order[..at].contains(to)));
                }
            }
        }
    }
}
