//! `lint`: everything that files alone can tell, and what the live system says to them.

use super::end;
use crate::plain::{Line, create_topics, settings};

#[test]
fn right_files_are_right_and_wrong_ones_are_named() {
    let mut line = Line::without_topic();
    line.settings = settings("127.0.0.1:1", "http://127.0.0.1:1", "postgres://127.0.0.1:1/none");
    let (code, out, error) = end(line.command(&["lint", "--offline"]));
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert!(out.contains("1 checked against its schema"), "{out}");

    let line = line.say("event.n >= 0", "event.m >= 0").say("drain: 5s", "drain: 7s");
    fails(&line, &[], &["pipelines/orders.yaml:", "session_timeout"]);
    let line = line.say("drain: 7s", "drain: 5s");
    fails(&line, &["pipelines/orders.yaml"], &["pipelines/orders.yaml:6:19: ", "no field `m`"]);
    fails(&line, &["elsewhere"], &["elsewhere: cannot be read"]);
}

#[test]
fn what_files_name_is_looked_for_and_all_that_lacks_is_said() {
    let line = Line::without_topic();
    let other = line.beside(2).say("table: ", "table: no_");
    let lint = || other.files(line.command(&["lint"]), "other");
    let (code, out, error) = end(lint());
    assert_eq!((code, out.as_str()), (Some(78), ""), "{error}");
    let topic = format!("pipelines/orders.yaml: topic {} does not exist", line.topic);
    let table = format!("no_{}", other.table);
    for words in [&topic, "pipelines/other.yaml: ", &table] {
        assert!(error.contains(words), "{words}: {error}");
    }
    create_topics(&[&line.topic, &line.dead_letters()], 2);
    line.database.query(&format!("CREATE TABLE {table} (n bigint PRIMARY KEY, note text)"));
    let (code, out, error) = end(lint());
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert_eq!(out, "2 files are right, and so is what they name\n");
}

#[track_caller]
fn fails(line: &Line, paths: &[&str], words: &[&str]) {
    let args = [&["lint", "--offline"], paths].concat();
    let (code, out, error) = end(line.command(&args));
    assert_eq!((code, out.as_str()), (Some(78), ""), "{error}");
    for word in words {
        assert!(error.contains(word), "{word}: {error}");
    }
}
