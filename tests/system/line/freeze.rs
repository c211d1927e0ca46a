//! A member stands still past its session, and wakes when its partitions are somebody else's.

use std::time::Duration;

use super::ground::{Line, PARTITIONS, Truth};

/// Its session (6 s), and the time after which the database ends its open transactions (10 s).
const TAKEN_OVER_LIMIT: Duration = Duration::from_secs(60);

#[test]
fn what_a_frozen_member_writes_late_changes_nothing_and_it_works_on() {
    let (line, truth) = (Line::new().with_batches_of(20), Truth::of(0.01));
    line.produce(0.01);
    line.slow_down(0.5);
    let (mut frozen, mut other) = (line.member(), line.member());
    frozen.wait_for_work();
    other.wait_for_work();
    assert!(frozen.holds() < u64::from(PARTITIONS));
    frozen.freeze();
    other.wait_until(TAKEN_OVER_LIMIT, "it has taken over every partition", |other| {
        other.holds() == u64::from(PARTITIONS)
    });
    // Now it makes rows of what the frozen one has begun and not ended, too.
    line.wait_for_a_step_of_each_partition(&mut other);
    assert!(line.rows() < truth.orders, "nothing was left for the member that wakes");
    frozen.wake();
    // a member again, with work of its own, and nothing has halted
    frozen.wait_for_work();
    other.wait_for_work();
    line.slow_down(0.0);
    line.wait_for_rows(truth, &mut other);
    frozen.leave();
    other.leave();
    line.assert_exact(truth);
}
