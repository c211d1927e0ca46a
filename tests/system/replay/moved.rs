//! Groups that Kafka's own tool has moved: honoured once, whatever happens in between.

use super::{digest, progress, stop, wait_committed};
use crate::plain::{Line, SOON, wait_state};
use crate::support::Services;

const RECORDS: i64 = 300;

fn done(line: &Line) {
    line.orders(0..RECORDS, 3);
    let mut mill = line.run();
    line.wait_rows(&mut mill, RECORDS);
    wait_committed(line, &mut mill, RECORDS);
    stop(mill);
}

fn move_by_kafkas_tool(line: &Line, to: &[&str]) {
    Services::get().kafka.reset_group(&line.group(), &line.topic, to);
}

#[test]
fn a_moved_group_inserts_again_what_conflicts_and_skips_what_would_be_refused() {
    for (conflict, effects) in [("ignore", 303.0), ("reject", 3.0)] {
        let line = Line::new(3).say("conflict: reject", &format!("conflict: {conflict}"));
        done(&line);
        move_by_kafkas_tool(&line, &["--to-earliest"]);
        line.orders(RECORDS..RECORDS + 3, 3);
        let mut mill = line.run();
        line.wait_rows(&mut mill, RECORDS + 3);
        wait_committed(&line, &mut mill, RECORDS + 3);
        let scrape = mill.scrape();
        assert_eq!(scrape.sum("ordermill_records_consumed_total", &[]), 303.0, "{conflict}");
        assert_eq!(scrape.sum("ordermill_effects_total", &[]), effects, "{conflict}");
        let replayed = scrape.sum("ordermill_records_dropped_total", &[("reason", "replayed")]);
        assert_eq!(replayed, 303.0 - effects, "{conflict}");
        stop(mill);
        assert_eq!(line.count(), RECORDS + 3);
    }
}

/// A row that comes twice would be refused, and halt the pipeline.
#[test]
fn a_move_is_honoured_once_also_when_the_process_is_killed_after_it() {
    const MANY: i64 = 20_000;
    let line = Line::new(3).say("rows: 1000", "rows: 20").say("retry:", "on_replay: run\nretry:");
    line.orders(0..MANY, 3);
    let mut mill = line.run();
    line.wait_rows(&mut mill, MANY);
    wait_committed(&line, &mut mill, MANY);
    stop(mill);
    let first = digest(&line);
    for _ in 0..2 {
        line.database.query(&format!("TRUNCATE {}", line.table));
        move_by_kafkas_tool(&line, &["--to-earliest"]);
        let mut mill = line.run();
        line.wait_rows(&mut mill, 20);
        mill.kill9();
        let rows = line.count();
        assert!(rows < MANY, "the kill came after the end");
        let mut mill = line.run();
        line.wait_rows(&mut mill, MANY);
        wait_committed(&line, &mut mill, MANY);
        stop(mill);
        assert_eq!(digest(&line), first);
    }
}

#[test]
fn a_place_that_kafkas_tool_set_before_the_first_start_is_where_it_begins() {
    let line = Line::new(3);
    line.orders(0..RECORDS, 3);
    move_by_kafkas_tool(&line, &["--to-offset", "90"]);
    let mut mill = line.run();
    wait_state(&mut mill, "running");
    line.wait_rows(&mut mill, 30);
    wait_committed(&line, &mut mill, RECORDS);
    stop(mill);
    assert_eq!(line.count(), 30);
    // nothing was worked before, so nothing of this is a replay
    move_by_kafkas_tool(&line, &["--to-offset", "100"]);
    let stood = progress(&line);
    let mut mill = line.run();
    mill.wait_until(SOON, "it has claimed", |_| progress(&line) != stood);
    wait_state(&mut mill, "running");
    stop(mill);
    assert!(progress(&line).starts_with("0:100/100@"), "{}", progress(&line));
}
