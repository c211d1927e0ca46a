//! What is written about the chart is what it is: README, schema, trials, notes.
//!
//! With `ORDERMILL_WRITE_DOCS=1` the generated parts are written first.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ordermill::config;
use ordermill::config::yaml::{self, Node};
use serde_json::{Value as Json, json};

use crate::helm::{BROKERS, CHART, one, pipeline, values};

fn file(name: &str) -> PathBuf {
    Path::new(CHART).join(name)
}

fn schema() -> Json {
    serde_json::from_str(&fs::read_to_string(file("values.schema.json")).unwrap()).unwrap()
}

fn node(name: &str) -> Node {
    yaml::read_file(&file(name), 1 << 20).unwrap_or_else(|said| panic!("{said}"))
}

/// Holds the part of a file between two texts, which stand there once, to what it must be.
fn hold(name: &str, begin: &str, end: &str, part: &str) {
    let text = fs::read_to_string(file(name)).unwrap();
    let from = text.find(begin).unwrap() + begin.len();
    let to = from + text[from..].find(end).unwrap();
    if std::env::var_os("ORDERMILL_WRITE_DOCS").is_some() {
        fs::write(file(name), format!("{}{part}{}", &text[..from], &text[to..])).unwrap();
    } else {
        let fits = text[from..to] == *part;
        assert!(fits, "{name} is out of date: run the tests with ORDERMILL_WRITE_DOCS=1");
    }
}

/// `config` is `ordermill.yaml`, as strict as the program itself, without what the chart sets. Text where a secret
/// belongs is refused by the program too, but here before it stands in a cluster.
#[test]
fn the_schema_of_config_is_the_programs_own() {
    let mut own = config::json_schema();
    let top = own.as_object_mut().unwrap();
    top.remove("$schema");
    top.remove("title");
    top.insert(
        "description".into(),
        json!("`ordermill.yaml`, as `docs/configuration.md` says it, without `http` and `avro`, which the chart sets"),
    );
    let keys = own["properties"].as_object_mut().unwrap();
    keys.remove("http").unwrap();
    keys.remove("avro").unwrap();
    let place = keys["registry"]["properties"]["token"].clone();
    keys["kafka"]["properties"]["properties"]["patternProperties"] =
        json!({ "(password|secret|credential|token|jaas|[.]pem$)": place });
    let text = serde_json::to_string_pretty(&own).unwrap().replace('\n', "\n    ");
    hold("values.schema.json", "    \"config\": ", ",\n    \"contracts\"", &text);
}

#[test]
fn the_readme_has_every_value() {
    let mut rows = String::from("\n| value | without it | meaning |\n|---|---|---|\n");
    let schema = schema();
    table(&schema, &schema, &node("values.yaml"), "", &mut rows);
    hold("README.md", "<!-- values -->\n", "<!-- end of values -->", &(rows + "\n"));
}

/// A row for each value, in the order of `values.yaml`; each must be in both files.
fn table(whole: &Json, schema: &Json, values: &Node, above: &str, rows: &mut String) {
    let properties = properties(whole, schema).unwrap();
    for name in properties.keys().filter(|name| *name != "file") {
        assert!(values.get(name).is_some(), "values.yaml lacks {above}{name}");
    }
    for entry in values.entries() {
        let path = format!("{above}{}", entry.key.as_str());
        let mine = properties.get(entry.key.as_str());
        let mine = mine.unwrap_or_else(|| panic!("values.schema.json lacks {path}"));
        let meaning =
            mine["description"].as_str().unwrap_or_else(|| panic!("{path} has no meaning"));
        let inner = self::properties(whole, mine).filter(|_| path != "config");
        let default = match entry.value.to_json() {
            _ if inner.is_some() => "see below".to_owned(),
            Json::Null => "none".to_owned(),
            value => format!("`{value}`"),
        };
        writeln!(rows, "| `{path}` | {default} | {meaning} |").unwrap();
        if inner.is_some() {
            table(whole, mine, &entry.value, &format!("{path}."), rows);
        }
    }
}

/// What may stand in a value that is a map of known keys.
fn properties<'a>(whole: &'a Json, schema: &'a Json) -> Option<&'a serde_json::Map<String, Json>> {
    let own = schema.get("properties").or_else(|| {
        let reference = schema["allOf"][0]["$ref"].as_str()?;
        whole.pointer(&reference[1..])?.get("properties")
    });
    own?.as_object()
}

