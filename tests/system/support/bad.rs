//! Bad records of twenty kinds, each made from a good TPC-H order, for topics that hold some among good ones.
//!
//! A kind is refused whatever fields a pipeline reads: text and decimals mean something only where they are
//! read, so a flaw in them stands in the order and in its first line.

use ordermill::record::OwnedRecord;

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A value of no bytes.
    Empty,
    /// One to four zero bytes.
    ShortFrame,
    /// The order as another serializer would have framed it.
    WrongMagic,
    /// Good, but under an id that the registry does not have. The three kinds have one id each.
    UnknownIdA,
    UnknownIdB,
    UnknownIdC,
    /// No value at all.
    Tombstone,
    /// The frame alone.
    NoBody,
    /// Cut in the middle of the order's comment.
    CutInText,
    /// Without its last byte: the end of the lines.
    CutAtEnd,
    /// A byte too many.
    TrailingByte,
    /// The order key as an integer of more than 64 bits.
    LongVarint,
    /// The ship priority beyond 32 bits.
    LargeInt,
    /// The clerk's name with a negative length.
    NegativeLength,
    /// The clerk's name with a length of two gigabytes.
    HugeLength,
    /// Comments that are not UTF-8.
    NoUtf8,
    /// Prices of more digits than a price has.
    LongDecimal,
    /// Dates of the year 10000.
    FarDate,
    /// A million lines, says the order.
    ManyLines,
    /// A block of lines that has another size than it says.
    WrongBlockSize,
}

impl Kind {
    /// All twenty.
    pub(crate) const ALL: [Self; 20] = [
        Self::Empty,
        Self::ShortFrame,
        Self::WrongMagic,
        Self::UnknownIdA,
        Self::UnknownIdB,
        Self::UnknownIdC,
        Self::Tombstone,
        Self::NoBody,
        Self::CutInText,
        Self::CutAtEnd,
        Self::TrailingByte,
        Self::LongVarint,
        Self::LargeInt,
        Self::NegativeLength,
        Self::HugeLength,
        Self::NoUtf8,
        Self::LongDecimal,
        Self::FarDate,
        Self::ManyLines,
        Self::WrongBlockSize,
    ];

    /// The reason with which such a record is dead-lettered.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Empty => "frame_empty",
            Self::ShortFrame => "frame_short",
            Self::WrongMagic => "frame_magic",
            Self::UnknownIdA | Self::UnknownIdB | Self::UnknownIdC => "unknown_schema",
            Self::Tombstone => "tombstone",
            Self::NoBody | Self::CutInText | Self::CutAtEnd | Self::HugeLength => "truncated",
            Self::TrailingByte => "trailing_bytes",
            Self::LongVarint => "bad_varint",
            Self::LargeInt => "int_range",
            Self::NegativeLength => "bad_length",
            Self::NoUtf8 => "bad_utf8",
            Self::LongDecimal => "bad_decimal",
            Self::FarDate => "bad_date",
            Self::ManyLines => "bad_block_count",
            Self::WrongBlockSize => "bad_block_size",
        }
    }

    /// A record of this kind: a good order's key, headers and time, with another value. `number` makes two records
    /// of one kind different where the kind allows it. The good order must have a line.
    pub(crate) fn of(self, good: &OwnedRecord, number: usize) -> OwnedRecord {
        let value = good.value.as_deref().unwrap();
        OwnedRecord { value: self.value(value, number), ..good.clone() }
    }

    fn value(self, good: &[u8], number: usize) -> Option<Vec<u8>> {
        let (frame, body) = good.split_at(FRAME);
        let order = Order::read(body);
        Some(match self {
            Self::Tombstone => return None,
            Self::Empty => Vec::new(),
            Self::ShortFrame => vec![0; 1 + number % (FRAME - 1)],
            Self::WrongMagic => [b"{", &good[1..]].concat(),
            Self::UnknownIdA => [&unknown_frame(1), body].concat(),
            Self::UnknownIdB => [&unknown_frame(2), body].concat(),
            Self::UnknownIdC => [&unknown_frame(3), body].concat(),
            Self::NoBody => frame.to_vec(),
            Self::CutInText => good[..FRAME + order.middle_of("o_comment")].to_vec(),
            Self::CutAtEnd => good[..good.len() - 1].to_vec(),
            Self::TrailingByte => [good, &[0]].concat(),
            Self::LongVarint => [frame, &order.with(&[("o_orderkey", vec![0xff; 11])])].concat(),
            Self::LargeInt => {
                [frame, &order.with(&[("o_shippriority", long(i64::from(i32::MAX) + 1))])].concat()
            }
            Self::NegativeLength => [frame, &order.with(&[("o_clerk", long(-3))])].concat(),
            Self::HugeLength => [frame, &order.with(&[("o_clerk", long(1 << 31))])].concat(),
            Self::NoUtf8 => {
                let text = blob(b"no \xff text");
                [frame, &order.with(&[("o_comment", text.clone()), ("l_comment", text)])].concat()
            }
            Self::LongDecimal => {
                // 10^15, one digit more than the schema's precision
                let price = blob(&1_000_000_000_000_000_i64.to_be_bytes());
                let both = [("o_totalprice", price.clone()), ("l_extendedprice", price)];
                [frame, &order.with(&both)].concat()
            }
            Self::FarDate => {
                // 10000-01-01 in days since 1970
                let date = long(2_932_897);
                [frame, &order.with(&[("o_orderdate", date.clone()), ("l_shipdate", date)])]
                    .concat()
            }
            Self::ManyLines => [frame, &order.with(&[(LINES, long(1_000_000))])].concat(),
            Self::WrongBlockSize => [frame, &order.with_block_size(-1)].concat(),
        })
    }
}

