//! Every record that was delivered is in exactly one place, at every scrape.

use crate::plain::{Line, SOON};
use crate::support::{Metrics, Process};

const RECORDS: i64 = 60_000;

#[test]
fn every_scrape_of_a_loaded_run_balances() {
    let line = Line::new(3).say("event.n >= 0", "event.n % 7 != 0").say("rows: 1000", "rows: 20");
    line.orders(0..RECORDS, 3);
    let mut mill = line.run();
    let mut under_way = 0;
    mill.wait_until(SOON, "all is settled", |mill| {
        let scrape = scrape(mill);
        under_way += u32::from(in_flight(&scrape) > 0.0);
        consumed(&scrape) == RECORDS as f64 && in_flight(&scrape) == 0.0
    });
    assert!(
        under_way >= 10,
        "only {under_way} scrapes saw records under way: the load is too small"
    );
    let scrape = scrape(&mut mill);
    let dropped = (0..RECORDS).filter(|n| n % 7 == 0).count() as f64;
    assert_eq!(scrape.sum("ordermill_records_dropped_total", &[("reason", "filter")]), dropped);
    assert_eq!(scrape.sum("ordermill_records_effected_total", &[]), RECORDS as f64 - dropped);
    assert_eq!(scrape.sum("ordermill_effects_total", &[]), line.count() as f64);
    mill.sigterm();
    assert_eq!(mill.wait_exit(SOON), Some(0), "{}", mill.stderr());
}

#[test]
fn scrapes_balance_on_both_sides_of_a_rebalance() {
    let line = Line::new(4).say("rows: 1000", "rows: 50");
    line.orders(0..RECORDS, 4);
    let mut first = line.run();
    first.wait_until(SOON, "it is under load", |mill| in_flight(&scrape(mill)) > 0.0);
    let mut second = line.run();
    let both = |first: &mut Process, second: &mut Process| {
        settled(&scrape(first)) + settled(&scrape(second))
    };
    first.wait_until(SOON, "both have settled all", |first| {
        both(first, &mut second) >= RECORDS as f64
    });
    assert!(settled(&scrape(&mut second)) > 0.0, "the second came too late: the load is too small");
    assert_eq!(both(&mut first, &mut second), RECORDS as f64);
    assert_eq!(line.count(), RECORDS);
}

/// A scrape that balances.
#[track_caller]
fn scrape(mill: &mut Process) -> Metrics {
    let scrape = mill.scrape();
    let given_back = scrape.sum("ordermill_records_given_back_total", &[]);
    let places = settled(&scrape) + given_back + in_flight(&scrape);
    assert_eq!(consumed(&scrape), places);
    scrape
}

fn consumed(scrape: &Metrics) -> f64 {
    scrape.sum("ordermill_records_consumed_total", &[])
}

fn in_flight(scrape: &Metrics) -> f64 {
    scrape.sum("ordermill_consumer_in_flight_records", &[])
}

fn settled(scrape: &Metrics) -> f64 {
    ["records_effected_total", "records_dropped_total", "dlq_records_total"]
        .map(|name| scrape.sum(&format!("ordermill_{name}"), &[]))
        .iter()
        .sum()
}
