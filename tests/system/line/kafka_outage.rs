//! Kafka goes away under load.

use std::time::{Duration, Instant};

use super::feed;
use super::ground::{Line, PARTITIONS, Truth};
use crate::support::{Kafka, Private, Services};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn kafka_restarted_under_load_costs_only_time() {
    outage(None);
}

/// Kafka restarts while orders come in and rows are made; with `away` it stays away for so long, and the producer, which
/// gives up after half a minute, holds still meanwhile.
pub(super) fn outage(away: Option<Duration>) {
    let services = Services::get();
    let kafka = Private::<Kafka>::up(&[]);
    let line = Line::over(&kafka, &services.registry, &services.postgres).with_batches_of(50);
    line.slow_down(0.05);
    // It registers the schema, which the member looks for when it binds.
    let feed = feed::start(&line);
    let mut member = line.member();
    member.wait_for_work();
    if away.is_some() {
        let fed = i64::try_from(feed.hold()).unwrap();
        member.wait_until(LIMIT, "what was fed is in the topic", |_| {
            line.ends().values().sum::<i64>() == fed
        });
    }
    let before = member.lag(PARTITIONS);
    kafka.stop();
    let gone = Instant::now();
    member.wait_until(LIMIT, "it says that it waits", |member| {
        member.waits() && gone.elapsed() >= away.unwrap_or_default()
    });
    kafka.start();
    if away.is_some() {
        feed.go();
    }
    line.slow_down(0.5);
    member.wait_until(LIMIT, "lag has grown", |member| {
        member.lag(PARTITIONS).is_some_and(|lag| lag > before.unwrap_or(0) + 1_000)
    });
    line.slow_down(0.0);
    let back = Instant::now();
    let truth = Truth::of_fed(feed.enough(0, LIMIT));
    line.wait_for_rows(truth, &mut member);
    member.wait_until(LIMIT, "lag is 0 again", |member| member.lag(PARTITIONS) == Some(0));
    assert!(back.elapsed() < LIMIT);
    member.wait_until(LIMIT, "it runs", |member| member.ready() == (true, "running".to_owned()));
    member.leave();
    line.assert_exact(truth);
}
