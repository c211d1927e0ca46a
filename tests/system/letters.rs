//! Each kind of bad record by itself: one letter with its bytes, its neighbours untouched, in the middle of its partition
//! and as its last record.

use ordermill::record::OwnedRecord;

use crate::plain::{Line, SOON};
use crate::support::{Letter, Services, letters};

/// The largest value that a topic takes with its default settings, in a record without key and headers:
/// `max.message.bytes` less the batch's head and what the record says of itself.
const VALUE_BYTES_MAX: usize = 1_048_588 - 61 - 11;

/// The reason of its letter, or none: it is as good as any.
type Kind = (Option<&'static str>, OwnedRecord);

fn of(value: Option<Vec<u8>>) -> OwnedRecord {
    OwnedRecord { key: Some(b"k".to_vec()), value, ..OwnedRecord::default() }
}

/// Bytes that do not shrink, whatever compresses them.
fn noise(bytes: usize) -> impl Iterator<Item = u8> {
    let mut state = 1_u32;
    let next = std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    next.take(bytes)
}

/// Headers that nobody expects, and bytes where text is expected.
fn odd(record: OwnedRecord) -> OwnedRecord {
    let headers = vec![
        ("b".to_owned(), Some(vec![0, 0xff])),
        ("a".to_owned(), None),
        ("b".to_owned(), Some(Vec::new())),
        (String::new(), Some(b"no name".to_vec())),
        ("ä".to_owned(), Some(b"x".to_vec())),
        ("b".to_owned(), Some(vec![b'.'; 10_000])),
        ("x-dlq-reason".to_owned(), Some(b"somebody else's".to_vec())),
        ("ce_id".to_owned(), Some(vec![0xff])),
    ];
    // not of long ago: the topic would not keep it
    let an_hour_ago = jiff::Timestamp::now().as_millisecond() - 3_600_123;
    OwnedRecord { headers, timestamp: Some(an_hour_ago), ..record }
}

/// `n` is the order's own where the record has one.
fn kinds(line: &Line, n: i64) -> Vec<Kind> {
    let good = |note: &str| line.value(n, note);
    let bad = |code, value| (Some(code), of(Some(value)));
    let whole = good("cut");
    let mut kinds = vec![bad("frame_empty", Vec::new())];
    kinds.extend((1..5).map(|bytes| bad("frame_short", vec![0; bytes])));
    kinds.extend((5..whole.len()).map(|bytes| bad("truncated", whole[..bytes].to_vec())));
    let mut unknown = whole.clone();
    unknown[1..5].copy_from_slice(&2_000_000_321_u32.to_be_bytes());
    let mut no_text = whole.clone();
    *no_text.last_mut().unwrap() = 0xff;
    let huge: Vec<u8> = noise(VALUE_BYTES_MAX).collect();
    // printable, and as large as a value can be: four bytes say how long it is
    let head = line.value(n, "").len() - 1 + 4;
    let note: String =
        noise(VALUE_BYTES_MAX - head).map(|byte| char::from(b' ' + byte % 95)).collect();
    let without_key = |value: Vec<u8>| OwnedRecord { key: None, ..of(Some(value)) };
    kinds.extend([
        bad("frame_magic", [b"{", &whole[1..]].concat()),
        bad("unknown_schema", unknown),
        bad("trailing_bytes", [&whole[..], &[0]].concat()),
        bad("bad_utf8", no_text.clone()),
        bad("unique_violation", line.value(n - 1, "is there")),
        bad("nul_in_text", good("a\0b")),
        (Some("tombstone"), of(None)),
        (Some("tombstone"), OwnedRecord::default()),
        (Some("bad_utf8"), without_key(no_text.clone())),
        (Some("bad_utf8"), odd(of(Some(no_text)))),
        (Some("tombstone"), odd(OwnedRecord { key: Some(Vec::new()), ..OwnedRecord::default() })),
        (Some("frame_magic"), without_key([&[0xff], &huge[1..]].concat())),
        (None, without_key(good(&note))),
        (None, without_key(good("no key"))),
        (None, odd(of(Some(good("odd headers"))))),
        (None, OwnedRecord { key: Some(vec![0xff, 0]), ..of(Some(good("no text as its key"))) }),
    ]);
    kinds
}

#[test]
fn every_kind_of_bad_record_becomes_one_letter_with_its_bytes_and_its_neighbours_become_rows() {
    let count = kinds(&Line::without_topic(), 0).len();
    // one partition where the kind stands among good records, and one where it is the last
    let partitions = i32::try_from(2 * count).unwrap();
    let line = Line::new(partitions).say("consecutive: 1", "consecutive: 50");
    let (mut sent, mut rows, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for partition in 0..partitions {
        let n = i64::from(partition) * 10;
        let (reason, record) = kinds(&line, n + 1)[usize::try_from(partition).unwrap() / 2].clone();
        let neighbour = |n: i64| (partition, of(Some(line.value(n, "neighbour"))));
        sent.extend([neighbour(n), (partition, record.clone())]);
        rows.push(n);
        if partition % 2 == 0 {
            sent.push(neighbour(n + 2));
            rows.push(n + 2);
        }
        match reason {
            None => rows.push(n + 1),
            Some(reason) => expected.push((partition, reason, record)),
        }
    }
    rows.sort_unstable();
    let records = sent.len() as f64;
    line.send_records(sent);
    let mut mill = line.run();
    mill.wait_until(SOON, "every record has ended", |mill| {
        let scrape = mill.scrape();
        let ended = |what: &str| scrape.sum(&format!("ordermill_{what}_total"), &[]);
        ended("records_effected") + ended("dlq_records") >= records
    });
    mill.wait_until(SOON, "every letter is sent", |_| {
        line.database.query("SELECT count(*) FROM ordermill_outbox") == "0"
    });
    mill.sigterm();
    assert_eq!(mill.wait_exit(SOON), Some(0), "{}", mill.stderr());

    assert_eq!(line.rows(), rows);
    let topic = line.dead_letters();
    let got = letters(&Services::get().kafka, &line.topic, &[&topic]);
    let large = |record: &OwnedRecord| record.value.as_ref().is_some_and(|v| v.len() > 1_000_000);
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(partition, reason, record)| Letter {
            topic: topic.clone(),
            partition,
            offset: 1,
            reason: reason.to_owned(),
            parts: if large(&record) { 2 } else { 1 },
            key: record.key,
            value: record.value,
        })
        .collect();
    let brief = |letter: &Letter| (letter.partition, letter.reason.clone(), letter.parts);
    let briefs = |letters: &[Letter]| letters.iter().map(brief).collect::<Vec<_>>();
    assert_eq!(briefs(&got), briefs(&expected));
    assert!(got == expected, "a letter is not what its record was");
    let ends = (0..partitions).map(|partition| (partition, 3 - i64::from(partition % 2)));
    assert_eq!(line.committed(), ends.collect());
}
