//! `group describe`: where a group stands, as Kafka's own tool has it.

use serde_json::Value;

use super::end;
use crate::plain::{Line, SOON};
use crate::support::{Lock, Services};

#[test]
fn a_group_is_described_as_kafka_has_it() {
    let line = Line::new(3);
    line.orders(0..30, 3);
    let mut mill = line.run();
    line.wait_rows(&mut mill, 30);
    mill.wait_until(SOON, "all is committed", |_| line.committed().values().sum::<i64>() == 30);
    let lock = Lock::on(&line.database, "orders");
    line.send((0..7).map(|n| (1, Some(line.value(100 + n, "late")))));
    let kafka = Services::get().kafka.group(&line.group());

    let (code, out, error) = end(line.command(&["group", "describe", &line.group(), "-o", "json"]));
    assert_eq!(code, Some(0), "{error}");
    let said: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&said["group"], &said["state"]), (&line.group().into(), &"Stable".into()));
    assert_eq!(said["members"], 1);
    let partitions = said["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), 3);
    for at in partitions {
        let number = i32::try_from(at["partition"].as_i64().unwrap()).unwrap();
        let oracle = &kafka[&(line.topic.clone(), number)];
        assert_eq!(at["committed"].as_i64(), oracle.committed);
        assert_eq!(at["end"], oracle.end);
        assert_eq!(at["lag"], oracle.end - oracle.committed.unwrap());
        assert!(at["metadata"].as_str().unwrap().starts_with("ordermill/1 "), "{at}");
        assert!(at["member"].as_str().unwrap().contains("ordermill"), "{at}");
    }

    let (code, out, _) = end(line.command(&["group", "describe", &line.group()]));
    assert_eq!(code, Some(0));
    let rows: Vec<Vec<&str>> = out.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[0].join(" "), format!("group {}: Stable, 1 member", line.group()));
    assert_eq!(rows[1], ["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"]);
    assert_eq!(rows[3][..5], [line.topic.as_str(), "1", "10", "17", "7"]);
    drop(lock);
}

#[test]
fn a_group_without_members_is_described_by_the_topics_that_are_named() {
    let line = Line::new(2);
    let group = line.group();
    let (code, out, error) = end(line.command(&["group", "describe", &group]));
    assert_eq!((code, out.lines().count()), (Some(0), 1), "{out}{error}");
    assert!(error.contains("--topic"), "{error}");
    let args = ["group", "describe", &group, "--topic", &line.topic];
    let (code, out, error) = end(line.command(&args));
    assert_eq!(code, Some(0), "{error}");
    let rows: Vec<Vec<&str>> = out.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[2], [&line.topic, "0", "-", "0", "-", "-"]);
    let (code, _, error) = end(line.command(&["group", "describe", "g", "--topic", "no.such"]));
    assert_eq!(code, Some(78));
    assert!(error.contains("topic no.such does not exist"), "{error}");
}

#[test]
fn a_lag_is_told_in_records_and_by_the_age_of_the_first_that_is_not_done() {
    let line = Line::new(2);
    line.orders(0..10, 2);
    let mut mill = line.run();
    line.wait_rows(&mut mill, 10);
    mill.wait_until(SOON, "all is committed", |_| line.committed().values().sum::<i64>() == 10);
    mill.sigterm();
    mill.wait_exit(SOON);
    line.send((0..3).map(|n| (1, Some(line.value(100 + n, "late")))));
    for args in [
        &["group", "lag", "-o", "json"][..],
        &["group", "lag", "none", "--group", &line.group(), "-o", "json"],
    ] {
        let (code, out, error) = end(line.command(args));
        assert_eq!(code, Some(0), "{error}");
        let said: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(said["records"], 3);
        let at = &said["partitions"];
        assert_eq!((&at[0]["records"], &at[0]["seconds"]), (&0.into(), &0.into()));
        assert_eq!((&at[1]["committed"], &at[1]["end"]), (&5.into(), &8.into()));
        assert!(at[1]["seconds"].as_u64().is_some_and(|seconds| seconds < 60), "{out}");
        assert_eq!(said["seconds"], at[1]["seconds"]);
    }
    let (_, out, _) = end(line.command(&["group", "lag", "--group", &line.name]));
    let last: Vec<&str> = out.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(last[..2], ["total", "3"]);
}
