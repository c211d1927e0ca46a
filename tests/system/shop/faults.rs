//! The long forms: `make faults`. One at a time: each loads the machine, and would make the others slow.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::kills;
use super::outages::{ALL, outages};

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // one that failed says nothing about the next
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
#[ignore = "long: make faults"]
fn ten_kills_cost_no_order_and_repeat_only_the_mails_under_way() {
    let _turn = turn();
    kills::kill(10_000, 200, 2, 10);
}

#[test]
#[ignore = "long: make faults"]
fn what_goes_away_for_half_a_minute_costs_only_time() {
    let _turn = turn();
    outages(&ALL, Duration::from_secs(30));
}
