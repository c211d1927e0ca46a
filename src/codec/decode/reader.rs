//! A compiled plan: what to do with the bytes of each value, in the order of the writer's schema.

use std::sync::Arc;

use bumpalo::collections::Vec as BumpVec;
use uuid::Uuid;

use super::input::{Block, Input, Read};
use super::scalar::{self, Digits};
use super::skip::Skip;
use crate::codec::Flaw;
use crate::codec::schema::Unit;
use crate::record::Value;

/// How one value of the writer becomes one value of the reader.
#[derive(Clone, Debug)]
pub(super) enum Reader {
    Null,
    Boolean,
    Int,
    Long,
    /// An int or long that the reader has as float: rounded to what a float can say.
    LongAsFloat,
    LongAsDouble,
    /// A float, or one that the reader has as double: the same number.
    Float,
    Double,
    Bytes,
    String,
    /// Text that the reader has as bytes: still text of the writer.
    StringAsBytes,
    Uuid,
    UuidFixed,
    Fixed(usize),
    Decimal(Digits),
    DecimalFixed(usize, Digits),
    Date,
    TimeMillis,
    Time(Unit),
    Timestamp(Unit),
    /// A writer's int that the reader has as a long of some meaning: it must fit 32 bits all the same.
    Narrow(Box<Reader>),
    /// The reader's symbol for each of the writer's; `None`: the reader has none.
    Enum(Box<[Option<Arc<str>>]>),
    List(Box<Items>),
    Map(Box<Items>),
    Union(Box<[Reader]>),
    Record(Box<Fields>),
    /// A branch of the writer's union that the reader cannot take.
    Nowhere,
}

/// The items of an array, or the values of a map.
#[derive(Clone, Debug)]
pub(super) struct Items {
    pub(super) item: Reader,
    /// What the smallest takes on the wire, a map's key included.
    pub(super) bytes_min: usize,
}

/// The fields of a record.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    /// In the writer's order.
    pub(super) steps: Vec<Step>,
    /// The slots that the writer does not fill.
    pub(super) absent: Vec<(usize, Absent)>,
    /// How many slots there are.
    pub(super) slots: usize,
    /// Every step fills the next slot, and nothing else is to do.
    pub(super) straight: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Field { slot: usize, name: Box<str>, reader: Reader },
    Skip(Skip),
}

/// What the reader has where the writer sends nothing.
#[derive(Clone, Debug)]
pub(super) struct Absent {
    /// The reader's default as it would have been sent.
    pub(super) bytes: Arc<[u8]>,
    pub(super) reader: Reader,
}

impl Reader {
    /// Reads one value.
    pub(super) fn read<'a>(&'a self, input: &mut Input<'a>) -> Read<Value<'a>> {
        Ok(match self {
            Reader::Null => Value::Null,
            Reader::Boolean => Value::Bool(input.boolean()?),
            Reader::Int => Value::Int(i64::from(input.int()?)),
            Reader::Long => Value::Int(input.long()?),
            Reader::Float => Value::Double(f64::from(f32::from_le_bytes(input.array()?))),
            Reader::Double => Value::Double(f64::from_le_bytes(input.array()?)),
            Reader::Bytes => Value::Bytes(input.blob()?),
            Reader::String => Value::Str(scalar::text(input.blob()?, input)?),
            Reader::Decimal(digits) => Value::Decimal(digits.decimal(input.blob()?, input)?),
            Reader::Date => Value::Date(scalar::date(input.int()?, input)?),
            Reader::Timestamp(unit) => {
                Value::Timestamp(scalar::timestamp(input.long()?, *unit, input)?)
            }
            Reader::Uuid => Value::Uuid(scalar::uuid(input.blob()?, input)?),
            Reader::Enum(symbols) => {
                let index = input.index(symbols.len(), Flaw::EnumIndex)?;
                match &symbols[index] {
                    Some(symbol) => Value::Str(symbol),
                    None => return input.stop(Flaw::NoSymbol),
                }
            }
            Reader::Union(branches) => {
                let branch = input.index(branches.len(), Flaw::UnionIndex)?;
                return branches[branch].read(input);
            }
            Reader::Record(fields) => Value::Record(fields.read(input)?),
            Reader::List(items) => Value::List(items.list(input)?),
            Reader::Map(items) => Value::Map(items.map(input)?),
            _ => return self.read_rare(input),
        })
    }

