//! Broken data: mutations of good records, judged by Python's fastavro.
//!
//! With all fields read, nothing is accepted that fastavro refuses. With a projection the same, except for
//! text that is not UTF-8 in fields that are skipped. No cut record is accepted. Nothing ever panics.
//!
//! fastavro runs in the Python that `ORDERMILL_TEST_PYTHON` names; without it that half is left out, and
//! says so. `ORDERMILL_MUTATIONS` sets how many mutations there are.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use bumpalo::Bump;
use ordermill::codec::{Encoder, Error, Flaw, Plan, Schema};
use ordermill::record::{Uses, Value};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::model::{Source, Ty};

/// Mutations in all, unless the environment says otherwise.
const MUTATIONS: usize = 200_000;

/// The fields that each projection reads; the rest is skipped.
const SCHEMAS: [(&str, &[&str]); 8] = [
    (
        r#"{"type":"record","name":"Order","fields":[{"name":"o_orderkey","type":"long"},{"name":"o_orderstatus","type":"string"},{"name":"o_totalprice","type":{"type":"bytes","logicalType":"decimal","precision":15,"scale":2}},{"name":"o_orderdate","type":{"type":"int","logicalType":"date"}},{"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[{"name":"n","type":"int"},{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":15,"scale":2}},{"name":"ship","type":{"type":"int","logicalType":"date"}},{"name":"comment","type":"string"}]}}}]}"#,
        &["o_orderkey", "lines"],
    ),
    (
        r#"{"type":"record","name":"Created","fields":[{"name":"id","type":{"type":"string","logicalType":"uuid"}},{"name":"product","type":"string"},{"name":"quantity","type":"int"},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"note","type":["null","string"]},{"name":"tags","type":{"type":"map","values":"string"}}]}"#,
        &["quantity", "note"],
    ),
    (
        r#"{"type":"record","name":"Primitives","fields":[{"name":"a","type":"null"},{"name":"b","type":"boolean"},{"name":"c","type":"int"},{"name":"d","type":"long"},{"name":"e","type":"float"},{"name":"f","type":"double"},{"name":"g","type":"bytes"},{"name":"h","type":"string"},{"name":"i","type":"boolean"},{"name":"j","type":"boolean"}]}"#,
        &["d", "h"],
    ),
    (
        r#"{"type":"record","name":"Nests","fields":[{"name":"a","type":{"type":"array","items":{"type":"array","items":{"type":"map","values":"int"}}}},{"name":"b","type":{"type":"map","values":{"type":"array","items":"boolean"}}},{"name":"c","type":{"type":"array","items":"double"}},{"name":"d","type":"int"}]}"#,
        &["d"],
    ),
    (
        r#"{"type":"record","name":"Named","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B","C"]}},{"name":"f","type":{"type":"fixed","name":"F","size":4}},{"name":"m","type":{"type":"fixed","name":"M","size":8,"logicalType":"decimal","precision":18,"scale":4}},{"name":"u","type":{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}},{"name":"again","type":{"type":"array","items":"E"}},{"name":"last","type":"F"}]}"#,
        &["f", "last"],
    ),
    (
        r#"{"type":"record","name":"Unions","fields":[{"name":"a","type":["null","boolean","int","string",{"type":"array","items":"long"}]},{"name":"b","type":{"type":"array","items":["null","string",{"type":"record","name":"In","fields":[{"name":"x","type":["int","null"]}]}]}},{"name":"c","type":["double","bytes"]}]}"#,
        &["c"],
    ),
    (
        r#"{"type":"record","name":"Deep","fields":[{"name":"a","type":{"type":"record","name":"D1","fields":[{"name":"b","type":{"type":"record","name":"D2","fields":[{"name":"c","type":["null",{"type":"record","name":"D3","fields":[{"name":"t","type":"string"},{"name":"l","type":{"type":"array","items":{"type":"record","name":"D4","fields":[{"name":"x","type":"boolean"},{"name":"y","type":"bytes"}]}}}]}]},{"name":"d","type":"long"}]}}]}},{"name":"z","type":"string"}]}"#,
        &["z"],
    ),
    (
        r#"{"type":"record","name":"Times","fields":[{"name":"d","type":{"type":"int","logicalType":"date"}},{"name":"t","type":{"type":"int","logicalType":"time-millis"}},{"name":"u","type":{"type":"long","logicalType":"time-micros"}},{"name":"s","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"l","type":{"type":"long","logicalType":"local-timestamp-millis"}},{"name":"dates","type":{"type":"array","items":{"type":"int","logicalType":"date"}}},{"name":"x","type":"boolean"}]}"#,
        &["x"],
    ),
];

