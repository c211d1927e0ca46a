//! The chart on a real control plane, in a namespace that enforces the restricted pod security standard. Nodes are
//! fake: pods are scheduled and become ready, but nothing runs in them. `make kube` runs these.

use std::env;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

use crate::helm::{BROKERS, CHART, REPOSITORY, pipeline, values};

/// The cluster as one namespace of it sees it.
struct Cluster {
    helm: OsString,
    namespace: &'static str,
}

fn variable(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: run make kube"))
}

fn done(what: &str, out: Output) -> String {
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{what}: {said}{}", String::from_utf8_lossy(&out.stdout));
    String::from_utf8(out.stdout).unwrap()
}

impl Cluster {
    /// With the definitions that the chart's objects need, and a namespace of its own.
    fn new(helm: &str, namespace: &'static str) -> Self {
        let cluster = Self { helm: variable(helm), namespace };
        let crds = format!("--filename={REPOSITORY}/tests/chart/crds");
        cluster.kubectl(&["apply", "--server-side", "--force-conflicts", &crds]);
        cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
        cluster.kubectl(&["create", "namespace", namespace]);
        let enforce = "pod-security.kubernetes.io/enforce=restricted";
        cluster.kubectl(&["label", "namespace", namespace, enforce]);
        cluster
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        done(&format!("kubectl {arguments:?}"), self.try_kubectl(arguments, ""))
    }

