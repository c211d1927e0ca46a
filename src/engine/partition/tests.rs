//! The machine driven by a random world: whatever is refused, each offset is applied once, in order.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const POLICY: Policy = Policy { attempts: 3, every: Duration::from_secs(5), then: Then::Stop };

fn effects(offsets: std::ops::Range<i64>) -> Effects {
    let mut effects = Effects::default();
    for offset in offsets {
        effects.buffer().push(b'x');
        effects.finish(Offset(offset));
    }
    effects
}

fn whole(effects: &Effects, from: i64, to: i64) -> Part {
    Part { from: NextOffset(from), to: NextOffset(to), rows: 0..effects.len() }
}

fn running() -> Partition {
    let (mut machine, first) = Partition::new(POLICY);
    assert_eq!(first, vec![Command::Claim]);
    let commands =
        machine.step(&Input::Claimed(NextOffset(0)), &Effects::default(), Duration::ZERO);
    assert_eq!(commands, vec![Command::Start(NextOffset(0))]);
    machine
}

fn fault(class: Class) -> Fault {
    Fault::new(class, "test", "said the test")
}

#[test]
fn a_drain_lets_the_begun_step_end_and_forgets_the_rest() {
    let mut machine = running();
    let effects = effects(0..4);
    machine.step(&Input::Offer(whole(&effects, 0, 4)), &effects, Duration::ZERO);
    machine.step(&Input::Failed(&fault(Class::Conflict)), &effects, Duration::ZERO);
    assert_eq!(machine.step(&Input::Drain, &effects, Duration::ZERO), vec![]);
    let commands = machine.step(&Input::Done, &effects, Duration::ZERO);
    assert_eq!(commands.last(), Some(&Command::Gone(Some(NextOffset(2)))));
    assert!(machine.step(&Input::Tick, &effects, Duration::ZERO).is_empty());
}

#[test]
fn a_lost_partition_commits_nothing() {
    let mut machine = running();
    let effects = effects(0..4);
    machine.step(&Input::Offer(whole(&effects, 0, 4)), &effects, Duration::ZERO);
    let commands = machine.step(&Input::Lost, &effects, Duration::ZERO);
    assert_eq!(commands, vec![Command::Gone(None)]);
}

#[test]
fn a_fenced_owner_claims_again_and_takes_nothing_over() {
    let mut machine = running();
    let effects = effects(0..4);
    machine.step(&Input::Offer(whole(&effects, 0, 4)), &effects, Duration::ZERO);
    assert_eq!(machine.step(&Input::Fenced, &effects, Duration::ZERO), vec![Command::Claim]);
    assert_eq!(machine.watermark(), None);
    assert!(!machine.wants_work());
    machine.step(&Input::Claimed(NextOffset(3)), &effects, Duration::ZERO);
    assert_eq!(machine.watermark(), Some(NextOffset(3)));
}

#[test]
fn an_outage_spends_no_attempt() {
    let mut machine = running();
    let effects = effects(0..1);
    let mut commands = machine.step(&Input::Offer(whole(&effects, 0, 1)), &effects, Duration::ZERO);
    let mut now = Duration::ZERO;
    for _ in 0..100 {
        assert!(matches!(commands[..], [Command::Apply(_)]), "{commands:?}");
        commands = machine.step(&Input::Failed(&fault(Class::Unavailable)), &effects, now);
        let [Command::Wake(at)] = commands[..] else { panic!("{commands:?}") };
        now = at;
        commands = machine.step(&Input::Tick, &effects, now);
    }
    machine.step(&Input::Done, &effects, now);
    assert_eq!(machine.watermark(), Some(NextOffset(1)));
}

#[test]
fn spent_attempts_halt_at_the_record() {
    let mut machine = running();
    let effects = effects(0..1);
    machine.step(&Input::Offer(whole(&effects, 0, 1)), &effects, Duration::ZERO);
    let retryable = fault(Class::Retryable);
    for failed in 1..=3 {
        let now = Duration::from_secs(5 * failed);
        let commands = machine.step(&Input::Failed(&retryable), &effects, now);
        if failed < 3 {
            assert_eq!(commands, vec![Command::Wake(now + POLICY.every)]);
            machine.step(&Input::Tick, &effects, now + POLICY.every);
        } else {
            assert_eq!(commands, vec![Command::Halt(Some(Offset(0)), retryable.clone())]);
        }
    }
    assert_eq!(machine.watermark(), Some(NextOffset(0)));
}

proptest! {
    /// A world with one poisonous record (or none) and any mix of outages and conflicts before it: the
    /// applied parts are contiguous from the start and none overlaps; they end exactly before the poison,
    /// or go on behind it once it is buried, alone.
    #[test]
    fn everything_but_the_bad_record_is_applied_once_and_in_order(
        count in 1_i64..40,
        poison in prop::option::of(0_i64..40),
        bury in any::<bool>(),
        noise in prop::collection::vec(prop::option::weighted(0.4, prop_oneof![
            Just(Class::Unavailable), Just(Class::Conflict)]), 200),
    ) {
        let poison = poison.filter(|p| *p < count);
        let effects = effects(0..count);
        let mut machine = running();
        let mut now = Duration::ZERO;
        let mut noise = noise.into_iter();
        let mut applied = 0_i64;
        let mut halted = None;
        let mut buried = Vec::new();
        let mut todo = machine.step(&Input::Offer(whole(&effects, 0, count)), &effects, now);
        while !todo.is_empty() {
            let command = todo.remove(0);
            let more = match command {
                Command::Apply(part) => {
                    prop_assert_eq!(part.from.0, applied);
                    let bad = poison.is_some_and(|p| part.from.0 <= p && p < part.to.0)
                        && !part.rows.is_empty();
                    match noise.next().flatten() {
                        Some(class) => machine.step(&Input::Failed(&fault(class)), &effects, now),
                        None if bad => machine.step(&Input::Failed(&fault(Class::Poison)), &effects, now),
                        None => machine.step(&Input::Done, &effects, now),
                    }
                }
                Command::Settle(part) => { applied = part.to.0; Vec::new() }
                Command::Wake(at) => { now = now.max(at); machine.step(&Input::Tick, &effects, now) }
                Command::Halt(at, _) => { halted = at; Vec::new() }
                Command::Bury(_, offset, fault) if !bury => {
                    machine.step(&Input::Bad(offset, &fault), &effects, now)
                }
                Command::Bury(part, offset, _) => {
                    buried.push(offset.0);
                    machine.step(&Input::Buried(part), &effects, now)
                }
                other => { prop_assert!(false, "{:?}", other); Vec::new() }
            };
            todo.extend(more);
        }
        let end = if bury { None } else { poison };
        prop_assert_eq!(applied, end.unwrap_or(count));
        prop_assert_eq!(halted, end.map(Offset));
        prop_assert_eq!(buried, poison.filter(|_| bury).into_iter().collect::<Vec<_>>());
        prop_assert_eq!(machine.watermark(), Some(NextOffset(applied)));
    }
}
