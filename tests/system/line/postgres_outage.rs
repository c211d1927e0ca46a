//! The database goes away under load.

use std::time::{Duration, Instant};

use super::feed;
use super::ground::{Line, PARTITIONS, Truth};
use crate::support::{Postgres, Private, Services};

const LIMIT: Duration = Duration::from_secs(60);

/// How the database ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Stopped,
    Killed,
}

#[test]
fn postgres_stopped_for_five_seconds_under_load_costs_only_time() {
    outage(Duration::from_secs(5), &[End::Stopped]);
}

/// The database is away for `away`, once for each of `ends`, while orders come in.
pub(super) fn outage(away: Duration, ends: &[End]) {
    let services = Services::get();
    let postgres = Private::<Postgres>::up(&[]);
    let line = Line::over(&services.kafka, &services.registry, &postgres);
    // It registers the schema, which the member looks for when it binds.
    let feed = feed::start(&line);
    let mut member = line.member();
    for end in ends {
        member.wait_for_work();
        let before = member.lag(PARTITIONS);
        match end {
            End::Stopped => postgres.stop(),
            End::Killed => postgres.kill9(),
        }
        let gone = Instant::now();
        member.wait_until(LIMIT, "it says that it waits", super::member::Member::waits);
        member.wait_until(LIMIT, "lag has grown", |member| {
            let grown = member.lag(PARTITIONS).is_some_and(|lag| lag > before.unwrap_or(0) + 2_000);
            grown && gone.elapsed() >= away
        });
        assert!(member.waits(), "it waits no longer while the database is away");
        postgres.start();
    }
    let back = Instant::now();
    let truth = Truth::of_fed(feed.enough(0, LIMIT));
    member.wait_until(LIMIT, "lag is 0 again", |member| member.lag(PARTITIONS) == Some(0));
    assert!(back.elapsed() < LIMIT);
    line.wait_for_rows(truth, &mut member);
    member.wait_until(LIMIT, "it runs", |member| member.ready() == (true, "running".to_owned()));
    member.leave();
    line.assert_exact(truth);
}
