//! What is shown to a person who asks or errs.

use std::net::TcpListener;

use clap::CommandFactory as _;
use ordermill::cli::Args;

use super::end;
use crate::plain::Line;
use crate::support::Ordermill;

/// Every page of help: the words before `--help`, and whether commands stand below it.
fn pages() -> Vec<(Vec<String>, bool)> {
    fn below(command: &clap::Command, path: &[String], all: &mut Vec<(Vec<String>, bool)>) {
        all.push((path.to_vec(), command.has_subcommands()));
        for command in command.get_subcommands() {
            below(command, &[path, &[command.get_name().to_owned()]].concat(), all);
        }
    }
    let mut all = Vec::new();
    below(&Args::command(), &[], &mut all);
    assert!(all.len() > 10, "{all:?}");
    all
}

#[test]
fn every_page_of_help_fits_eighty_columns_and_shows_how_to_call_it() {
    for (page, is_family) in pages() {
        for flag in ["-h", "--help"] {
            let args = page.iter().map(String::as_str).chain([flag]);
            let (code, out, error) = end(Ordermill::new(args));
            assert_eq!((code, error.as_str()), (Some(0), ""), "{page:?}");
            let called = [&["ordermill".to_owned()], &*page].concat().join(" ");
            assert!(out.contains(&format!("Usage: {called}")), "{called}: {out}");
            for line in out.lines() {
                assert!(line.chars().count() <= 80, "{page:?} {flag}: {line}");
            }
            let example = out.split_once("Example").map(|(_, example)| example.contains(&called));
            assert!(is_family || example == Some(true), "{called} has no example of itself: {out}");
        }
    }
}

#[test]
fn what_is_typed_wrongly_ends_with_two_and_what_would_be_right() {
    let typed: &[(&[&str], &str)] = &[
        (&["rum"], "'run'"),
        (&["run", "--htpp", "127.0.0.1:0"], "'--http'"),
        (&["produce"], "<TOPIC>"),
        (&["produce", "orders"], "--tpch"),
        (&["produce", "orders", "file", "--tpch", "1"], "cannot be used with"),
        (&["group", "describe"], "<GROUP>"),
        (&["group", "reset"], "<NAME>"),
        (&["group", "reset", "a"], "--to-earliest"),
        (&["group", "reset", "a", "--to-earliest", "--to-offset", "3"], "cannot be used with"),
        (&["group", "reset", "a", "--to-offset", "b=3"], "orders.created:3=1200"),
        (&["group", "reset", "a", "--to-datetime", "2026-01-05"], "with its zone"),
        (&["demo", "--orders", "0"], "1..=1500000"),
        (&["test", "-o", "yaml"], "table, json"),
        (&["tail", "t", "--from", "yesterday"], "2026-01-05T10:00:00Z"),
        (&["topic", "apply", "--partitions", "0"], "1..=100000"),
        (&["topic", "apply", "--dead-letter-retention", "30"], "30d"),
        (&["config", "show", "-o", "table"], "yaml, json"),
        (&[], "Usage: ordermill"),
    ];
    ends_with(2, typed);
}

#[test]
fn settings_that_cannot_be_end_with_78() {
    let typed: &[(&[&str], &str)] = &[
        (&["run", "--http", "everywhere"], "http.listen"),
        (&["run", "--kafka", "no port"], "kafka.bootstrap"),
        (&["run", "--config", "none.yaml"], "none.yaml"),
        (&["run", "--log-level", "loud=very"], "telemetry.level"),
        (&["group", "describe", "g"], "ORDERMILL_KAFKA_BOOTSTRAP"),
        (&["schema", "register", "s", "none.avsc"], "ORDERMILL_REGISTRY_URL"),
        (&["schema", "list"], "ORDERMILL_REGISTRY_URL"),
        (&["schema", "check"], "ORDERMILL_REGISTRY_URL"),
        (&["topic", "list"], "ORDERMILL_KAFKA_BOOTSTRAP"),
        (&["tail", "t"], "ORDERMILL_REGISTRY_URL"),
        (&["config", "show", "--kafka", "no port"], "kafka.bootstrap"),
    ];
    ends_with(78, typed);
}

#[test]
fn an_address_that_is_taken_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, error) = end(Line::without_topic().command(&["run", "--http", &address]));
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains(&address) && error.contains("--http"), "{error}");
}

#[track_caller]
fn ends_with(expected: i32, typed: &[(&[&str], &str)]) {
    for (args, words) in typed {
        let (code, out, error) = end(Ordermill::new(*args));
        assert_eq!((code, out.as_str()), (Some(expected), ""), "{args:?}: {error}");
        assert!(error.contains(words), "{args:?}: {words}: {error}");
    }
}
