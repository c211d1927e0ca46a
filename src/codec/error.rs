//! What can be wrong with a frame, a schema, a record's bytes, or a value on its way out.

use crate::record::Fault;

/// Why the codec refused something. The texts name the field and never the record's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value of no bytes: not a tombstone, and not a frame.
    #[error(
        "the value is empty; a record of a registry's serializer starts with a frame of 5 bytes"
    )]
    FrameEmpty,
    /// Fewer bytes than a frame has.
    #[error("the value has {bytes} bytes; the frame of a registry's serializer alone has 5")]
    FrameShort {
        /// The bytes that there are.
        bytes: usize,
    },
    /// The first byte is not the wire format's 0.
    #[error(
        "the value starts with byte {byte:#04x} where the wire format has 0x00; was it written by a \
         registry's serializer?"
    )]
    FrameMagic {
        /// The byte that is there.
        byte: u8,
    },
    /// The schema text is no schema, or one of those that are refused for safety.
    #[error("schema refused at {at}: {why}")]
    Schema {
        /// The path of names to the place, the schema's own name first.
        at: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Data of the writer's schema cannot be read as the reader's.
    #[error("writer and reader schema do not fit at {at}: {why}")]
    Incompatible {
        /// The reader's path of field names.
        at: String,
        /// What is wrong.
        why: String,
    },
    /// The bytes are not data of the writer's schema.
    #[error("byte {byte} of the body, {at}: {flaw}")]
    Data {
        /// The path of field names.
        at: String,
        /// Where in the body, from 0.
        byte: usize,
        /// What is wrong there.
        flaw: Flaw,
    },
    /// A value cannot be written under the schema.
    #[error("{at} cannot be written: {why}")]
    Value {
        /// The path of field names.
        at: String,
        /// What is wrong.
        why: String,
    },
    /// A JSON event does not fit its type.
    #[error("{at}: {why}")]
    Json {
        /// The path of field names and list indexes.
        at: String,
        /// What is wrong, and what is allowed.
        why: String,
    },
}

/// What is wrong with a record's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The body ends before the value does.
    #[error("the body ends in the middle of a value")]
    Truncated,
    /// Bytes are left after the last field.
    #[error("bytes are left over after the last field")]
    Trailing,
    /// A variable-length integer of more than 64 bits.
    #[error("an integer has more than 64 bits")]
    Varint,
    /// A value of type int beyond 32 bits.
    #[error("an int is beyond 32 bits")]
    IntRange,
    /// A boolean that is neither 0 nor 1.
    #[error("a boolean is neither 0 nor 1")]
    Bool,
    /// A negative length of text, bytes or a block.
    #[error("a length is negative")]
    Length,
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// A union branch that the writer's schema does not have.
    #[error("a union's branch is not in the writer's schema")]
    UnionIndex,
    /// An enum symbol that the writer's schema does not have.
    #[error("an enum's symbol is not in the writer's schema")]
    EnumIndex,
    /// More items than there are bytes for.
    #[error("a block claims more items than there are bytes for")]
    BlockCount,
    /// A block that is longer or shorter than it says.
    #[error("a block has another size than it says")]
    BlockSize,
    /// More values than one record may have.
    #[error("the record holds more values than are allowed")]
    Budget,
    /// Text that is no UUID.
    #[error("a uuid is not 8-4-4-4-12 hexadecimal digits")]
    Uuid,
    /// A decimal of more digits than its precision, or than 28, or of no bytes.
    #[error("a decimal has no bytes, or more digits than its precision or than 28")]
    Decimal,
    /// A date outside the years 1 to 9999.
    #[error("a date is outside the years 1 to 9999")]
    Date,
    /// A time of day outside 00:00 to 24:00.
    #[error("a time of day is outside 00:00 to 24:00")]
    Time,
    /// A timestamp outside the years 1 to 9999.
    #[error("a timestamp is outside the years 1 to 9999")]
    Timestamp,
    /// A union branch of the writer that the reader's schema cannot take.
    #[error("a union's branch has no counterpart in the reader's schema")]
    NoBranch,
    /// An enum symbol of the writer that the reader does not know, without a default.
    #[error("an enum's symbol is not in the reader's schema, which has no default for it")]
    NoSymbol,
}

impl Error {
    /// A short stable word, safe as a metric label.
    pub fn code(&self) -> &'static str {
        match self {
            Error::FrameEmpty => "frame_empty",
            Error::FrameShort { .. } => "frame_short",
            Error::FrameMagic { .. } => "frame_magic",
            Error::Schema { .. } => "schema_refused",
            Error::Incompatible { .. } => "schema_incompatible",
            Error::Data { flaw, .. } => flaw.code(),
            Error::Value { .. } => "unwritable",
            Error::Json { .. } => "json",
        }
    }
}

impl Flaw {
    /// A short stable word, safe as a metric label.
    pub fn code(self) -> &'static str {
        match self {
            Flaw::Truncated => "truncated",
            Flaw::Trailing => "trailing_bytes",
            Flaw::Varint => "bad_varint",
            Flaw::IntRange => "int_range",
            Flaw::Bool => "bad_bool",
            Flaw::Length => "bad_length",
            Flaw::Utf8 => "bad_utf8",
            Flaw::UnionIndex => "bad_union_index",
            Flaw::EnumIndex => "bad_enum_index",
            Flaw::BlockCount => "bad_block_count",
            Flaw::BlockSize => "bad_block_size",
            Flaw::Budget => "too_many_values",
            Flaw::Uuid => "bad_uuid",
            Flaw::Decimal => "bad_decimal",
            Flaw::Date => "bad_date",
            Flaw::Time => "bad_time",
            Flaw::Timestamp => "bad_timestamp",
            Flaw::NoBranch => "unknown_branch",
            Flaw::NoSymbol => "unknown_symbol",
        }
    }
}

/// `Poison`: the same bytes under the same schema fail for ever. Who compiles the pipeline's own reader
/// schema makes a `Fatal` of it instead, since no record is to blame.
impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::poison(error.code(), error.to_string())
    }
}
