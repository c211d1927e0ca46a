//! Mistakes in files end the start before anything begins: all at once, each at its place.

use crate::plain::{Line, SOON};
use crate::support::Ordermill;

/// What stands in no service's way: nothing is asked of it.
const SETTINGS: &str = "kafka: { bootstrap: \"127.0.0.1:1\" }\n\
    registry: { url: \"http://127.0.0.1:1\" }\n\
    databases: { orders: { postgres: { url: \"postgres://127.0.0.1:1/orders\" } } }\n";

const PIPELINE: &str = "name: orders
source: { topic: orders.created }
sink:
  sql: { database: orders, insert: { table: orders } }
";

#[test]
fn all_mistakes_of_all_files_are_said_at_once_with_their_places() {
    let broken = "name: Orders 1
source: { topic: orders.created, tombston: drop }
stages:
  - filtre: event.n > 0
sink:
  sql: { database: orders, insert: { table: orders }, timeout: 1 fortnight }
retry: { attempts: 0 }
";
    let other = PIPELINE.replace("name: orders\n", "name: orders\ngroup: mine\n");
    let mill = run(SETTINGS).file("pipelines/a.yaml", broken).file("pipelines/b.yaml", &other);
    refused(
        mill,
        &[
            ("pipelines/a.yaml:1:7:", "Orders 1"),
            ("pipelines/a.yaml:2:34:", "did you mean `tombstone`?"),
            ("pipelines/a.yaml:4:5:", "did you mean `filter`?"),
            ("pipelines/a.yaml:6:64:", "1 fortnight"),
            ("pipelines/a.yaml:7:20:", "attempts"),
            ("pipelines/b.yaml:2:1:", "group"),
        ],
    );
}

#[test]
fn what_a_pipeline_file_says_of_its_schema_is_checked_before_anything_begins() {
    let line = Line::without_topic()
        .say("n: event.n", "n: event.m")
        .say("note: event.note", "note: event.note + 1");
    let mill = line.command(&["run"]).with_http();
    let place = "pipelines/orders.yaml:";
    refused(mill, &[(&format!("{place}13:18:"), "no field `m`"), (&format!("{place}14:26:"), "+")]);
}

#[test]
fn expressions_are_checked_in_a_file_that_is_wrong_elsewhere_too() {
    let line = Line::without_topic()
        .say("- filter: event.n >= 0", "- filter: event.m >= 0\n  - keep: [n, note]")
        .say("n: event.n\n", "n: event.n +\n")
        .say("note: event.note", "note: event.nota")
        .say("rows: 1000", "rows: many")
        .say("every: 100ms", "evry: 100ms");
    let place = |place: &str| format!("pipelines/orders.yaml:{place}:");
    let said = refused(
        line.command(&["run"]).with_http(),
        &[
            (&place("6:19"), "did you mean `n`?"),
            (&place("14:21"), "not CEL"),
            (&place("15:21"), "did you mean `note`?"),
            (&place("18:20"), "many"),
            (&place("19:23"), "did you mean `every`?"),
        ],
    );
    assert_eq!(said.lines().count(), 5, "{said}");
}

#[test]
fn a_password_in_the_settings_is_refused_and_not_repeated() {
    let settings = SETTINGS.replace("postgres://127", "postgres://mill:hunter2@127");
    let mill = run(&settings).file("pipelines/orders.yaml", PIPELINE);
    let said = refused(mill, &[("ordermill.yaml:3:", "env")]);
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn two_pipelines_of_one_group_are_refused() {
    let other = PIPELINE
        .replace("name: orders", "name: other")
        .replace("created }", "created, group: ordermill.orders }");
    let mill = run(SETTINGS).file("pipelines/a.yaml", PIPELINE).file("pipelines/b.yaml", &other);
    refused(
        mill,
        &[("pipelines/b.yaml:2:", "group `ordermill.orders` is used in pipelines/a.yaml")],
    );
}

#[test]
fn a_database_that_the_settings_do_not_have_is_refused() {
    let other = PIPELINE.replace("database: orders", "database: order");
    let mill = run(SETTINGS).file("pipelines/orders.yaml", &other);
    refused(mill, &[("pipelines/orders.yaml:4:", "did you mean `orders`?")]);
}

#[test]
fn a_setting_that_is_missing_is_named_with_its_variable() {
    let mill = run("databases: { orders: { sqlite: { path: orders.db } } }\n")
        .file("pipelines/orders.yaml", PIPELINE);
    refused(mill, &[("ordermill.yaml:", "ORDERMILL_KAFKA_BOOTSTRAP")]);
}

fn run(settings: &str) -> Ordermill {
    Ordermill::new(["run"]).with_http().file("ordermill.yaml", settings)
}

/// Runs it: it ends with 78, says each of these at its place, each in a line of its own, and listens nowhere.
#[track_caller]
fn refused(mill: Ordermill, problems: &[(&str, &str)]) -> String {
    let mut mill = mill.start();
    assert_eq!(mill.wait_exit(SOON), Some(78), "{}", mill.stderr());
    let said = mill.stderr();
    for (place, words) in problems {
        let found = said.lines().any(|line| line.contains(place) && line.contains(words));
        assert!(found, "{place} … {words}:\n{said}");
    }
    assert!(said.lines().count() <= problems.len() + 1, "{said}");
    assert!(!said.contains("http listening"), "{said}");
    said
}
