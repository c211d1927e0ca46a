//! Valid data, both ways: what apache-avro encodes we decode, what we encode it decodes, and resolving to
//! another reader's schema gives what it gives.

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use bumpalo::Bump;
use ordermill::codec::{Encoder, Plan, Schema, compatible};
use ordermill::record::{Uses, Value};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::model::{Source, Ty, same};

/// A random record type, its schema text, and a source for its data.
fn case(bytes: &[u8]) -> (Ty, String, Source<'_>) {
    let (schema, data) = bytes.split_at(bytes.len() / 2);
    let ty = Ty::record(&mut Source::new(schema), 3);
    let text = ty.json().to_string();
    (ty, text, Source::new(data))
}

fn encode(text: &str, value: &Avro) -> Vec<u8> {
    let schema = apache_avro::Schema::parse_str(text).unwrap();
    GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(value.clone()).unwrap()
}

fn decode(text: &str, reader: Option<&str>, mut body: &[u8]) -> Result<Avro, String> {
    let schema = apache_avro::Schema::parse_str(text).unwrap();
    let reader = reader.map(|text| apache_avro::Schema::parse_str(text).unwrap());
    let value = GenericDatumReader::builder(&schema)
        .maybe_reader_schema(reader.as_ref())
        .build()
        .and_then(|datum| datum.read_value(&mut body));
    assert!(value.is_err() || body.is_empty(), "apache-avro leaves bytes over");
    value.map_err(|e| e.to_string())
}

/// Random schemas for each law.
const CASES: u32 = 1_000;

