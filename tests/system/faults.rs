//! The long runs: `make faults`. They kill, freeze and stop until it would show.

use crate::support::{Kafka, Postgres, Private};

#[test]
#[ignore = "long: make faults"]
fn a_killed_postgres_keeps_every_committed_row() {
    let postgres = Private::<Postgres>::up(&[]);
    postgres.query("CREATE TABLE t (round int)");
    for round in 1..=5 {
        postgres.query(&format!("INSERT INTO t VALUES ({round})"));
        postgres.kill9();
        postgres.try_query("SELECT 1").unwrap_err();
        postgres.start();
        assert_eq!(
            postgres.query("SELECT max(round), count(*) FROM t"),
            format!("{round}|{round}")
        );
    }
}

#[test]
#[ignore = "long: make faults"]
fn a_killed_kafka_keeps_every_acknowledged_record() {
    let kafka = Private::<Kafka>::up(&[]);
    kafka.create_topic("orders", 3, &[]);
    for round in 1..=3 {
        kafka.produce("orders", &[("a", "v"), ("b", "v"), ("c", "v")]);
        kafka.kill9();
        kafka.start();
        assert_eq!(kafka.end_offsets("orders").values().sum::<i64>(), 3 * round);
    }
}
