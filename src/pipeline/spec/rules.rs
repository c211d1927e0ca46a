//! What no single key can tell: rules between the keys of a file.
//!
//! Each rule looks at what it needs and holds its peace where that is missing or wrong, so that a file with
//! other errors hears of these too.

use std::collections::HashMap;

use super::grammar::{ARCHIVE, INSERT, MAIL, ROUTE, SQL, STAGES, TOPIC_SINK, UPSERT};
use super::model::default_dead_letter_topic;
use super::{Node, Text, sink, source};
use crate::config::grammar::{Check, Fields, Part};
use crate::config::units::{show_duration, show_size};
use crate::config::yaml::{Entry, Kind};
use crate::database::SqlText;

/// Kafka's limit.
const TOPIC_BYTES_MAX: usize = 249;

/// Checks all of them.
pub(super) fn across(root: &Part<'_>, check: &mut Check<'_>) {
    topics(root, check);
    dead_letter_topic(root, check);
    if let Some((word, part)) = sink_part(root) {
        times(root, &part, check);
        batch(root, &part, check);
        if word == "sql" {
            sql(&part, check);
        }
        output_topic(root, word, &part, check);
        route(root, word, check);
    }
    for stage in root.node("stages").map(Node::items).unwrap_or_default() {
        if let [Entry { key, value }] = stage.entries()
            && matches!(key.as_str(), "keep" | "drop")
        {
            twice(&value.texts().unwrap_or_default(), key.as_str(), check);
        }
    }
    let names = root.node("cases").map(Node::items).unwrap_or_default().iter();
    let names = names.filter_map(|case| Some(case.get("name")?.scalar()?.text.clone()));
    twice(&names.collect::<Vec<_>>(), "cases", check);
}

/// The sink's word and its map.
fn sink_part<'n>(root: &Part<'n>) -> Option<(&'n str, Part<'n>)> {
    let [Entry { key, value }] = root.node("sink")?.entries() else { return None };
    let fields: &'static Fields = match key.as_str() {
        "sql" => &SQL,
        "topic" => &TOPIC_SINK,
        "archive" => &ARCHIVE,
        "mail" => &MAIL,
        _ => return None,
    };
    Some((key.as_str(), Part::new(Some(value), fields)))
}

fn topics(root: &Part<'_>, check: &mut Check<'_>) {
    let Some(source) = root.part("source") else { return };
    let Some(topics) = source.texts("topics") else { return };
    twice(&topics, "source.topics", check);
    if topics.len() > 1 && source.node("schema").is_none() {
        let hint = "say which subject's schema they are read by: `schema: SUBJECT`";
        check.problem(
            source.place("topics"),
            "`source.schema` is missing for several topics",
            hint,
        );
    }
}

/// A dead letter must not come back as a record, and its topic's name must be one that Kafka takes.
fn dead_letter_topic(root: &Part<'_>, check: &mut Check<'_>) {
    let Some(source) = root.part("source") else { return };
    let topics = source::topics(&source).unwrap_or_default();
    let named =
        root.part("dead_letter").and_then(|part| Some((part.text("topic")?, part.place("topic"))));
    match (named, root.string("name")) {
        (Some((topic, at)), _) if topics.contains(&topic.text) => {
            let what = format!("`dead_letter.topic` is the source `{topic}` itself");
            check.problem(at, what, "dead letters would come back as records: name another topic");
        }
        (None, Some(name)) => {
            for topic in &topics {
                let letters = default_dead_letter_topic(topic, &name);
                if letters.len() > TOPIC_BYTES_MAX {
                    let what = format!(
                        "the dead-letter topic of `{topic}` would be longer than {TOPIC_BYTES_MAX} bytes"
                    );
                    check.problem(source.at(), what, "name one: `dead_letter: { topic: … }`");
                }
            }
        }
        _ => {}
    }
}

/// A try must be able to end before the drain does: else a stop would always cut it off.
fn times(root: &Part<'_>, sink: &Part<'_>, check: &mut Check<'_>) {
    let Some(limits) = root.part("limits") else { return };
    let (Some(timeout), Some(drain)) = (sink.duration("timeout"), limits.duration("drain")) else {
        return;
    };
    if timeout >= drain {
        let at = if sink.node("timeout").is_some() {
            sink.place("timeout")
        } else {
            limits.place("drain")
        };
        let (timeout, drain) = (show_duration(timeout), show_duration(drain));
        let what =
            format!("the sink's `timeout` {timeout} is not shorter than `limits.drain` {drain}");
        check.problem(at, what, "a try that was begun must end before the drain does");
    }
}

/// A batch larger than the window would never fill.
fn batch(root: &Part<'_>, sink: &Part<'_>, check: &mut Check<'_>) {
    let Some(batch) = sink::batch(sink) else { return };
    let Some(window) = root.part("limits").and_then(|limits| limits.part("window")) else { return };
    let place = |key: &str| {
        let written = sink.part("batch").filter(|part| part.node(key).is_some());
        written.map_or_else(|| window.at(), |part| part.place(key))
    };
    if let Some(records) = window.count::<usize>("records").filter(|records| batch.rows > *records)
    {
        let what =
            format!("`batch.rows` {} is more than `limits.window.records` {records}", batch.rows);
        check.problem(place("rows"), what, "such a batch would never fill");
    }
    if let Some(bytes) = window.size::<usize>("bytes").filter(|bytes| batch.bytes > *bytes) {
        let (batch, window) = (show_size(batch.bytes as u64), show_size(bytes as u64));
        let what = format!("`batch.bytes` {batch} is more than `limits.window.bytes` {window}");
        check.problem(place("bytes"), what, "such a batch would never fill");
    }
}

