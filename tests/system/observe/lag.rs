//! Lag is what Kafka's own tool says, and its age grows while the effect stands still.

use std::time::Instant;

use crate::plain::{Line, SOON, wait_state};
use crate::support::{Lock, Process, Services};

const RECORDS: i64 = 6000;

#[test]
fn lag_is_kafkas_own_and_grows_old_while_the_effect_stalls_also_when_paused() {
    let line = Line::new(1).say("records: 10000", "records: 1000").say("rows: 1000", "rows: 500");
    let mut mill = line.run();
    wait_state(&mut mill, "running");
    let lock = Lock::on(&line.database, "orders");
    line.orders(0..RECORDS, 1);
    mill.wait_until(SOON, "all lag is seen and the partition paused", |mill| {
        records(mill) == Some(RECORDS as f64) && seconds(mill) > 1.0 && full(mill)
    });
    // the window bounds what is held; the rest stays in the log and lags all the same
    let held = mill.scrape().sum("ordermill_consumer_in_flight_records", &[]);
    assert!(held > 0.0 && held < RECORDS as f64, "{held}");
    let kafka = &Services::get().kafka;
    assert_eq!(kafka.lag(&line.group(), &line.topic), RECORDS);

    let (before, began) = (seconds(&mut mill), Instant::now());
    mill.wait_until(SOON, "lag has grown old", |mill| seconds(mill) > before + 2.0);
    let (grown, passed) = (seconds(&mut mill) - before, began.elapsed().as_secs_f64());
    assert!((grown - passed).abs() < 1.0, "{grown} s older in {passed} s");
    assert_eq!(records(&mut mill), Some(RECORDS as f64));

    drop(lock);
    line.wait_rows(&mut mill, RECORDS);
    mill.wait_until(SOON, "lag is gone", |mill| records(mill) == Some(0.0) && seconds(mill) == 0.0);
    mill.wait_until(SOON, "Kafka says so too", |_| kafka.lag(&line.group(), &line.topic) == 0);
}

#[test]
fn each_partition_has_its_own_lag() {
    let line = Line::new(3);
    line.orders(0..30, 3);
    let mut mill = line.run();
    line.wait_rows(&mut mill, 30);
    mill.wait_until(SOON, "all is committed", |_| line.committed().values().sum::<i64>() == 30);
    let lock = Lock::on(&line.database, "orders");
    line.send((0..5).map(|n| (0, Some(line.value(100 + n, "late")))));
    line.send((0..9).map(|n| (2, Some(line.value(200 + n, "late")))));
    let lag = |mill: &mut Process, partition: &str| {
        mill.scrape().value("ordermill_consumer_lag_records", &[("partition", partition)])
    };
    mill.wait_until(SOON, "each partition has its own lag", |mill| {
        [lag(mill, "0"), lag(mill, "1"), lag(mill, "2")] == [Some(5.0), Some(0.0), Some(9.0)]
    });
    let group = Services::get().kafka.group(&line.group());
    let behind = |partition| {
        let at = &group[&(line.topic.clone(), partition)];
        at.end - at.committed.unwrap()
    };
    assert_eq!([behind(0), behind(1), behind(2)], [5, 0, 9]);
    drop(lock);
    line.wait_rows(&mut mill, 44);
}

fn records(mill: &mut Process) -> Option<f64> {
    mill.scrape().value("ordermill_consumer_lag_records", &[])
}

fn seconds(mill: &mut Process) -> f64 {
    mill.scrape().sum("ordermill_consumer_lag_seconds", &[])
}

fn full(mill: &mut Process) -> bool {
    mill.scrape().sum("ordermill_consumer_windows_full_total", &[]) > 0.0
}
