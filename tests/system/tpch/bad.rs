//! The load with 1 % bad records of twenty kinds among the orders: the same answers, and each bad record in the
//! dead-letter topics with its bytes, once, and no other.

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use ordermill::record::OwnedRecord;

use super::answers::judge;
use super::load::Load;
use super::oracle;
use super::whole::say;
use crate::support::{Kind, Letter, fresh};

/// Judges one pipeline's letters: what is bad and not there, or there and not bad, and how often.
fn differences(bad: &[(Kind, OwnedRecord)], letters: &[Letter]) -> Vec<String> {
    let mut count: BTreeMap<_, i32> = BTreeMap::new();
    for (kind, record) in bad {
        *count.entry((record.key.clone(), record.value.clone(), kind.code())).or_default() += 1;
    }
    for letter in letters {
        let Letter { key, value, reason, .. } = letter.clone();
        let code = Kind::ALL.iter().map(|kind| kind.code()).find(|code| *code == reason);
        *count.entry((key, value, code.unwrap_or("no such code"))).or_default() -= 1;
    }
    let differ = count.into_iter().filter(|(_, count)| *count != 0);
    differ.map(|((key, _, code), count)| format!("{count:+} of {code}, key {key:?}")).collect()
}

/// The load of a scale in a topic of its own.
fn run(scale: f64, within: Duration) {
    let load = Load::new(&fresh("tpch"), scale);
    let bad = load.produce_with_bad();
    let mut members = [load.member(), load.member()];
    let all = load.to_do();
    members[0].wait_until(within, "all is stored", |_| load.done() == all);
    members[0].wait_until(within, "all letters are sent", |_| load.on_their_way() == 0);
    for member in &mut members {
        member.sigterm();
        assert_eq!(member.wait_exit(Duration::from_secs(30)), Some(0), "{}", member.stderr());
    }
    let mut wrong = Vec::new();
    for line in judge(&oracle::answers(scale), &load.answers()) {
        say(&line.to_string());
        wrong.extend((!line.equal).then(|| line.to_string()));
    }
    for (pipeline, letters) in load.letters().iter().enumerate() {
        let (expected, got) = (bad.len(), letters.len());
        say(&format!("dead letters of pipeline {pipeline}: expected {expected}, got {got}"));
        wrong.extend(differences(&bad, letters));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let per_kind = bad.len() / Kind::ALL.len();
    assert!(per_kind > 0 && load.lag() == 0, "{per_kind} of each kind");
}

#[test]
fn with_bad_records_among_the_orders_the_answers_are_the_same_and_they_alone_are_dead_letters() {
    run(0.002, Duration::from_secs(180));
}

#[test]
#[ignore = "long: make tpch"]
fn the_whole_load_with_bad_records_gives_the_same_answers_and_they_alone_are_dead_letters() {
    let scale = env::var("SCALE").map_or(1.0, |scale| scale.parse().unwrap());
    run(scale, Duration::from_secs(4 * 3600));
}

#[test]
fn a_letter_too_few_too_many_or_of_another_reason_is_a_difference() {
    let record =
        |value: &[u8]| OwnedRecord { value: Some(value.to_vec()), ..OwnedRecord::default() };
    let bad = [(Kind::Empty, record(b"")), (Kind::NoBody, record(b"cut"))];
    let letter = |reason: &str, value: &[u8]| Letter {
        topic: "t.dlq".to_owned(),
        partition: 0,
        offset: 0,
        reason: reason.to_owned(),
        key: None,
        value: Some(value.to_vec()),
        parts: 1,
    };
    let [empty, cut] = [letter("frame_empty", b""), letter("truncated", b"cut")];
    let differ = |letters: &[Letter]| differences(&bad, letters).len();
    assert_eq!(differ(&[empty.clone(), cut.clone()]), 0);
    assert_eq!(differ(std::slice::from_ref(&empty)), 1);
    assert_eq!(differ(&[empty.clone(), cut.clone(), cut.clone()]), 1);
    assert_eq!(differ(&[empty.clone(), letter("trailing_bytes", b"cut")]), 2);
    assert_eq!(differ(&[empty.clone(), letter("made_up", b"cut")]), 2);
    assert_eq!(differ(&[empty, letter("truncated", b"cuT")]), 2);
}
