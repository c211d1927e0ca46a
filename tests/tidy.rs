//! The house checks itself: who may know whom, and what may stand nowhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms in the order of knowledge. A room may use those before it, never one after it.
const ROOMS: &[&str] = &[
    "record", "codec", "expr", "stage", "engine", "port", "config", "observe", "database",
    "registry", "kafka", "sink", "source", "web", "pipeline", "replay", "cli",
];

/// These do not know each other: what one needs of another is a trait in `port`.
const EDGES: &[&str] = &["registry", "kafka", "source", "web"];

/// Rooms without IO, clock, async or metrics.
const PURE: &[&str] = &["record", "codec", "expr", "stage", "engine"];

/// What a file of a pure room may say all the same, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "expr/parse.rs",
    "std::thread",
    "the parser needs 128 KiB of stack a bracket: it runs once a file on a thread with enough of it",
)];

/// A library and the rooms that may say its name.
const HOMES: &[(&str, &[&str])] = &[
    ("rdkafka", &["kafka"]),
    ("axum", &["web"]),
    ("tokio_postgres", &["database"]),
    ("deadpool_postgres", &["database"]),
    ("rusqlite", &["database"]),
    ("schema_registry_converter", &["registry"]),
    ("prometheus", &["observe"]),
    ("reqwest", &["registry", "web"]),
    ("lettre", &["sink"]),
    ("minijinja", &["sink"]),
    ("object_store", &["sink"]),
    ("miniz_oxide", &["codec"]),
];

struct Source {
    path: PathBuf,
    room: String,
    /// The text without the trailing test module, which may know more.
    code: String,
    whole: String,
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    walk(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut found);
    assert!(found.len() > 20, "the walk found nearly nothing");
    product(found)
}

fn walk(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let whole = fs::read_to_string(&path).unwrap();
            let code = without_tests(&whole);
            let inside = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
            let room = inside.components().next().unwrap().as_os_str().to_str().unwrap().to_owned();
            found.push(Source { path, room, code, whole });
        }
    }
}

/// Leaves out files that stand behind `#[cfg(test)] mod NAME;`, and everything below them.
fn product(all: Vec<Source>) -> Vec<Source> {
    let mut tests: Vec<PathBuf> = Vec::new();
    for source in &all {
        let stem = source.path.file_stem().unwrap();
        let folder = source.path.parent().unwrap();
        let below =
            if stem == "mod" || stem == "lib" { folder.to_owned() } else { folder.join(stem) };
        let lines: Vec<&str> = source.whole.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[0].trim() == "#[cfg(test)]") {
            let declared = pair[1].split("mod ").nth(1).and_then(|rest| rest.strip_suffix(';'));
            tests.extend(declared.map(|name| below.join(name)));
        }
    }
    all.into_iter()
        .filter(|s| !tests.iter().any(|t| s.path.with_extension("").starts_with(t)))
        .collect()
}

/// The text before the first module of tests in it.
fn without_tests(whole: &str) -> String {
    let lines: Vec<&str> = whole.lines().collect();
    let end = lines.windows(2).position(|pair| {
        pair[0] == "#[cfg(test)]"
            && (pair[1].contains("mod ") || pair[1].contains("fn "))
            && pair[1].ends_with('{')
    });
    lines[..end.unwrap_or(lines.len())].join("\n")
}

