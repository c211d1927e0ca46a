//! What is shown to a person who asks or errs.

use std::net::TcpListener;

use super::end;
use crate::plain::Line;
use crate::support::Ordermill;

const PAGES: &[&[&str]] = &[
    &[],
    &["run"],
    &["demo"],
    &["test"],
    &["lint"],
    &["produce"],
    &["schema"],
    &["schema", "register"],
    &["group"],
    &["group", "describe"],
];

#[test]
fn every_page_of_help_fits_eighty_columns_and_says_how_to_call_it() {
    for page in PAGES {
        for flag in ["-h", "--help"] {
            let (code, out, error) = end(Ordermill::new(page.iter().copied().chain([flag])));
            assert_eq!((code, error.as_str()), (Some(0), ""), "{page:?}");
            let usage = format!("Usage: {}", [&["ordermill"], *page].concat().join(" "));
            assert!(out.contains(&usage), "{usage}: {out}");
            for line in out.lines() {
                assert!(line.chars().count() <= 80, "{page:?} {flag}: {line}");
            }
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
        (&["lint"], "--offline"),
        (&["demo", "--orders", "0"], "1..=1500000"),
        (&["test", "-o", "yaml"], "table, json"),
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
