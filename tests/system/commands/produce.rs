//! `produce`: JSON lines become records under the registry's schema.

use super::end;
use crate::plain::Line;
use crate::support::{Ordermill, Services, output};

#[test]
fn json_lines_become_records_that_a_pipeline_reads() {
    let line = Line::new(2).say("event.n >= 0", "true");
    let lines = "{\"n\":1,\"note\":\"first\"}\n\n{\"n\":-2,\"note\":\"\"}\n\
                 {\"note\":\"Grüße, 世界\",\"n\":9223372036854775807}\n";
    let (code, out, error) = end(produce(&line, lines, &[]));
    assert_eq!(code, Some(0), "{error}");
    assert!(out.starts_with(&format!("3 records to {} in ", line.topic)), "{out}");
    let mut mill = line.run();
    line.wait_rows(&mut mill, 3);
    let rows = line.database.query("SELECT n, note FROM orders ORDER BY n");
    assert_eq!(rows, "-2|\n1|first\n9223372036854775807|Grüße, 世界");
}

#[test]
fn a_line_that_is_no_event_is_named_and_those_before_it_are_there() {
    let line = Line::new(1);
    let broken = [
        ("{\"n\":\"three\",\"note\":\"\"}", "n: must be"),
        ("{\"n\":3}", "note"),
        ("{\"n\":3,\"note\":\"\",\"nope\":1}", "nope"),
        ("{\"n\":3,", "EOF"),
        ("{\"n\":9223372036854775808,\"note\":\"\"}", "n: must be"),
    ];
    for (bad, words) in broken {
        let good = "{\"n\":1,\"note\":\"\"}\n";
        let (code, out, error) = end(produce(&line, &format!("{good}{good}{bad}\n{good}"), &[]));
        assert_eq!((code, out.as_str()), (Some(1), ""), "{bad}: {error}");
        assert!(error.contains("orders.json:3"), "{error}");
        assert!(error.contains("2 records before it were sent"), "{error}");
        assert!(error.contains(words), "{words}: {error}");
    }
    let sent = 2 * i64::try_from(broken.len()).unwrap();
    assert_eq!(Services::get().kafka.end_offsets(&line.topic)[&0], sent);
}

#[test]
fn a_field_becomes_the_key() {
    let line = Line::new(3);
    let lines = "{\"n\":7,\"note\":\"a\"}\n{\"n\":8,\"note\":\"b\"}\n{\"n\":7,\"note\":\"c\"}\n";
    let (code, out, error) = end(produce(&line, lines, &["--key", "n", "-o", "json"]));
    assert_eq!(code, Some(0), "{error}");
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(said, serde_json::json!({ "topic": line.topic, "delivered": 3, "failed": 0 }));

    let mut tool = Services::get().kafka.tool("org.apache.kafka.tools.consumer.ConsoleConsumer");
    tool.args(["--topic", &line.topic, "--from-beginning", "--max-messages", "3"]);
    for property in ["print.partition=true", "print.key=true", "print.value=false"] {
        tool.args(["--formatter-property", property]);
    }
    let said = output(&mut tool);
    let mut records: Vec<_> = said.lines().filter_map(|line| line.split_once('\t')).collect();
    records.sort_unstable_by_key(|(_, key)| *key);
    let keys: Vec<_> = records.iter().map(|(_, key)| *key).collect();
    assert_eq!(keys, ["7", "7", "8"], "{said}");
    assert_eq!(records[0], records[1], "one key lies in two partitions: {said}");

    let (code, _, error) = end(produce(&line, lines, &["--key", "number"]));
    assert_eq!(code, Some(1));
    assert!(error.contains("--key number") && error.contains("no such field"), "{error}");
}

#[test]
fn a_topic_or_a_subject_that_is_not_there_is_said_before_anything_is_sent() {
    let line = Line::without_topic();
    let (code, _, error) = end(produce(&line, "{}\n", &[]));
    assert_eq!(code, Some(1));
    assert!(error.contains(&format!("topic {} does not exist", line.topic)), "{error}");
    let line = Line::new(1);
    let (code, _, error) = end(produce(&line, "{}\n", &["--subject", "nobody.knows"]));
    assert_eq!(code, Some(1));
    assert!(error.contains("no subject nobody.knows") && error.contains("register"), "{error}");
}

fn produce(line: &Line, lines: &str, more: &[&str]) -> Ordermill {
    let mut args = vec!["produce", &line.topic, "orders.json"];
    args.extend(more);
    line.command(&args).file("orders.json", lines)
}
