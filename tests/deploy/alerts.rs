//! The alerts: each speaks when it should, says what to do, and is silent otherwise.

use std::collections::BTreeSet;
use std::process::Command;

use crate::support::{names, output, text};

const RULES: &str = "helm/ordermill/rules/ordermill.yml";
const TESTS: &str = "tests/rules/ordermill.yml";

#[test]
fn every_rule_passes_its_tests() {
    output(Command::new("promtool").args(["check", "rules", RULES]));
    output(Command::new("promtool").args(["test", "rules", TESTS]));
}

#[test]
fn every_rule_has_a_test_in_which_it_speaks_and_every_alert_one_in_which_it_is_silent() {
    let (rules, tests) = (text(RULES), text(TESTS));
    for record in named(&rules, "  - record: ") {
        // with the braces of a sample, or inside a rounding
        assert!(tests.contains(&format!("{record}{{")), "nobody expects a value of {record}");
    }
    let silent = |alert: &str| {
        let asked = format!("alertname: {alert},");
        tests.split("\n- name: ").skip(1).any(|test| {
            let (name, _) = test.split_once('\n').unwrap();
            let lines = || test.lines().filter(|line| line.trim().contains(&asked));
            // or others of its kind in the same test are, as its name says
            let here = lines().next().is_some() || test.contains(&format!("alertname: {alert}\n"));
            lines().any(|line| line.contains("exp_alerts: []")) || here && name.contains("silent")
        })
    };
    for alert in named(&rules, "  - alert: ") {
        assert!(tests.contains(&runbook(alert)), "nobody expects {alert}");
        assert!(silent(alert), "{alert} is never silent");
    }
}

#[test]
fn every_alert_has_a_severity_a_summary_and_its_own_runbook() {
    let rules = text(RULES);
    for block in rules.split("  - alert: ").skip(1) {
        let alert = block.lines().next().unwrap();
        let has = |word: &str| block.contains(word);
        assert!(has("severity: warning") || has("severity: critical"), "{alert}: severity");
        assert!(has("      summary: "), "{alert}: summary");
        assert!(has(&format!("      runbook_url: {}\n", runbook(alert))), "{alert}: runbook_url");
    }
}

#[test]
fn alerts_and_runbooks_are_the_same() {
    let rules = text(RULES);
    let alerts: BTreeSet<_> =
        named(&rules, "  - alert: ").map(|alert| format!("{alert}.md")).collect();
    assert!(alerts.len() >= 9, "{alerts:?}");
    assert_eq!(alerts, names("docs/runbooks").into_iter().collect());
}

#[test]
fn a_runbook_is_one_page_with_the_same_four_parts() {
    for file in names("docs/runbooks") {
        let page = text(&format!("docs/runbooks/{file}"));
        let heads: Vec<_> = page.lines().filter(|line| line.starts_with('#')).collect();
        let title = format!("# {}", file.strip_suffix(".md").unwrap());
        assert_eq!(
            heads,
            [&title as &str, "## Meaning", "## Impact", "## Diagnosis", "## Mitigation"],
            "{file}"
        );
        let lines = page.lines().count();
        assert!((25..=70).contains(&lines), "{file} has {lines} lines");
        assert!(
            page.contains("\nordermill ") || page.contains(" ordermill "),
            "{file}: no command"
        );
    }
}

fn named<'t>(rules: &'t str, head: &'t str) -> impl Iterator<Item = &'t str> {
    rules.lines().filter_map(move |line| line.strip_prefix(head))
}

fn runbook(alert: &str) -> String {
    format!("docs/runbooks/{alert}.md")
}
