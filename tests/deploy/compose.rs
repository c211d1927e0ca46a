//! docker-compose.yml: what the real Compose makes of it.

use std::process::Command;

use serde_json::{Map, Value};

use crate::support::{compose, json, output, path, run, tool};

/// Services that run once and end.
const ONCE: [&str; 3] = ["topics", "contracts", "orders"];

#[test]
fn compose_takes_the_file_and_would_not_take_any() {
    output(&mut compose(&["config", "-q"]));
    let (good, ..) = run(&mut compose(&["-f", "Makefile", "config", "-q"]));
    assert!(!good, "what passes everything says nothing");
}

#[test]
fn every_service_is_pinned_checked_and_reached_from_this_machine_alone() {
    for (name, service) in services() {
        let image = service["image"].as_str().unwrap();
        let (_, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{name}: {image}"));
        assert!(tag.contains('.'), "{name}: {image} is no version");
        let checked = service["healthcheck"]["test"].as_array().is_some();
        assert_eq!(checked, !ONCE.contains(&name.as_str()), "{name}: healthcheck");
        for port in service["ports"].as_array().into_iter().flatten() {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name}: {port}");
        }
    }
}

#[test]
fn what_is_missing_is_built_and_runs_without_rights() {
    for (name, service) in services() {
        if service["image"].as_str().unwrap().starts_with("ordermill:") {
            assert_eq!(
                service["build"]["context"].as_str(),
                path("").to_str().map(|p| p.trim_end_matches('/')),
                "{name}"
            );
            assert_eq!(service["read_only"], true, "{name}");
            assert_eq!(service["cap_drop"][0], "ALL", "{name}");
        }
    }
    let version = format!("ordermill:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(services()["ordermill"]["image"], version);
}

#[test]
fn nobody_starts_before_what_it_needs() {
    let all = services();
    let needs = |name: &str, other: &str| {
        all[name]["depends_on"][other]["condition"].as_str().unwrap_or("").to_owned()
    };
    assert_eq!(needs("topics", "kafka"), "service_healthy");
    assert_eq!(needs("contracts", "registry"), "service_healthy");
    assert_eq!(needs("registry", "postgres"), "service_healthy");
    for once in ["topics", "contracts"] {
        assert_eq!(needs("ordermill", once), "service_completed_successfully");
    }
    for up in ["postgres", "mail"] {
        assert_eq!(needs("ordermill", up), "service_healthy");
    }
    assert_eq!(needs("grafana", "prometheus"), "service_healthy");
    assert_eq!(all["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"], "false");
}

#[test]
fn every_file_that_is_mounted_is_there() {
    let mut mounted = 0;
    for (name, service) in services() {
        for volume in service["volumes"].as_array().into_iter().flatten() {
            if volume["type"] == "bind" {
                mounted += 1;
                let source = volume["source"].as_str().unwrap();
                assert!(std::fs::exists(source).unwrap(), "{name}: {source}");
            }
        }
    }
    assert!(mounted > 10);
}

#[test]
fn its_settings_and_its_pipelines_pass_lint() {
    let all = services();
    let volumes = all["ordermill"]["volumes"].as_array().unwrap();
    let pipelines = volumes.iter().filter_map(|volume| {
        let inside = volume["target"].as_str().unwrap();
        inside.starts_with("/etc/ordermill/pipelines/").then(|| volume["source"].as_str().unwrap())
    });
    let pipelines: Vec<_> = pipelines.collect();
    assert!(pipelines.len() >= 4, "{pipelines:?}");
    let mut mill = Command::new(env!("CARGO_BIN_EXE_ordermill"));
    mill.args(["lint", "--offline", "--config", "deploy/compose/ordermill.yaml"]);
    // mounted beside the settings
    mill.env("ORDERMILL_AVRO", path("avro"));
    output(mill.args(pipelines));
}

#[test]
fn prometheus_takes_its_configuration() {
    output(Command::new("promtool").args(["check", "config", "deploy/prometheus.yml"]));
}

#[test]
fn the_dockerfile_has_no_flaw_that_hadolint_knows() {
    output(tool("hadolint").arg("Dockerfile"));
}

fn services() -> Map<String, Value> {
    let said = output(&mut compose(&["--profile", "orders", "config", "--format", "json"]));
    json(&said)["services"].as_object().unwrap().clone()
}
