//! What the demo produces: the order lines of TPC-H, each as an `OrderCreated`, every two-hundredth spoilt.
//!
//! Key is the order's id, as the contract says. What was made is counted beside: the ledger's side of the truth.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use anyhow::{Context as _, anyhow};
use bumpalo::Bump;
use tpchgen::distribution::Distributions;
use tpchgen::generators::{
    LineItem, LineItemGenerator, LineItemGeneratorIterator, OrderGenerator, OrderGeneratorIterator,
    PartGenerator,
};
use tpchgen::text::TextPool;
use uuid::Uuid;

use super::shop::CONTRACT;
use crate::codec::{Encoder, Schema, frame};
use crate::record::{OwnedRecord, Value};

/// One of so many records is spoilt: 0.5 %.
const SPOILT_EVERY: u64 = 200;
/// One of so many products is nearly sold out.
const SCARCE_EVERY: usize = 50;
/// The most pieces of an order line in TPC-H.
pub(super) const PIECES_MAX: i64 = 50;
/// More than the shop sells at once.
const TOO_MANY: i64 = 100_000;
/// No registry gives such an id.
const UNKNOWN_ID: u32 = 0x7fff_0000;
const DAY_MICROS: i64 = 86_400_000_000;

/// What comments are cut from: a little of it, since no event has one (the whole takes seconds to make, and 300 MB).
static TEXT: LazyLock<TextPool> =
    LazyLock::new(|| TextPool::new(1 << 16, Distributions::static_default()));

/// A generator of TPC-H's.
macro_rules! generator {
    ($of:ident, $scale:expr) => {
        $of::new_with_distributions_and_text_pool(
            $scale,
            1,
            1,
            Distributions::static_default(),
            &TEXT,
        )
    };
}

/// How an order is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spoilt {
    /// The end of its bytes is missing.
    CutShort,
    /// JSON instead of Avro: no magic byte.
    NotAvro,
    /// The registry does not know the id of its schema.
    UnknownSchema,
    /// Bytes follow it.
    TrailingBytes,
    /// No value at all.
    Tombstone,
    /// More pieces than anybody may order.
    TooMany,
    /// An order of nothing.
    NoPieces,
}

impl Spoilt {
    pub(super) const ALL: [Self; 7] = [
        Self::CutShort,
        Self::TooMany,
        Self::NotAvro,
        Self::NoPieces,
        Self::UnknownSchema,
        Self::TrailingBytes,
        Self::Tombstone,
    ];
}

/// How much was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    /// Records, spoilt ones too.
    pub(super) records: u64,
    /// The spoilt ones.
    pub(super) spoilt: BTreeMap<Spoilt, u64>,
    /// Pieces of the good orders, by product.
    pub(super) pieces: BTreeMap<String, i64>,
}

impl Made {
    /// How many were spoilt in one of these ways.
    pub(super) fn spoilt(&self, ways: &[Spoilt]) -> u64 {
        ways.iter().filter_map(|way| self.spoilt.get(way)).sum()
    }
}

/// What the shop sells, and how much of it there is.
#[derive(Debug)]
pub(super) struct Products {
    scale: f64,
    /// By TPC-H's key of the part, from 1. Two parts may share a name, and are one product then.
    names: Vec<String>,
    stock: BTreeMap<String, i64>,
}

impl Products {
    /// The products of so many orders: most in plenty, some nearly sold out.
    pub(super) fn new(orders: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "at most 1,500,000")]
        // An order has four lines on average, so scale 1 has 6,000,000; a little more, since they vary.
        let scale = (orders as f64 * 1.05 / 6_000_000.0).max(0.001);
        let parts = generator!(PartGenerator, scale);
        let names: Vec<String> = parts.iter().map(|part| part.p_name.to_string()).collect();
        // Half of what an average product is asked for.
        let scarce = i64::try_from(orders).unwrap_or(i64::MAX) * PIECES_MAX
            / 4
            / i64::try_from(names.len().max(1)).unwrap_or(1);
        let plenty = i64::try_from(orders).unwrap_or(i64::MAX) * PIECES_MAX;
        let stock = names.iter().enumerate().map(|(index, name)| {
            let few = index % SCARCE_EVERY == SCARCE_EVERY - 1;
            (name.clone(), if few { scarce } else { plenty })
        });
        Self { scale, stock: stock.collect(), names }
    }

    /// What there is at the beginning.
    pub(super) fn stock(&self) -> impl Iterator<Item = (&str, i64)> {
        self.stock.iter().map(|(sku, available)| (sku.as_str(), *available))
    }
}

/// Order lines in the generator's order.
#[derive(Debug)]
pub(super) struct Lines {
    orders: OrderGeneratorIterator<'static>,
    lines: LineItemGeneratorIterator<'static>,
    /// The key and the day of the order that the last line belongs to.
    order: (i64, i32),
    names: Vec<String>,
    encoder: Encoder,
    schema_id: u32,
    made: Made,
    bump: Bump,
}

impl Lines {
    /// Orders of these products, written under the schema of that id.
    pub(super) fn new(products: &Products, schema_id: u32) -> anyhow::Result<Self> {
        let schema = Schema::parse(CONTRACT, &[])?;
        Ok(Self {
            orders: generator!(OrderGenerator, products.scale).into_iter(),
            lines: generator!(LineItemGenerator, products.scale).into_iter(),
            order: (0, 0),
            names: products.names.clone(),
            encoder: Encoder::compile(&schema, &schema.shape())?,
            schema_id,
            made: Made::default(),
            bump: Bump::new(),
        })
    }

