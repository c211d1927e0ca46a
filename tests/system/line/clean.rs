//! Nothing happens: everything arrives, and nothing is delivered twice.

use super::ground::{Line, Truth};

#[test]
fn a_clean_run_takes_each_record_once_and_makes_each_row_once() {
    let (line, truth) = (Line::new(), Truth::of(0.01));
    line.produce(0.01);
    let mut member = line.member();
    line.wait_for_rows(truth, &mut member);
    member.wait_until(std::time::Duration::from_secs(30), "everything is settled", |member| {
        member.in_flight() == 0 && member.lag(super::ground::PARTITIONS) == Some(0)
    });
    assert_eq!(member.consumed(), truth.orders);
    assert_eq!(member.effected(), truth.orders);
    assert_eq!(member.given_back(), 0);
    assert_eq!(member.ready(), (true, "running".to_owned()));
    member.leave();
    line.assert_exact(truth);
}
