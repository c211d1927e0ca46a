//! A schema with its names resolved: a tree that shares its named types and knows its own measures.

use std::sync::Arc;

/// One type of a schema, with what must be known of it before it is walked.
#[derive(Clone, Debug)]
pub(in crate::codec) struct Node {
    /// What it is.
    pub(in crate::codec) kind: Kind,
    /// How many nodes the tree has when every name is written out.
    pub(in crate::codec) nodes: usize,
    /// The levels of records, arrays, maps and unions, itself included.
    pub(in crate::codec) depth: usize,
    /// The fewest bytes that a value of it takes on the wire.
    pub(in crate::codec) bytes_min: usize,
}

/// The Avro types by their encoding; what a number or text means stands beside it.
#[derive(Clone, Debug)]
pub(in crate::codec) enum Kind {
    Null,
    Boolean,
    Int(Meaning),
    Long(Meaning),
    Float,
    Double,
    Bytes(Meaning),
    String(Meaning),
    Fixed(Arc<Fixed>),
    Enum(Arc<Enum>),
    Array(Arc<Node>),
    Map(Arc<Node>),
    Union(Arc<[Node]>),
    Record(Arc<Record>),
}

/// The logical types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::codec) enum Meaning {
    Plain,
    Date,
    Time(Unit),
    Timestamp(Unit),
    LocalTimestamp(Unit),
    Uuid,
    Decimal { precision: u32, scale: u32 },
}

/// What a number of time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::codec) enum Unit {
    Millis,
    Micros,
    Nanos,
}

/// The name of a record, enum or fixed, and those that it goes by besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::codec) struct Name {
    pub(in crate::codec) full: String,
    pub(in crate::codec) aliases: Vec<String>,
}

#[derive(Debug)]
pub(in crate::codec) struct Fixed {
    pub(in crate::codec) name: Name,
    pub(in crate::codec) size: usize,
    pub(in crate::codec) meaning: Meaning,
}

#[derive(Debug)]
pub(in crate::codec) struct Enum {
    pub(in crate::codec) name: Name,
    pub(in crate::codec) symbols: Arc<[String]>,
    pub(in crate::codec) default: Option<usize>,
}

#[derive(Debug)]
pub(in crate::codec) struct Record {
    pub(in crate::codec) name: Name,
    pub(in crate::codec) fields: Vec<Field>,
}

#[derive(Debug)]
pub(in crate::codec) struct Field {
    pub(in crate::codec) name: String,
    pub(in crate::codec) aliases: Vec<String>,
    pub(in crate::codec) node: Node,
    /// The default as it would be encoded.
    pub(in crate::codec) default: Option<Arc<[u8]>>,
}

impl Node {
    /// A node whose measures follow from its kind. They saturate: what is too large is refused anyway.
    pub(in crate::codec) fn new(kind: Kind) -> Self {
        let (nodes, depth, bytes_min) = match &kind {
            Kind::Null => (1, 0, 0),
            Kind::Boolean | Kind::Int(_) | Kind::Long(_) | Kind::Enum(_) => (1, 0, 1),
            Kind::Bytes(_) | Kind::String(_) => (1, 0, 1),
            Kind::Float => (1, 0, 4),
            Kind::Double => (1, 0, 8),
            Kind::Fixed(fixed) => (1, 0, fixed.size),
            Kind::Array(item) | Kind::Map(item) => {
                (item.nodes.saturating_add(1), item.depth.saturating_add(1), 1)
            }
            Kind::Union(branches) => {
                let (nodes, depth, _) = sum(branches.iter());
                let least = branches.iter().map(|b| b.bytes_min).min().unwrap_or(0);
                (nodes, depth, least.saturating_add(1))
            }
            Kind::Record(record) => sum(record.fields.iter().map(|f| &f.node)),
        };
        Self { kind, nodes, depth, bytes_min }
    }

    /// The word for messages: the Avro type's, or the name of a named one.
    pub(in crate::codec) fn word(&self) -> String {
        match &self.kind {
            Kind::Null => "null".into(),
            Kind::Boolean => "boolean".into(),
            Kind::Int(meaning) => meaning.word("int"),
            Kind::Long(meaning) => meaning.word("long"),
            Kind::Float => "float".into(),
            Kind::Double => "double".into(),
            Kind::Bytes(meaning) => meaning.word("bytes"),
            Kind::String(meaning) => meaning.word("string"),
            Kind::Fixed(fixed) => format!("fixed({}) {}", fixed.size, fixed.name.full),
            Kind::Enum(of) => format!("enum {}", of.name.full),
            Kind::Array(item) => format!("array of {}", item.word()),
            Kind::Map(item) => format!("map of {}", item.word()),
            Kind::Union(_) => "a union".into(),
            Kind::Record(record) => format!("record {}", record.name.full),
        }
    }
}

/// One more than all the nodes, one deeper than the deepest, as long as all together.
fn sum<'n>(children: impl Iterator<Item = &'n Node>) -> (usize, usize, usize) {
    children.fold((1, 1, 0), |(nodes, depth, bytes), child| {
        (
            nodes.saturating_add(child.nodes),
            depth.max(child.depth.saturating_add(1)),
            bytes.saturating_add(child.bytes_min),
        )
    })
}

impl Meaning {
    /// The logical type's name.
    pub(in crate::codec) fn name(self) -> String {
        self.word("no logical type")
    }

    fn word(self, base: &str) -> String {
        match self {
            Meaning::Plain => base.to_owned(),
            Meaning::Date => "date".to_owned(),
            Meaning::Time(unit) => format!("time-{}", unit.word()),
            Meaning::Timestamp(unit) => format!("timestamp-{}", unit.word()),
            Meaning::LocalTimestamp(unit) => format!("local-timestamp-{}", unit.word()),
            Meaning::Uuid => "uuid".to_owned(),
            Meaning::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        }
    }
}

impl Unit {
    fn word(self) -> &'static str {
        match self {
            Unit::Millis => "millis",
            Unit::Micros => "micros",
            Unit::Nanos => "nanos",
        }
    }
}

impl Name {
    /// Is data of the writer's name data of this one? Names match without their namespaces, as the
    /// specification has it; so do aliases.
    pub(in crate::codec) fn takes(&self, writer: &Name) -> bool {
        let short = short(&writer.full);
        short == self::short(&self.full) || self.aliases.iter().any(|a| self::short(a) == short)
    }
}

/// A name without its namespace.
pub(in crate::codec) fn short(full: &str) -> &str {
    full.rsplit_once('.').map_or(full, |(_, short)| short)
}
