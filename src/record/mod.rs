//! The words of the house: what a record is, where it lies, what it may carry and how it may end.
//!
//! Everything here is plain data. No IO, no clock, no broker and no database enters this room; every
//! other room may use it.

mod dead_letter;
mod effects;
mod event;
mod fault;
mod nearest;
mod outcome;
mod position;
mod raw;
mod shape;
mod text;
mod value;

pub use dead_letter::{DEAD_LETTER_PREFIX, DeadLetter, parts};
pub use effects::Effects;
pub use event::{Name, Scope};
pub use fault::{Class, Fault};
pub use nearest::nearest;
pub use outcome::{End, Reason};
pub use position::{NextOffset, Offset, PartitionId, Position, TopicId};
pub use raw::{HeaderList, HeaderSource, OwnedRecord, Record};
pub use shape::{Field, Shape, Type, Uses};
pub use text::is_hidden;
pub use value::{Value, ValueKind};
