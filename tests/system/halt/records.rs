//! Every kind of bad record halts its pipeline at its position: before it everything is done, behind it nothing.

use std::ops::Range;

use crate::plain::{Line, SOON, committed};
use crate::support::{Ordermill, Process};

/// Good records before the bad one, and as many behind it.
const GOOD: i64 = 10;

/// A kind of bad record: what the halt says of it, and its value.
type Kind = (&'static str, fn(&Line) -> Option<Vec<u8>>);

const KINDS: &[Kind] = &[
    ("poison (frame_empty)", |_| Some(Vec::new())),
    ("poison (frame_magic)", |_| Some(b"{\"n\":3}".to_vec())),
    ("poison (frame_short)", |_| Some(vec![0, 0])),
    ("poison (truncated)", |line| {
        let mut value = line.value(100, "cut off");
        value.truncate(value.len() - 3);
        Some(value)
    }),
    ("poison (trailing_bytes)", |line| {
        let mut value = line.value(100, "and more");
        value.push(0);
        Some(value)
    }),
    ("poison (bad_utf8)", |line| {
        let mut value = line.value(100, "?");
        *value.last_mut().unwrap() = 0xff;
        Some(value)
    }),
    ("poison (tombstone)", |_| None),
    ("poison (unique_violation)", |line| Some(line.value(3, "again"))),
    ("poison (nul_in_text)", |line| Some(line.value(100, "a\0b"))),
    ("poison (too_long)", |line| Some(line.value(100, &"x".repeat(51)))),
];

#[test]
fn a_bad_record_halts_at_its_position_and_a_restart_halts_there_again() {
    let mut lines = vec![Line::new(2)];
    lines.extend((1..KINDS.len()).map(|_| lines[0].beside(2)).collect::<Vec<_>>());
    for (line, (_, bad)) in lines.iter().zip(KINDS) {
        let alter = format!("ALTER TABLE {} ALTER note TYPE varchar(50)", line.table);
        line.database.query(&alter);
        let good = |range: Range<i64>| range.map(|n| (0, Some(line.value(n, "good"))));
        line.send(good(0..GOOD).chain([(0, bad(line))]).chain(good(GOOD..2 * GOOD)));
        line.send((1000..3000).map(|n| (1, Some(line.value(n, "the other partition")))));
    }
    for _ in 0..2 {
        let mut mill = run(&lines);
        assert_eq!(mill.wait_exit(SOON), Some(1), "{}", mill.stderr());
        let said = mill.stderr();
        let committed = committed(&lines.iter().collect::<Vec<_>>());
        for (line, (word, _)) in lines.iter().zip(KINDS) {
            let halted = format!("halted at {}[0]@{GOOD}: {word}: ", line.topic);
            assert!(said.contains(&halted), "{halted}:\n{said}");
            let (lower, upper): (Vec<_>, Vec<_>) = line.rows().into_iter().partition(|n| *n < 1000);
            assert_eq!(lower, Vec::from_iter(0..GOOD), "{word}");
            let at = &committed[&line.topic];
            assert_eq!(at[&0], GOOD, "{word}");
            let upper = i64::try_from(upper.len()).unwrap();
            assert_eq!(at.get(&1).copied().unwrap_or(0), upper, "{word}");
        }
    }
}

#[test]
fn a_tombstone_is_dropped_where_the_file_says_so() {
    let line = Line::new(1).say("tombstone: reject", "tombstone: drop");
    line.send([(0, Some(line.value(1, "a"))), (0, None), (0, Some(line.value(2, "b")))]);
    let mut mill = line.run();
    line.wait_rows(&mut mill, 2);
    let dropped = [("topic", line.topic.as_str()), ("reason", "tombstone")];
    let scrape = mill.scrape();
    assert_eq!(scrape.value("ordermill_records_dropped_total", &dropped), Some(1.0));
    mill.sigterm();
    assert_eq!(mill.wait_exit(SOON), Some(0), "{}", mill.stderr());
    assert_eq!(line.committed()[&0], 3);
}

/// All of them in one process.
fn run(lines: &[Line]) -> Process {
    let mill = Ordermill::new(["run"]).with_http().file("ordermill.yaml", &lines[0].settings);
    let put = |mill, (i, line): (usize, &Line)| line.files(mill, &format!("p{i}"));
    lines.iter().enumerate().fold(mill, put).start()
}
