//! A cluster or a registry that is away is one clear error, within the time-out.

use std::time::{Duration, Instant};

use super::end;
use crate::plain::{Line, settings};
use crate::support::{Closed, Services};

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn a_cluster_that_is_away_is_one_error_that_says_where_it_was_looked_for() {
    let gate = Closed::before("nobody:1");
    let (address, registry) = (gate.address(), Services::get().registry.url());
    let mut line = Line::without_topic();
    line.settings = settings(&address, registry, "postgres://127.0.0.1:1/none");
    let words = [&format!("kafka at {address}") as &str, "refused"];
    let reset = ["group", "reset", &line.name, "--to-earliest", "--execute"];
    // each waits out the same time
    std::thread::scope(|scope| {
        scope.spawn(|| fails(&line, &["produce", &line.topic, "orders.json"], &words));
        scope.spawn(|| fails(&line, &["produce", &line.topic, "--tpch", "0.001"], &words));
        scope.spawn(|| fails(&line, &["group", "describe", &line.group()], &words));
        scope.spawn(|| fails(&line, &["group", "list"], &words));
        scope.spawn(|| fails(&line, &["group", "lag"], &words));

        scope.spawn(|| fails(&line, &reset, &words));
        scope.spawn(|| fails(&line, &["tail", &line.topic], &words));
        scope.spawn(|| fails(&line, &["topic", "list"], &words));
        scope.spawn(|| fails(&line, &["topic", "describe", &line.topic], &words));
        scope.spawn(|| fails(&line, &["topic", "apply"], &words));
        scope.spawn(|| fails(&line, &["lint"], &words));
    });
}

#[test]
fn a_registry_that_is_away_is_one_error_that_says_where_it_was_looked_for() {
    let registry = &Services::get().registry;
    let gate = Closed::before("nobody:1");
    let line = Line::new(1).set(registry.url(), &registry.url_by(&gate.address()));
    let subject = format!("{}-value", line.topic);
    let words = ["the registry at", &gate.address(), "refused"];
    fails(&line, &["schema", "register", &subject], &words);
    fails(&line, &["produce", &line.topic, "orders.json"], &words);
    line.orders(0..1, 1);
    fails(&line, &["tail", &line.topic, "--no-follow"], &words);
    fails(&line, &["lint"], &words);
}

#[track_caller]
fn fails(line: &Line, command: &[&str], words: &[&str]) {
    let began = Instant::now();
    let mill = line.command(command).file("orders.json", "{\"n\":1,\"note\":\"a\"}\n");
    let (code, out, error) = end(mill);
    assert!(began.elapsed() < LIMIT, "{command:?} took {:?}", began.elapsed());
    assert_eq!((code, out.as_str()), (Some(1), ""), "{command:?}: {error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    for word in words {
        assert!(error.contains(word), "{command:?}: {word}: {error}");
    }
}
