//! `group reset`: the plan changes nothing, its execution moves all or nothing, and again repairs.

use serde_json::Value;

use super::{digest, end, progress, stop, wait_committed};
use crate::plain::{Line, SOON, create_topics_at, settings};
use crate::support::{Gate, Kafka, Lock, Private, Services, wait_until};

const RECORDS: i64 = 300;

/// A line that has done all its records and has stopped.
fn done(line: &Line) {
    line.orders(0..RECORDS, 3);
    let mut mill = line.run();
    line.wait_rows(&mut mill, RECORDS);
    wait_committed(line, &mut mill, RECORDS);
    stop(mill);
}

#[test]
fn a_table_that_was_emptied_and_rebuilt_by_a_reset_equals_the_first_one() {
    let line = Line::new(3).say("conflict: reject", "conflict: ignore");
    done(&line);
    let (first, stood) = (digest(&line), progress(&line));
    line.database.query(&format!("TRUNCATE {}", line.table));

    let reset = ["group", "reset", &line.name, "--to-earliest"];
    let (code, out, error) = end(&line, &reset);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{out}");
    let rows: Vec<Vec<&str>> = out.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[1], ["TOPIC", "PARTITION", "FROM", "TO", "RECORDS"]);
    assert_eq!(rows[2], [&line.topic, "0", "100", "0", "100", "again"]);
    assert!(out.contains("300 records are read again: the rows are inserted again"), "{out}");
    assert!(out.ends_with("nothing was changed; --execute does it\n"), "{out}");
    assert_eq!(progress(&line), stood);

    let (code, out, error) = end(&line, &[&reset[..], &["--execute", "-o", "json"]].concat());
    assert_eq!(code, Some(0), "{error}");
    let said: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&said["executed"], &said["replay"]), (&true.into(), &"run".into()));
    assert_eq!(line.committed().values().sum::<i64>(), 0);
    let mut mill = line.run();
    line.wait_rows(&mut mill, RECORDS);
    wait_committed(&line, &mut mill, RECORDS);
    stop(mill);
    assert_eq!(digest(&line), first);
}

#[test]
fn a_group_that_runs_is_not_moved_and_its_members_are_named() {
    let line = Line::new(3).say("conflict: reject", "conflict: ignore");
    line.orders(0..RECORDS, 3);
    let mut mill = line.run();
    line.wait_rows(&mut mill, RECORDS);
    wait_committed(&line, &mut mill, RECORDS);
    let stood = progress(&line);
    let reset = ["group", "reset", &line.group(), "--to-earliest", "--execute"];
    let (code, _, error) = end(&line, &reset);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("it has members: ordermill at /127.0.0.1 with 3 partitions"), "{error}");
    assert_eq!(progress(&line), stood);
    assert_eq!(line.committed().values().sum::<i64>(), RECORDS);
    line.orders(RECORDS..RECORDS + 3, 3);
    line.wait_rows(&mut mill, RECORDS + 3);
    let (_, listed, _) = end(&line, &["group", "list", "-o", "json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let found = listed["groups"].as_array().unwrap().iter().find(|g| g["group"] == line.group());
    assert_eq!(
        (&found.unwrap()["state"], &found.unwrap()["members"]),
        (&"Stable".into(), &1.into())
    );
    stop(mill);
}

#[test]
fn a_reset_to_what_is_not_there_changes_nothing() {
    let line = Line::new(3);
    done(&line);
    let stood = progress(&line);
    let beyond = format!("{}:1=101", line.topic);
    let strange = format!("{}:3=1", line.topic);
    for (args, words) in [
        (["--to-offset", &beyond], "its log holds 0 to 100"),
        (["--to-offset", &strange], "is no partition of the pipeline's topics"),
        (["--from-file", "none.csv"], "none.csv"),
        (["--to-offset=1", "--topic=other"], "other is no topic of the pipeline"),
    ] {
        let reset = [&["group", "reset", &line.name, "--execute"][..], &args].concat();
        let (code, _, error) = end(&line, &reset);
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains(words), "{args:?}: {error}");
    }
    let (code, _, error) = end(&line, &["group", "reset", "nobody", "--to-earliest"]);
    assert!(code == Some(1) && error.contains("no pipeline or group nobody"), "{error}");
    assert_eq!(progress(&line), stood);
    assert_eq!(line.committed().values().sum::<i64>(), RECORDS);
}

/// The reset is killed when it has moved the database and cannot reach Kafka.
#[test]
fn a_reset_that_was_killed_between_database_and_kafka_is_repaired_by_another() {
    let gate = Gate::shut();
    let advertised = format!("advertised.listeners=PLAINTEXT://{}", gate.address());
    let kafka = Private::<Kafka>::up(&[&advertised]);
    gate.open(kafka.bootstrap());
    let mut line = Line::without_topic();
    let registry = Services::get().registry.url();
    line.settings = settings(kafka.bootstrap(), registry, line.database.url());
    line.settings = line.settings.replace(kafka.bootstrap(), &gate.address().to_string());
    line.kafka = Some(kafka.bootstrap().to_owned());
    create_topics_at(kafka.bootstrap(), &[&line.topic, &line.dead_letters()], 3);
    let committed = || {
        let groups = kafka.group(&line.group());
        groups.values().map(|at| at.committed.unwrap_or(0)).sum::<i64>()
    };
    line.orders(0..RECORDS, 3);
    let mut mill = line.run();
    line.wait_rows(&mut mill, RECORDS);
    mill.wait_until(SOON, "all is committed", |_| committed() == RECORDS);
    stop(mill);

    let lock = Lock::on_rows(&line.database, "ordermill_progress");
    let reset = ["group", "reset", &line.name, "--to-earliest", "--execute"];
    let mut mill = line.command(&reset).start();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
        AND wait_event_type = 'Lock'";
    mill.wait_until(SOON, "it waits for the rows", |_| line.database.query(waiting) != "0");
    gate.open("127.0.0.1:1");
    drop(lock);
    let moved = "SELECT sum(next) || '/' || sum(replay_mark) FROM ordermill_progress";
    wait_until(SOON, "the database has moved", || line.database.query(moved) == "0/300");
    assert!(mill.exit().is_none(), "{}", mill.stderr());
    mill.kill9();
    gate.open(kafka.bootstrap());
    assert_eq!(committed(), RECORDS);

    let (code, out, error) = end(&line, &reset);
    assert_eq!(code, Some(0), "{out}{error}");
    assert_eq!((committed(), line.database.query(moved).as_str()), (0, "0/300"));
}
