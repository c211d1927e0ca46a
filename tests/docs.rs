//! Documents hold together: what one names is there, and each command of `make` is told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser as _;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// Every document of the repository.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(REPOSITORY);
    let mut found = Vec::new();
    for file in fs::read_dir(root).unwrap() {
        let path = file.unwrap().path();
        found.extend(path.extension().is_some_and(|e| e == "md").then_some(path));
    }
    for folder in ["docs", "helm"] {
        walk(&root.join(folder), &mut found);
    }
    assert!(found.len() >= 6, "the walk found nearly nothing: {found:?}");
    found
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(files) = fs::read_dir(folder) else { return };
    for file in files {
        let path = file.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "md") {
            found.push(path);
        }
    }
}

/// A document's text without its code: what stands there is no link.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut out = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            // every second piece stands between backticks
            line.split('`').step_by(2).for_each(|piece| out.push_str(piece));
            out.push('\n');
        }
    }
    out
}

/// Where its links lead: `[text](target)`, `![text](target)`, `[name]: target`, `href=` and `src=`.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let mut found = Vec::new();
    for (start, end) in [("](", ')'), ("href=\"", '"'), ("src=\"", '"')] {
        for (_, rest) in prose.match_indices(start).map(|(at, _)| prose.split_at(at + start.len()))
        {
            let target = rest.split(end).next().unwrap_or_default();
            found.push(target.split_whitespace().next().unwrap_or_default().to_owned());
        }
    }
    let defined = prose.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
    found.extend(defined.map(|(_, target)| target.trim().to_owned()));
    found
}

/// The fragments of a document's headings, as GitHub makes them, and those it sets itself.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let heading = line.trim_start_matches('#');
        if !fenced && heading.starts_with(' ') && heading.len() < line.len() {
            let base = anchor(heading.trim());
            let again = (1..).map(|n| format!("{base}-{n}"));
            let mut names = std::iter::once(base.clone()).chain(again);
            found.insert(names.find(|name| !found.contains(name)).unwrap());
        }
        for set in ["id=\"", "name=\""] {
            let set = line.split(set).skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(set.map(str::to_owned));
        }
    }
    found
}

fn anchor(heading: &str) -> String {
    let shown = heading.split("](").map(|piece| match piece.split_once(')') {
        Some((_, rest)) if heading.contains("](") => rest,
        _ => piece,
    });
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    let text: String = shown.collect::<String>().to_lowercase();
    text.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// What is wrong with a document's links.
fn dead(document: &Path) -> Vec<String> {
    let text = fs::read_to_string(document).unwrap();
    let mut wrong = Vec::new();
    for link in links(&text) {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (path, fragment) = link.split_once('#').unwrap_or((&link, ""));
        let target = match path {
            "" => document.to_owned(),
            path => document.parent().unwrap().join(path),
        };
        let inside = target.canonicalize().is_ok_and(|target| target.starts_with(REPOSITORY));
        let there = target.extension().is_none_or(|e| e != "md")
            || fragment.is_empty()
            || fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(fragment));
        if !inside || !there {
            wrong.push(format!("{}: {link} leads nowhere", document.display()));
        }
    }
    wrong
}

#[test]
fn every_link_and_fragment_leads_somewhere() {
    let dead: Vec<String> = documents().iter().flat_map(|document| dead(document)).collect();
    assert!(dead.is_empty(), "\n{}\n", dead.join("\n"));
}

#[test]
fn every_page_below_docs_is_reached_from_the_readme() {
    let root = Path::new(REPOSITORY);
    let mut reached = BTreeSet::new();
    let mut next = vec![root.join("README.md")];
    while let Some(document) = next.pop() {
        let Ok(document) = document.canonicalize() else { continue };
        // who links a folder links what lies in it
        if document.is_dir() && document != root {
            walk(&document, &mut next);
        }
        if document.extension().is_none_or(|e| e != "md") || !reached.insert(document.clone()) {
            continue;
        }
        let text = fs::read_to_string(&document).unwrap();
        let paths = links(&text).into_iter().filter(|link| !link.contains("://"));
        let folder = document.parent().unwrap();
        next.extend(paths.map(|link| folder.join(link.split('#').next().unwrap_or_default())));
    }
    let lost: Vec<_> = documents()
        .into_iter()
        .filter(|path| !reached.contains(&path.canonicalize().unwrap()))
        .collect();
    assert!(lost.is_empty(), "no link leads to {lost:?}");
}

