//! `schema register`: by file, and the newest contract of the folder.

use serde_json::Value;

use super::end;
use crate::plain::{CONTRACT, Line};
use crate::support::{Services, fresh};

#[test]
fn a_schema_is_registered_by_its_file_or_from_the_contracts() {
    let line = Line::without_topic();
    let subject = format!("{}-value", fresh("registered"));
    let more = r#""string"},{"name":"m","type":"int","default":0}"#;
    let wider = CONTRACT.replace(r#""string"}"#, more);
    let contract = |version: u32| format!("avro/{subject}/{version}.avsc");
    let by_file = || {
        let command = line.command(&["schema", "register", &subject, "order.avsc"]);
        command.file("order.avsc", CONTRACT)
    };
    let (code, first, error) = end(by_file());
    assert_eq!(code, Some(0), "{error}");
    let newest = line.command(&["schema", "register", &subject]);
    let newest = newest.file(&contract(1), CONTRACT).file(&contract(2), &wider);
    let (code, second, error) = end(newest);
    assert_eq!(code, Some(0), "{error}");

    for (version, id, schema) in [(1, &first, CONTRACT), (2, &second, &wider)] {
        let path = format!("/subjects/{subject}/versions/{version}");
        let said: Value =
            serde_json::from_str(&Services::get().registry.get(&path).unwrap()).unwrap();
        assert_eq!(format!("{}\n", said["id"]), *id);
        let has: Value = serde_json::from_str(said["schema"].as_str().unwrap()).unwrap();
        assert_eq!(has, serde_json::from_str::<Value>(schema).unwrap());
    }
    // again: the same id
    assert_eq!(end(by_file()), (Some(0), first, String::new()));
}

#[test]
fn what_the_registry_refuses_is_said_in_its_words() {
    let line = Line::without_topic();
    let subject = format!("{}-value", line.topic);
    let another = CONTRACT.replacen(r#""long""#, r#""string""#, 1);
    let refused = [(another.as_str(), "409"), (r#"{"type":"rocket"}"#, "422"), ("no json", "422")];
    for (text, words) in refused {
        let command = line.command(&["schema", "register", &subject, "order.avsc"]);
        let (code, out, error) = end(command.file("order.avsc", text));
        assert_eq!((code, out.as_str()), (Some(78), ""), "{error}");
        assert!(error.contains("refuses") && error.contains(words), "{words}: {error}");
    }
}

#[test]
fn a_schema_that_is_not_at_hand_is_said() {
    let line = Line::without_topic();
    let (code, _, error) = end(line.command(&["schema", "register", "no.such-value"]));
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("no contract of no.such-value; name a file"), "{error}");
    let (code, _, error) = end(line.command(&["schema", "register", "no.such-value", "no.avsc"]));
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("failed to read no.avsc"), "{error}");
}
