//! Three minutes of a shop's day, for the picture of the dashboard: `make picture`.

use std::thread;
use std::time::{Duration, Instant};

use crate::plain::{CONTRACT, Line, create_topics, wait_state};
use crate::support::{Gate, Private, Prometheus, Services};

const PARTITIONS: i32 = 6;
const SECONDS: u64 = 180;
/// The last of them are quiet, so that the ends of the logs have been asked for again.
const QUIET_S: u64 = 5;
/// When a process is told to leave.
const LEAVES_S: u64 = 50;
/// From when to when the database of one of the pipelines is away.
const AWAY_S: std::ops::Range<u64> = 95..120;

/// Writes what the dashboard's panels were answered to the file that `ORDERMILL_TEST_DASHBOARD` names.
#[test]
#[ignore = "three minutes long, and it checks nothing: make picture"]
fn a_shops_day() {
    let gate = Gate::shut();
    let line = named("inventory", "orders.created");
    let database = line.database.clone();
    gate.open(database.address());
    let order_log = named("order-log", "orders.created");
    let order_log = order_log.say("event.n >= 0", "event.n % 50 != 0");
    let line = line.set(database.url(), &database.url_by(&gate.address().to_string()));
    let mut mills = [line.run(), line.run(), line.run(), order_log.run()];
    mills.iter_mut().for_each(|mill| drop(wait_state(mill, "running")));
    let targets = mills.each_mut().map(|mill| mill.http_address());
    let prometheus: Private<Prometheus> = Private::up(&targets.each_ref().map(String::as_str));
    let (began, mut sent) = (Instant::now(), 0_i64);
    for second in 0..SECONDS {
        let wave = (second as f64 / 25.0).sin();
        let more = if second + QUIET_S < SECONDS { (900.0 + 500.0 * wave) as i64 } else { 0 };
        line.orders(sent..sent + more, i64::from(PARTITIONS));
        sent += more;
        if second % 23 == 7 {
            line.send([(i32::try_from(second % 6).unwrap(), Some(b"broken".to_vec()))]);
        }
        if second == AWAY_S.start {
            gate.open("127.0.0.1:1");
            gate.hold();
        }
        if second == AWAY_S.end {
            gate.open(database.address());
            gate.release();
        }
        if second == LEAVES_S {
            mills[0].sigterm();
        }
        thread::sleep(Duration::from_secs(second + 1).saturating_sub(began.elapsed()));
    }
    let _ = prometheus.dashboard(u32::try_from(SECONDS).unwrap());
}

/// A line under these names: the services are this run's alone.
fn named(name: &str, topic: &str) -> Line {
    let mut line = Line::without_topic();
    line.pipeline = line.pipeline.replace(&line.name, name).replace(&line.topic, topic);
    (line.name, line.topic) = (name.to_owned(), topic.to_owned());
    line.schema_id = Services::get().registry.register(&format!("{topic}-value"), CONTRACT);
    create_topics(&[topic, &line.dead_letters()], PARTITIONS);
    line.say("consecutive: 1", "consecutive: 50")
}
