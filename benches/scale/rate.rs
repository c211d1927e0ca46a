//! One, two and four members on a backlog that outlasts them.

use std::time::Duration;

use uuid::Uuid;

use crate::member::{Times, Told};
use crate::orders::{PARTITIONS, Topic};
use crate::process::{Member, now};
use crate::spread;

/// How long members may take until each has partitions and works at its pace.
const SETTLE: Duration = Duration::from_secs(8);
const GOAL: f64 = 0.95;

pub(crate) fn series(kafka: &str, registry: &str, quick: bool) {
    let (seconds, rounds) = if quick { (5, 1) } else { (20, 5) };
    // more than four members can do, each of them 25 in 5 ms
    let records = 4 * 5_000 * (seconds + SETTLE.as_secs() + 2);
    let topic = Topic::new(kafka, registry);
    topic.fill(records);
    println!(
        "{records} records in {PARTITIONS} partitions; effects of 5 ms, 25 in flight a member; \
         {seconds} s an arm"
    );
    let mut ratios: [Vec<f64>; 2] = Default::default();
    for round in 1..=rounds {
        let told = |members| {
            let group = format!("bench-{members}-{}", Uuid::new_v4());
            Told {
                kafka: kafka.to_owned(),
                registry: registry.to_owned(),
                topic: topic.name.clone(),
                group,
            }
        };
        let rates = [1, 2, 4].map(|members| rate(&told(members), members, seconds));
        println!("  round {round}: {:.0}, {:.0} and {:.0} a second", rates[0], rates[1], rates[2]);
        ratios[0].push(rates[1] / (2.0 * rates[0]));
        ratios[1].push(rates[2] / (4.0 * rates[0]));
    }
    for (members, ratios) in [2, 4].into_iter().zip(ratios) {
        let (median, least, most) = spread(ratios);
        println!(
            "{members} members: {median:.3} of {members} times one (median of {rounds}, {least:.3} \
             to {most:.3}); goal {GOAL} at 4"
        );
    }
}

/// Effects a second of so many members together.
fn rate(told: &Told, members: u64, seconds: u64) -> f64 {
    let mut all: Vec<Member> = (0..members).map(|_| Member::start(told)).collect();
    all.iter_mut().for_each(Member::wait_for_work);
    std::thread::sleep(SETTLE);
    let from = now();
    std::thread::sleep(Duration::from_secs(seconds));
    let to = now();
    let times: Vec<Times> = all.into_iter().map(Member::times).collect();
    let inside = |at: &&u64| (from..to).contains(*at);
    let mut done = 0;
    for of_one in &times {
        let effects: usize = of_one.values().map(|at| at.iter().filter(inside).count()).sum();
        assert!(effects > 0, "a member did nothing");
        done += effects;
    }
    for partition in 0..PARTITIONS {
        let effects =
            |times: &Times| times.get(&partition).map_or(0, |at| at.iter().filter(inside).count());
        assert!(times.iter().map(effects).sum::<usize>() > 0, "partition {partition} stood still");
    }
    done as f64 * 1e6 / (to - from) as f64
}
