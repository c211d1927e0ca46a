//! From the text of a file to a checked [`Pipeline`].

use std::path::Path;
use std::time::Duration;

use super::grammar::{DEAD_LETTER, LIMITS, PIPELINE, RETRY};
use super::model::{DeadLetter, Limits, OnReplay, Places, Retry, StopAfter, Then, Window};
use super::{
    Batch, Conflict, Insert, Kind, Node, Pipeline, Place, Problem, Problems, Sink, Sql, Statement,
    case, rules, sink, source, stage,
};
use crate::config::grammar::{Check, Part, When};
use crate::config::yaml;

/// The most bytes of a pipeline file.
pub const BYTES_MAX: usize = 256 << 10;

/// Reads the text of a pipeline file; `file` is only its name in errors.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(file: &Path, text: &[u8]) -> Result<Pipeline, Problems> {
    let node = yaml::read(file, text, BYTES_MAX)?;
    pipeline(file, &node, When::Now)
}

/// What can be read of a file that is wrong somewhere, so that its expressions are looked at all the same: its stages up to
/// the first that cannot be read, its sink if that is none of them, no cases. Not to be run.
pub(super) fn salvage(file: &Path, node: &Node) -> Option<Pipeline> {
    let root = Part::new(Some(node), &PIPELINE);
    let name = root.string("name").unwrap_or_default();
    let items = root.node("stages").map(Node::items).unwrap_or_default();
    let stages: Vec<_> = items.iter().map_while(stage::stage).collect();
    let sink_node = root.node("sink");
    let sink = sink_node.filter(|_| stages.len() == items.len());
    let sink = sink.and_then(|node| sink::sink(node).or_else(|| sink::sink(&without_times(node))));
    let at = sink_node.map_or(node.at, |sink| sink.at);
    Some(Pipeline {
        file: file.to_owned(),
        source: source::source(&root.part("source")?, &name)?,
        key: root.text("key"),
        id: root.text("id"),
        stages,
        retry: retry(&Part::new(None, &RETRY))?,
        dead_letter: dead_letter(&Part::new(None, &DEAD_LETTER))?,
        on_replay: OnReplay::Skip,
        limits: limits(&Part::new(None, &LIMITS))?,
        cases: Vec::new(),
        places: Places { name: at, group: at, sink: at, database: at, drain: at },
        name,
        sink: sink.unwrap_or(NOTHING),
    })
}

/// The sink without what says when and how much at once: its expressions need none of it.
fn without_times(sink: &Node) -> Node {
    let mut sink = sink.clone();
    if let Kind::Map(words) = &mut sink.kind {
        for word in words {
            if let Kind::Map(entries) = &mut word.value.kind {
                entries.retain(|entry| !["batch", "timeout", "roll"].contains(&entry.key.as_str()));
            }
        }
    }
    sink
}

/// Stands where a sink cannot be read: it asks for nothing.
const NOTHING: Sink = Sink::Sql(Sql {
    database: String::new(),
    statement: Statement::Insert(Insert {
        table: String::new(),
        columns: Some(Vec::new()),
        conflict: Conflict::Reject,
    }),
    batch: Batch { rows: 0, bytes: 0, every: Duration::ZERO },
    timeout: Duration::ZERO,
});

/// Checks a file and makes a pipeline of it; `newest` is how new a row of the grammar may be.
pub(super) fn pipeline(file: &Path, node: &Node, newest: When) -> Result<Pipeline, Problems> {
    let mut check = Check::new(file).newest(newest);
    check.root(node, &PIPELINE);
    let root = Part::new(Some(node), &PIPELINE);
    rules::across(&root, &mut check);
    if !check.problems.is_empty() {
        return Err(check.problems);
    }
    build(file, &root).ok_or_else(|| {
        let what = "was found right and cannot be read: this is a fault of Ordermill";
        Problem::new(file, Place::WHOLE, what).hint("please report it with the file").into()
    })
}

fn build(file: &Path, root: &Part<'_>) -> Option<Pipeline> {
    let name = root.string("name")?;
    let source_part = root.part("source")?;
    let sink_node = root.node("sink")?;
    let sink = sink::sink(sink_node)?;
    let all = |key: &str| root.node(key).map(Node::items).unwrap_or_default();
    let group = match source_part.node("group") {
        Some(group) => group.at,
        None => source_part.at(),
    };
    let of_sink = sink_node.entries().first().map(|entry| &entry.value);
    let database = of_sink.and_then(|sink| sink.get("database")).unwrap_or(sink_node);
    Some(Pipeline {
        file: file.to_owned(),
        source: source::source(&source_part, &name)?,
        key: root.text("key"),
        id: root.text("id"),
        stages: all("stages").iter().map(stage::stage).collect::<Option<_>>()?,
        retry: retry(&root.part("retry")?)?,
        dead_letter: dead_letter(&root.part("dead_letter")?)?,
        on_replay: match root.string("on_replay").as_deref() {
            Some("run") => OnReplay::Run,
            Some(_) => OnReplay::Skip,
            None => default_on_replay(&sink),
        },
        limits: limits(&root.part("limits")?)?,
        cases: all("cases").iter().map(case::case).collect::<Option<_>>()?,
        places: Places {
            name: root.place("name"),
            group,
            sink: sink_node.at,
            database: database.at,
            drain: root.part("limits")?.place("drain"),
        },
        name,
        sink,
    })
}

fn retry(part: &Part<'_>) -> Option<Retry> {
    Some(Retry {
        attempts: part.count("attempts")?,
        every: part.duration("every")?,
        then: match part.string("then")?.as_str() {
            "stop" => Then::Stop,
            "dead_letter" => Then::DeadLetter,
            _ => return None,
        },
    })
}

fn dead_letter(part: &Part<'_>) -> Option<DeadLetter> {
    let stop_after = part.part("stop_after")?;
    Some(DeadLetter {
        topic: part.string("topic"),
        stop_after: StopAfter {
            consecutive: stop_after.count("consecutive")?,
            ratio: stop_after.ratio("ratio")?,
            of: stop_after.count("of")?,
        },
    })
}

fn limits(part: &Part<'_>) -> Option<Limits> {
    let window = part.part("window")?;
    Some(Limits {
        window: Window { records: window.count("records")?, bytes: window.size("bytes")? },
        drain: part.duration("drain")?,
    })
}

/// Running an effect again is harmless where its repetition changes nothing.
fn default_on_replay(sink: &Sink) -> OnReplay {
    match sink {
        Sink::Topic(_) => OnReplay::Run,
        Sink::Sql(sql) => match &sql.statement {
            Statement::Insert(insert) if insert.conflict != Conflict::Reject => OnReplay::Run,
            Statement::Insert(_) | Statement::Execute(_) => OnReplay::Skip,
        },
        Sink::Archive(_) | Sink::Mail(_) => OnReplay::Skip,
    }
}
