//! `topic`: what there is, and what files name, judged by Kafka's own tools.

use serde_json::Value;

use super::end;
use crate::plain::Line;
use crate::support::{Services, output};

/// A line whose topics are not there, which copies what it reads into another topic.
fn copying() -> (Line, String) {
    let mut line = Line::without_topic();
    let copies = format!("{}.copies", line.topic);
    let (before, rest) = line.pipeline.split_once("sink:\n").unwrap();
    let (_, after) = rest.split_once("retry:").unwrap();
    line.pipeline = format!(
        "{before}sink:\n  topic: {{ topic: {copies}, schema: {}-value, partition: same, timeout: 3s }}\nretry:{after}",
        line.topic
    );
    (line, copies)
}

#[test]
fn what_files_name_is_shown_first_then_made_and_never_changed() {
    let kafka = &Services::get().kafka;
    let (line, copies) = copying();
    let (topic, letters) = (line.topic.clone(), line.dead_letters());
    let names = [&topic, &copies, &letters];
    let apply = |more: &[&str]| {
        let (code, out, error) = end(line.command(&[&["topic", "apply"], more].concat()));
        assert_eq!(code, Some(0), "{error}");
        (out, error)
    };

    let (out, error) = apply(&["--partitions", "3"]);
    let rows: Vec<Vec<&str>> = out.lines().map(|row| row.split_whitespace().collect()).collect();
    let plan: Vec<_> = rows[1..].iter().map(|row| row[..4].to_vec()).collect();
    assert_eq!(plan, names.map(|name| vec!["+", name, "3", "1"]), "{out}");
    assert!(error.contains("3 topics are missing; nothing was done: --execute"), "{error}");
    let there = kafka.topics();
    assert!(names.iter().all(|name| !there.contains(name)), "a plan made topics");

    let (_, error) = apply(&["--partitions", "3", "--execute"]);
    assert!(error.contains("made: 3"), "{error}");
    let described = output(kafka.tool("TopicCommand").args(["--describe", "--topic", &letters]));
    let words = ["PartitionCount: 3", "ReplicationFactor: 1", "retention.ms=2592000000"];
    assert!(words.iter().all(|words| described.contains(words)), "{described}");
    assert_eq!(kafka.end_offsets(&copies).len(), 3);

    // Once more, another count and retention: said, and nothing is changed.
    let more = ["--partitions", "5", "--dead-letter-retention", "60d", "--execute", "-o", "json"];
    let (out, error) = apply(&more);
    assert!(error.contains("every topic is there"), "{error}");
    let rows: Vec<Value> = out.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row["missing"] == false && row["partitions"] == 3), "{out}");
    let differs = &rows[2]["differs"];
    assert_eq!(differs[0], "retention.ms 2592000000, 5184000000 wanted");
    let again = output(kafka.tool("TopicCommand").args(["--describe", "--topic", &letters]));
    assert_eq!(again, described);
}

#[test]
fn a_topic_that_is_too_narrow_for_its_source_is_said_and_left() {
    let kafka = &Services::get().kafka;
    let (line, copies) = copying();
    kafka.create_topic(&line.topic, 4, &[]);
    kafka.create_topic(&copies, 2, &[]);
    let (code, out, error) = end(line.command(&["topic", "apply", "--execute"]));
    assert_eq!(code, Some(0), "{error}");
    assert!(
        out.lines().any(|row| row.trim_start().starts_with('~') && row.contains(&copies)),
        "{out}"
    );
    let words = format!("{copies}: has 2 partitions, 4 wanted as output of {}; left", line.name);
    assert!(error.contains(&words), "{error}");
    assert_eq!(kafka.end_offsets(&copies).len(), 2);
    assert_eq!(kafka.end_offsets(&line.dead_letters()).len(), 4);
}

#[test]
fn topics_are_listed_and_described_as_kafka_has_them() {
    let line = Line::new(3);
    line.orders(0..7, 3);
    let kafka = &Services::get().kafka;
    let (code, out, error) = end(line.command(&["topic", "list", "-o", "json"]));
    assert_eq!(code, Some(0), "{error}");
    let rows: Vec<Value> = out.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    let row = rows.iter().find(|row| row["topic"] == line.topic.as_str()).unwrap();
    assert_eq!((&row["partitions"], &row["replication"]), (&3.into(), &1.into()));
    assert!(rows.iter().all(|row| !row["topic"].as_str().unwrap().starts_with("__")), "{out}");

    let (code, out, error) = end(line.command(&["topic", "describe", &line.topic, "-o", "json"]));
    assert_eq!(code, Some(0), "{error}");
    let said: Value = serde_json::from_str(&out).unwrap();
    let ends = kafka.end_offsets(&line.topic);
    for row in said["partitions"].as_array().unwrap() {
        let number = i32::try_from(row["partition"].as_i64().unwrap()).unwrap();
        assert_eq!((&row["end"], &row["leader"]), (&ends[&number].into(), &1.into()), "{row}");
    }
    let (_, table, _) = end(line.command(&["topic", "describe", &line.topic]));
    assert!(table.starts_with(&format!("topic {}: id ", line.topic)), "{table}");
    let (code, _, error) = end(line.command(&["topic", "describe", "no.such"]));
    assert_eq!(code, Some(1));
    assert!(error.contains("topic no.such does not exist"), "{error}");
}
