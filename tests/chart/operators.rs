//! What other operators act on: who scales, who scrapes, who alerts, who draws.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::helm::{BROKERS, CHART, one, pipeline, read};

#[test]
fn who_scales_owns_the_number_of_replicas() {
    let Some(helm) = one() else { return };
    let file = pipeline("order-log");
    let replicas = |more: &str| {
        let rendered = helm.render("x", &[&file, "--set", BROKERS, more]);
        rendered.get("Deployment", "order-log")["spec"].get("replicas").cloned()
    };
    assert_eq!(replicas("--set=pipelines.order-log.replicas=4"), Some(json!(4)));
    assert_eq!(replicas("--set=defaults.keda.enabled=true,defaults.partitions=6"), None);
    assert_eq!(replicas("--set=defaults.autoscaling.enabled=true"), None);
}

#[test]
fn keda_stops_at_the_partitions_and_comes_down_slowly() {
    let Some(helm) = one() else { return };
    let more =
        "--set=defaults.keda.enabled=true,defaults.partitions=12,defaults.keda.pausedReplicas=0";
    let rendered = helm.render("x", &[&pipeline("order-log"), "--set", BROKERS, more]);
    let scaler = rendered.get("ScaledObject", "order-log");
    assert_eq!(scaler["spec"]["maxReplicaCount"], 12);
    assert_eq!(scaler["spec"]["minReplicaCount"], 1);
    assert_eq!(scaler["metadata"]["annotations"]["autoscaling.keda.sh/paused-replicas"], "0");
    let down =
        &scaler["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"];
    assert_eq!(down["stabilizationWindowSeconds"], 300);
    let trigger = &scaler["spec"]["triggers"][0]["metadata"];
    assert_eq!(trigger["bootstrapServers"], "kafka:9092");
    assert_eq!(trigger["lagThreshold"], "1000");
}

#[test]
fn keda_reads_the_secrets_that_the_service_reads() {
    let Some(helm) = one() else { return };
    let rendered = helm.render("x", &[&format!("--values={CHART}/ci/keda-values.yaml")]);
    let scaler = rendered.get("ScaledObject", "inventory");
    let trigger = &scaler["spec"]["triggers"][0];
    assert_eq!(trigger["metadata"]["sasl"], "scram_sha256");
    assert_eq!(trigger["metadata"]["tls"], "enable");
    assert_eq!(trigger["authenticationRef"]["name"], "x-ordermill");
    let authentication = rendered.get("TriggerAuthentication", "x-ordermill");
    assert_eq!(
        authentication["spec"]["secretTargetRef"],
        json!([{ "parameter": "ca", "name": "kafka-ca", "key": "ca.crt" },
               { "parameter": "password", "name": "kafka-user", "key": "password" }])
    );
    let user = &authentication["spec"]["configMapTargetRef"][0];
    let map = rendered.get("ConfigMap", user["name"].as_str().unwrap());
    assert_eq!(map["data"][user["key"].as_str().unwrap()], "ordermill");
    let container = &rendered.pods("inventory")["containers"][0];
    let variable =
        container["env"].as_array().unwrap().iter().find(|v| v["name"] == "KAFKA_PASSWORD");
    let expected = json!({ "secretKeyRef": { "name": "kafka-user", "key": "password" } });
    assert_eq!(variable.unwrap()["valueFrom"], expected);
    assert!(rendered.all("Secret").is_empty(), "the chart makes no Secret");
}

#[test]
fn prometheus_finds_the_monitor_and_the_rules_by_their_labels() {
    let Some(helm) = one() else { return };
    let labels = ["serviceMonitor", "prometheusRule"]
        .map(|of| format!("--set={of}.enabled=true,{of}.additionalLabels.release=kps"));
    let rendered =
        helm.render("x", &[&pipeline("order-log"), "--set", BROKERS, &labels[0], &labels[1]]);
    for kind in ["ServiceMonitor", "PrometheusRule"] {
        assert_eq!(rendered.get(kind, "x-ordermill")["metadata"]["labels"]["release"], "kps");
    }
    let monitor = &rendered.get("ServiceMonitor", "x-ordermill")["spec"];
    let service = rendered.get("Service", "x-ordermill");
    for (key, value) in monitor["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(service["metadata"]["labels"][key], *value);
    }
    assert_eq!(monitor["endpoints"][0]["port"], service["spec"]["ports"][0]["name"]);
}

#[test]
fn rules_are_those_of_the_files_but_what_is_left_out() {
    let Some(helm) = one() else { return };
    let mut groups = Vec::new();
    for file in files("rules") {
        let whole = read(&fs::read_to_string(file).unwrap());
        groups.extend(whole["groups"].as_array().unwrap().clone());
    }
    let alerts: Vec<_> = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .filter_map(|rule| rule["alert"].as_str())
        .collect();
    let enabled = "--set=prometheusRule.enabled=true";
    let rendered = helm.render("x", &[enabled]);
    assert_eq!(rendered.get("PrometheusRule", "x-ordermill")["spec"]["groups"], json!(groups));
    let without = format!("--set=prometheusRule.disabled[0]={}", alerts[0]);
    let rendered = helm.render("x", &[enabled, &without]);
    let text = rendered.get("PrometheusRule", "x-ordermill").to_string();
    for alert in &alerts {
        let quoted = format!("\"{alert}\"");
        assert_eq!(text.contains(&quoted), *alert != alerts[0], "{alert}");
    }
}

#[test]
fn dashboards_arrive_byte_for_byte() {
    let Some(helm) = one() else { return };
    let rendered =
        helm.render("x", &["--set=dashboards.enabled=true,dashboards.namespace=grafana"]);
    let map = rendered.get("ConfigMap", "dashboards");
    assert_eq!(map["metadata"]["namespace"], "grafana");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    let files = files("dashboards");
    assert_eq!(map["data"].as_object().unwrap().len(), files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.len() < 1 << 20, "too large for a ConfigMap");
        assert!(map["data"][file.file_name().unwrap().to_str().unwrap()] == *text);
    }
}

fn files(folder: &str) -> Vec<std::path::PathBuf> {
    let folder = fs::read_dir(Path::new(CHART).join(folder)).unwrap();
    let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}
