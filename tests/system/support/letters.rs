//! Dead letters as a stranger reads them: `scripts/oracle/letters_oracle.py`.

use std::process::Command;

use serde_json::Value;

use super::Kafka;
use super::fresh::run_variable;
use super::shell::{output, repository};

/// A dead letter. That it is byte for byte the record of its origin, and the only letter of it in its topic, has been
/// judged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Letter {
    /// Where it lies.
    pub(crate) topic: String,
    /// Where it came from.
    pub(crate) partition: i32,
    /// Where it came from.
    pub(crate) offset: i64,
    /// The reason's code.
    pub(crate) reason: String,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    /// How many records it took.
    pub(crate) parts: u64,
}

/// All letters of these topics, by their origin. Panics when one is not what the source has.
#[track_caller]
pub(crate) fn letters(kafka: &Kafka, source: &str, topics: &[&str]) -> Vec<Letter> {
    let mut oracle = Command::new(run_variable("ORDERMILL_TEST_PYTHON"));
    oracle.arg(repository().join("scripts/oracle/letters_oracle.py"));
    let said = output(oracle.arg(kafka.bootstrap()).arg(source).args(topics));
    let mut letters: Vec<_> = said.lines().map(letter).collect();
    letters.sort_by_key(|letter| (letter.partition, letter.offset));
    letters
}

fn letter(line: &str) -> Letter {
    let said: Value = serde_json::from_str(line).unwrap();
    let text = |name: &str| said[name].as_str().unwrap().to_owned();
    let bytes = |name: &str| said[name].as_str().map(unhex);
    Letter {
        topic: text("topic"),
        partition: i32::try_from(said["partition"].as_i64().unwrap()).unwrap(),
        offset: said["offset"].as_i64().unwrap(),
        reason: text("reason"),
        key: bytes("key"),
        value: bytes("value"),
        parts: said["parts"].as_u64().unwrap(),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}