fn cases() -> ProptestConfig {
    // A failure is printed whole; it becomes a test of its own by hand.
    ProptestConfig {
        cases: CASES,
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_apache_avro_encodes_we_decode_and_every_cut_we_refuse(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let (ty, text, mut source) = case(&bytes);
        let avro = ty.value(&mut source);
        let body = encode(&text, &avro);
        let schema = Schema::parse(&text, &[]).unwrap();
        let plan = Plan::compile(&schema, &schema, &Uses::All).unwrap();
        let bump = Bump::new();
        let ours = Value::Record(plan.decode(&body, &bump).unwrap());
        prop_assert!(same(&avro, &ours, &ty), "{text}\n{avro:?}\n{ours:?}");
        let none = Plan::compile(&schema, &schema, &Uses::nothing()).unwrap();
        prop_assert_eq!(none.decode(&body, &bump), Ok(&[][..]));
        for end in 0..body.len() {
            prop_assert!(plan.decode(&body[..end], &bump).is_err());
            prop_assert!(none.decode(&body[..end], &bump).is_err());
        }
        let mut longer = body.clone();
        longer.push(0);
        prop_assert!(plan.decode(&longer, &bump).is_err());
        prop_assert!(none.decode(&longer, &bump).is_err());
    }

    #[test]
    fn what_we_encode_apache_avro_decodes(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let (ty, text, mut source) = case(&bytes);
        prop_assume!(!ty.has_several_records());
        let schema = Schema::parse(&text, &[]).unwrap();
        let plan = Plan::compile(&schema, &schema, &Uses::All).unwrap();
        let bump = Bump::new();
        let body = encode(&text, &ty.value(&mut source));
        let values = plan.decode(&body, &bump).unwrap();
        let mut ours = Vec::new();
        let encoder = Encoder::compile(&schema, &schema.shape()).unwrap();
        encoder.encode(values, &mut ours).unwrap_or_else(|e| panic!("{e}\n{text}\n{values:?}"));
        let theirs = decode(&text, None, &ours).unwrap();
        prop_assert!(same(&theirs, &Value::Record(values), &ty), "{text}\n{values:?}\n{theirs:?}");
    }

    #[test]
    fn what_is_used_reads_the_same_whatever_else_is(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let (ty, text, mut source) = case(&bytes);
        let body = encode(&text, &ty.value(&mut source));
        let schema = Schema::parse(&text, &[]).unwrap();
        let all = Plan::compile(&schema, &schema, &Uses::All).unwrap();
        let bump = Bump::new();
        let whole = all.decode(&body, &bump).unwrap();
        let mut uses = Uses::nothing();
        for field in &schema.shape().fields {
            if source.below(2) == 0 {
                uses.add(&[&field.name]);
            }
        }
        let some = Plan::compile(&schema, &schema, &uses).unwrap();
        let part = some.decode(&body, &bump).unwrap();
        prop_assert_eq!(part.len(), some.shape().fields.len());
        for (field, value) in some.shape().fields.iter().zip(part) {
            let (slot, ty) = all.shape().field(&field.name).unwrap();
            prop_assert_eq!(ty, &field.ty);
            // NaN is not equal to itself.
            prop_assert_eq!(format!("{:?}", whole[slot]), format!("{:?}", value));
        }
    }

    #[test]
    fn reading_as_an_evolved_schema_gives_what_apache_avro_gives(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let (ty, text, mut source) = case(&bytes);
        let avro = ty.value(&mut source);
        let body = encode(&text, &avro);
        let mut exact = true;
        let evolved = evolve(&ty, &mut source, &mut exact);
        let reader = evolved.json.to_string();
        let (ours_w, ours_r) = (Schema::parse(&text, &[]).unwrap(), Schema::parse(&reader, &[]).unwrap());
        let plan = Plan::compile(&ours_w, &ours_r, &Uses::All)
            .unwrap_or_else(|e| panic!("{e}\n{text}\n{reader}"));
        let bump = Bump::new();
        let values = plan.decode(&body, &bump).unwrap_or_else(|e| panic!("{e}\n{text}\n{reader}"));
        prop_assert!(compatible(&ours_w, &ours_r).is_ok());
        // apache-avro resolves no aliases.
        if exact && !ty.has_decimal() {
            let theirs = decode(&text, Some(&reader), &body)
                .unwrap_or_else(|e| panic!("apache-avro: {e}\n{text}\n{reader}"));
            prop_assert!(
                same(&theirs, &Value::Record(values), &evolved.ty),
                "{text}\n{reader}\n{theirs:?}\n{values:?}"
            );
        }
    }
}

/// A reader's type for a writer's, and its schema.
struct Evolved {
    ty: Ty,
    json: Json,
}

/// A schema that data of `ty` can be read as: other order, fields gone and added, wider numbers, more
/// symbols, an option where there was none. `exact` is cleared where apache-avro cannot follow.
fn evolve(ty: &Ty, source: &mut Source<'_>, exact: &mut bool) -> Evolved {
    let keep = |ty: &Ty| Evolved { ty: ty.clone(), json: ty.json() };
    match ty {
        Ty::Word(word) => {
            let wider: &[&'static str] = match *word {
                "int" => &["int", "long", "float", "double"],
                "long" => &["long", "double"],
                "float" => &["float", "double"],
                "string" => &["string", "bytes"],
                _ => &[word],
            };
            let word = wider[source.below(wider.len())];
            keep(&Ty::Word(word))
        }
        Ty::Enum(name, symbols) => {
            let mut symbols = symbols.clone();
            let by = source.below(2);
            symbols.rotate_left(by);
            symbols.insert(0, "ADDED".into());
            keep(&Ty::Enum(name.clone(), symbols))
        }
        Ty::Array(item) => {
            let item = evolve(item, source, exact);
            Evolved {
                ty: Ty::Array(item.ty.into()),
                json: json!({"type": "array", "items": item.json}),
            }
        }
        Ty::Map(item) => {
            let item = evolve(item, source, exact);
            Evolved {
                ty: Ty::Map(item.ty.into()),
                json: json!({"type": "map", "values": item.json}),
            }
        }
        // apache-avro takes the reader's branch by the value, and mistakes some named ones for others.
        Ty::Union(branches) => {
            *exact &= !branches.iter().any(|b| matches!(b, Ty::UuidFixed(_)));
            keep(ty)
        }
        Ty::Record(name, fields) => evolve_record(name, fields, source, exact),
        other => keep(other),
    }
}

fn evolve_record(
    name: &str,
    fields: &[(String, Ty)],
    source: &mut Source<'_>,
    exact: &mut bool,
) -> Evolved {
    let mut made: Vec<(String, Ty, Json)> = Vec::new();
    for (name, ty) in fields {
        match source.below(6) {
            // Not read any more; an array's item must keep something.
            0 if fields.len() > 1 && !made.is_empty() => {}
            1 => {
                *exact = false;
                let new = evolve(ty, source, exact);
                let renamed = format!("new_{name}");
                let json = json!({"name": renamed, "type": new.json, "aliases": ["x", name]});
                made.push((renamed, new.ty, json));
            }
            _ => {
                let new = evolve(ty, source, exact);
                let json = json!({"name": name, "type": new.json});
                made.push((name.clone(), new.ty, json));
            }
        }
    }
    if source.below(2) == 0 {
        let (ty, default) = match source.below(4) {
            0 => (Ty::Word("long"), json!(-70_000)),
            1 => (Ty::Word("string"), json!("ü")),
            2 => (Ty::Array(Ty::Word("int").into()), json!([1, 2])),
            _ => (Ty::Union(vec![Ty::Word("null"), Ty::Word("int")]), json!(null)),
        };
        let added = format!("added_{name}");
        let json = json!({"name": added, "type": ty.json(), "default": default});
        made.insert(source.below(made.len() + 1), (added, ty, json));
    }
    let shift = source.below(made.len().max(1));
    made.rotate_left(shift);
    Evolved {
        json: json!({"type": "record", "name": name,
            "fields": made.iter().map(|(_, _, json)| json.clone()).collect::<Vec<_>>()}),
        ty: Ty::Record(name.into(), made.into_iter().map(|(name, ty, _)| (name, ty)).collect()),
    }
}
