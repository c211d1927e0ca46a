//! Members come and go by SIGTERM while there is work.

use super::ground::{Line, Truth};

#[test]
fn members_that_join_and_leave_under_load_lose_and_repeat_nothing() {
    let (line, truth) = (Line::new().with_batches_of(20), Truth::of(0.01));
    line.produce(0.01);
    line.slow_down(0.3);
    let mut last = line.member();
    last.wait_for_work();
    for round in 1..=2 {
        let mut joined = line.member();
        joined.wait_for_work();
        last.wait_for_work();
        assert!(line.rows() < truth.orders, "round {round}: all was done before the member left");
        last.leave();
        last = joined;
    }
    last.wait_for_work();
    line.slow_down(0.0);
    line.wait_for_rows(truth, &mut last);
    last.leave();
    line.assert_exact(truth);
}
