//! `insert` with `conflict: { on, update }`, from Kafka to PostgreSQL.

use crate::plain::{Line, SOON};

#[test]
fn the_later_of_two_events_of_one_key_stays_also_when_they_share_a_batch() {
    let line = Line::new(1).say("conflict: reject", "conflict: { on: [ n ], update: [ note ] }");
    let value = |n, note: &str| (0, Some(line.value(n, note)));
    line.send([value(1, "first"), value(2, "other"), value(1, "second"), value(1, "third")]);
    let mut mill = line.run();
    line.wait_rows(&mut mill, 2);
    mill.sigterm();
    assert_eq!(mill.wait_exit(SOON), Some(0), "{}", mill.stderr());
    let rows = line.database.query("SELECT n, note FROM orders ORDER BY n");
    assert_eq!(rows, "1|third\n2|other");
    assert_eq!(line.committed()[&0], 4);
}
