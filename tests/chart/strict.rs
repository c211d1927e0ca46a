//! Kubernetes takes what is rendered.

use std::env;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::helm::{BROKERS, CHART, REPOSITORY, Rendered, both, one, pipeline, trials};

/// The oldest Kubernetes of the chart's `kubeVersion`, one between and the newest.
const VERSIONS: [&str; 3] = ["1.29", "1.33", "1.37"];

/// What is wrong with these manifests by the schemas of Kubernetes and of the custom kinds.
fn check(manifests: &str) -> Result<(), String> {
    let python = env::var_os("ORDERMILL_TEST_PYTHON").unwrap();
    let mut oracle = Command::new(python)
        .arg(format!("{REPOSITORY}/scripts/oracle/manifests_oracle.py"))
        .arg(format!("{REPOSITORY}/tests/chart/crds"))
        .args(VERSIONS)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    oracle.stdin.take().unwrap().write_all(manifests.as_bytes()).unwrap();
    let out = oracle.wait_with_output().unwrap();
    if out.status.success() { Ok(()) } else { Err(String::from_utf8(out.stderr).unwrap()) }
}

/// The release is called `on`, which YAML reads as a bool where it is not quoted.
#[test]
fn both_helms_render_the_same_and_kubernetes_takes_it() {
    for file in trials() {
        let values = format!("--values={}", file.display());
        let texts: Vec<_> =
            both().iter().map(|helm| helm.text("on", &[&values]).unwrap()).collect();
        let [three, four] = &texts[..] else { return };
        check(three).unwrap_or_else(|said| panic!("{}: {said}", file.display()));
        let [three, four] = [three, four].map(|text: &String| Rendered::of(text));
        assert_eq!(three, four, "{}", file.display());
    }
}

#[test]
fn helm_finds_nothing_to_complain_about() {
    for helm in both() {
        for file in trials() {
            let out = helm.run(["lint", "--strict", CHART, "--values", file.to_str().unwrap()]);
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
        }
    }
}

#[test]
fn a_field_that_kubernetes_does_not_know_is_found() {
    let Some(helm) = one() else { return };
    let all = ["--set=serviceMonitor.enabled=true", "--set=prometheusRule.enabled=true"];
    let keda = ["--set=defaults.keda.enabled=true,defaults.partitions=6", "--set", BROKERS];
    let file = pipeline("order-log");
    let good = helm.text("x", &[&all[..], &keda[..], &[&file]].concat()).unwrap();
    check(&good).unwrap();
    for (right, wrong, said) in [
        ("enableServiceLinks: false", "enableServiceLink: false", "enableServiceLink"),
        ("maxUnavailable: 1\n", "maxUnavailable: [1]\n", "maxUnavailable"),
        ("lagThreshold: \"1000\"", "lagThreshold: 1000", "lagThreshold"),
        ("maxReplicaCount: 6", "maxReplicaCount: six", "maxReplicaCount"),
        ("scrapeTimeout: 10s", "scrapeTimout: 10s", "scrapeTimout"),
        ("kind: PrometheusRule", "kind: PrometheusRules", "PrometheusRules"),
        ("restartPolicy: Never", "restartPolicy: Never\n  restartPolicy: Never", "key twice"),
    ] {
        assert!(good.contains(right), "{right} is not rendered");
        let found = check(&good.replacen(right, wrong, 1)).unwrap_err();
        assert!(found.contains(said), "{wrong}: {found}");
    }
}