/// The frame's bytes: a zero and the schema's id.
const FRAME: usize = 5;

/// Ids from the top: a registry counts from 1.
fn unknown_frame(number: u32) -> [u8; FRAME] {
    let [a, b, c, d] = (i32::MAX.unsigned_abs() - number).to_be_bytes();
    [0, a, b, c, d]
}

/// What a field looks like on the wire.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// Ints, longs and dates.
    Long,
    /// Text and decimals.
    Blob,
}

use Form::{Blob, Long};

const ORDER: [(&str, Form); 9] = [
    ("o_orderkey", Long),
    ("o_custkey", Long),
    ("o_orderstatus", Blob),
    ("o_totalprice", Blob),
    ("o_orderdate", Long),
    ("o_orderpriority", Blob),
    ("o_clerk", Blob),
    ("o_shippriority", Long),
    ("o_comment", Blob),
];
const LINE: [(&str, Form); 15] = [
    ("l_linenumber", Long),
    ("l_partkey", Long),
    ("l_suppkey", Long),
    ("l_quantity", Blob),
    ("l_extendedprice", Blob),
    ("l_discount", Blob),
    ("l_tax", Blob),
    ("l_returnflag", Blob),
    ("l_linestatus", Blob),
    ("l_shipdate", Long),
    ("l_commitdate", Long),
    ("l_receiptdate", Long),
    ("l_shipinstruct", Blob),
    ("l_shipmode", Blob),
    ("l_comment", Blob),
];
/// The name of the part that counts the lines.
const LINES: &str = "lines";
/// The name of the part that ends the lines.
const END: &str = "end";

/// An order's body cut into its parts: fields, the lines' count, fields of all lines, their end.
#[derive(Debug)]
struct Order<'b>(Vec<(&'static str, &'b [u8])>);

impl<'b> Order<'b> {
    fn read(mut body: &'b [u8]) -> Self {
        let mut parts = Vec::new();
        let mut take = |name, form| {
            let (value, bytes) = read_long(body);
            let more = if matches!(form, Blob) { usize::try_from(value).unwrap() } else { 0 };
            let (part, rest) = body.split_at(bytes + more);
            parts.push((name, part));
            body = rest;
            value
        };
        for (name, form) in ORDER {
            take(name, form);
        }
        let lines = take(LINES, Long);
        assert!(lines > 0, "an order without lines has no line to spoil");
        for (name, form) in (0..lines).flat_map(|_| LINE) {
            take(name, form);
        }
        assert_eq!(take(END, Long), 0, "one block of lines");
        assert!(body.is_empty(), "{} bytes behind the order", body.len());
        Self(parts)
    }

    /// Where the middle of the (first) part of that name lies.
    fn middle_of(&self, name: &str) -> usize {
        let at = self.position(name);
        let before: usize = self.0[..at].iter().map(|(_, part)| part.len()).sum();
        before + self.0[at].1.len().div_ceil(2)
    }

    /// The body with other bytes for the (first) parts of these names.
    fn with(&self, other: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut parts: Vec<_> = self.0.iter().map(|(_, part)| *part).collect();
        for (name, bytes) in other {
            parts[self.position(name)] = bytes;
        }
        parts.concat()
    }

