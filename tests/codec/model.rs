//! Random schemas and random data of them, drawn from a string of bytes so that a failure shrinks.

use apache_avro::types::Value as Avro;
use apache_avro::{Days, Decimal as AvroDecimal, Duration, Millis, Months};
use ordermill::record::Value;
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// Choices, made from bytes; zeros when they are spent.
pub(crate) struct Source<'s> {
    bytes: &'s [u8],
    names: usize,
}

impl<'s> Source<'s> {
    pub(crate) fn new(bytes: &'s [u8]) -> Self {
        Self { bytes, names: 0 }
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((first, rest)) => {
                self.bytes = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number below `of`.
    pub(crate) fn below(&mut self, of: usize) -> usize {
        (usize::from(self.byte()) | usize::from(self.byte()) << 8) % of
    }

    /// A long of any size, the small ones as often as the large.
    pub(crate) fn long(&mut self) -> i64 {
        let mut bytes = [0; 8];
        let len = self.below(9);
        for byte in &mut bytes[..len] {
            *byte = self.byte();
        }
        let raw = u64::from_le_bytes(bytes);
        (raw >> 1).cast_signed() ^ -(raw & 1).cast_signed()
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.long().rem_euclid(high - low + 1)
    }

    fn blob(&mut self) -> Vec<u8> {
        (0..self.below(12)).map(|_| self.byte()).collect()
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.blob()).into_owned()
    }

    fn name(&mut self, stem: &str) -> String {
        self.names += 1;
        format!("{stem}{}", self.names)
    }
}

/// A type of a schema.
#[derive(Clone, Debug)]
pub(crate) enum Ty {
    /// One that is written with a word.
    Word(&'static str),
    /// A word with a logical type.
    Logical(&'static str, &'static str),
    Decimal {
        precision: u32,
        scale: u32,
    },
    DecimalFixed {
        name: String,
        size: usize,
        precision: u32,
        scale: u32,
    },
    UuidFixed(String),
    DurationFixed(String),
    Fixed(String, usize),
    Enum(String, Vec<String>),
    Array(Box<Ty>),
    Map(Box<Ty>),
    Union(Vec<Ty>),
    Record(String, Vec<(String, Ty)>),
}

const SCALARS: [Ty; 19] = [
    Ty::Word("boolean"),
    Ty::Word("int"),
    Ty::Word("long"),
    Ty::Word("float"),
    Ty::Word("double"),
    Ty::Word("bytes"),
    Ty::Word("string"),
    Ty::Logical("string", "uuid"),
    Ty::Logical("int", "date"),
    Ty::Logical("int", "time-millis"),
    Ty::Logical("long", "time-micros"),
    Ty::Logical("long", "timestamp-millis"),
    Ty::Logical("long", "timestamp-micros"),
    Ty::Logical("long", "timestamp-nanos"),
    Ty::Logical("long", "local-timestamp-millis"),
    Ty::Logical("long", "local-timestamp-micros"),
    Ty::Logical("long", "local-timestamp-nanos"),
    Ty::Decimal { precision: 15, scale: 2 },
    Ty::Decimal { precision: 28, scale: 9 },
];

impl Ty {
    /// A record of a few fields.
    pub(crate) fn record(source: &mut Source<'_>, depth: usize) -> Ty {
        let name = source.name("R");
        let fields =
            (0..1 + source.below(5)).map(|_| (source.name("f"), Ty::any(source, depth))).collect();
        Ty::Record(name, fields)
    }

    fn any(source: &mut Source<'_>, depth: usize) -> Ty {
        let kinds = if depth == 0 { 26 } else { 34 };
        match source.below(kinds) {
            scalar @ 0..=18 => SCALARS[scalar].clone(),
            19 => Ty::Word("null"),
            20 => Ty::UuidFixed(source.name("U")),
            21 => Ty::DurationFixed(source.name("D")),
            22 => Ty::Fixed(source.name("F"), source.below(5)),
            23 => Ty::DecimalFixed { name: source.name("M"), size: 8, precision: 18, scale: 4 },
            24 | 25 => {
                let symbols = (0..1 + source.below(4)).map(|_| source.name("S")).collect();
                Ty::Enum(source.name("E"), symbols)
            }
            26 | 27 => Ty::Array(Box::new(Ty::item(source, depth - 1))),
            28 => Ty::Map(Box::new(Ty::item(source, depth - 1))),
            29..=31 => Ty::union(source, depth - 1),
            _ => Ty::record(source, depth - 1),
        }
    }