    fn try_kubectl(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(variable("ORDERMILL_TEST_KUBECTL"))
            .arg(format!("--namespace={}", self.namespace))
            .args(arguments)
            .env("KUBECONFIG", variable("ORDERMILL_TEST_KUBECONFIG"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    fn helm(&self, arguments: &[&str]) -> String {
        let out = self.try_helm(arguments);
        done(&format!("helm {arguments:?}"), out)
    }

    fn try_helm(&self, arguments: &[&str]) -> Output {
        Command::new(&self.helm)
            .arg(format!("--namespace={}", self.namespace))
            .args(arguments)
            .env("KUBECONFIG", variable("ORDERMILL_TEST_KUBECONFIG"))
            .output()
            .unwrap()
    }

    fn items(&self, arguments: &[&str]) -> Vec<Json> {
        let said = self.kubectl(&[&["get", "--output=json"], arguments].concat());
        let whole: Json = serde_json::from_str(&said).unwrap();
        whole["items"].as_array().unwrap().clone()
    }

    /// The names of a pipeline's pods that are not going away, sorted, after it has been rolled out.
    fn pods(&self, pipeline: &str) -> Vec<String> {
        self.kubectl(&[
            "rollout",
            "status",
            &format!("deployment/shop-ordermill-{pipeline}"),
            "--timeout=60s",
        ]);
        let selector = format!("--selector=app.kubernetes.io/component={pipeline}");
        let pods = self.items(&["pods", &selector]);
        let mut names: Vec<_> = pods
            .iter()
            .filter(|pod| pod["metadata"].get("deletionTimestamp").is_none())
            .inspect(|pod| assert_eq!(pod["status"]["phase"], "Running", "{pod}"))
            .map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }
}

/// Installed, upgraded, rolled back and tested by one Helm.
fn life_of_a_release(helm: &str, namespace: &'static str) {
    let cluster = Cluster::new(helm, namespace);
    let files = [pipeline("order-log"), pipeline("audit")];
    let always = [CHART, "--wait", "--timeout=60s", &files[0], &files[1], "--set", BROKERS];
    cluster.helm(&[&["install", "shop"], &always[..]].concat());
    let first = ["order-log", "audit"].map(|name| cluster.pods(name));
    assert_eq!(first.each_ref().map(Vec::len), [2, 2]);
    let one_may_go = "--for=jsonpath={.status.disruptionsAllowed}=1";
    cluster.kubectl(&["wait", one_may_go, "poddisruptionbudgets", "--all", "--timeout=60s"]);
    cluster.helm(&["test", "shop", "--timeout=60s"]);
    assert_eq!(["order-log", "audit"].map(|name| cluster.pods(name)), first, "a test is no member");

    let more =
        ["--set=pipelines.audit.replicas=3", "--set=pipelines.audit.podAnnotations.round=second"];
    cluster.helm(&[&["upgrade", "shop"], &always[..], &more[..]].concat());
    let second = ["order-log", "audit"].map(|name| cluster.pods(name));
    assert_eq!(second[0], first[0], "nothing of this pipeline has changed");
    assert_eq!(second[1].len(), 3);
    assert!(second[1].iter().all(|pod| !first[1].contains(pod)), "all are new");

    cluster.helm(&["rollback", "shop", "1", "--wait", "--timeout=60s"]);
    assert_eq!(cluster.pods("order-log"), first[0]);
    assert_eq!(cluster.pods("audit").len(), 2);
    let history: Json =
        serde_json::from_str(&cluster.helm(&["history", "shop", "--output=json"])).unwrap();
    let revisions: Vec<_> = history.as_array().unwrap().iter().map(|r| &r["status"]).collect();
    assert_eq!(revisions, ["superseded", "superseded", "deployed"]);
    cluster.helm(&["uninstall", "shop", "--wait", "--timeout=60s"]);
    for kind in ["deployments", "configmaps", "services", "poddisruptionbudgets"] {
        let left = cluster.items(&[kind, "--selector=app.kubernetes.io/instance=shop"]);
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
#[ignore = "make kube"]
fn helm_3_installs_upgrades_and_rolls_back() {
    life_of_a_release("ORDERMILL_TEST_HELM_3", "three");
}

#[test]
#[ignore = "make kube"]
fn helm_4_installs_upgrades_and_rolls_back() {
    life_of_a_release("ORDERMILL_TEST_HELM_4", "four");
}

/// The proof that the namespace would have refused the pods of the laws above.
#[test]
#[ignore = "make kube"]
fn a_pod_that_may_more_is_refused_where_the_restricted_standard_is_enforced() {
    let cluster = Cluster::new("ORDERMILL_TEST_HELM_4", "lax");
    let file = pipeline("order-log");
    for may in [
        "defaults.securityContext.allowPrivilegeEscalation=true",
        "defaults.podSecurityContext.runAsNonRoot=false",
        "defaults.podSecurityContext.seccompProfile.type=Unconfined",
    ] {
        let out = cluster.try_helm(&[
            "install",
            "shop",
            CHART,
            "--wait",
            "--timeout=3s",
            &file,
            "--set",
            BROKERS,
            "--set",
            may,
        ]);
        assert!(!out.status.success(), "{may} is accepted");
        let sets = cluster.items(&["replicasets"]);
        let why = sets[0]["status"]["conditions"].to_string();
        assert!(why.contains("violates PodSecurity") && why.contains("restricted"), "{may}: {why}");
        cluster.helm(&["uninstall", "shop", "--wait", "--timeout=60s"]);
    }
}

/// The server's own check is stricter than schemas: rules across fields, and every unknown field.
#[test]
#[ignore = "make kube"]
fn the_server_takes_every_object_of_every_trial() {
    let cluster = Cluster::new("ORDERMILL_TEST_HELM_4", "trials");
    cluster.kubectl(&["create", "namespace", "grafana"]);
    let dry = ["apply", "--dry-run=server", "--validate=strict", "--filename=-"];
    let mut seen = String::new();
    for trial in crate::helm::trials() {
        // the dashboards of a trial lie in a namespace of their own
        let kubectl = [&dry[..], &["--namespace="]].concat();
        let text = cluster.helm(&[
            "template",
            "y",
            CHART,
            "--skip-tests",
            "--values",
            trial.to_str().unwrap(),
        ]);
        let out = cluster.try_kubectl(&kubectl, &text);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{}: {said}", trial.display());
        seen += &text;
    }
    for (right, wrong) in [
        ("lagThreshold: \"1000\"", "lagThreshold: 1000"),
        ("minReplicaCount: 1\n", "minReplicaCount: 13\n"),
        ("enableServiceLinks: false", "enableServiceLink: false"),
    ] {
        assert!(seen.contains(right), "{right}");
        let out = cluster
            .try_kubectl(&[&dry[..], &["--namespace="]].concat(), &seen.replacen(right, wrong, 1));
        assert!(!out.status.success(), "{wrong} is accepted");
    }
}

/// KEDA itself does not run here; its object is stored, and the Deployment keeps the number that a scaler set.
#[test]
#[ignore = "make kube"]
fn an_upgrade_leaves_the_number_that_a_scaler_has_set() {
    let cluster = Cluster::new("ORDERMILL_TEST_HELM_4", "scaled");
    let file = pipeline("order-log");
    let (_file, brokers) = values("config: { kafka: { bootstrap: kafka:9092 } }");
    let keda = "--set=defaults.keda.enabled=true,defaults.partitions=12";
    let always = [CHART, "--wait", "--timeout=60s", &file, &brokers, keda];
    cluster.helm(&[&["install", "shop"], &always[..]].concat());
    assert_eq!(cluster.items(&["scaledobjects"])[0]["spec"]["maxReplicaCount"], 12);
    cluster.kubectl(&["scale", "deployment/shop-ordermill-order-log", "--replicas=5"]);
    assert_eq!(cluster.pods("order-log").len(), 5);
    cluster.helm(
        &[&["upgrade", "shop", "--set=defaults.podAnnotations.round=second"], &always[..]].concat(),
    );
    assert_eq!(cluster.pods("order-log").len(), 5);
}
