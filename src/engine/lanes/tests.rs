//! The lanes driven by a random world: order per key, one at a time, everybody's turn.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const POLICY: Policy =
    Policy { attempts: 3, every: Duration::from_secs(5), then: Then::DeadLetter };
const SECOND: Now = Duration::from_secs(1);

fn lanes(keys: &[Option<Lane>]) -> Lanes {
    let mut lanes = Lanes::new(POLICY);
    for (offset, lane) in (0..).zip(keys) {
        lanes.admit(Offset(offset), *lane);
    }
    lanes
}

fn all(lanes: &mut Lanes, now: Now) -> Vec<i64> {
    std::iter::from_fn(|| lanes.start(now)).map(|offset| offset.0).collect()
}

#[test]
fn one_record_of_a_key_runs_and_records_without_a_key_stand_alone() {
    let mut lanes = lanes(&[Some(1), Some(1), Some(2), None, None]);
    assert_eq!(all(&mut lanes, Now::ZERO), [0, 2, 3, 4]);
    assert!(lanes.done(Offset(0), Now::ZERO).is_empty());
    assert_eq!(all(&mut lanes, Now::ZERO), [1]);
    assert_eq!((lanes.running(), lanes.len()), (4, 4));
}

#[test]
fn a_record_that_backs_off_holds_its_own_key_back_and_no_other() {
    let mut lanes = lanes(&[Some(1), Some(1), Some(2)]);
    all(&mut lanes, Now::ZERO);
    assert_eq!(lanes.failed(Offset(0), Class::Retryable, Now::ZERO), None);
    lanes.done(Offset(2), Now::ZERO);
    assert_eq!(lanes.wake_at(), Some(Duration::from_secs(5)));
    lanes.tick(Duration::from_secs(4));
    assert!(all(&mut lanes, Duration::from_secs(4)).is_empty());
    lanes.tick(Duration::from_secs(5));
    assert_eq!(all(&mut lanes, Duration::from_secs(5)), [0]);
}

#[test]
fn attempts_spent_are_told_and_the_next_of_the_key_goes_when_it_has_left() {
    let mut lanes = lanes(&[Some(1), Some(1)]);
    for (n, spent) in [(0, None), (10, None), (20, Some((Offset(0), Then::DeadLetter)))] {
        let now = SECOND * n;
        lanes.tick(now);
        assert_eq!(all(&mut lanes, now), [0]);
        assert_eq!(lanes.failed(Offset(0), Class::Retryable, now), spent);
    }
    assert!(all(&mut lanes, SECOND * 20).is_empty());
    lanes.leave(Offset(0));
    assert_eq!(all(&mut lanes, SECOND * 20), [1]);
}

#[test]
fn in_an_outage_one_probe_goes_at_a_time_and_no_attempt_is_spent() {
    let mut lanes = lanes(&[Some(1), Some(2), Some(3)]);
    all(&mut lanes, Now::ZERO);
    for offset in 0..3 {
        assert_eq!(lanes.failed(Offset(offset), Class::Unavailable, Now::ZERO), None);
    }
    let mut now = Now::ZERO;
    for _ in 0..50 {
        assert!(all(&mut lanes, now).is_empty(), "nothing goes before its time");
        now = lanes.wake_at().unwrap();
        let probe = all(&mut lanes, now);
        assert_eq!(probe.len(), 1);
        assert_eq!(lanes.failed(Offset(probe[0]), Class::Unavailable, now), None);
    }
    now = lanes.wake_at().unwrap();
    let probe = all(&mut lanes, now)[0];
    assert!(lanes.done(Offset(probe), now).is_empty(), "the outage was nobody's fault");
    assert_eq!(all(&mut lanes, now).len(), 2);
}

