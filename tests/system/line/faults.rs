//! The long forms: `make faults`. One at a time: each loads the machine, and would make the others slow.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::postgres_outage::End;
use super::{archive, kafka_outage, kills, postgres_outage, topic};

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // one that failed says nothing about the next
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
#[ignore = "long: make faults"]
fn five_kills_in_mid_flight_lose_and_repeat_nothing() {
    let _turn = turn();
    kills::kill(0.1, 100);
}

#[test]
#[ignore = "long: make faults"]
fn postgres_stopped_for_half_a_minute_under_load_costs_only_time() {
    let _turn = turn();
    postgres_outage::outage(Duration::from_secs(30), &[End::Stopped]);
}

#[test]
#[ignore = "long: make faults"]
fn postgres_killed_again_and_again_under_load_costs_only_time() {
    let _turn = turn();
    postgres_outage::outage(Duration::ZERO, &[End::Killed; 5]);
}

#[test]
#[ignore = "long: make faults"]
fn kafka_away_for_half_a_minute_costs_only_time() {
    let _turn = turn();
    kafka_outage::outage(Some(Duration::from_secs(30)));
}

#[test]
#[ignore = "long: make faults"]
fn ten_kills_leave_an_archive_exact_and_whole() {
    let _turn = turn();
    archive::kill(10);
}

#[test]
#[ignore = "long: make faults"]
fn ten_kills_lose_no_record_and_leave_their_order() {
    let _turn = turn();
    topic::kill(10);
}
