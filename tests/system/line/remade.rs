//! A topic that is deleted and made again under a running pipeline is another topic: nothing of it is skipped, nothing of the
//! old one is done again.

use std::process::Command;

use crate::plain::{Line, SOON, create_topics, wait_state};
use crate::support::{Kafka, Services, output, wait_until};

#[test]
fn a_topic_made_again_while_it_is_read_is_read_from_its_beginning() {
    let line = Line::new(2);
    line.orders(0..100, 2);
    let mut mill = line.run();
    line.wait_rows(&mut mill, 100);
    // at once, with less than was read of the old one
    remove(&line.topic);
    create_topics(&[&line.topic], 2);
    line.orders(100..130, 2);
    line.wait_rows(&mut mill, 130);
    // after a while without it, with more than was read of any
    remove(&line.topic);
    let gone = format!("topic {} is not there", line.topic);
    assert_eq!(wait_state(&mut mill, &gone).0, 503);
    create_topics(&[&line.topic], 2);
    mill.wait_until(SOON, "the new topic is claimed", |_| topics(&line) == 3);
    line.orders(1000..1500, 2);
    line.wait_rows(&mut mill, 630);
    line.orders(1500..1600, 2);
    line.wait_rows(&mut mill, 730);
    mill.sigterm();
    assert_eq!(mill.wait_exit(SOON), Some(0), "{}", mill.stderr());
    assert_eq!(line.rows(), (0..130).chain(1000..1600).collect::<Vec<_>>());
    assert_eq!(line.committed().into_values().collect::<Vec<_>>(), [300, 300]);
}

/// Topics of that name that the group has claimed whole.
fn topics(line: &Line) -> usize {
    let ids = "SELECT topic_id FROM ordermill_progress GROUP BY topic_id HAVING count(*) = 2";
    line.database.rows(ids).len()
}

/// Deletes a topic and waits until Kafka has none of that name.
fn remove(topic: &str) {
    let kafka = &Services::get().kafka;
    delete(kafka, topic);
    wait_until(SOON, "the topic is gone", || !kafka.topics().iter().any(|name| name == topic));
}

fn delete(kafka: &Kafka, topic: &str) {
    let mut tool: Command = kafka.tool("TopicCommand");
    output(tool.args(["--delete", "--topic", topic]));
}
