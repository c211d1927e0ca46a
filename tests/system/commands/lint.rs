//! `lint --offline`: everything that files alone can tell.

use super::end;
use crate::plain::{Line, settings};

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

#[track_caller]
fn fails(line: &Line, paths: &[&str], words: &[&str]) {
    let args = [&["lint", "--offline"], paths].concat();
    let (code, out, error) = end(line.command(&args));
    assert_eq!((code, out.as_str()), (Some(78), ""), "{error}");
    for word in words {
        assert!(error.contains(word), "{word}: {error}");
    }
}