    /// The body whose block of lines says its size in bytes, so much too large.
    fn with_block_size(&self, more: i64) -> Vec<u8> {
        let (count, _) = read_long(self.0[self.position(LINES)].1);
        let lines = &self.0[self.position(LINES) + 1..self.position(END)];
        let size: usize = lines.iter().map(|(_, part)| part.len()).sum();
        let head = [long(-count), long(i64::try_from(size).unwrap() + more)].concat();
        self.with(&[(LINES, head)])
    }

    fn position(&self, name: &str) -> usize {
        self.0.iter().position(|(is, _)| *is == name).unwrap()
    }
}

/// A long as Avro has it.
fn long(value: i64) -> Vec<u8> {
    let mut left = ((value << 1) ^ (value >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while left > 0x7f {
        bytes.push(u8::try_from(left & 0x7f).unwrap() | 0x80);
        left >>= 7;
    }
    bytes.push(u8::try_from(left).unwrap());
    bytes
}

/// A long and how many bytes it has.
fn read_long(bytes: &[u8]) -> (i64, usize) {
    let len = 1 + bytes.iter().position(|byte| byte & 0x80 == 0).unwrap();
    let groups = bytes[..len].iter().rev();
    let raw = groups.fold(0_u64, |raw, byte| raw << 7 | u64::from(byte & 0x7f));
    ((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed(), len)
}

/// Text or bytes as Avro has them.
fn blob(bytes: &[u8]) -> Vec<u8> {
    [long(i64::try_from(bytes.len()).unwrap()), bytes.to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::iter;

    use bumpalo::Bump;
    use ordermill::cli::tpch::{CONTRACT, Orders};
    use ordermill::codec::{Plan, Schema, frame};
    use ordermill::record::Uses;

    use super::*;

    const GOOD_ID: u32 = 7;

    fn good() -> Vec<OwnedRecord> {
        let mut orders = Orders::new(0.001, GOOD_ID).unwrap();
        iter::from_fn(|| orders.next_record().unwrap()).take(50).collect()
    }

    /// Everything, and what the two pipelines read.
    fn plans() -> [Plan; 3] {
        let schema = Schema::parse(CONTRACT, &[]).unwrap();
        let mut orders = Uses::nothing();
        ORDER.iter().for_each(|(name, _)| orders.add(&[name]));
        let mut lines = Uses::nothing();
        lines.add(&["o_orderkey"]);
        LINE.iter().for_each(|(name, _)| lines.add(&[LINES, name]));
        [Uses::All, orders, lines].map(|uses| Plan::compile(&schema, &schema, &uses).unwrap())
    }

    /// As a pipeline's reader names what it refuses; nothing for what it takes.
    fn refused(value: Option<&[u8]>, plan: &Plan) -> Option<&'static str> {
        let Some(value) = value else { return Some("tombstone") };
        match frame::split(value) {
            Err(error) => Some(error.code()),
            Ok((id, _)) if id != GOOD_ID => Some("unknown_schema"),
            Ok((_, body)) => plan.decode(body, &Bump::new()).err().map(|error| error.code()),
        }
    }

    #[test]
    fn a_good_order_is_taken_as_it_is_and_put_together_again() {
        for good in good() {
            let value = good.value.as_deref().unwrap();
            assert!(plans().iter().all(|plan| refused(Some(value), plan).is_none()));
            let order = Order::read(&value[FRAME..]);
            assert_eq!(order.with(&[]), &value[FRAME..]);
            // the size alone is no flaw
            let sized = [&value[..FRAME], &order.with_block_size(0)].concat();
            assert!(plans().iter().all(|plan| refused(Some(&sized), plan).is_none()));
        }
    }

    #[test]
    fn every_kind_is_refused_with_its_code_whatever_is_read() {
        let plans = plans();
        for kind in Kind::ALL {
            for (number, good) in good().iter().enumerate() {
                let bad = kind.of(good, number);
                assert_eq!(bad.key, good.key);
                for (plan, reads) in plans.iter().zip(["all", "orders", "lines"]) {
                    let code = refused(bad.value.as_deref(), plan);
                    assert_eq!(code, Some(kind.code()), "{kind:?}, {reads}, order {number}");
                }
            }
        }
    }

    #[test]
    fn the_kinds_are_twenty_and_three_have_an_unknown_id() {
        let good = good().remove(0);
        let values: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.of(&good, 0).value).collect();
        assert_eq!(values.len(), 20);
        let unknown = Kind::ALL.iter().filter(|kind| kind.code() == "unknown_schema").count();
        assert_eq!(unknown, 3);
    }
}
