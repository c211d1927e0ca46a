//! A member that was put out of its group, does not know, and works on.

use std::time::Duration;

use super::ground::{Line, PARTITIONS, Truth};
use crate::support::{Gate, Kafka, Private, Services};

const LIMIT: Duration = Duration::from_secs(60);

/// The member's way to Kafka is cut, and its session is long, so that it learns nothing; what it had been given, and what
/// it begins after the other has claimed its partitions, must not become a row.
#[test]
fn a_member_that_does_not_know_it_lost_its_partitions_changes_nothing() {
    let gate = Gate::shut();
    let advertised = format!("advertised.listeners=PLAINTEXT://{}", gate.address());
    let kafka = Private::<Kafka>::up(&[&advertised]);
    gate.open(kafka.bootstrap());
    let services = Services::get();
    let mut line = Line::over(&kafka, &services.registry, &services.postgres).with_batches_of(20);
    let truth = Truth::of(0.01);
    line.produce(0.01);
    line.slow_down(0.3);
    line.with_sessions_of(120);
    let mut zombie = line.member();
    zombie.wait_until(LIMIT, "it has records of every partition", |zombie| {
        zombie.holds() == u64::from(PARTITIONS) && zombie.consumed() == truth.orders
    });
    gate.hold();
    line.evict();
    line.with_sessions_of(6);
    let mut owner = line.member();
    owner.wait_until(LIMIT, "it owns every partition", |owner| {
        owner.holds() == u64::from(PARTITIONS)
    });
    zombie.wait_until(LIMIT, "its writes are refused", |zombie| zombie.was_fenced());
    assert_eq!(zombie.holds(), u64::from(PARTITIONS), "it knew");
    line.wait_for_a_step_of_each_partition(&mut owner);
    assert!(line.rows() < truth.orders, "nothing was left for the member that comes back");
    gate.release();
    zombie.wait_for_work();
    owner.wait_for_work();
    line.slow_down(0.0);
    line.wait_for_rows(truth, &mut owner);
    zombie.leave();
    owner.leave();
    line.assert_exact(truth);
}