/// A value that no trial sets could render nonsense unseen.
#[test]
fn a_trial_sets_everything() {
    let schema = schema();
    let values = node("ci/everything-values.yaml").to_json();
    let mut places = vec![&values["defaults"]];
    places.extend(values["pipelines"].as_object().unwrap().values());
    let mut missing = Vec::new();
    for (name, mine) in schema["properties"].as_object().unwrap() {
        if name == "defaults" {
            unset(&schema, &schema["definitions"]["workload"], &places, "defaults", &mut missing);
        } else if values.get(name).is_none() {
            missing.push(name.clone());
        } else if name != "config" && name != "pipelines" {
            unset(&schema, mine, &[&values[name]], name, &mut missing);
        }
    }
    assert!(missing.is_empty(), "ci/everything-values.yaml does not set {missing:?}");
}

fn unset(whole: &Json, schema: &Json, places: &[&Json], above: &str, missing: &mut Vec<String>) {
    for (name, mine) in properties(whole, schema).into_iter().flatten() {
        let path = format!("{above}.{name}");
        let set: Vec<_> = places.iter().filter_map(|place| place.get(name)).collect();
        if set.is_empty() {
            missing.push(path);
        } else {
            unset(whole, mine, &set, &path, missing);
        }
    }
}

/// Both make what is rendered depend on the cluster that Helm happens to see, which Argo CD and others do not.
#[test]
fn no_template_asks_the_cluster() {
    let mut seen = 0;
    for folder in ["templates", "templates/tests"] {
        for entry in fs::read_dir(file(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let text = fs::read_to_string(&path).unwrap();
                for word in ["lookup ", ".Capabilities"] {
                    assert!(!text.contains(word), "{}: {word}", path.display());
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 10);
}

/// What a user is told after an installation.
fn notes(arguments: &[&str]) -> String {
    let Some(helm) = one() else { return String::new() };
    let begin = ["install", "x", CHART, "--dry-run=client", "--namespace=shop"];
    let out = helm.run(begin.into_iter().chain(arguments.to_owned()));
    let said = String::from_utf8(out.stdout).unwrap();
    let notes = said.split_once("NOTES:").unwrap_or_else(|| {
        panic!("{}", String::from_utf8_lossy(&out.stderr));
    });
    notes.1.to_owned()
}

#[test]
fn notes_say_group_topics_and_what_to_do_next() {
    if one().is_none() {
        return;
    }
    let said = notes(&[&pipeline("order-log"), "--set", BROKERS]);
    for part in [
        "ordermill.order-log",
        "orders.created",
        "helm test x -n shop",
        "rollout status",
        "logs -f",
        "drains 20 s, killed after 30 s",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("WARNING"), "{said}");
}

#[test]
fn notes_warn_of_what_renders_and_will_not_do() {
    if one().is_none() {
        return;
    }
    let file = pipeline("order-log");
    let base = [file.as_str(), "--set", BROKERS];
    let warned = |more: &str| notes(&[&base[..], &[more]].concat());
    for (more, said) in [
        ("--set=image.tag=latest", "`latest`"),
        ("--set=defaults.partitions=1", "2 replicas read 1 partitions"),
        (
            "--set=defaults.partitions=3,defaults.keda.enabled=true,defaults.keda.maxReplicas=4",
            "4 replicas",
        ),
        ("--set=config.databases.orders.postgres.url.env=ORDERS_URL", "{ env: ORDERS_URL }"),
        ("--set=config.registry.token.file=/etc/ordermill-secrets/r/token", "/r/token"),
    ] {
        let notes = warned(more);
        assert!(notes.contains("WARNING") && notes.contains(said), "{more}: {notes}");
    }
    for more in [
        "--set=image.tag=1.2.3",
        "--set=defaults.partitions=2",
        "--set=config.databases.orders.postgres.url.env=ORDERS_URL,secrets.env.ORDERS_URL.secret=a,secrets.env.ORDERS_URL.key=b",
        "--set=config.registry.token.file=/etc/ordermill-secrets/r/token,secrets.files={r}",
    ] {
        assert!(!warned(more).contains("WARNING"), "{more}: {}", warned(more));
    }
    let (_file, none) = values("config: { kafka: { bootstrap: kafka:9092 } }");
    assert!(notes(&[&none]).contains("no pipeline"));
}
