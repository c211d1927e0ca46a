//! How a process ends when it is asked to.

use std::time::{Duration, Instant};

use crate::plain::{Line, SOON, wait_state};
use crate::support::{Lock, Process};

const RECORDS: i64 = 30_000;
/// `limits.drain` of every line.
const DRAIN: Duration = Duration::from_secs(5);

#[test]
fn a_stop_under_load_drains_and_the_next_run_repeats_nothing() {
    let line = Line::new(3).say("rows: 1000", "rows: 20");
    line.orders(0..RECORDS, 3);
    let mut first = line.run();
    line.wait_rows(&mut first, 300);
    let asked = Instant::now();
    first.sigterm();
    assert_eq!(first.wait_exit(DRAIN + Duration::from_secs(2)), Some(0), "{}", first.stderr());
    assert!(asked.elapsed() < DRAIN + Duration::from_secs(2));
    let done = line.count();
    assert!(done < RECORDS, "the stop came after the end: the load is too small");
    // what is committed is what is done, in each partition
    let committed = line.committed();
    for (partition, committed) in &committed {
        let rows = format!("SELECT count(*) FROM orders WHERE n % 3 = {partition}");
        assert_eq!(line.database.query(&rows), committed.to_string(), "partition {partition}");
    }
    assert_eq!(committed.values().sum::<i64>(), done);

    // conflict: reject would halt at a repeated row
    let mut second = line.run();
    line.wait_rows(&mut second, RECORDS);
    let scrape = second.scrape();
    let consumed = scrape.sum("ordermill_records_consumed_total", &[]);
    assert_eq!(consumed, (RECORDS - done) as f64);
    assert_eq!(scrape.sum("ordermill_records_given_back_total", &[]), 0.0);
    second.sigterm();
    assert_eq!(second.wait_exit(SOON), Some(0), "{}", second.stderr());
    assert_eq!(line.committed().values().sum::<i64>(), RECORDS);
    assert_eq!(line.count(), RECORDS);
}

#[test]
fn a_second_signal_leaves_at_once() {
    let line = Line::new(1);
    let mut mill = line.run();
    wait_state(&mut mill, "running");
    let lock = Lock::on(&line.database, "orders");
    line.orders(0..10, 1);
    stalled(&line, &mut mill);
    mill.sigterm();
    mill.wait_until(SOON, "it drains", |mill| mill.stderr().contains("state=draining"));
    assert!(mill.exit().is_none());
    let asked = Instant::now();
    mill.sigterm();
    assert_eq!(mill.wait_exit(SOON), Some(1), "{}", mill.stderr());
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert!(mill.stderr().contains("leaving at once"), "{}", mill.stderr());
    drop(lock);
    assert_eq!(line.count(), 0);
}

/// Waits until a step of the line has just begun to wait for its table: the better part of three seconds are left until
/// the server ends the wait.
#[track_caller]
pub(crate) fn stalled(line: &Line, mill: &mut Process) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
        AND wait_event_type = 'Lock' AND now() - query_start < interval '500 ms'";
    mill.wait_until(SOON, "a step waits for its table", |_| line.database.query(waiting) != "0");
}
