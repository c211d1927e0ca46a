//! Two members on a steady load; a third comes and goes, or does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use uuid::Uuid;

use crate::member::{Times, Told};
use crate::orders::{PARTITIONS, Topic};
use crate::process::{Member, now};
use crate::spread;

/// How long the first two may take until each works at its pace.
const SETTLE: Duration = Duration::from_secs(8);
/// How long the third stays, and how long the others are watched after it has left.
const STAYS: Duration = Duration::from_secs(5);
const A_SECOND: u64 = 2_400;
const GOAL: f64 = 1.5;

pub(crate) fn series(kafka: &str, registry: &str, quick: bool) {
    let rounds = if quick { 1 } else { 5 };
    println!(
        "{A_SECOND} records a second into {PARTITIONS} partitions; 2 members, and a third that comes and goes"
    );
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let (moved, took) = longest(kafka, registry, None);
        let (alone, _) = longest(kafka, registry, Some(took));
        println!(
            "  round {round}: {:.0} ms between two effects with a rebalance, {:.0} ms without",
            moved.as_secs_f64() * 1000.0,
            alone.as_secs_f64() * 1000.0
        );
        ratios.push(moved.as_secs_f64() / alone.as_secs_f64());
    }
    let (median, least, most) = spread(ratios);
    println!(
        "longest gap of untouched partitions: {median:.2} times that without a rebalance (median of \
         {rounds}, {least:.2} to {most:.2}); goal {GOAL}"
    );
}

/// The longest time between two effects of any partition that has one owner all the time, while a third member comes and
/// goes, or for so long without it; and how long that was.
fn longest(kafka: &str, registry: &str, alone: Option<Duration>) -> (Duration, Duration) {
    let topic = Topic::new(kafka, registry);
    let told = Told {
        kafka: kafka.to_owned(),
        registry: registry.to_owned(),
        topic: topic.name.clone(),
        group: format!("bench-{}", Uuid::new_v4()),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&stop);
    let load = std::thread::spawn(move || topic.feed(A_SECOND, &until));
    let mut stayed: Vec<Member> = (0..2).map(|_| Member::start(&told)).collect();
    stayed.iter_mut().for_each(Member::wait_for_work);
    std::thread::sleep(SETTLE);
    let from = now();
    let moved = match alone {
        Some(time) => {
            std::thread::sleep(time);
            Times::new()
        }
        None => visit(&told),
    };
    let to = now();
    stop.store(true, Ordering::Relaxed);
    load.join().unwrap();
    let times: Vec<Times> = stayed.into_iter().map(Member::times).collect();
    let gaps = (0..PARTITIONS).filter(|partition| !moved.contains_key(partition)).filter_map(
        |partition| {
            let owners: Vec<&Vec<u64>> = times
                .iter()
                .filter_map(|times| times.get(&partition))
                .filter(|at| has(at, from, to))
                .collect();
            let [at] = owners.as_slice() else { return None };
            let inside = at.iter().filter(|at| (from..to).contains(*at));
            let mut inside: Vec<u64> = inside.copied().collect();
            inside.sort_unstable();
            inside.windows(2).map(|two| two[1] - two[0]).max()
        },
    );
    let gaps: Vec<u64> = gaps.collect();
    assert!(gaps.len() >= 8, "only {} partitions were untouched", gaps.len());
    (Duration::from_micros(gaps.into_iter().max().unwrap()), Duration::from_micros(to - from))
}

/// A third member comes, works for a while and goes: what it did.
fn visit(told: &Told) -> Times {
    let mut guest = Member::start(told);
    guest.wait_for_work();
    std::thread::sleep(STAYS);
    let times = guest.times();
    std::thread::sleep(STAYS);
    times
}

fn has(at: &[u64], from: u64, to: u64) -> bool {
    at.iter().any(|at| (from..to).contains(at))
}
