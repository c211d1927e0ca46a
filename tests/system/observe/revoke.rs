//! A revoked partition's series end with the assignment: nobody shows a lag that somebody else works on.

use std::collections::BTreeSet;

use crate::plain::{Line, SOON, wait_state};
use crate::support::{Metrics, Process};

const PARTITIONS: i32 = 4;

/// Everything that is told by partition.
const SERIES: [&str; 6] = [
    "ordermill_consumer_lag_records",
    "ordermill_consumer_lag_seconds",
    "ordermill_consumer_watermark_offset",
    "ordermill_consumer_committed_offset",
    "ordermill_partition_start_offset",
    "ordermill_partition_end_offset",
];

#[test]
fn the_series_of_revoked_partitions_are_gone_and_come_back_with_them() {
    let line = Line::new(PARTITIONS);
    line.orders(0..40, 4);
    let mut first = line.run();
    wait_all(&mut first, PARTITIONS);
    let mut second = line.run();
    wait_all(&mut second, PARTITIONS / 2);
    wait_state(&mut first, "running");
    let (one, other) = (first.scrape(), second.scrape());
    for series in SERIES {
        let (one, other) = (partitions(&one, series), partitions(&other, series));
        assert_eq!((one.len(), other.len()), (2, 2), "{series}: {one:?} {other:?}");
        assert!(one.is_disjoint(&other), "{series}: {one:?} {other:?}");
    }
    second.sigterm();
    assert_eq!(second.wait_exit(SOON), Some(0), "{}", second.stderr());
    wait_all(&mut first, PARTITIONS);
}

/// Waits until every series is there for so many partitions, and no more.
#[track_caller]
fn wait_all(mill: &mut Process, count: i32) {
    let count = usize::try_from(count).unwrap();
    mill.wait_until(SOON, &format!("it shows {count} partitions"), |mill| {
        let scrape = mill.scrape();
        SERIES.iter().all(|series| partitions(&scrape, series).len() == count)
            && scrape.sum("ordermill_consumer_assigned_partitions", &[]) == count as f64
    });
}

fn partitions(scrape: &Metrics, series: &str) -> BTreeSet<i32> {
    let has = |partition: &i32| scrape.count(series, &[("partition", &partition.to_string())]) > 0;
    (0..PARTITIONS).filter(has).collect()
}
