//! Members are killed in mid-flight while others join and leave.

use super::ground::{Line, Truth};

const KILLS: usize = 5;

#[test]
fn five_kills_in_mid_flight_lose_and_repeat_nothing() {
    kill(0.01, 10);
}

/// Five times in a row two members join, one of them is killed in mid-flight and the one that was there leaves.
///
/// Counts only if each kill came before the end, and records were delivered again because of them.
pub(super) fn kill(scale: f64, rows_a_step: u32) {
    let (line, truth) = (Line::new().with_batches_of(rows_a_step), Truth::of(scale));
    line.produce(scale);
    line.slow_down(0.5);
    let mut consumed = 0;
    let mut old = line.member();
    old.wait_for_work();
    for kill in 1..=KILLS {
        let (mut killed, mut new) = (line.member(), line.member());
        killed.wait_for_work();
        new.wait_for_work();
        consumed += killed.kill();
        assert!(line.rows() < truth.orders, "kill {kill} of {KILLS} came after the end");
        consumed += old.consumed();
        old.leave();
        old = new;
    }
    line.slow_down(0.0);
    line.wait_for_rows(truth, &mut old);
    consumed += old.consumed();
    assert!(consumed > truth.orders, "{consumed} of {}: nothing came twice", truth.orders);
    old.leave();
    line.assert_exact(truth);
}
