//! `tail`: what lies in a topic, without a trace in the cluster.

use serde_json::{Value, json};

use super::end;
use crate::plain::{Line, SOON};
use crate::support::{Services, output};

fn read(line: &Line, more: &[&str]) -> (String, String) {
    let args = [&["tail", line.topic.as_str()], more].concat();
    let (code, out, error) = end(line.command(&args));
    assert_eq!(code, Some(0), "{args:?}: {error}");
    (out, error)
}

fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The `n` of each record that is shown.
fn numbers(line: &Line, more: &[&str]) -> Vec<i64> {
    let more = [&["--no-follow", "-o", "value"], more].concat();
    let mut all: Vec<_> =
        lines(&read(line, &more).0).iter().map(|event| event["n"].as_i64().unwrap()).collect();
    all.sort_unstable();
    all
}

#[test]
fn reading_begins_where_it_is_told_and_ends_where_the_log_did() {
    let line = Line::new(2);
    line.orders(0..10, 2);
    let all: Vec<i64> = (0..10).collect();
    assert_eq!(numbers(&line, &[]), all);
    assert_eq!(numbers(&line, &["--from", "latest"]), [0; 0]);
    assert_eq!(numbers(&line, &["--from", "3"]), [6, 7, 8, 9]);
    assert_eq!(numbers(&line, &["--from=-1"]), [8, 9]);
    assert_eq!(numbers(&line, &["--from", "99"]), [0; 0]);
    assert_eq!(numbers(&line, &["--partition", "1"]), [1, 3, 5, 7, 9]);
    assert_eq!(numbers(&line, &["--from", "2026-01-05T10:00:00Z", "-n", "4"]).len(), 4);
    assert_eq!(numbers(&line, &["--from", "2125-01-05T10:00:00Z"]), [0; 0]);
    let (code, _, error) = end(line.command(&["tail", &line.topic, "--partition", "2"]));
    assert_eq!(code, Some(1));
    assert!(error.contains("no partition 2: they are 0 to 1"), "{error}");
    let (code, _, error) = end(line.command(&["tail", "no.such"]));
    assert_eq!(code, Some(1));
    assert!(error.contains("topic no.such does not exist"), "{error}");
}

#[test]
fn it_follows_what_comes_and_leaves_no_group_behind() {
    let kafka = &Services::get().kafka;
    let line = Line::new(2);
    line.orders(0..4, 2);
    let mut tail = line.command(&["tail", &line.topic, "-o", "value", "-n", "3"]).start();
    // It begins behind what is there, at a moment that only it knows: sent until it has seen enough.
    let mut next = 100;
    tail.wait_until(SOON, "it shows what comes", |tail| {
        line.orders(next..next + 2, 2);
        next += 2;
        tail.stdout().lines().count() == 3
    });
    assert_eq!(tail.wait_exit(SOON), Some(0));
    let seen = lines(&tail.stdout());
    assert!(seen.iter().all(|event| event["n"].as_i64().unwrap() >= 100), "{seen:?}");
    let groups = output(kafka.tool("ConsumerGroupCommand").arg("--list"));
    assert!(!groups.contains("tail"), "{groups}");
}

#[test]
fn what_cannot_be_decoded_is_shown_with_its_reason_and_ends_nothing() {
    let line = Line::new(1);
    let truncated = line.value(1, "cut short")[..9].to_vec();
    let mut unknown = line.value(2, "");
    unknown[1..5].copy_from_slice(&u32::MAX.to_be_bytes());
    let values =
        [Some(b"plain text".to_vec()), Some(truncated), Some(unknown), Some(Vec::new()), None];
    let count = values.len();
    line.send(values.into_iter().chain([Some(line.value(3, "good"))]).map(|value| (0, value)));

    let (out, error) = read(&line, &["--no-follow", "-o", "json"]);
    assert_eq!(error, "");
    let all = lines(&out);
    assert_eq!(all.len(), count + 1, "{out}");
    let raw = ["cGxhaW4gdGV4dA==", "", "", "", ""];
    let words = ["0x70", "note", "4294967295", "empty"];
    for (index, words) in words.iter().enumerate() {
        let (offset, why) = (&all[index]["offset"], all[index]["error"].as_str().unwrap());
        assert_eq!(offset, index);
        assert!(why.contains(words), "{words}: {why}");
        assert!(all[index]["raw"].is_string() && all[index]["value"].is_null(), "{}", all[index]);
    }
    assert_eq!(all[0]["raw"], raw[0]);
    assert_eq!((&all[4]["value"], &all[4]["error"]), (&Value::Null, &Value::Null));
    assert_eq!(all[5]["value"], json!({ "n": 3, "note": "good" }));
    let (text, _) = read(&line, &["--no-follow"]);
    assert!(text.contains("cannot be read") && text.contains("tombstone"), "{text}");
    assert_eq!(text.lines().count(), count + 1, "{text}");
}

#[test]
fn nothing_in_a_record_reaches_the_terminal_as_a_command() {
    let line = Line::new(1);
    let evil = "\u{1b}]0;title\u{7}\u{1b}[2J\r\n\u{9b}31m\u{202e}\0";
    line.send([(0, Some(line.value(1, evil)))]);
    Services::get().kafka.produce(&line.topic, &[("\u{1b}[31mkey", "\u{1b}[31mvalue")]);
    for form in ["text", "json", "value"] {
        let (out, _) = read(&line, &["--no-follow", "-o", form]);
        assert_eq!(out.lines().count(), 2, "{out:?}");
        let raw = out.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(raw, None, "{form}: {out:?}");
    }
    let events = lines(&read(&line, &["--no-follow", "-o", "value", "-n", "1"]).0);
    assert_eq!(events[0]["note"], evil);
}

#[test]
fn what_it_prints_is_produced_again_as_equal_events() {
    let line = Line::new(2);
    line.send((0..40).map(|n| (0, Some(line.value(n, &format!("order {n} \u{1b} ü"))))));
    let (events, _) = read(&line, &["--no-follow", "-o", "value"]);
    let copies = Line::new(1);
    let produce =
        ["produce", &copies.topic, "events.json", "--subject", &format!("{}-value", line.topic)];
    let (code, _, error) = end(copies.command(&produce).file("events.json", &events));
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(read(&copies, &["--no-follow", "-o", "value"]).0, events);
    assert_eq!(events.lines().count(), 40);

    // One that could not be read is not passed over.
    line.send([(0, Some(b"plain".to_vec()))]);
    let (events, _) = read(&line, &["--no-follow", "-o", "value"]);
    let (code, _, error) = end(copies.command(&produce).file("events.json", &events));
    assert_eq!(code, Some(1));
    assert!(error.contains(":41;") && error.contains("ordermill.error"), "{error}");
}
