//! The dashboard's form: what Grafana reads, and what makes it usable in any cluster. What its panels show is tested beside
//! running processes (`system`, observe::dashboard).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{json, names, output, text, tool};

const FILE: &str = "helm/ordermill/dashboards/ordermill.json";

#[test]
fn grafana_knows_every_field() {
    output(tool("python").args(["scripts/oracle/dashboard_form.py", FILE]));
}

#[test]
fn it_stays_itself_and_fits_a_config_map() {
    let text = text(FILE);
    assert_eq!(json(&text)["uid"], "ordermill");
    assert!(text.len() < 1024 * 1024);
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit() {
    for panel in panels() {
        let title = panel["title"].as_str().unwrap();
        let said = |pointer: &str| panel.pointer(pointer).is_some_and(|v| v.as_str() != Some(""));
        assert!(said("/description"), "{title}: description");
        assert!(said("/fieldConfig/defaults/unit"), "{title}: unit");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
    }
}

#[test]
fn every_query_is_of_the_chosen_groups_and_of_no_cluster() {
    for (title, expr) in queries() {
        assert!(expr.contains("group=~\"$group\""), "{title}: {expr}");
        for word in ["job=", "namespace=", "instance=", "pod=", "delta(", "irate("] {
            assert!(!expr.contains(word), "{title}: {word}: {expr}");
        }
        // a rate over a fixed time is empty at one zoom and blurred at another
        for rest in expr.split("rate(").skip(1) {
            assert!(rest.contains("[$__rate_interval]"), "{title}: {expr}");
        }
        // two processes show one partition while it moves
        for gauge in ["lag_records", "lag_seconds", "watermark_offset", "committed_offset"] {
            let summed = format!("sum(ordermill_consumer_{gauge}");
            assert!(!expr.contains(&summed), "{title}: {expr}");
        }
    }
}

#[test]
fn panels_do_not_overlap() {
    let mut taken = BTreeSet::new();
    for panel in panels() {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|k| panel["gridPos"][k].as_u64().unwrap());
        assert!(x + w <= 24, "{}", panel["title"]);
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{}", panel["title"]);
        }
    }
}

#[test]
fn links_lead_to_runbooks_and_every_runbook_is_linked() {
    let mut linked = BTreeSet::new();
    for panel in panels() {
        for link in panel["links"].as_array().into_iter().flatten() {
            let page = link["url"].as_str().unwrap().strip_prefix("${runbooks}/").unwrap();
            linked.insert(page.to_owned());
        }
    }
    assert_eq!(linked, names("docs/runbooks").into_iter().collect());
}

/// All panels but rows.
fn panels() -> Vec<Value> {
    let dashboard = json(&text(FILE));
    let panels = dashboard["panels"].as_array().unwrap();
    panels.iter().filter(|panel| panel["type"] != "row").cloned().collect()
}

fn queries() -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |panel: &Value| {
        let targets = panel["targets"].as_array().unwrap().clone();
        let title = text(&panel["title"]);
        targets.into_iter().map(move |target| (title.clone(), text(&target["expr"])))
    };
    panels().iter().flat_map(of).collect()
}
