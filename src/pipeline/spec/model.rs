//! A pipeline as its file says it, with all defaults.

use std::path::PathBuf;
use std::time::Duration;

use super::{Case, Otherwise, Partition, Place, Sink, Source, Stage, Text};

/// A pipeline file.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// The file.
    pub file: PathBuf,
    /// The pipeline's name.
    pub name: String,
    /// Where records come from.
    pub source: Source,
    /// The key whose order is kept; nothing: the record's.
    pub key: Option<Text>,
    /// The event's id; nothing: header `ce_id`, else the record's position.
    pub id: Option<Text>,
    /// The stages in order.
    pub stages: Vec<Stage>,
    /// The effect.
    pub sink: Sink,
    /// What happens when a record fails and may succeed later.
    pub retry: Retry,
    /// What happens to records that can never succeed.
    pub dead_letter: DeadLetter,
    /// What happens to replayed records.
    pub on_replay: OnReplay,
    /// How much may be on its way.
    pub limits: Limits,
    /// The file's own tests.
    pub cases: Vec<Case>,
    /// Where some of this stands, for errors that are found later.
    pub places: Places,
}

/// Places of what is checked against other files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// The name.
    pub name: Place,
    /// The group, or the source where it is the default.
    pub group: Place,
    /// The sink's own map.
    pub sink: Place,
    /// The sink's database; the sink where it has none.
    pub database: Place,
    /// The drain time, or the file's beginning where it is the default.
    pub drain: Place,
}

/// `retry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Tries in all, at least one.
    pub attempts: u32,
    /// The time between two tries.
    pub every: Duration,
    /// What happens after the last one.
    pub then: Then,
}

/// What happens to a record after its last try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The pipeline halts.
    Stop,
    /// The record goes to the dead-letter topic.
    DeadLetter,
}

/// `dead_letter`.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// The topic, if the file names one; see [`Pipeline::dead_letter_topic`].
    pub topic: Option<String>,
    /// When the pipeline halts instead.
    pub stop_after: StopAfter,
}

/// `stop_after`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StopAfter {
    /// So many bad records one after another.
    pub consecutive: u32,
    /// Such a part of the last `of` records, above 0 and up to 1.
    pub ratio: f64,
    /// How many records `ratio` looks back on.
    pub of: u32,
}

/// `on_replay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReplay {
    /// The effect happens again.
    Run,
    /// It does not.
    Skip,
}

/// `limits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How much may be delivered and not settled.
    pub window: Window,
    /// How long begun work may take to end.
    pub drain: Duration,
}

/// `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Records, per partition.
    pub records: usize,
    /// Bytes, per pipeline and process.
    pub bytes: usize,
}

impl Pipeline {
    /// The topics that its sink writes, each once, in the order of the file; dead letters apart.
    pub fn outputs(&self) -> Vec<&str> {
        let Sink::Topic(sink) = &self.sink else { return Vec::new() };
        let routed = self.stages.iter().flat_map(|stage| match stage {
            Stage::Route(route) => {
                let otherwise = match &route.otherwise {
                    Otherwise::Topic(topic) => Some(topic),
                    Otherwise::Drop | Otherwise::Reject => None,
                };
                route.when.iter().map(|(_, topic)| topic).chain(otherwise).collect()
            }
            _ => Vec::new(),
        });
        let mut topics: Vec<&str> = Vec::new();
        for topic in routed.chain(&sink.topic) {
            if !topics.contains(&topic.as_str()) {
                topics.push(topic);
            }
        }
        topics
    }

    /// Do records of a topic sink keep their partition's number?
    pub fn keeps_partitions(&self) -> bool {
        matches!(&self.sink, Sink::Topic(sink) if sink.partition == Partition::Same)
    }

    /// Where bad records of this topic go.
    pub fn dead_letter_topic(&self, topic: &str) -> String {
        match &self.dead_letter.topic {
            Some(named) => named.clone(),
            None => default_dead_letter_topic(topic, &self.name),
        }
    }
}

pub(super) fn default_dead_letter_topic(topic: &str, pipeline: &str) -> String {
    format!("{topic}.{pipeline}.dlq")
}
