//! `test`: the cases that a pipeline file carries, without a broker.

use super::end;
use crate::plain::{Line, settings};

const CASES: &str = "
cases:
  - name: an order becomes a row
    given:
      - { n: 1, note: a }
      - { n: -1, note: never stored }
    expect:
      effects:
        - { n: 1, note: a }
      dropped: 1
";

#[test]
fn cases_pass_without_any_service() {
    let (code, out, error) = end(nowhere(CASES).command(&["test"]));
    assert_eq!(code, Some(0), "{error}");
    assert!(out.ends_with(": an order becomes a row ... ok\n1 passed, 0 failed\n"), "{out}");
}

#[test]
fn a_case_that_fails_says_each_difference_at_its_place() {
    let cases = CASES
        .replace("        - { n: 1", "        - { n: 2")
        .replace("    expect", "      - { value: null }\n    expect");
    let line = nowhere(&cases);
    let at = 1 + line.pipeline.lines().position(|line| line.contains("{ n: 2")).unwrap();
    let (code, out, error) = end(line.command(&["test"]));
    assert_eq!(code, Some(1), "{error}");
    assert!(out.contains("an order becomes a row ... FAILED"), "{out}");
    assert!(out.contains(&format!("  pipelines/orders.yaml:{at}:")), "{out}");
    assert!(out.contains("n: expected 2, got 1"), "{out}");
    assert!(out.contains("tombstone"), "{out}");
    assert!(error.contains("0 passed, 1 failed"), "{error}");

    let (code, out, _) = end(line.command(&["test", "-o", "json"]));
    assert_eq!(code, Some(1));
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(said["passed"], false);
    assert_eq!(said["differences"][0]["line"], at);
    assert_eq!(said["differences"][0]["file"], "pipelines/orders.yaml");
}

#[test]
fn cases_whose_contract_is_not_at_hand_are_said_to_be_left_out() {
    let line = nowhere(CASES).say("tombstone:", "schema: nobody.knows\n  tombstone:");
    let (code, out, error) = end(line.command(&["test"]));
    assert_eq!((code, out.as_str()), (Some(0), "0 passed, 0 failed\n"));
    assert!(error.contains("nobody.knows"), "{error}");
}

/// A line with these cases, and no service in reach.
fn nowhere(cases: &str) -> Line {
    let mut line = Line::without_topic();
    line.settings = settings("127.0.0.1:1", "http://127.0.0.1:1", "postgres://127.0.0.1:1/none");
    line.pipeline.push_str(cases);
    line
}
