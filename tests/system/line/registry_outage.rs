//! The registry is away when it is needed first.

use std::time::Duration;

use super::ground::{Line, PARTITIONS, Truth};
use crate::support::{Gate, Services};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn records_of_unknown_schemas_wait_for_the_registry() {
    let gate = Gate::shut();
    let registry = &Services::get().registry;
    let away = registry.through(&gate);
    let line = Line::new();
    let truth = Truth::of(0.001);
    line.produce(0.001);
    let mut member = line.member_of(&away, true);
    member.wait_until(LIMIT, "it holds everything and says that it waits", |member| {
        let (_, state) = member.ready();
        member.waits()
            && state.contains("registry")
            && member.lag(PARTITIONS) == Some(truth.orders)
            && member.in_flight() == truth.orders
    });
    assert_eq!(line.rows(), 0);
    gate.open(registry.address());
    line.wait_for_rows(truth, &mut member);
    member.wait_until(LIMIT, "it runs", |member| member.ready() == (true, "running".to_owned()));
    member.leave();
    line.assert_exact(truth);
}

#[test]
fn a_member_without_a_contract_waits_for_the_registry_to_start() {
    let gate = Gate::shut();
    let registry = &Services::get().registry;
    let away = registry.through(&gate);
    let line = Line::new();
    let truth = Truth::of(0.001);
    line.produce(0.001);
    let mut member = line.member_of(&away, false);
    member.wait_until(LIMIT, "it says what it waits for", |member| {
        let (ready, state) = member.ready();
        !ready && state.starts_with("starting: ") && state.contains("registry")
    });
    gate.open(registry.address());
    line.wait_for_rows(truth, &mut member);
    member.leave();
    line.assert_exact(truth);
}