    /// An item of an array or map: one that takes bytes.
    fn item(source: &mut Source<'_>, depth: usize) -> Ty {
        let ty = Ty::any(source, depth);
        if ty.bytes_min() == 0 { Ty::Word("long") } else { ty }
    }

    fn union(source: &mut Source<'_>, depth: usize) -> Ty {
        let mut branches: Vec<Ty> = Vec::new();
        for _ in 0..1 + source.below(4) {
            let branch = Ty::any(source, depth);
            let base = branch.base();
            if base != "union" && (base == "named" || branches.iter().all(|b| b.base() != base)) {
                branches.push(branch);
            }
        }
        if branches.is_empty() { Ty::Word("null") } else { Ty::Union(branches) }
    }

    /// Two branches of a union must not have the same.
    fn base(&self) -> &'static str {
        match self {
            Ty::Word(word) | Ty::Logical(word, _) => word,
            Ty::Decimal { .. } => "bytes",
            Ty::Array(_) => "array",
            Ty::Map(_) => "map",
            Ty::Union(_) => "union",
            _ => "named",
        }
    }

    fn bytes_min(&self) -> usize {
        match self {
            Ty::Word("null") => 0,
            Ty::Fixed(_, size) => *size,
            Ty::Record(_, fields) => fields.iter().map(|(_, ty)| ty.bytes_min()).sum(),
            _ => 1,
        }
    }

    /// Are there several records in a union? Which one a value is of then does not show.
    pub(crate) fn has_several_records(&self) -> bool {
        match self {
            Ty::Array(item) | Ty::Map(item) => item.has_several_records(),
            Ty::Record(_, fields) => fields.iter().any(|(_, ty)| ty.has_several_records()),
            Ty::Union(branches) => {
                branches.iter().filter(|b| matches!(b, Ty::Record(..))).count() > 1
                    || branches.iter().any(Ty::has_several_records)
            }
            _ => false,
        }
    }

    /// Is there a decimal? apache-avro resolves only those whose bytes could hold the whole precision.
    pub(crate) fn has_decimal(&self) -> bool {
        match self {
            Ty::Decimal { .. } | Ty::DecimalFixed { .. } => true,
            Ty::Array(item) | Ty::Map(item) => item.has_decimal(),
            Ty::Record(_, fields) => fields.iter().any(|(_, ty)| ty.has_decimal()),
            Ty::Union(branches) => branches.iter().any(Ty::has_decimal),
            _ => false,
        }
    }

    pub(crate) fn json(&self) -> Json {
        match self {
            Ty::Word(word) => json!(word),
            Ty::Logical(word, logical) => json!({"type": word, "logicalType": logical}),
            Ty::Decimal { precision, scale } => {
                json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
            }
            Ty::DecimalFixed { name, size, precision, scale } => json!({
                "type": "fixed", "name": name, "size": size,
                "logicalType": "decimal", "precision": precision, "scale": scale
            }),
            Ty::UuidFixed(name) => {
                json!({"type": "fixed", "name": name, "size": 16, "logicalType": "uuid"})
            }
            Ty::DurationFixed(name) => {
                json!({"type": "fixed", "name": name, "size": 12, "logicalType": "duration"})
            }
            Ty::Fixed(name, size) => json!({"type": "fixed", "name": name, "size": size}),
            Ty::Enum(name, symbols) => json!({"type": "enum", "name": name, "symbols": symbols}),
            Ty::Array(item) => json!({"type": "array", "items": item.json()}),
            Ty::Map(item) => json!({"type": "map", "values": item.json()}),
            Ty::Union(branches) => Json::Array(branches.iter().map(Ty::json).collect()),
            Ty::Record(name, fields) => {
                let fields: Vec<Json> = fields
                    .iter()
                    .map(|(name, ty)| json!({"name": name, "type": ty.json()}))
                    .collect();
                json!({"type": "record", "name": name, "fields": fields})
            }
        }
    }

