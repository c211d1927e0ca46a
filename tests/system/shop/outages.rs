//! What the reference system stands on goes away under load, and comes back.

use std::time::{Duration, Instant};

use super::ground::{PARTITIONS, Shop};
use super::member::Member;
use crate::support::{Feed, Kafka, Postgres, Private, Registry};

const LIMIT: Duration = Duration::from_secs(60);
const A_SECOND: usize = 40;
/// A lag of orders that are just on their way: files of the archive are a second old.
const SMALL: u64 = 5 * A_SECOND as u64;
/// A producer gives up after half a minute without Kafka.
const PRODUCER: Duration = Duration::from_secs(10);

/// What goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Away {
    Kafka,
    Registry,
    Postgres,
    Mail,
}

/// Everything that can.
pub(super) const ALL: [Away; 4] = [Away::Registry, Away::Postgres, Away::Mail, Away::Kafka];

#[test]
fn what_goes_away_for_five_seconds_costs_only_time() {
    outages(&ALL, Duration::from_secs(5));
}

/// The services, none of them shared.
struct Services {
    kafka: Private<Kafka>,
    registry: Private<Registry>,
    postgres: Private<Postgres>,
}

/// One after the other goes away for so long while orders come in. After each, the lag must be small again within a minute.
pub(super) fn outages(what: &[Away], away: Duration) {
    let (kafka, registry, postgres) =
        (Private::up(&[]), Private::up(&[]), Private::<Postgres>::up(&[]));
    let services = Services { kafka, registry, postgres };
    let mut shop = Shop::over(&services.kafka, &services.registry, &services.postgres);
    let feed = shop.feed(A_SECOND);
    let mut members = [shop.member(), shop.member()];
    for what in what {
        members.iter_mut().for_each(Member::wait_for_work);
        outage(*what, away, &services, &mut shop, (&feed, &mut members[0]));
        let back = Instant::now();
        for member in &mut members {
            let what = format!("{what:?} is back and the lag small");
            member.wait_until(LIMIT, &what, |member| member.runs() && member.lag() < SMALL);
        }
        assert!(back.elapsed() < LIMIT);
    }
    let orders = feed.enough(0, LIMIT) as u64;
    let end = Instant::now() + LIMIT;
    while !Member::are_done(&mut members, PARTITIONS as usize) {
        let late = Instant::now() > end;
        assert!(!late, "lag {:?}, {:?}", members[0].lag(), members[0].states());
        std::thread::sleep(Duration::from_millis(100));
    }
    for member in members {
        member.leave();
    }
    shop.assert_whole(orders);
}

/// It is away for at least so long, and a member has said that it waits.
fn outage(
    what: Away,
    away: Duration,
    services: &Services,
    shop: &mut Shop<'_>,
    (feed, member): (&Feed, &mut Member),
) {
    let hold = what == Away::Kafka && away > PRODUCER;
    if hold {
        let fed = feed.hold();
        member.wait_until(LIMIT, "what was fed is in the topic", |_| shop.taken() == fed);
    }
    match what {
        Away::Kafka => services.kafka.stop(),
        Away::Registry => services.registry.stop(),
        Away::Postgres => services.postgres.stop(),
        Away::Mail => shop.mails.kill9(),
    }
    let gone = Instant::now();
    member.wait_until(away + LIMIT, &format!("it waits for {what:?}"), |member| {
        // every schema is known by now: nobody needs the registry
        (what == Away::Registry || member.waits()) && gone.elapsed() >= away
    });
    match what {
        Away::Kafka => services.kafka.start(),
        Away::Registry => {
            services.registry.start();
            shop.register();
        }
        Away::Postgres => services.postgres.start(),
        Away::Mail => shop.mails.start(),
    }
    if hold {
        feed.go();
    }
}
