//! Fields that nobody reads: walked as fast as their encoding allows, and checked as strictly as if they
//! were read, except for whether their text is UTF-8 and their decimals have too many digits.
//!
//! A block's size in bytes is never believed: its items are walked all the same, so a projection accepts
//! and refuses the same bodies as a plan of all fields does.

use super::input::{Input, Read};
use super::scalar;
use crate::codec::Flaw;
use crate::codec::schema::{Kind, Meaning, Node, Unit};

/// A run of steps; neighbours of one kind are one step.
#[derive(Clone, Debug, Default)]
pub(super) struct Skip(Vec<Step>);

#[derive(Clone, Debug)]
enum Step {
    /// Bytes of a known number: floats and fixed.
    Bytes(usize),
    /// So many booleans.
    Booleans(usize),
    /// So many ints, which must fit 32 bits.
    Ints(usize),
    /// So many longs.
    Longs(usize),
    /// So many days.
    Dates(usize),
    /// A time of day, as an int or a long.
    Time { int: bool, unit: Unit },
    /// A timestamp.
    Timestamp(Unit),
    /// So many texts or byte strings.
    Blobs(usize),
    /// A UUID as text.
    Uuid,
    /// An enum of so many symbols.
    Enum(usize),
    /// A union of these branches.
    Union(Box<[Skip]>),
    /// An array, or a map (whose keys are part of its items).
    Items { item: Skip, item_bytes_min: usize },
}

impl Skip {
    /// Appends the steps over a value of that type.
    pub(super) fn add(&mut self, node: &Node) {
        match &node.kind {
            Kind::Null => {}
            Kind::Boolean => self.push(Step::Booleans(1)),
            Kind::Int(Meaning::Date) => self.push(Step::Dates(1)),
            Kind::Int(Meaning::Time(unit)) => self.push(Step::Time { int: true, unit: *unit }),
            Kind::Long(Meaning::Time(unit)) => self.push(Step::Time { int: false, unit: *unit }),
            Kind::Long(Meaning::Timestamp(unit) | Meaning::LocalTimestamp(unit)) => {
                self.push(Step::Timestamp(*unit))
            }
            Kind::String(Meaning::Uuid) => self.push(Step::Uuid),
            Kind::Int(_) => self.push(Step::Ints(1)),
            Kind::Long(_) => self.push(Step::Longs(1)),
            Kind::Float => self.push(Step::Bytes(4)),
            Kind::Double => self.push(Step::Bytes(8)),
            Kind::Fixed(fixed) => self.push(Step::Bytes(fixed.size)),
            Kind::Bytes(_) | Kind::String(_) => self.push(Step::Blobs(1)),
            Kind::Enum(of) => self.push(Step::Enum(of.symbols.len())),
            Kind::Union(branches) => {
                self.push(Step::Union(branches.iter().map(Skip::of).collect()))
            }
            Kind::Array(item) => {
                self.push(Step::Items { item: Skip::of(item), item_bytes_min: item.bytes_min })
            }
            Kind::Map(item) => {
                let mut entry = Skip(vec![Step::Blobs(1)]);
                entry.add(item);
                self.push(Step::Items {
                    item: entry,
                    item_bytes_min: item.bytes_min.saturating_add(1),
                });
            }
            Kind::Record(record) => record.fields.iter().for_each(|f| self.add(&f.node)),
        }
    }

    fn of(node: &Node) -> Self {
        let mut skip = Skip::default();
        skip.add(node);
        skip
    }

    fn push(&mut self, step: Step) {
        match (self.0.last_mut(), &step) {
            (Some(Step::Bytes(had)), Step::Bytes(more))
            | (Some(Step::Booleans(had)), Step::Booleans(more))
            | (Some(Step::Ints(had)), Step::Ints(more))
            | (Some(Step::Longs(had)), Step::Longs(more))
            | (Some(Step::Dates(had)), Step::Dates(more))
            | (Some(Step::Blobs(had)), Step::Blobs(more)) => *had = had.saturating_add(*more),
            _ => self.0.push(step),
        }
    }

    /// Walks over the values.
    pub(super) fn run(&self, input: &mut Input<'_>) -> Read<()> {
        for step in &self.0 {
            match step {
                Step::Bytes(len) => {
                    input.take(*len)?;
                }
                Step::Booleans(count) => {
                    for _ in 0..*count {
                        input.boolean()?;
                    }
                }
                Step::Ints(count) => {
                    for _ in 0..*count {
                        input.int()?;
                    }
                }
                Step::Longs(count) => {
                    for _ in 0..*count {
                        input.long()?;
                    }
                }
                Step::Dates(count) => {
                    for _ in 0..*count {
                        let days = input.int()?;
                        scalar::date(days, input)?;
                    }
                }
                Step::Time { int, unit } => {
                    let raw = if *int { input.int()?.into() } else { input.long()? };
                    scalar::time(raw, *unit, input)?;
                }
                Step::Timestamp(unit) => {
                    let raw = input.long()?;
                    scalar::timestamp(raw, *unit, input)?;
                }
                Step::Uuid => {
                    let text = input.blob()?;
                    scalar::uuid(text, input)?;
                }
                Step::Blobs(count) => {
                    for _ in 0..*count {
                        input.blob()?;
                    }
                }
                Step::Enum(symbols) => {
                    input.index(*symbols, Flaw::EnumIndex)?;
                }
                Step::Union(branches) => {
                    let branch = input.index(branches.len(), Flaw::UnionIndex)?;
                    branches[branch].run(input)?;
                }
                Step::Items { item, item_bytes_min } => item.run_items(*item_bytes_min, input)?,
            }
        }
        Ok(())
    }

    fn run_items(&self, item_bytes_min: usize, input: &mut Input<'_>) -> Read<()> {
        while let Some(block) = input.block(item_bytes_min)? {
            if let [Step::Bytes(len)] = *self.0 {
                // `block` has seen that they fit.
                input.take(len.saturating_mul(block.items))?;
            } else {
                for _ in 0..block.items {
                    self.run(input)?;
                }
            }
            input.end(&block)?;
        }
        Ok(())
    }
}
