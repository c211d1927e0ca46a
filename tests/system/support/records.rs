//! The records of a topic as public Python clients read them: an oracle that shares no code with what it judges.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use super::fresh::run_variable;
use super::shell::{output, repository};
use super::{Kafka, Registry};

/// A record with its Avro event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) partition: i64,
    pub(crate) offset: i64,
    pub(crate) key: Option<String>,
    pub(crate) headers: Vec<(String, Option<String>)>,
    /// In hexadecimal digits.
    pub(crate) value: String,
    /// By fastavro.
    pub(crate) event: Value,
}

impl Seen {
    /// Its `ce_id`.
    #[track_caller]
    pub(crate) fn id(&self) -> &str {
        let mut ids = self.headers.iter().filter(|(name, _)| name == "ce_id");
        let (Some((_, Some(id))), None) = (ids.next(), ids.next()) else {
            panic!("it must have one ce_id: {self:?}");
        };
        id
    }
}

/// Every record of a topic, those of a partition in the order of the log.
#[track_caller]
pub(crate) fn records(kafka: &Kafka, registry: &Registry, topic: &str) -> Vec<Seen> {
    let mut python = Command::new(run_variable("ORDERMILL_TEST_PYTHON"));
    python.arg(repository().join("scripts/oracle/topic_oracle.py"));
    let said = output(python.args([kafka.bootstrap(), registry.url(), topic]));
    said.lines().map(read).collect()
}

/// At least once, and no more freely than that: the first appearances by key in the order of the log, and how many repeats
/// came after them, each the same to the byte as its first appearance, in the same partition.
#[track_caller]
pub(crate) fn firsts(records: &[Seen]) -> (BTreeMap<String, Vec<&Seen>>, usize) {
    let mut by_id: BTreeMap<&str, &Seen> = BTreeMap::new();
    let mut by_key: BTreeMap<String, Vec<&Seen>> = BTreeMap::new();
    for record in records {
        let first = by_id.entry(record.id()).or_insert(record);
        if std::ptr::eq(*first, record) {
            by_key.entry(record.key.clone().unwrap_or_default()).or_default().push(record);
            continue;
        }
        let repeat = Seen { offset: first.offset, ..record.clone() };
        assert_eq!(&repeat, *first, "a repeat differs from its first appearance");
    }
    let firsts = by_id.len();
    (by_key, records.len() - firsts)
}

fn read(line: &str) -> Seen {
    let record: Value = serde_json::from_str(line).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let pair = |pair: &Value| (text(&pair[0]).unwrap(), text(&pair[1]));
    Seen {
        partition: record["partition"].as_i64().unwrap(),
        offset: record["offset"].as_i64().unwrap(),
        key: text(&record["key"]),
        headers: record["headers"].as_array().unwrap().iter().map(pair).collect(),
        value: text(&record["value"]).unwrap(),
        event: record["event"].clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(offset: i64, key: &str, id: &str, value: &str) -> Seen {
        Seen {
            partition: 0,
            offset,
            key: Some(key.to_owned()),
            headers: vec![("ce_id".to_owned(), Some(id.to_owned()))],
            value: value.to_owned(),
            event: Value::Null,
        }
    }

    #[test]
    fn repeats_are_told_from_first_appearances_by_their_id() {
        let log = [seen(0, "k", "a", "00"), seen(1, "k", "b", "00"), seen(2, "k", "a", "00")];
        let (firsts, repeats) = firsts(&log);
        assert_eq!(firsts["k"], [&log[0], &log[1]]);
        assert_eq!(repeats, 1);
    }

    #[test]
    #[should_panic(expected = "a repeat differs")]
    fn a_repeat_with_other_bytes_is_refused() {
        firsts(&[seen(0, "k", "a", "00"), seen(1, "k", "a", "01")]);
    }
}