/// What the text of a statement tells; its names are checked against the schema.
fn statement(part: &Part<'_>, check: &mut Check<'_>) {
    let Some(sql) = part.text("execute") else { return };
    for flaw in SqlText::parse(sql.as_str()).err().unwrap_or_default() {
        check.problem(sql.place(flaw.at), flaw.what, flaw.hint);
    }
    let any = part.string("rows").is_none_or(|rows| rows == "any");
    if any && part.node("else").is_some() {
        let hint = "say how many rows it must change, for example `rows: 1`, or leave it out";
        check.problem(part.place("else"), "`sink.sql.else` needs `rows`", hint);
    }
}

fn sql(part: &Part<'_>, check: &mut Check<'_>) {
    statement(part, check);
    if part.node("execute").is_none() {
        for key in ["rows", "else"] {
            if part.node(key).is_some() {
                let what = format!("`sink.sql.{key}` belongs to `execute`");
                check.problem(
                    part.place(key),
                    what,
                    "leave it out: for `insert` there is `conflict`",
                );
            }
        }
    }
    let Some(insert) = part.node("insert") else { return };
    let insert = Part::new(Some(insert), &INSERT);
    let Some(conflict) = insert.node("conflict").filter(|node| matches!(node.kind, Kind::Map(_)))
    else {
        return;
    };
    let upsert = Part::new(Some(conflict), &UPSERT);
    let on = upsert.texts("on").unwrap_or_default();
    let update = upsert.texts("update").unwrap_or_default();
    twice(&on, "conflict.on", check);
    twice(&update, "conflict.update", check);
    for column in &update {
        if on.iter().any(|key| key.text == column.text) {
            let what = format!("`{column}` stands in both `on` and `update`");
            check.problem(
                column.at,
                what,
                "the columns of the key are equal already: leave it out of `update`",
            );
        }
    }
    if let Some(columns) = insert.entries("columns") {
        for column in on.iter().chain(&update) {
            if !columns.iter().any(|(name, _)| name.text == column.text) {
                let what = format!("`{column}` is not among `insert.columns`");
                check.problem(column.at, what, "say what goes into it, or leave it out here");
            }
        }
    }
}

/// What a pipeline writes must not be what it reads.
fn output_topic(root: &Part<'_>, word: &str, sink: &Part<'_>, check: &mut Check<'_>) {
    if word != "topic" {
        return;
    }
    let sources = root.part("source").and_then(|part| source::topics(&part)).unwrap_or_default();
    match sink.text("topic") {
        Some(topic) if sources.contains(&topic.text) => {
            let what = format!("`sink.topic.topic` is the source `{topic}` itself");
            check.problem(
                sink.place("topic"),
                what,
                "the pipeline would read what it writes, for ever",
            );
        }
        None if last_stage(root).is_none_or(|stage| stage != "route") => {
            let hint = "for example `topic: orders.valid`, or a `route` as the last stage";
            check.problem(sink.at(), "`sink.topic.topic` is missing", hint);
        }
        _ => {}
    }
}

fn last_stage<'n>(root: &Part<'n>) -> Option<&'n str> {
    match root.node("stages")?.items().last()?.entries() {
        [Entry { key, .. }] => Some(key.as_str()),
        _ => None,
    }
}

/// A route decides for a topic sink, at the end, and for every event.
fn route(root: &Part<'_>, sink: &str, check: &mut Check<'_>) {
    let stages = root.node("stages").map(Node::items).unwrap_or_default();
    if !STAGES.iter().any(|key| key.name == "route" && check.lets(key)) {
        return;
    }
    for (i, stage) in stages.iter().enumerate() {
        let Some(route) = stage.get("route") else { continue };
        if sink != "topic" {
            check.problem(
                stage.at,
                "`route` needs the sink `topic`",
                "it says which topic an event goes to",
            );
        }
        if i + 1 < stages.len() {
            check.problem(
                stage.at,
                "`route` is not the last stage",
                "put it at the end of `stages`",
            );
        }
        let [before @ .., last] = route.items() else { continue };
        if last.get("else").is_none() {
            let hint = "end with `else: TOPIC`, `else: drop` or `else: reject`";
            check.problem(last.at, "`route` says nothing of all other events", hint);
        }
        for item in before.iter().filter(|item| item.get("else").is_some()) {
            check.problem(item.at, "`else` is not the last entry of `route`", "put it at the end");
        }
        for item in route.items() {
            let part = Part::new(Some(item), &ROUTE);
            match (part.node("when"), part.node("topic")) {
                (Some(_), None) => {
                    check.problem(item.at, "`route.topic` is missing", "say where these events go")
                }
                (None, Some(topic)) => {
                    check.problem(topic.at, "`topic` belongs to `when`", "write `else: TOPIC`");
                }
                _ => {}
            }
        }
    }
}

/// Reports what stands in a list twice.
fn twice(texts: &[Text], list: &str, check: &mut Check<'_>) {
    let mut first = HashMap::new();
    for text in texts {
        if let Some(at) = first.insert(text.as_str(), text.at) {
            let what = format!("`{text}` stands in `{list}` twice, first at {at}");
            check.problem(text.at, what, "each may stand there once");
        }
    }
}
