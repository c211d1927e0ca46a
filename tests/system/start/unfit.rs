//! What only a live system can tell is found at the first contact: exit code 78, and what to do.

use crate::plain::{Line, SOON, settings};
use crate::support::{Services, fresh};

#[test]
fn a_topic_that_is_not_there_ends_the_start() {
    let line = Line::without_topic();
    let topic = format!("topic {} does not exist; create it", line.topic);
    refused(&line, &[&topic, "pipelines/orders.yaml"]);
}

#[test]
fn a_dead_letter_topic_that_is_not_there_ends_the_start() {
    let line = Line::new(3).say(".dlq", ".letters");
    let topic = format!("dead-letter topic {}.letters does not exist", line.topic);
    refused(&line, &[&topic, "create it with 3 partitions", "pipelines/orders.yaml"]);
}

#[test]
fn a_subject_that_nobody_knows_ends_the_start() {
    let line = Line::new(1).say("tombstone:", "schema: nobody.knows\n  tombstone:");
    refused(&line, &["nobody.knows", "avro", "registry", "register"]);
}

#[test]
fn a_table_that_is_not_there_ends_the_start() {
    let line = Line::new(1).say("table: orders", "table: warehouse.orders");
    refused(&line, &["table warehouse.orders", "create it", "pipeline file"]);
}

#[test]
fn a_table_that_does_not_fit_ends_the_start_with_all_that_is_wrong() {
    let line = Line::new(1);
    line.database.query("DROP TABLE orders; CREATE TABLE orders (n date, city text NOT NULL)");
    let problems = [
        "no column note; it has n, city",
        "column n (date) cannot take",
        "column city takes no null and has no default",
    ];
    refused(&line, &problems);
}

#[test]
fn a_statement_that_the_database_refuses_ends_the_start_with_all_that_is_wrong() {
    let statement = "execute: UPDATE orders SET note = :n WHERE n = :note, rows: 1";
    let line = executing(statement);
    let problems = [
        "parameter :n (text) cannot take int",
        "parameter :note (int8) cannot take string",
        ":name::type",
    ];
    refused(&line, &problems);
    let line = executing("execute: UPDATE orders SET noot = :note WHERE n = :n");
    refused(&line, &["column \"noot\"", "at `noot = $1"]);
}

/// A line with a statement in the place of its insert.
fn executing(statement: &str) -> Line {
    let line = Line::new(1);
    let (start, _) = line.pipeline.split_once("sink:").unwrap();
    let sink = format!("sink: {{ sql: {{ database: orders, timeout: 3s, {statement} }} }}\n");
    let dead =
        format!("dead_letter: {{ topic: {} }}\nlimits: {{ drain: 5s }}\n", line.dead_letters());
    Line { pipeline: format!("{start}{sink}{dead}"), ..line }
}

#[test]
fn a_role_that_may_not_insert_ends_the_start_with_the_grant() {
    let (line, role) = with_role("SELECT ON orders");
    line.database.query(&format!("GRANT CREATE ON SCHEMA public TO {role}"));
    refused(&line, &["no INSERT", "GRANT INSERT", "orders", &role]);
}

#[test]
fn a_role_that_may_not_keep_progress_ends_the_start_with_the_grant() {
    let (line, role) = with_role("INSERT ON orders");
    // made by its owner, as a first run does
    let first = Line { settings: unprivileged(&line, "postgres"), ..line };
    let mut mill = first.run();
    crate::plain::wait_state(&mut mill, "running");
    mill.kill9();
    let line = Line { settings: unprivileged(&first, &role), ..first };
    let grant = format!("GRANT SELECT, INSERT, UPDATE ON ordermill_progress TO \"{role}\"");
    refused(&line, &["may not use the tables", &grant]);
}

#[test]
fn a_role_that_may_not_make_the_progress_table_is_told_the_statement() {
    let (line, role) = with_role("INSERT ON orders");
    let grant = format!("TO \"{role}\"");
    refused(&line, &["CREATE TABLE IF NOT EXISTS ordermill_progress", "GRANT", &grant]);
}

#[test]
fn a_database_that_is_not_there_ends_the_start() {
    let line = Line::new(1);
    let url = line.database.url().to_owned();
    let none = fresh("none");
    let other = format!("{}/{none}", url.rsplit_once('/').unwrap().0);
    refused(&line.set(&url, &other), &[&none, "does not exist"]);
}

/// A line whose database is reached as a fresh role that has only this grant.
fn with_role(grant: &str) -> (Line, String) {
    let line = Line::new(1);
    let role = fresh("clerk");
    line.database.query(&format!("CREATE ROLE {role} LOGIN; GRANT {grant} TO {role}"));
    (Line { settings: unprivileged(&line, &role), ..line }, role)
}

fn unprivileged(line: &Line, role: &str) -> String {
    let services = Services::get();
    let url = line.database.url_of(role);
    settings(services.kafka.bootstrap(), services.registry.url(), &url)
}

/// Runs the line: it ends with 78 and says all of this in its last line.
#[track_caller]
fn refused(line: &Line, words: &[&str]) {
    let mut mill = line.run();
    assert_eq!(mill.wait_exit(SOON), Some(78), "{}", mill.stderr());
    let log = mill.stderr();
    let last = log.lines().last().unwrap();
    for word in words {
        assert!(last.contains(word), "{word}: {last}");
    }
}
