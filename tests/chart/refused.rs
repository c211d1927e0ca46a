//! What the chart refuses, in words that say what to do.

use crate::helm::{BROKERS, both, pipeline, values};

/// A pipeline's file in values, with more lines of its own.
fn inline(name: &str, more: &str, beside: &str) -> String {
    format!(
        "config: {{ kafka: {{ bootstrap: 'kafka:9092' }} }}\npipelines:\n  {name}:\n    file: |\n      \
         name: {name}\n      source: {{ topic: orders }}\n      {more}\n{beside}"
    )
}

/// Each with the value that is wrong set on an otherwise good release, and a part of what must be said.
fn check(cases: &[(&str, &str)]) {
    for helm in both() {
        let good = [pipeline("order-log"), format!("--set={BROKERS}")];
        let good: Vec<_> = good.iter().map(String::as_str).collect();
        helm.text("x", &good).unwrap();
        for (wrong, said) in cases {
            let set = format!("--set={wrong}");
            let Err(found) = helm.text("x", &[&good[..], &[&set]].concat()) else {
                panic!("{wrong} is rendered")
            };
            assert!(found.to_lowercase().contains(&said.to_lowercase()), "{wrong}: {found}");
        }
    }
}

#[test]
fn a_misspelt_value() {
    check(&[
        ("replicaCountt=3", "replicaCountt"),
        ("image.tags=1", "tags"),
        ("defaults.replica=3", "replica"),
        ("pipelines.order-log.kedaa.enabled=true", "kedaa"),
        ("pipelines.order-log.keda.lagTreshold=3", "lagTreshold"),
        ("config.kafka.bootstraps=a", "bootstraps"),
        ("config.kafka.security.sasl.mechanisms=PLAIN", "mechanisms"),
        ("serviceMonitor.intervall=5s", "intervall"),
        ("defaults.podDisruptionBudget.maxUnavailabel=1", "maxUnavailabel"),
    ]);
}

#[test]
fn a_password_in_values() {
    check(&[
        ("password=hunter2", "password"),
        ("kafka.password=hunter2", "kafka"),
        ("secrets.password=hunter2", "password"),
        ("secrets.env.KAFKA_PASSWORD=hunter2", "KAFKA_PASSWORD"),
        ("config.kafka.security.sasl.password=hunter2", "password"),
        ("config.kafka.properties.ssl\\.key\\.password=hunter2", "properties"),
        ("config.registry.auth.password=hunter2", "password"),
        ("config.registry.token=hunter2", "token"),
        ("config.mail.smtp.password=hunter2", "password"),
        ("config.databases.orders.postgres.url=postgres://u:hunter2@db/orders", "url"),
        ("defaults.extraEnv[0].name=DB_PASSWORD,defaults.extraEnv[0].value=hunter2", "extraEnv"),
        ("extraObjects[0].kind=Secret,extraObjects[0].apiVersion=v1", "Secret"),
    ]);
}

#[test]
fn a_stop_that_would_be_killed_before_it_has_drained() {
    check(&[
        ("pipelines.order-log.terminationGracePeriodSeconds=20", "limits.drain"),
        ("defaults.terminationGracePeriodSeconds=5", "limits.drain"),
    ]);
    for helm in both() {
        for (drain, grace, fits) in
            [("90s", 60, false), ("1m30s", 90, false), ("1500ms", 2, false), ("1500ms", 3, true)]
        {
            let grace = format!("    terminationGracePeriodSeconds: {grace}\n");
            let text = inline("a", &format!("limits: {{ drain: {drain} }}"), &grace);
            let (_file, values) = values(&text);
            let rendered = helm.text("x", &[&values]);
            assert_eq!(rendered.is_ok(), fits, "{text}");
        }
    }
}

#[test]
fn two_that_scale_the_same_members() {
    let both = "defaults.partitions=6,defaults.keda.enabled=true,defaults.autoscaling.enabled=true";
    check(&[(both, "both enabled")]);
}

#[test]
fn what_the_file_says_written_again() {
    check(&[
        ("defaults.keda.metadata.consumerGroup=other", "consumerGroup"),
        ("defaults.keda.metadata.lagThreshold=5", "lagThreshold"),
        ("config.http.listen=0.0.0.0:80", "http"),
    ]);
}

#[test]
fn what_cannot_work() {
    check(&[
        ("config.kafka.bootstrap=", "config.kafka.bootstrap"),
        ("defaults.keda.enabled=true", "partitions"),
        (
            "defaults.keda.enabled=true,defaults.partitions=2,defaults.keda.minReplicas=3",
            "minReplicas",
        ),
        ("defaults.podDisruptionBudget.maxUnavailable=0", "maxUnavailable"),
        ("prometheusRule.enabled=true,prometheusRule.disabled[0]=OrdermillGone", "OrdermillGone"),
        (
            "fullnameOverride=a-name-of-which-nobody-would-think-that-it-could-be-too-long",
            "fullnameOverride",
        ),
        ("pipelines.other.file=name: order-log", "own name"),
        ("pipelines.other.file=name: [", "not YAML"),
        ("pipelines.other.replicas=1", "file"),
        ("image.digest=sha256:12", "digest"),
    ]);
}

/// Helm reads a number where our program reads text.
#[test]
fn a_topic_that_helm_would_read_as_something_else() {
    for helm in both() {
        for topic in ["007", "on", "1e3", "null"] {
            let text = inline("a", "", "").replace("topic: orders", &format!("topic: {topic}"));
            let (_file, values) = values(&text);
            let found = helm.text("x", &[&values]).unwrap_err();
            assert!(found.contains("quotes"), "{topic}: {found}");
        }
    }
}
