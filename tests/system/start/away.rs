//! What is away at start is waited for: said once, seen on `/readyz`, at no cost, and over when it comes.

use std::time::Duration;

use crate::plain::{Line, wait_state};
use crate::support::{Closed, Process, Services, holds_within};

/// How long a process is watched waiting: several tries.
const WATCHED: Duration = Duration::from_secs(4);

#[test]
fn a_broker_that_is_away_is_waited_for() {
    let kafka = Services::get().kafka.bootstrap();
    let gate = Closed::before(kafka);
    let line = Line::new(1).set(kafka, &gate.address());
    waits_for(&line, &gate, &["kafka", &gate.address(), "refused"]);
}

#[test]
fn a_registry_that_is_away_is_waited_for_when_the_contract_is_not_at_hand() {
    let registry = &Services::get().registry;
    let gate = Closed::before(registry.address());
    let mut line = Line::new(1).set(registry.url(), &registry.url_by(&gate.address()));
    line.settings.push_str("avro: nothing-here\n");
    waits_for(&line, &gate, &["registry", &gate.address(), "refused"]);
}

#[test]
fn a_postgres_that_is_away_is_waited_for() {
    let line = Line::new(1);
    let gate = Closed::before(line.database.address());
    let (url, by) = (line.database.url().to_owned(), line.database.url_by(&gate.address()));
    waits_for(&line.set(&url, &by), &gate, &["PostgreSQL", &gate.address(), "refused"]);
}

/// Runs the line behind a shut gate, looks at how it waits, opens the gate, and sees it work.
#[track_caller]
fn waits_for(line: &Line, gate: &Closed, words: &[&str]) {
    line.orders(0..10, 1);
    let mut mill = line.run();
    let (status, said) = wait_state(&mut mill, "refused");
    assert_eq!(status, 503, "{said}");
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
    let (used, before) = (mill.cpu_seconds(), lines(&mill));
    assert_eq!(before, 1, "{}", mill.stderr());
    let restless = holds_within(WATCHED, || mill.exit().is_some() || lines(&mill) > 1);
    assert!(!restless, "{}", mill.stderr());
    let used = mill.cpu_seconds() - used;
    assert!(used < 0.4, "{used} s of processor time while it waited {WATCHED:?}");
    assert_eq!(mill.get("/livez").0, 200);
    assert_eq!(mill.get("/readyz").0, 503);
    gate.open();
    line.wait_rows(&mut mill, 10);
    assert_eq!(wait_state(&mut mill, "running").0, 200);
    assert_eq!(lines(&mill), 1, "{}", mill.stderr());
    mill.sigterm();
    assert_eq!(mill.wait_exit(crate::plain::SOON), Some(0), "{}", mill.stderr());
}

/// How often the log says that it waits.
fn lines(mill: &Process) -> usize {
    mill.stderr().lines().filter(|line| line.contains("waiting to start")).count()
}