fn complain(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// Lines of code, numbered, without comments.
fn lines(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.lines()
        .enumerate()
        .map(|(i, l)| (i + 1, l))
        .filter(|(_, l)| !l.trim_start().starts_with("//"))
}

#[test]
fn dependencies_between_rooms_point_one_way() {
    let mut problems = Vec::new();
    for source in sources() {
        let Some(mine) = ROOMS.iter().position(|r| *r == source.room) else { continue };
        for (n, line) in lines(&source.code) {
            for (theirs, room) in ROOMS.iter().enumerate() {
                let says = line.contains(&format!("crate::{room}::"))
                    || line.contains(&format!("crate::{{{room}"))
                    || line.contains(&format!("use crate::{room};"));
                if says && theirs > mine {
                    problems.push(format!(
                        "{}:{n}: {} may not know {room}",
                        source.path.display(),
                        source.room
                    ));
                }
            }
        }
    }
    complain(&problems);
}

#[test]
fn edges_do_not_know_each_other() {
    let mut problems = Vec::new();
    for source in sources().iter().filter(|s| EDGES.contains(&s.room.as_str())) {
        for (n, line) in lines(&source.code) {
            for other in EDGES.iter().filter(|e| **e != source.room) {
                if line.contains(&format!("crate::{other}::")) {
                    problems.push(format!(
                        "{}:{n}: {} may not know {other}",
                        source.path.display(),
                        source.room
                    ));
                }
            }
        }
    }
    complain(&problems);
}

#[test]
fn the_pure_rooms_have_no_io_no_clock_no_async_and_no_metrics() {
    let banned = [
        "tokio::",
        "async fn",
        "Instant::now",
        "SystemTime",
        "std::fs",
        "std::net",
        "std::thread",
        "tracing::",
        "prometheus::",
        "println!",
        "std::env",
    ];
    let mut problems = Vec::new();
    for source in sources().iter().filter(|s| PURE.contains(&s.room.as_str())) {
        for (n, line) in lines(&source.code) {
            for word in banned.iter().filter(|word| line.contains(**word)) {
                if !EXCEPTIONS
                    .iter()
                    .any(|(file, what, _)| source.path.ends_with(file) && what == word)
                {
                    problems.push(format!("{}:{n}: {word} in a pure room", source.path.display()));
                }
            }
        }
    }
    complain(&problems);
}

#[test]
fn each_outside_library_has_one_home() {
    let mut problems = Vec::new();
    for source in sources() {
        for (n, line) in lines(&source.code) {
            for (library, homes) in HOMES {
                let says = line.contains(&format!("{library}::"))
                    || line.contains(&format!("use {library}"));
                if says && !homes.contains(&source.room.as_str()) {
                    problems.push(format!(
                        "{}:{n}: only {homes:?} may say {library}",
                        source.path.display()
                    ));
                }
            }
        }
    }
    complain(&problems);
}

#[test]
fn unsafe_stands_in_one_file() {
    let with: Vec<_> = sources()
        .into_iter()
        .filter(|s| {
            lines(&s.code).any(|(_, l)| l.contains("unsafe {") || l.contains("unsafe impl"))
        })
        .map(|s| s.path)
        .collect();
    assert_eq!(with.len(), 1, "{with:?}");
    assert!(with[0].ends_with("kafka/raw.rs"), "{with:?}");
}

#[test]
fn nothing_panics_outside_tests() {
    let banned = [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "unreachable!("];
    let mut problems = Vec::new();
    for source in sources() {
        for (n, line) in lines(&source.code) {
            for word in banned.iter().filter(|word| line.contains(**word)) {
                problems.push(format!("{}:{n}: {word}", source.path.display()));
            }
        }
    }
    complain(&problems);
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<_> =
        sources().into_iter().filter(|s| !s.whole.starts_with("//!")).map(|s| s.path).collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn every_file_is_reached() {
    let mut all = Vec::new();
    walk(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut all);
    let mut problems = Vec::new();
    for source in &all {
        let stem = source.path.file_stem().unwrap().to_str().unwrap();
        if ["lib", "main"].contains(&stem) {
            continue;
        }
        let (name, parent) = if stem == "mod" {
            let folder = source.path.parent().unwrap();
            (folder.file_name().unwrap().to_str().unwrap(), folder.parent().unwrap())
        } else {
            (stem, source.path.parent().unwrap())
        };
        let reached = all.iter().any(|s| {
            let above = s.path.parent() == Some(parent) || s.path.with_extension("") == parent;
            above
                && [format!("mod {name};"), format!("mod {name} {{")]
                    .iter()
                    .any(|m| s.whole.contains(m.as_str()))
        });
        if !reached {
            problems.push(format!("{} is nobody's module", source.path.display()));
        }
    }
    complain(&problems);
}

#[test]
fn metric_names_stand_in_one_file() {
    let with: BTreeSet<_> = sources()
        .into_iter()
        .filter(|s| !s.path.ends_with("observe/metrics.rs"))
        // The database's tables have the prefix too.
        .filter(|s| s.room != "database")
        .filter(|s| lines(&s.code).any(|(_, l)| l.contains("\"ordermill_")))
        .map(|s| s.path)
        .collect();
    assert!(with.is_empty(), "{with:?}");
}