#[test]
fn links_and_headings_are_found_where_readers_see_them() {
    let text = "# A `b` c!\n## A `b` c!\n[x](y.md#z) ![p](q.png \"t\") `[no](no)`\n```\n[no](no)\n# no\n```\n[r]: s.md\n";
    assert_eq!(links(text), ["y.md#z", "q.png", "s.md"]);
    assert_eq!(anchors(text), ["a-b-c", "a-b-c-1"].map(str::to_owned).into());
    assert_eq!(anchor("What `ordermill run` says"), "what-ordermill-run-says");
    assert_eq!(anchor("[Kafka](https://kafka.apache.org) first"), "kafka-first");
}

#[test]
fn make_help_tells_every_command_of_make() {
    let makefile = fs::read_to_string(Path::new(REPOSITORY).join("Makefile")).unwrap();
    let phony = makefile.lines().filter_map(|line| line.strip_prefix(".PHONY:"));
    let commands: BTreeSet<&str> = phony.flat_map(str::split_whitespace).collect();
    let rules = makefile.lines().filter_map(|line| line.split_once(':'));
    let rules: BTreeSet<&str> = rules
        .map(|(name, _)| name)
        .filter(|name| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
        })
        .collect();
    assert_eq!(commands, rules, "each rule is .PHONY, and each .PHONY has a rule");
    let said = Command::new("make")
        .args(["--no-print-directory", "help"])
        .current_dir(REPOSITORY)
        .output();
    let said = String::from_utf8(said.unwrap().stdout).unwrap();
    for command in commands {
        let told = said.lines().any(|line| {
            line.strip_prefix("make ")
                .is_some_and(|line| line.split_whitespace().next() == Some(command))
        });
        assert!(told, "{command}: {said}");
    }
}

/// The command lines of ours in a document's code blocks, without comments and what a shell does with their output.
fn typed(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if let Some(call) = line.strip_prefix("ordermill ").filter(|_| fenced) {
            let call = call.split(" #").next().unwrap_or(call);
            let end = call.find(" | ").or_else(|| call.find(" > ")).unwrap_or(call.len());
            found.push(call[..end].trim().to_owned());
        }
    }
    found
}

#[test]
fn every_command_line_in_the_documents_can_be_typed() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    let generated = Path::new(REPOSITORY).join("docs/commands.md");
    for document in documents().into_iter().filter(|path| *path != generated) {
        for call in typed(&fs::read_to_string(&document).unwrap()) {
            seen += 1;
            // what a reader puts in
            let said = call.replace("PARTITION", "0").replace("OFFSET", "5");
            let words = std::iter::once("ordermill").chain(said.split_whitespace());
            if let Err(error) = ordermill::cli::Args::try_parse_from(words)
                && error.use_stderr()
            {
                wrong.push(format!("{}: ordermill {call}\n{error}", document.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 20, "{seen} command lines were found");
}

#[test]
fn every_law_that_a_document_names_stands_in_the_file_that_it_links() {
    let mut missing = Vec::new();
    let mut seen = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for (at, _) in text.match_indices("`](") {
            let (before, after) = (&text[..at], &text[at + 3..]);
            let target = after.split(')').next().unwrap();
            let Some(law) = before.rsplit("[`").next().filter(|_| target.ends_with(".rs")) else {
                continue;
            };
            seen += 1;
            let file = document.parent().unwrap().join(target);
            let code = fs::read_to_string(&file).unwrap_or_default();
            if !code.contains(&format!("fn {law}(")) {
                missing.push(format!("{}: {law} is not in {target}", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(seen > 8, "{seen} laws are named");
}
