//! TPC-H orders with their lines as events: data that nobody here made up, the same in every run.
//!
//! The generator is the `tpchgen` crate; scale 1 has 1,500,000 orders.

use std::fmt::Write as _;
use std::iter::Peekable;

use bumpalo::Bump;
use rust_decimal::Decimal;
use tpchgen::generators::{
    LineItem, LineItemGenerator, LineItemGeneratorIterator, Order, OrderGenerator,
    OrderGeneratorIterator,
};

use crate::codec::{Encoder, Schema, frame};
use crate::record::{OwnedRecord, Value};

/// The contract of the events.
pub const CONTRACT: &str = include_str!("../../avro/tpch.orders-value/1.avsc");

/// Orders in the generator's order, each with its lines.
#[derive(Debug)]
pub struct Orders {
    orders: OrderGeneratorIterator<'static>,
    lines: Peekable<LineItemGeneratorIterator<'static>>,
    encoder: Encoder,
    schema_id: u32,
    bump: Bump,
}

impl Orders {
    /// All orders of a scale, written under the schema of that id.
    ///
    /// # Errors
    /// The contract is not what this generator makes: a fault of the program.
    pub fn new(scale: f64, schema_id: u32) -> Result<Self, crate::codec::Error> {
        let schema = Schema::parse(CONTRACT, &[])?;
        Ok(Self {
            orders: OrderGenerator::new(scale, 1, 1).into_iter(),
            lines: LineItemGenerator::new(scale, 1, 1).into_iter().peekable(),
            encoder: Encoder::compile(&schema, &schema.shape())?,
            schema_id,
            bump: Bump::new(),
        })
    }

    /// How many orders a scale has.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "as the generator does"
    )]
    pub fn count(scale: f64) -> u64 {
        (1_500_000.0 * scale) as u64
    }

    /// The next order as a record: key = order key as text, value = frame and Avro.
    ///
    /// # Errors
    /// The contract does not take what the generator makes.
    pub fn next_record(&mut self) -> Result<Option<OwnedRecord>, crate::codec::Error> {
        let Some(order) = self.orders.next() else { return Ok(None) };
        self.bump.reset();
        let bump = &self.bump;
        let mut lines = bumpalo::collections::Vec::new_in(bump);
        while let Some(line) = self.lines.next_if(|line| line.l_orderkey == order.o_orderkey) {
            lines.push(Value::Record(line_fields(&line, bump)));
        }
        let fields = order_fields(&order, lines.into_bump_slice(), bump);
        let mut value = Vec::with_capacity(1024);
        frame::put(self.schema_id, &mut value);
        self.encoder.encode(fields, &mut value)?;
        let key = order.o_orderkey.to_string().into_bytes();
        Ok(Some(OwnedRecord { key: Some(key), value: Some(value), ..OwnedRecord::default() }))
    }
}

fn text<'b>(shown: impl std::fmt::Display, bump: &'b Bump) -> Value<'b> {
    let mut text = bumpalo::collections::String::new_in(bump);
    // Writing to a bump string cannot fail.
    let _ = write!(text, "{shown}");
    Value::Str(text.into_bump_str())
}

fn cents<'b>(cents: i64) -> Value<'b> {
    Value::Decimal(Decimal::new(cents, 2))
}

/// In the order of the contract's fields.
fn order_fields<'b>(order: &Order<'_>, lines: &'b [Value<'b>], bump: &'b Bump) -> &'b [Value<'b>] {
    bump.alloc_slice_copy(&[
        Value::Int(order.o_orderkey),
        Value::Int(order.o_custkey),
        text(order.o_orderstatus, bump),
        cents(order.o_totalprice.into_inner()),
        Value::Date(order.o_orderdate.to_unix_epoch()),
        text(order.o_orderpriority, bump),
        text(order.o_clerk, bump),
        Value::Int(i64::from(order.o_shippriority)),
        text(order.o_comment, bump),
        Value::List(lines),
    ])
}

/// In the order of the contract's fields.
fn line_fields<'b>(line: &LineItem<'_>, bump: &'b Bump) -> &'b [Value<'b>] {
    bump.alloc_slice_copy(&[
        Value::Int(i64::from(line.l_linenumber)),
        Value::Int(line.l_partkey),
        Value::Int(line.l_suppkey),
        cents(line.l_quantity * 100),
        cents(line.l_extendedprice.into_inner()),
        cents(line.l_discount.into_inner()),
        cents(line.l_tax.into_inner()),
        text(line.l_returnflag, bump),
        text(line.l_linestatus, bump),
        Value::Date(line.l_shipdate.to_unix_epoch()),
        Value::Date(line.l_commitdate.to_unix_epoch()),
        Value::Date(line.l_receiptdate.to_unix_epoch()),
        text(line.l_shipinstruct, bump),
        text(line.l_shipmode, bump),
        text(line.l_comment, bump),
    ])
}

#[cfg(test)]
mod tests {
    use apache_avro::reader::datum::GenericDatumReader;
    use apache_avro::types::Value as Avro;

    use super::*;

    #[test]
    fn every_order_has_its_lines_and_the_contract_takes_them() {
        let schema = apache_avro::Schema::parse_str(CONTRACT).unwrap();
        let reader = GenericDatumReader::builder(&schema).build().unwrap();
        let mut orders = Orders::new(0.001, 7).unwrap();
        let (mut records, mut lines) = (0, 0);
        while let Some(record) = orders.next_record().unwrap() {
            let value = record.value.unwrap();
            let (id, mut body) = frame::split(&value).unwrap();
            assert_eq!(id, 7);
            let order = reader.read_value(&mut body).unwrap();
            let Avro::Record(fields) = order else { panic!("{order:?}") };
            let (_, Avro::Array(of)) = &fields[9] else { panic!("{fields:?}") };
            (records, lines) = (records + 1, lines + of.len());
        }
        assert_eq!((records, Orders::count(0.001)), (1500, 1500));
        assert_eq!(lines, LineItemGenerator::new(0.001, 1, 1).into_iter().count());
    }
}
