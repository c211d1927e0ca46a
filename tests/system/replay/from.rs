//! `source.from`: where a group begins, in partitions that there are and in those that come later.

use std::time::Duration;

use jiff::Timestamp;

use super::{end, stop, wait_committed};
use crate::plain::{Line, SOON};
use crate::support::{Process, Services, output, wait_until};

/// Whoever waits for new partitions looks as often as this.
const LOOKS: &str = "session_timeout: 6s, properties: { topic.metadata.refresh.interval.ms: 500 }";

fn line(from: &str) -> Line {
    let from = format!("from: {from}\n  tombstone: reject");
    Line::new(12).say("tombstone: reject", &from).set("session_timeout: 6s", LOOKS)
}

/// Makes it a line of mails, whose truth is Kafka's committed offset.
fn of_mails(mut line: Line, folder: &std::path::Path) -> Line {
    let sink = line.pipeline.find("sink:").unwrap();
    let retry = line.pipeline.find("retry:").unwrap();
    let mail = "sink:\n  mail: { from: a@example.com, to: b@example.com, subject: s, text: \
        '{{ event.n }}', timeout: 3s }\n";
    line.pipeline.replace_range(sink..retry, mail);
    line.settings += &format!("mail: {{ folder: \"{}\" }}\n", folder.display());
    line
}

/// Each partition of a topic that is raised from 12 to 18 while the group works it: old, new, and young records.
fn raise(line: &Line, done: impl Fn(&mut Process, i64)) {
    line.orders(0..24, 12);
    let mut mill = line.run();
    mill.wait_until(SOON, "it has begun behind what there was", |_| {
        line.committed().values().sum::<i64>() == 24
    });
    line.orders(24..36, 12);
    done(&mut mill, 12);
    let kafka = &Services::get().kafka;
    output(kafka.tool("TopicCommand").args([
        "--alter",
        "--topic",
        &line.topic,
        "--partitions",
        "18",
    ]));
    wait_until(SOON, "the partitions are there", || kafka.end_offsets(&line.topic).len() == 18);
    let young =
        (36..48).map(|n| (i32::try_from(n % 6 + 12).unwrap(), Some(line.value(n, "young"))));
    line.send(young);
    done(&mut mill, 24);
    wait_committed(line, &mut mill, 48);
    stop(mill);
    // and it goes on where it stood
    line.orders(48..51, 3);
    let mut mill = line.run();
    done(&mut mill, 27);
    stop(mill);
}

#[test]
fn a_group_that_begins_at_the_latest_reads_partitions_that_come_later_from_their_beginning() {
    let line = line("latest");
    raise(&line, |mill, rows| line.wait_rows(mill, rows));
    assert_eq!(line.rows(), (24..51).collect::<Vec<_>>());
}

#[test]
fn so_does_one_whose_place_is_kept_by_kafka_alone() {
    let folder = tempfile::tempdir().unwrap();
    let line = of_mails(line("latest"), folder.path());
    let mails = || std::fs::read_dir(folder.path()).unwrap().flatten().count() as i64;
    raise(&line, |mill, count| {
        mill.wait_until(SOON, &format!("{count} mails are there"), |_| mails() >= count);
    });
    assert_eq!(mails(), 27);
}

#[test]
fn a_group_begins_at_a_time_in_every_partition_and_only_the_first_time() {
    let made = Line::new(3);
    made.orders(0..30, 3);
    let time = Timestamp::now();
    wait_until(SOON, "the clock goes on", || {
        Timestamp::now().duration_since(time).unsigned_abs() > Duration::from_millis(5)
    });
    made.orders(30..60, 3);
    let line = made.say("tombstone: reject", &format!("from: {time}\n  tombstone: reject"));
    let mut mill = line.run();
    line.wait_rows(&mut mill, 30);
    wait_committed(&line, &mut mill, 60);
    stop(mill);
    assert_eq!(line.rows(), (30..60).collect::<Vec<_>>());
    // the file may say something else by now
    let line = line.say(&format!("from: {time}"), "from: latest");
    line.orders(60..63, 3);
    let mut mill = line.run();
    line.wait_rows(&mut mill, 33);
    stop(mill);
    assert_eq!(line.count(), 33);
}

#[test]
fn whoever_only_looks_does_not_fix_where_a_group_begins() {
    let line = line("latest");
    line.orders(0..24, 12);
    let (code, _, error) = end(&line, &["lint"]);
    assert_eq!(code, Some(0), "{error}");
    line.orders(24..48, 12);
    let mut mill = line.run();
    mill.wait_until(SOON, "it has begun", |_| line.committed().values().sum::<i64>() == 48);
    line.orders(48..60, 12);
    line.wait_rows(&mut mill, 12);
    stop(mill);
    assert_eq!(line.rows(), (48..60).collect::<Vec<_>>());
}