#[test]
fn no_mutation_panics_and_nothing_is_accepted_that_fastavro_refuses() {
    let amount = std::env::var("ORDERMILL_MUTATIONS").ok().and_then(|n| n.parse().ok());
    let amount = amount.unwrap_or(MUTATIONS) / SCHEMAS.len();
    let mut oracle = Oracle::start();
    if oracle.is_none() {
        eprintln!(
            "\n*** NOT TESTED: fastavro's verdicts. Set ORDERMILL_TEST_PYTHON to a Python with fastavro. ***\n"
        );
    }
    let mut accepted = 0;
    for (number, (text, fields)) in SCHEMAS.iter().enumerate() {
        let bodies = mutations(text, amount, number as u64);
        let verdicts = oracle.as_mut().map(|oracle| oracle.judge(text, &bodies));
        let judge = Judge::new(text, fields);
        for (i, body) in bodies.iter().enumerate() {
            accepted += usize::from(judge.judge(body, verdicts.as_ref().map(|v| v[i])));
        }
    }
    // With few of either kind nothing would have been tested.
    let all = amount * SCHEMAS.len();
    assert!(accepted > all / 10 && accepted < all / 2, "{accepted} of {all} were accepted");
}

#[test]
fn no_cut_record_is_accepted_whatever_is_read() {
    for (number, (text, fields)) in SCHEMAS.iter().enumerate() {
        let judge = Judge::new(text, fields);
        for good in bodies(text, 50, number as u64) {
            assert!(judge.judge(&good, None), "{text}");
            for length in 0..good.len() {
                let bump = Bump::new();
                for plan in [&judge.all, &judge.some, &judge.none] {
                    let cut = plan.decode(&good[..length], &bump);
                    assert!(cut.is_err(), "{text}\n{:02x?}\n{cut:?}", &good[..length]);
                }
            }
        }
    }
}

/// The plans of one schema.
struct Judge {
    text: &'static str,
    all: Plan,
    some: Plan,
    none: Plan,
    encoder: Encoder,
}

impl Judge {
    fn new(text: &'static str, fields: &[&str]) -> Self {
        let schema = Schema::parse(text, &[]).unwrap();
        let mut uses = Uses::nothing();
        for field in fields {
            uses.add(&[field]);
        }
        Self {
            text,
            all: Plan::compile(&schema, &schema, &Uses::All).unwrap(),
            some: Plan::compile(&schema, &schema, &uses).unwrap(),
            none: Plan::compile(&schema, &schema, &Uses::nothing()).unwrap(),
            encoder: Encoder::compile(&schema, &schema.shape()).unwrap(),
        }
    }

    /// Holds all plans against each other and the oracle; true: the body was accepted.
    fn judge(&self, body: &[u8], oracle_accepts: Option<bool>) -> bool {
        let bump = Bump::new();
        let all = self.all.decode(body, &bump);
        let some = self.some.decode(body, &bump);
        let none = self.none.decode(body, &bump);
        let what = || format!("{}\n{body:02x?}\n{all:?}\n{some:?}", self.text);
        match &all {
            Ok(values) => {
                assert_ne!(oracle_accepts, Some(false), "fastavro refuses {}", what());
                assert!(none.is_ok(), "{}", what());
                let read = some.as_ref().unwrap_or_else(|_| panic!("{}", what()));
                for (field, value) in self.some.shape().fields.iter().zip(*read) {
                    let (slot, _) = self.all.shape().field(&field.name).unwrap();
                    assert_eq!(format!("{:?}", values[slot]), format!("{value:?}"), "{}", what());
                }
                self.again(values);
            }
            Err(error) if !is_seen_only_in_what_is_read(error) => {
                assert!(some.is_err() && none.is_err(), "{}", what());
            }
            Err(_) => {}
        }
        all.is_ok()
    }

    /// Values that were accepted are written and read back as they were.
    fn again(&self, values: &[Value<'_>]) {
        let mut body = Vec::new();
        self.encoder.encode(values, &mut body).unwrap();
        let bump = Bump::new();
        let again = self.all.decode(&body, &bump).unwrap();
        assert_eq!(format!("{values:?}"), format!("{again:?}"));
    }
}

/// Bad UTF-8 in a field that is skipped is accepted; and so are decimals of more digits than the schema allows, which
/// fastavro takes wherever they stand.
fn is_seen_only_in_what_is_read(error: &Error) -> bool {
    let Error::Data { flaw, .. } = error else { panic!("{error}") };
    matches!(flaw, Flaw::Utf8 | Flaw::Decimal)
}

/// Good records of the schema, written by apache-avro.
fn bodies(text: &str, amount: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut rng = random(seed);
    let ty = ty_of(&serde_json::from_str(text).unwrap());
    let schema = apache_avro::Schema::parse_str(text).unwrap();
    let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&schema).build().unwrap();
    let mut good = || {
        let mut entropy = [0; 256];
        rng.fill_bytes(&mut entropy);
        writer.write_value_to_vec(ty.value(&mut Source::new(&entropy))).unwrap()
    };
    (0..amount).map(|_| good()).collect()
}

fn random(seed: u64) -> TestRng {
    TestRng::from_seed(RngAlgorithm::ChaCha, &[seed as u8 + 1; 32])
}

/// Good records of the schema, then changed: bits and bytes, cuts, copies, longer varints.
fn mutations(text: &str, amount: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut rng = random(seed + 100);
    let mut changed = Vec::with_capacity(amount);
    for good in bodies(text, amount.div_ceil(20), seed) {
        for changes in 0..20 {
            let mut body = good.clone();
            (0..changes % 4).for_each(|_| mutate(&mut body, &mut rng));
            changed.push(body);
        }
    }
    changed.truncate(amount);
    changed
}

