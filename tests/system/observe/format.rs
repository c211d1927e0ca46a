//! What `/metrics` answers is what Prometheus reads.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::plain::{Line, SOON};

#[test]
fn every_metric_has_its_help_its_type_and_a_name_by_the_rules() {
    let text = scraped();
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    let mut helped: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(types.insert(name, kind).is_none(), "{name} comes twice");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
            assert!(name.starts_with("ordermill_"), "{name}");
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            helped.push(rest.split_once(' ').unwrap().0);
        } else {
            let name = line.split(['{', ' ']).next().unwrap();
            let parts = ["_bucket", "_sum", "_count"];
            let of = parts.iter().filter_map(|part| name.strip_suffix(part)).chain([name]);
            assert!(of.into_iter().any(|name| types.contains_key(name)), "{line}");
            assert!(!line.ends_with("NaN") && !line.ends_with("Inf"), "{line}");
        }
    }
    helped.sort_unstable();
    assert_eq!(helped, types.keys().copied().collect::<Vec<_>>());
    assert!(types.len() >= 15, "{types:?}");
}

#[test]
fn promtool_finds_nothing_wrong() {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut promtool = promtool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(scraped().as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

/// A scrape in which every kind of series has a value.
fn scraped() -> String {
    let line = Line::new(2);
    line.orders(0..20, 2);
    let mut mill = line.run();
    line.wait_rows(&mut mill, 20);
    let mut text = String::new();
    mill.wait_until(SOON, "all is known", |mill| {
        text = mill.get("/metrics").1;
        let wanted = ["consumer_lag_seconds{", "consumer_committed_offset{", "topic_partitions{"];
        wanted.iter().all(|series| text.contains(&format!("ordermill_{series}")))
    });
    text
}
