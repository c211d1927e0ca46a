//! The ground that the other tests stand on: each service answers and comes back, and the oracles see what is there.

use crate::support::{GroupOffset, Kafka, Postgres, Private, Registry, Services, fresh};

#[test]
fn kafkas_own_tools_see_topics_records_and_offsets() {
    let kafka = &Services::get().kafka;
    let (topic, group) = (fresh("orders"), fresh("group"));
    kafka.create_topic(&topic, 3, &["max.message.bytes=65536"]);
    assert!(kafka.topics().contains(&topic));

    let records: Vec<_> = (0..10).map(|n| (n.to_string(), format!("v{n}"))).collect();
    let records: Vec<_> = records.iter().map(|(k, v)| (&**k, &**v)).collect();
    kafka.produce(&topic, &records);
    let ends = kafka.end_offsets(&topic);
    assert_eq!(ends.len(), 3);
    assert_eq!(ends.values().sum::<i64>(), 10);

    assert!(kafka.group(&group).is_empty());
    assert_eq!(kafka.lag(&group, &topic), 10);
    kafka.reset_group(&group, &topic, &["--to-latest"]);
    assert_eq!(kafka.lag(&group, &topic), 0);
    let expected = GroupOffset { committed: Some(ends[&1]), end: ends[&1], member: None };
    assert_eq!(kafka.group(&group)[&(topic, 1)], expected);
}

#[test]
fn psql_answers_and_databases_are_apart() {
    let server = &Services::get().postgres;
    assert_eq!(server.query("SELECT 1"), "1");
    let (one, other) = (server.fresh_database(), server.fresh_database());
    one.query("CREATE TABLE t (id int, note text); INSERT INTO t VALUES (1, 'a'), (2, NULL)");
    assert_eq!(one.rows("SELECT id, note FROM t ORDER BY id"), [["1", "a"], ["2", ""]]);
    let refused = other.try_query("SELECT * FROM t").unwrap_err();
    assert!(refused.contains("does not exist"), "{refused}");
}

#[test]
fn the_registry_answers() {
    let registry = &Services::get().registry;
    let subjects: Vec<String> = serde_json::from_str(&registry.get("/subjects").unwrap()).unwrap();
    drop(subjects);
    let config = registry.get("/config").unwrap();
    assert!(config.contains("BACKWARD"), "{config}");
    let missing = registry.get("/subjects/none/versions/latest").unwrap_err();
    assert!(missing.starts_with("status 404"), "{missing}");
}

#[test]
fn a_stopped_postgres_comes_back_with_its_port_and_its_rows() {
    let postgres = Private::<Postgres>::up(&["max_connections=20"]);
    postgres.query("CREATE TABLE t (id int); INSERT INTO t VALUES (7)");
    postgres.stop();
    postgres.try_query("SELECT 1").unwrap_err();
    postgres.start();
    assert_eq!(postgres.query("SELECT id FROM t"), "7");
    assert_eq!(postgres.query("SHOW max_connections"), "20");
    assert!(postgres.url().starts_with("postgres://postgres@127.0.0.1:"));
}

#[test]
fn a_stopped_kafka_comes_back_with_its_port_and_its_records() {
    let kafka = Private::<Kafka>::up(&["num.partitions=2"]);
    kafka.create_topic("orders", 1, &[]);
    kafka.produce("orders", &[("k", "v"), ("k", "w")]);
    kafka.stop();
    kafka.start();
    assert_eq!(kafka.end_offsets("orders")[&0], 2);
    assert!(kafka.bootstrap().starts_with("127.0.0.1:"));
}

#[test]
fn a_stopped_registry_comes_back_on_its_port() {
    let registry = Private::<Registry>::up(&[]);
    assert!(registry.url().starts_with("http://127.0.0.1:"));
    registry.stop();
    registry.get("/subjects").unwrap_err();
    registry.start();
    assert_eq!(registry.get("/subjects").unwrap(), "[]");
}
