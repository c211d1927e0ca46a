//! A topic gets more partitions while members read it.

use std::process::Command;

use crate::plain::{Line, SOON};
use crate::support::{Kafka, Services, output};

const BEFORE: i32 = 12;
const AFTER: i32 = 18;

#[test]
fn partitions_that_come_later_are_read_from_their_beginning() {
    let line = Line::new(BEFORE);
    let kafka = &Services::get().kafka;
    let (mut mill, mut other) = (line.run(), line.run());
    line.orders(0..1_200, BEFORE.into());
    line.wait_rows(&mut mill, 1_200);

    grow(kafka, &line.topic);
    grow(kafka, &line.dead_letters());
    // There before anybody reads them, and more while they are taken up.
    for heap in 0..20 {
        let from = 1_200 + heap * 180;
        line.orders(from..from + 180, AFTER.into());
    }
    let all = 1_200 + 20 * 180;
    line.wait_rows(&mut mill, all);
    assert!(line.rows().into_iter().eq(0..all));
    for process in [&mut mill, &mut other] {
        process.wait_until(SOON, "it knows of the new partitions and holds its share", |process| {
            let seen = process.scrape();
            seen.sum("ordermill_topic_partitions", &[]) == f64::from(AFTER)
                && seen.sum("ordermill_consumer_assigned_partitions", &[]) > 0.0
        });
        process.sigterm();
        assert_eq!(process.wait_exit(SOON), Some(0), "{}", process.stderr());
    }
    let ends = kafka.end_offsets(&line.topic);
    assert_eq!(ends.len(), AFTER as usize);
    assert!(ends.iter().skip(BEFORE as usize).all(|(_, end)| *end > 0), "{ends:?}");
    for (partition, committed) in line.committed() {
        assert_eq!(committed, ends[&partition], "partition {partition}");
    }
}

fn grow(kafka: &Kafka, topic: &str) {
    let mut tool: Command = kafka.tool("TopicCommand");
    output(tool.args(["--alter", "--topic", topic, "--partitions"]).arg(AFTER.to_string()));
}