    /// What was made so far.
    pub(super) fn made(&self) -> &Made {
        &self.made
    }

    /// The next record.
    pub(super) fn next_record(&mut self) -> anyhow::Result<OwnedRecord> {
        let line = self.lines.next().context("the generator ended early")?;
        let day = self.day_of(&line)?;
        let part = usize::try_from(line.l_partkey - 1).ok().and_then(|part| self.names.get(part));
        let product = part.with_context(|| format!("there is no part {}", line.l_partkey))?.clone();
        let id = order_id(&line, day);
        self.made.records += 1;
        let nth = self.made.records / SPOILT_EVERY;
        let spoilt = self.made.records.is_multiple_of(SPOILT_EVERY).then(|| {
            let ways = Spoilt::ALL.len() as u64;
            Spoilt::ALL[usize::try_from((nth - 1) % ways).unwrap_or(0)]
        });
        let quantity = match spoilt {
            Some(Spoilt::TooMany) => TOO_MANY,
            Some(Spoilt::NoPieces) => 0,
            _ => line.l_quantity,
        };
        let value = self.value(id, &product, quantity, day)?;
        let value = match spoilt {
            None => {
                *self.made.pieces.entry(product).or_default() += quantity;
                Some(value)
            }
            Some(way) => {
                *self.made.spoilt.entry(way).or_default() += 1;
                spoil(way, value, &product)
            }
        };
        let key = Some(id.to_string().into_bytes());
        Ok(OwnedRecord { key, value, ..OwnedRecord::default() })
    }

    fn day_of(&mut self, line: &LineItem<'_>) -> anyhow::Result<i32> {
        while self.order.0 != line.l_orderkey {
            let order = self.orders.next().ok_or_else(|| anyhow!("a line has no order"))?;
            self.order = (order.o_orderkey, order.o_orderdate.to_unix_epoch());
        }
        Ok(self.order.1)
    }

    /// Frame and Avro.
    fn value(
        &mut self,
        id: Uuid,
        product: &str,
        quantity: i64,
        day: i32,
    ) -> anyhow::Result<Vec<u8>> {
        self.bump.reset();
        let created = Value::Timestamp(i64::from(day) * DAY_MICROS);
        let fields = [
            Value::Uuid(id),
            Value::Str(self.bump.alloc_str(product)),
            Value::Int(quantity),
            created,
        ];
        let mut value = Vec::with_capacity(128);
        frame::put(self.schema_id, &mut value);
        self.encoder.encode(&fields, &mut value)?;
        Ok(value)
    }
}

/// The same in every run: of the order's day, its key and the line's number.
fn order_id(line: &LineItem<'_>, day: i32) -> Uuid {
    let day_ms = u64::try_from(i64::from(day) * 86_400_000).unwrap_or_default();
    let mut rest = [0; 10];
    rest[1..9].copy_from_slice(&line.l_orderkey.to_be_bytes());
    rest[9] = line.l_linenumber.to_be_bytes()[3];
    uuid::Builder::from_unix_timestamp_millis(day_ms, &rest).into_uuid()
}

fn spoil(way: Spoilt, mut value: Vec<u8>, product: &str) -> Option<Vec<u8>> {
    match way {
        Spoilt::CutShort => value.truncate(value.len() / 2),
        Spoilt::NotAvro => {
            value.clear();
            let mut text = String::new();
            // Writing to a string cannot fail.
            let _ = write!(text, "{}", serde_json::json!({ "product_name": product }));
            value.extend(text.bytes());
        }
        Spoilt::UnknownSchema => value[1..5].copy_from_slice(&UNKNOWN_ID.to_be_bytes()),
        Spoilt::TrailingBytes => value.extend(b"more"),
        Spoilt::Tombstone => return None,
        // Their quantity is what is wrong with them.
        Spoilt::TooMany | Spoilt::NoPieces => {}
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ORDERS: u64 = 3_000;

    fn records() -> (Vec<OwnedRecord>, Made) {
        let mut lines = Lines::new(&Products::new(ORDERS), 7).unwrap();
        let records = (0..ORDERS).map(|_| lines.next_record().unwrap()).collect();
        (records, lines.made().clone())
    }

    #[test]
    fn the_records_are_the_same_in_every_run_and_have_an_order_of_their_own_each() {
        let (records, made) = records();
        assert_eq!(records, self::records().0);
        let keys: BTreeSet<_> = records.iter().map(|record| record.key.clone()).collect();
        assert_eq!(keys.len() as u64, made.records);
    }

    #[test]
    fn one_in_two_hundred_is_spoilt_in_every_way_in_turn() {
        let (records, made) = records();
        assert_eq!(made.spoilt(&Spoilt::ALL), ORDERS / SPOILT_EVERY);
        assert_eq!(made.spoilt.len(), Spoilt::ALL.len());
        let tombstones = records.iter().filter(|record| record.value.is_none()).count();
        assert_eq!(tombstones as u64, made.spoilt(&[Spoilt::Tombstone]));
    }

    #[test]
    fn products_with_little_stock_sell_out_and_the_others_do_not() {
        let products = Products::new(ORDERS);
        let (_, made) = records();
        let asked = |sku: &str| made.pieces.get(sku).copied().unwrap_or_default();
        let out = products.stock().filter(|(sku, available)| asked(sku) > *available).count();
        let few = products.stock().filter(|(_, available)| *available < 1_000_000 / 50).count();
        assert!(out > 0 && out <= few, "{out} of {few}");
    }
}
