//! `config`: what holds, and what files may say, as an independent validator understands it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::end;
use crate::plain::Line;
use crate::support::{Ordermill, output_of_input, repository};

const SETTINGS: &str = "\
kafka: { bootstrap: \"file:1\", security: { protocol: sasl_ssl, sasl: { mechanism: PLAIN, username: u, password: { env: CANARY } } } }
databases: { orders: { postgres: { url: { env: ORDERS_URL } } } }
";

#[test]
fn what_holds_is_shown_with_who_sets_it_and_without_secrets() {
    let show = |form| {
        Ordermill::new(["config", "show", "-o", form, "--registry", "http://flag:2"])
            .file("ordermill.yaml", SETTINGS)
            .env("ORDERMILL_KAFKA_BOOTSTRAP", "variable:2")
            .env("CANARY", "hunter2")
            .env("ORDERS_URL", "postgres://u:hunter2@h/d")
    };
    let (code, yaml, error) = end(show("yaml"));
    assert_eq!((code, error.as_str()), (Some(0), ""));
    for words in [
        "#   kafka.bootstrap by ORDERMILL_KAFKA_BOOTSTRAP\n",
        "#   registry.url by a flag\n",
        "bootstrap: variable:2\n",
        "env: CANARY\n",
        "listen: \"127.0.0.1:9400\"\n",
    ] {
        assert!(yaml.contains(words), "{words}: {yaml}");
    }
    assert!(!yaml.contains("hunter2"), "{yaml}");
    let (_, text, _) = end(show("json"));
    let said: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(said["kafka"]["bootstrap"], "variable:2");
    assert_eq!(said["kafka"]["security"]["sasl"]["password"], json!({ "env": "CANARY" }));

    // Shown, it is a settings file that holds the same.
    let again = Ordermill::new(["config", "show", "-o", "json"]).file("ordermill.yaml", &yaml);
    let (code, again, error) = end(again);
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(serde_json::from_str::<Value>(&again).unwrap(), said);
}

#[test]
fn a_schema_takes_every_pipeline_file_and_refuses_broken_ones() {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for file in fs::read_dir(repository().join("pipelines")).unwrap() {
        let path = file.unwrap().path();
        files.insert(path.display().to_string(), fs::read_to_string(&path).unwrap());
    }
    assert!(files.len() > 5, "{:?}", files.keys());
    let line = Line::without_topic();
    files.insert("a test's line".to_owned(), line.pipeline.clone());
    let broken = [
        ("filter:", "fliter:", "fliter"),
        ("tombstone: reject", "tombstone: keep", "keep"),
        ("attempts: 2", "attempts: many", "many"),
        ("drain: 5s", "drain: 5", "drain"),
        ("sink:\n", "sunk:\n", "sunk"),
        ("name: ", "title: ", "title"),
        ("  topic: ", "  tropic: ", "tropic"),
    ];
    for (right, wrong, _) in broken {
        files.insert(wrong.to_owned(), line.pipeline.replacen(right, wrong, 1));
    }
    let mut found = validated(&["config", "schema"], &files);
    for (_, wrong, word) in broken {
        let said = found.remove(wrong).unwrap();
        assert!(said.iter().any(|said| said.contains(word)), "{wrong}: {said:?}");
    }
    found.retain(|_, said| !said.is_empty());
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_schema_of_settings_takes_settings_and_refuses_broken_ones() {
    let line = Line::without_topic();
    let files = [
        ("secrets", SETTINGS.to_owned()),
        ("a test's line", line.settings.clone()),
        ("misspelt", line.settings.replacen("bootstrap", "botstrap", 1)),
        ("written", SETTINGS.replacen("{ env: CANARY }", "hunter2", 1)),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text)).into();
    let found = validated(&["config", "schema", "--settings"], &files);
    let wrong: Vec<_> = found.iter().filter(|(_, said)| !said.is_empty()).map(|(n, _)| n).collect();
    assert_eq!(wrong, ["misspelt", "written"], "{found:#?}");
}

/// What Python's jsonschema says of these files under the schema that a command prints.
#[track_caller]
fn validated(command: &[&str], files: &BTreeMap<String, String>) -> BTreeMap<String, Vec<String>> {
    let (code, schema, error) = end(Ordermill::new(command));
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let python = std::env::var_os("ORDERMILL_TEST_PYTHON").expect("make test gives it");
    let mut oracle = Command::new(python);
    oracle.arg(Path::new("scripts/oracle/schema_oracle.py")).current_dir(repository());
    let asked = json!({ "schema": schema, "documents": files }).to_string();
    serde_json::from_str(&output_of_input(&mut oracle, asked.as_bytes())).unwrap()
}