    /// A value of the type as apache-avro has it.
    pub(crate) fn value(&self, source: &mut Source<'_>) -> Avro {
        const MICROS_MIN: i64 = -62_135_596_800_000_000;
        const MICROS_MAX: i64 = 253_402_300_799_999_999;
        #[allow(clippy::cast_possible_truncation, reason = "the ranges are of an int")]
        let int = |long: i64| long as i32;
        match self {
            Ty::Word("null") => Avro::Null,
            Ty::Word("boolean") => Avro::Boolean(source.below(2) == 1),
            Ty::Word("int") => Avro::Int(int(source.long())),
            Ty::Word("long") => Avro::Long(source.long()),
            Ty::Word("float") => Avro::Float(f32::from_bits(int(source.long()).cast_unsigned())),
            Ty::Word("double") => Avro::Double(f64::from_bits(source.long().cast_unsigned())),
            Ty::Word("bytes") => Avro::Bytes(source.blob()),
            Ty::Word(_) => Avro::String(source.text()),
            Ty::Logical(_, "uuid") | Ty::UuidFixed(_) => Avro::Uuid(Uuid::from_u64_pair(
                source.long().cast_unsigned(),
                source.long().cast_unsigned(),
            )),
            Ty::Logical(_, "date") => Avro::Date(int(source.between(-719_162, 2_932_896))),
            Ty::Logical(_, "time-millis") => Avro::TimeMillis(int(source.between(0, 86_399_999))),
            Ty::Logical(_, "time-micros") => Avro::TimeMicros(source.between(0, 86_399_999_999)),
            Ty::Logical(_, logical) => {
                let millis = source.between(MICROS_MIN / 1_000, MICROS_MAX / 1_000);
                let micros = millis * 1_000 + if millis < 0 { 999 } else { 0 };
                match *logical {
                    "timestamp-millis" => Avro::TimestampMillis(millis),
                    "timestamp-micros" => Avro::TimestampMicros(micros),
                    "timestamp-nanos" => Avro::TimestampNanos(source.long()),
                    "local-timestamp-millis" => Avro::LocalTimestampMillis(millis),
                    "local-timestamp-micros" => Avro::LocalTimestampMicros(micros),
                    _ => Avro::LocalTimestampNanos(source.long()),
                }
            }
            Ty::Decimal { precision, .. } => decimal(source, *precision, 0),
            Ty::DecimalFixed { precision, size, .. } => decimal(source, *precision, *size),
            Ty::DurationFixed(_) => Avro::Duration(Duration::new(
                Months::new(u32::from(source.byte())),
                Days::new(u32::from(source.byte())),
                Millis::new(u32::from(source.byte())),
            )),
            Ty::Fixed(_, size) => Avro::Fixed(*size, (0..*size).map(|_| source.byte()).collect()),
            Ty::Enum(_, symbols) => {
                let index = source.below(symbols.len());
                Avro::Enum(u32::try_from(index).unwrap(), symbols[index].clone())
            }
            Ty::Array(item) => {
                Avro::Array((0..source.below(4)).map(|_| item.value(source)).collect())
            }
            Ty::Map(item) => Avro::Map(
                (0..source.below(4)).map(|_| (source.text(), item.value(source))).collect(),
            ),
            Ty::Union(branches) => {
                let index = source.below(branches.len());
                let value = branches[index].value(source);
                Avro::Union(u32::try_from(index).unwrap(), Box::new(value))
            }
            Ty::Record(_, fields) => Avro::Record(
                fields.iter().map(|(name, ty)| (name.clone(), ty.value(source))).collect(),
            ),
        }
    }
}

fn decimal(source: &mut Source<'_>, precision: u32, size: usize) -> Avro {
    let wide = i128::from(source.long()) * (i128::from(source.long()) % 1_000_000_000 + 1);
    let unscaled = wide % 10i128.pow(precision);
    let bytes = unscaled.to_be_bytes();
    let sign = if unscaled < 0 { 0xff } else { 0 };
    let mut short = bytes.iter().position(|b| *b != sign).unwrap_or(15);
    if (bytes[short] ^ sign) & 0x80 != 0 {
        short -= 1;
    }
    let start = if size == 0 { short } else { 16 - size };
    Avro::Decimal(AvroDecimal::from(&bytes[start..]))
}

/// Does our value say what apache-avro's says, under that type? Maps are compared without their order.
pub(crate) fn same(avro: &Avro, ours: &Value<'_>, ty: &Ty) -> bool {
    let nanos = |v: i64| v.div_euclid(1_000);
    match (avro, ours, ty) {
        (Avro::Union(index, inner), _, Ty::Union(branches)) => {
            same(inner, ours, &branches[*index as usize])
        }
        (Avro::Null, Value::Null, _) => true,
        (Avro::Boolean(a), Value::Bool(b), _) => a == b,
        (Avro::Int(a), Value::Int(b), _) => i64::from(*a) == *b,
        (Avro::Long(a), Value::Int(b), _) => a == b,
        (Avro::Float(a), Value::Double(b), _) => {
            f64::from(*a).to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
        }
        (Avro::Double(a), Value::Double(b), _) => a.to_bits() == b.to_bits(),
        (Avro::Bytes(a) | Avro::Fixed(_, a), Value::Bytes(b), _) => a == b,
        (Avro::String(a) | Avro::Enum(_, a), Value::Str(b), _) => a == b,
        (Avro::Uuid(a), Value::Uuid(b), _) => a == b,
        (Avro::Date(a), Value::Date(b), _) => a == b,
        (Avro::TimeMillis(a), Value::Time(b), _) => i64::from(*a) * 1_000 == *b,
        (Avro::TimeMicros(a), Value::Time(b), _) => a == b,
        (Avro::TimestampMillis(a) | Avro::LocalTimestampMillis(a), Value::Timestamp(b), _) => {
            a * 1_000 == *b
        }
        (Avro::TimestampMicros(a) | Avro::LocalTimestampMicros(a), Value::Timestamp(b), _) => {
            a == b
        }
        (Avro::TimestampNanos(a) | Avro::LocalTimestampNanos(a), Value::Timestamp(b), _) => {
            nanos(*a) == *b
        }
        (Avro::Duration(a), Value::Bytes(b), _) => <[u8; 12]>::from(a) == **b,
        (
            Avro::Decimal(a),
            Value::Decimal(b),
            Ty::Decimal { scale, .. } | Ty::DecimalFixed { scale, .. },
        ) => {
            let bytes: Vec<u8> = a.try_into().unwrap();
            let mut wide = [if bytes[0] & 0x80 == 0 { 0 } else { 0xff }; 16];
            wide[16 - bytes.len()..].copy_from_slice(&bytes);
            i128::from_be_bytes(wide) == b.mantissa() && *scale == b.scale()
        }
        (Avro::Array(a), Value::List(b), Ty::Array(item)) => {
            a.len() == b.len() && a.iter().zip(*b).all(|(a, b)| same(a, b, item))
        }
        (Avro::Map(a), Value::Map(b), Ty::Map(item)) => {
            a.len() == b.len()
                && b.iter().all(|(key, b)| a.get(*key).is_some_and(|a| same(a, b, item)))
        }
        (Avro::Record(a), Value::Record(b), Ty::Record(_, fields)) => {
            a.len() == b.len()
                && a.iter().zip(*b).zip(fields).all(|(((_, a), b), (_, ty))| same(a, b, ty))
        }
        _ => false,
    }
}