    fn read_rare<'a>(&'a self, input: &mut Input<'a>) -> Read<Value<'a>> {
        Ok(match self {
            #[expect(clippy::cast_precision_loss, reason = "what the promotion to float means")]
            Reader::LongAsFloat => Value::Double(f64::from(input.long()? as f32)),
            #[expect(clippy::cast_precision_loss, reason = "what the promotion to double means")]
            Reader::LongAsDouble => Value::Double(input.long()? as f64),
            Reader::StringAsBytes => Value::Bytes(scalar::text(input.blob()?, input)?.as_bytes()),
            Reader::UuidFixed => Value::Uuid(Uuid::from_bytes(input.array()?)),
            Reader::Fixed(size) => Value::Bytes(input.take(*size)?),
            Reader::DecimalFixed(size, digits) => {
                Value::Decimal(digits.decimal(input.take(*size)?, input)?)
            }
            Reader::TimeMillis => {
                Value::Time(scalar::time(i64::from(input.int()?), Unit::Millis, input)?)
            }
            Reader::Time(unit) => Value::Time(scalar::time(input.long()?, *unit, input)?),
            Reader::Narrow(reader) => {
                let mut ahead = input.ahead();
                ahead.int()?;
                return reader.read(input);
            }
            _ => return input.stop(Flaw::NoBranch),
        })
    }
}

impl Fields {
    /// Reads all fields into their slots.
    pub(super) fn read<'a>(&'a self, input: &mut Input<'a>) -> Read<&'a [Value<'a>]> {
        input.charge(self.slots)?;
        if self.straight {
            return input
                .bump
                .alloc_slice_try_fill_with(self.slots, |slot| match &self.steps[slot] {
                    Step::Field { name, reader, .. } => {
                        reader.read(input).map_err(|stop| stop.within(name))
                    }
                    Step::Skip(_) => Ok(Value::Null),
                })
                .map(|slots| &*slots);
        }
        let slots = input.bump.alloc_slice_fill_copy(self.slots, Value::Null);
        for step in &self.steps {
            match step {
                Step::Field { slot, name, reader } => match reader.read(input) {
                    Ok(value) => slots[*slot] = value,
                    Err(stop) => return Err(stop.within(name)),
                },
                Step::Skip(skip) => skip.run(input)?,
            }
        }
        for (slot, absent) in &self.absent {
            slots[*slot] = absent.read(input)?;
        }
        Ok(slots)
    }
}

impl Absent {
    fn read<'a>(&'a self, input: &mut Input<'a>) -> Read<Value<'a>> {
        match self.reader {
            Reader::Null => Ok(Value::Null),
            _ => input.aside(&self.bytes, |aside| self.reader.read(aside)),
        }
    }
}

impl Items {
    fn list<'a>(&'a self, input: &mut Input<'a>) -> Read<&'a [Value<'a>]> {
        let Some(block) = input.block(self.bytes_min)? else {
            return Ok(&[]);
        };
        let list = self.fill(block, input, |input| self.item.read(input))?;
        match input.block(self.bytes_min)? {
            None => Ok(list),
            Some(next) => self.join(list, next, input, |input| self.item.read(input)),
        }
    }

    fn map<'a>(&'a self, input: &mut Input<'a>) -> Read<&'a [(&'a str, Value<'a>)]> {
        let entry = |input: &mut Input<'a>| {
            let key = scalar::text(input.blob()?, input)?;
            Ok((key, self.item.read(input)?))
        };
        let Some(block) = input.block(self.bytes_min)? else {
            return Ok(&[]);
        };
        let map = self.fill(block, input, entry)?;
        match input.block(self.bytes_min)? {
            None => Ok(map),
            Some(next) => self.join(map, next, input, entry),
        }
    }

    /// The items of one block.
    #[inline]
    fn fill<'a, T>(
        &self,
        block: Block,
        input: &mut Input<'a>,
        item: impl Fn(&mut Input<'a>) -> Read<T>,
    ) -> Read<&'a [T]> {
        input.charge_items::<T>(block.items)?;
        let items = input.bump.alloc_slice_try_fill_with(block.items, |_| item(input))?;
        input.end(&block)?;
        Ok(items)
    }

    /// Further blocks after the first: rare, since writers put one array in one block.
    #[cold]
    fn join<'a, T: Copy>(
        &self,
        first: &[T],
        next: Block,
        input: &mut Input<'a>,
        item: impl Fn(&mut Input<'a>) -> Read<T>,
    ) -> Read<&'a [T]> {
        let mut all = BumpVec::with_capacity_in(first.len() + next.items, input.bump);
        all.extend_from_slice(first);
        let mut block = Some(next);
        while let Some(now) = block {
            input.charge_items::<T>(now.items)?;
            all.reserve(now.items);
            for _ in 0..now.items {
                all.push(item(input)?);
            }
            input.end(&now)?;
            block = input.block(self.bytes_min)?;
        }
        Ok(all.into_bump_slice())
    }
}
