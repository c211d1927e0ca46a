//! The pods: what they may, what they read, when they restart.

use std::fs;
use std::process::Command;
use std::time::Duration;

use ordermill::pipeline::spec;
use serde_json::{Value as Json, json};

use crate::helm::{BROKERS, REPOSITORY, Rendered, one, pipeline, trials};

#[test]
fn the_restricted_standard_is_the_default() {
    let Some(helm) = one() else { return };
    let rendered = helm.render("x", &[&pipeline("order-log"), "--set", BROKERS]);
    let pods = [rendered.pods("order-log"), &rendered.get("Pod", "test")["spec"]];
    for pod in pods {
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["enableServiceLinks"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["runAsUser"], 65532);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        for container in pod["containers"].as_array().unwrap() {
            let may = json!({ "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                              "capabilities": { "drop": ["ALL"] } });
            assert_eq!(container["securityContext"], may);
        }
    }
    assert_eq!(
        rendered.get("ServiceAccount", "x-ordermill")["automountServiceAccountToken"],
        false
    );
}

#[test]
fn probes_ask_for_life_and_readiness() {
    let Some(helm) = one() else { return };
    let rendered = helm.render("x", &[&pipeline("order-log"), "--set", BROKERS]);
    let container = &rendered.pods("order-log")["containers"][0];
    for (probe, path) in
        [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
    {
        assert_eq!(container[probe]["httpGet"], json!({ "path": path, "port": "http" }));
    }
    assert_eq!(container["ports"][0]["containerPort"], 9400);
}

#[test]
fn every_image_is_ours_and_the_one_that_the_package_names() {
    let Some(helm) = one() else { return };
    let rendered = helm.render("x", &[&pipeline("order-log"), "--set", BROKERS]);
    let chart = crate::helm::read(
        &fs::read_to_string(format!("{}/Chart.yaml", crate::helm::CHART)).unwrap(),
    );
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    let named = chart["annotations"]["artifacthub.io/images"].as_str().unwrap();
    let images = images(&rendered);
    assert_eq!(images.len(), 3, "a deployment's, and two of the test's");
    for image in images {
        assert_eq!(image, format!("ordermill:{}", env!("CARGO_PKG_VERSION")));
        assert!(named.contains(&format!("image: {image}\n")), "{named}");
    }
    let digest = format!("sha256:{}", "ab".repeat(32));
    let more = format!("--set=image.registry=r.example.com,image.tag=1.9.0,image.digest={digest}");
    let rendered = helm.render("x", &[&pipeline("order-log"), "--set", BROKERS, &more]);
    for image in self::images(&rendered) {
        assert_eq!(image, format!("r.example.com/ordermill@{digest}"));
    }
}

fn images(rendered: &Rendered) -> Vec<&str> {
    let pods = [rendered.pods("order-log"), &rendered.get("Pod", "test")["spec"]];
    let containers = pods.iter().flat_map(|pod| pod["containers"].as_array().unwrap());
    containers.map(|container| container["image"].as_str().unwrap()).collect()
}

/// A pod of `helm test` or of a neighbour that the Service or a disruption budget counts would break both.
#[test]
fn each_selector_finds_its_own_pods_and_no_other() {
    let Some(helm) = one() else { return };
    let both = [pipeline("order-log"), pipeline("audit")];
    let rendered = helm.render("x", &[&both[0], &both[1], "--set", BROKERS]);
    let pods =
        ["order-log", "audit"].map(|name| &rendered.get("Deployment", name)["spec"]["template"]);
    let test = rendered.get("Pod", "test");
    let selects = |selector: &Json, pod: &Json| {
        let labels = &pod["metadata"]["labels"];
        selector.as_object().unwrap().iter().all(|(key, value)| labels[key] == *value)
    };
    for (mine, name) in ["order-log", "audit"].iter().enumerate() {
        for kind in ["Deployment", "PodDisruptionBudget"] {
            let selector = &rendered.get(kind, name)["spec"]["selector"]["matchLabels"];
            assert!(selects(selector, pods[mine]) && !selects(selector, pods[1 - mine]), "{kind}");
            assert!(!selects(selector, test), "{kind}");
        }
    }
    let service = &rendered.get("Service", "x-ordermill")["spec"]["selector"];
    assert!(pods.iter().all(|pod| selects(service, pod)) && !selects(service, test));
}

#[test]
fn a_change_restarts_those_that_it_concerns() {
    let Some(helm) = one() else { return };
    let both = [pipeline("order-log"), pipeline("audit")];
    let base = [both[0].as_str(), &both[1], "--set", BROKERS];
    let template = |more: &[&str], name: &str| {
        let rendered = helm.render("x", &[&base[..], more].concat());
        rendered.get("Deployment", name)["spec"]["template"].clone()
    };
    let changed = |more: &str| {
        ["order-log", "audit"].map(|name| template(&[], name) != template(&[more], name))
    };
    assert_eq!(changed("--set=config.telemetry.level=debug"), [true, true]);
    assert_eq!(changed("--set=contracts.orders-value.1=x"), [true, true]);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "name: audit\nsource: { topic: others }\n").unwrap();
    let other = format!("--set-file=pipelines.audit.file={}", file.path().display());
    assert_eq!(changed(&other), [false, true]);
    assert_eq!(changed("--set=defaults.replicas=7"), [false, false]);
}

/// The container finds its files as they were given, and they pass its own check.
#[test]
fn the_program_accepts_what_its_pods_read() {
    let Some(helm) = one() else { return };
    let files = [pipeline("order-log"), pipeline("audit"), pipeline("email")];
    let contract = format!("{REPOSITORY}/avro/orders.created-value/1.avsc");
    let contract_set = format!("--set-file=contracts.orders\\.created-value.1={contract}");
    let database = "config.databases.orders.postgres.url.env=ORDERS_URL,config.mail.folder=/mails";
    let rendered = helm.render(
        "x",
        &[&files[0], &files[1], &files[2], &contract_set, "--set", BROKERS, "--set", database],
    );
    let folder = tempfile::tempdir().unwrap();
    project(&rendered, &rendered.get("Pod", "test")["spec"], folder.path());
    for name in ["order-log", "audit", "email"] {
        let given = fs::read(format!("{REPOSITORY}/pipelines/{name}.yaml")).unwrap();
        assert!(fs::read(folder.path().join(format!("pipelines/{name}.yaml"))).unwrap() == given);
    }
    let arrived = fs::read(folder.path().join("avro/orders.created-value/1.avsc")).unwrap();
    assert!(arrived == fs::read(contract).unwrap());

    let test = &rendered.get("Pod", "test")["spec"]["containers"][0]["args"];
    let inside = folder.path().to_str().unwrap();
    let arguments = test
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a.as_str().unwrap().replace("/etc/ordermill", inside));
    let out = Command::new(env!("CARGO_BIN_EXE_ordermill"))
        .args(arguments)
        .env("ORDERMILL_CONFIG", folder.path().join("ordermill.yaml"))
        .env("ORDERS_URL", "postgres://u:p@db/orders")
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// Lays the volume `settings` of a pod into a folder, as a kubelet does.
fn project(rendered: &Rendered, pod: &Json, folder: &std::path::Path) {
    let volumes = pod["volumes"].as_array().unwrap();
    let settings = volumes.iter().find(|volume| volume["name"] == "settings").unwrap();
    for source in settings["projected"]["sources"].as_array().unwrap() {
        let map = rendered.get("ConfigMap", source["configMap"]["name"].as_str().unwrap());
        for item in source["configMap"]["items"].as_array().unwrap() {
            let path = folder.join(item["path"].as_str().unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = map["data"][item["key"].as_str().unwrap()].as_str().unwrap();
            fs::write(path, text).unwrap();
        }
    }
}

/// Each file of the reference system, and those of the trials.
#[test]
fn group_topics_and_drain_time_are_those_of_the_file() {
    let Some(helm) = one() else { return };
    let reference = spec::read_all(&[format!("{REPOSITORY}/pipelines")]).unwrap();
    let arguments: Vec<_> = reference.iter().map(|file| pipeline(&file.name)).collect();
    let keda = ["--set=defaults.keda.enabled=true,defaults.partitions=6", "--set", BROKERS];
    let arguments: Vec<_> = arguments.iter().map(String::as_str).chain(keda).collect();
    let rendered = helm.render("x", &arguments);
    assert!(reference.len() > 5);
    for file in &reference {
        agree(&rendered, file);
    }
    for trial in trials() {
        let rendered = helm.render("x", &[&format!("--values={}", trial.display())]);
        for map in rendered.all("ConfigMap") {
            let Some(text) = map["data"]["pipeline.yaml"].as_str() else { continue };
            agree(&rendered, &spec::parse(&trial, text.as_bytes()).unwrap());
        }
    }
}

fn agree(rendered: &Rendered, file: &spec::Pipeline) {
    let grace = rendered.pods(&file.name)["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(Duration::from_secs(grace) > file.limits.drain, "{}", file.name);
    let tested = rendered.get("Pod", "test")["spec"]["containers"].as_array().unwrap();
    let asked = json!(["group", "describe", file.source.group]);
    assert!(tested.iter().any(|container| container["args"] == asked), "{asked}");
    let scalers = rendered.all("ScaledObject");
    let scaler = scalers
        .iter()
        .find(|s| s["metadata"]["labels"]["app.kubernetes.io/component"] == *file.name);
    let Some(scaler) = scaler else { return };
    let triggers = scaler["spec"]["triggers"].as_array().unwrap();
    let metadata = |key: &str| {
        triggers.iter().map(|t| t["metadata"][key].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(metadata("topic"), file.source.topics);
    assert!(metadata("consumerGroup").iter().all(|group| *group == file.source.group));
    assert!(metadata("offsetResetPolicy").iter().all(|policy| *policy == "earliest"));
}