#[test]
fn a_record_that_fails_alone_in_what_looks_like_an_outage_spends_its_attempts() {
    let mut lanes = Lanes::new(POLICY);
    let mut now = Now::ZERO;
    lanes.admit(Offset(0), Some(0));
    for offset in 1..1000 {
        lanes.admit(Offset(offset), Some(offset.unsigned_abs()));
        lanes.tick(now);
        while let Some(started) = lanes.start(now) {
            if started == Offset(0) {
                assert_eq!(lanes.failed(started, Class::Unavailable, now), None);
            } else if let Some(spent) = lanes.done(started, now).pop() {
                assert_eq!(spent, (Offset(0), Then::DeadLetter));
                return;
            }
        }
        now = lanes.wake_at().unwrap_or(now) + Duration::from_millis(1);
    }
    panic!("it would be tried for ever");
}

#[test]
fn a_drain_forgets_what_does_not_run() {
    let mut lanes = lanes(&[Some(1), Some(1), Some(2), Some(3)]);
    all(&mut lanes, Now::ZERO);
    lanes.failed(Offset(3), Class::Retryable, Now::ZERO);
    lanes.forget_idle();
    assert_eq!((lanes.running(), lanes.len(), lanes.wake_at()), (2, 2, None));
    lanes.done(Offset(0), Now::ZERO);
    lanes.done(Offset(2), Now::ZERO);
    assert!(lanes.is_empty());
    assert!(all(&mut lanes, SECOND).is_empty());
}

proptest! {
    #[test]
    fn whatever_fails_every_record_ends_once_and_in_the_order_of_its_key(
        keys in prop::collection::vec(prop::option::of(0_u64..6), 1..80),
        fates in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..10), 1..600),
        good in any::<prop::sample::Index>(),
    ) {
        let mut lanes = Lanes::new(POLICY);
        // An outage without end has no end: once a round something succeeds.
        let mut fates = fates.into_iter().chain([(good, 9)]).cycle();
        let (mut admitted, mut now, mut running) = (0, Now::ZERO, Vec::new());
        let mut ended: BTreeMap<Option<Lane>, Vec<i64>> = BTreeMap::new();
        let end = |ended: &mut BTreeMap<_, Vec<i64>>, offset: Offset| {
            ended.entry(keys[usize::try_from(offset.0).unwrap()]).or_default().push(offset.0);
        };
        for step in 0_u64.. {
            prop_assert!(step < 100_000, "it comes to an end");
            if admitted < keys.len() {
                lanes.admit(Offset(i64::try_from(admitted).unwrap()), keys[admitted]);
                admitted += 1;
            } else if lanes.is_empty() {
                break;
            }
            lanes.tick(now);
            running.extend(std::iter::from_fn(|| lanes.start(now)));
            prop_assert_eq!(running.len(), lanes.running());
            let mut busy: Vec<_> = running
                .iter()
                .filter_map(|offset: &Offset| keys[usize::try_from(offset.0).unwrap()])
                .collect();
            busy.sort_unstable();
            busy.dedup();
            let keyed = |o: &&Offset| keys[usize::try_from(o.0).unwrap()].is_some();
            prop_assert_eq!(busy.len(), running.iter().filter(keyed).count());
            if running.is_empty() {
                now = lanes.wake_at().unwrap_or(now + SECOND);
                continue;
            }
            let (pick, fate) = fates.next().unwrap();
            let offset = running.swap_remove(pick.index(running.len()));
            let spent = match fate {
                0..=1 => lanes.failed(offset, Class::Unavailable, now).into_iter().collect(),
                2..=3 => lanes.failed(offset, Class::Retryable, now).into_iter().collect(),
                4 => lanes.failed(offset, Class::Conflict, now).into_iter().collect(),
                _ => {
                    end(&mut ended, offset);
                    lanes.done(offset, now)
                }
            };
            for (offset, _) in spent {
                end(&mut ended, offset);
                lanes.leave(offset);
            }
        }
        let total: usize = ended.values().map(Vec::len).sum();
        prop_assert_eq!(total, keys.len());
        for (key, offsets) in &ended {
            prop_assert!(key.is_none() || offsets.is_sorted(), "{key:?}: {offsets:?}");
        }
    }
}