fn mutate(body: &mut Vec<u8>, rng: &mut TestRng) {
    let mut below = |of: usize| rng.next_u64() as usize % of.max(1);
    let at = below(body.len());
    match below(8) {
        _ if body.is_empty() => body.push(below(256) as u8),
        0 | 1 => body[at] ^= 1 << below(8),
        2 => body[at] = [0, 1, 2, 3, 0x7f, 0x80, 0xff][below(7)],
        3 => body.truncate(at),
        4 => body.insert(at, below(256) as u8),
        5 => drop(body.remove(at)),
        // A number that takes more bytes than it needs, or far too many.
        6 => {
            body[at] |= 0x80;
            let more = below(11);
            body.splice(at + 1..at + 1, std::iter::repeat_n(0x80, more).chain([below(2) as u8]));
        }
        _ => {
            let end = at + below(body.len() - at + 1);
            let copy = body[at..end].to_vec();
            let to = below(body.len() + 1);
            body.splice(to..to, copy);
        }
    }
}

/// The model's type of a schema text: the inverse of its `json`.
fn ty_of(json: &serde_json::Value) -> Ty {
    fn of(json: &serde_json::Value, named: &mut Vec<(String, Ty)>) -> Ty {
        let word = |w: &str, named: &[(String, Ty)]| match named.iter().find(|(n, _)| n == w) {
            Some((_, ty)) => ty.clone(),
            None => Ty::Word(
                ["null", "boolean", "int", "long", "float", "double", "bytes", "string"]
                    .into_iter()
                    .find(|known| *known == w)
                    .unwrap(),
            ),
        };
        let object = match json {
            serde_json::Value::String(w) => return word(w, named),
            serde_json::Value::Array(branches) => {
                return Ty::Union(branches.iter().map(|b| of(b, named)).collect());
            }
            other => other,
        };
        let text = |key: &str| object[key].as_str().unwrap_or("").to_owned();
        let number = |key: &str| object[key].as_u64().unwrap_or(0);
        let digits = (number("precision") as u32, number("scale") as u32);
        let ty = match (text("type").as_str(), text("logicalType").as_str()) {
            ("array", _) => return Ty::Array(of(&object["items"], named).into()),
            ("map", _) => return Ty::Map(of(&object["values"], named).into()),
            ("bytes", "decimal") => return Ty::Decimal { precision: digits.0, scale: digits.1 },
            ("fixed", "decimal") => Ty::DecimalFixed {
                name: text("name"),
                size: number("size") as usize,
                precision: digits.0,
                scale: digits.1,
            },
            ("fixed", "uuid") => Ty::UuidFixed(text("name")),
            ("fixed", _) => Ty::Fixed(text("name"), number("size") as usize),
            ("enum", _) => {
                let symbols = object["symbols"].as_array().unwrap();
                let symbols = symbols.iter().map(|s| s.as_str().unwrap().to_owned()).collect();
                Ty::Enum(text("name"), symbols)
            }
            ("record", _) => {
                let fields = object["fields"].as_array().unwrap().iter().map(|field| {
                    (field["name"].as_str().unwrap().to_owned(), of(&field["type"], named))
                });
                Ty::Record(text("name"), fields.collect())
            }
            (base, logical) => {
                return Ty::Logical(
                    if base == "string" { "string" } else { "number" },
                    [
                        "uuid",
                        "date",
                        "time-millis",
                        "time-micros",
                        "timestamp-millis",
                        "timestamp-micros",
                        "local-timestamp-millis",
                    ]
                    .into_iter()
                    .find(|known| *known == logical)
                    .unwrap(),
                );
            }
        };
        named.push((text("name"), ty.clone()));
        ty
    }
    of(json, &mut Vec::new())
}

/// fastavro in a process of its own.
struct Oracle(std::process::Child);

impl Oracle {
    fn start() -> Option<Self> {
        let python = std::env::var_os("ORDERMILL_TEST_PYTHON")?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/oracle/avro_oracle.py");
        let child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ORDERMILL_TEST_PYTHON starts");
        Some(Self(child))
    }

    /// Is each body accepted as a whole?
    fn judge(&mut self, schema: &str, bodies: &[Vec<u8>]) -> Vec<bool> {
        let stdin = self.0.stdin.as_mut().unwrap();
        let stdout = BufReader::new(self.0.stdout.as_mut().unwrap());
        std::thread::scope(|scope| {
            scope.spawn(move || {
                writeln!(stdin, "schema {schema}").unwrap();
                for body in bodies {
                    let hex: String = body.iter().map(|b| format!("{b:02x}")).collect();
                    writeln!(stdin, "body {hex}").unwrap();
                }
                stdin.flush().unwrap();
            });
            stdout
                .lines()
                .take(bodies.len())
                .map(|line| match line.unwrap().as_str() {
                    "accept" => true,
                    "refuse" => false,
                    other => panic!("the oracle says {other}"),
                })
                .collect()
        })
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
