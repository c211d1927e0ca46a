//! A link: what an object says of itself and of the one before it, in its file's metadata.

use std::collections::BTreeSet;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::codec::container::{Container, Marker};
use crate::record::{NextOffset, Offset};

/// The SHA-256 of an object's bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; 32]);

/// Where an object stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The consumer group that wrote it.
    pub group: String,
    /// The pipeline.
    pub pipeline: String,
    /// The topic's name.
    pub topic: String,
    /// The topic's identity.
    pub topic_id: String,
    /// The partition's number.
    pub partition: i32,
    /// The first offset that it stands for.
    pub first: NextOffset,
    /// The last one: every record from `first` to it ended here, as an entry, a drop or a dead letter.
    pub last: Offset,
    /// How many entries it has.
    pub entries: u64,
    /// The schema ids that its records carried.
    pub schema_ids: BTreeSet<u32>,
    /// The hash of the object before it; none: it is the first of its chain.
    pub previous: Option<Hash>,
}

const GROUP: &str = "ordermill.group";
const PIPELINE: &str = "ordermill.pipeline";
const TOPIC: &str = "ordermill.topic";
const TOPIC_ID: &str = "ordermill.topic_id";
const PARTITION: &str = "ordermill.partition";
const FIRST: &str = "ordermill.first";
const LAST: &str = "ordermill.last";
const ENTRIES: &str = "ordermill.entries";
const SCHEMA_IDS: &str = "ordermill.schema_ids";
const PREVIOUS: &str = "ordermill.previous";

impl Link {
    /// As metadata.
    pub(super) fn metadata(&self) -> Vec<(&'static str, String)> {
        let ids: Vec<String> = self.schema_ids.iter().map(u32::to_string).collect();
        let mut metadata = vec![
            (GROUP, self.group.clone()),
            (PIPELINE, self.pipeline.clone()),
            (TOPIC, self.topic.clone()),
            (TOPIC_ID, self.topic_id.clone()),
            (PARTITION, self.partition.to_string()),
            (FIRST, self.first.to_string()),
            (LAST, self.last.to_string()),
            (ENTRIES, self.entries.to_string()),
            (SCHEMA_IDS, ids.join(",")),
        ];
        metadata.extend(self.previous.map(|hash| (PREVIOUS, hash.to_string())));
        metadata
    }

    /// The marker between the object's blocks. Made from the link, so that the same step asked again makes
    /// the same bytes.
    pub(super) fn marker(&self) -> Marker {
        let mut hash = Hasher::default();
        for (name, value) in self.metadata() {
            hash.update(name.as_bytes());
            hash.update(value.as_bytes());
        }
        let Hash(bytes) = hash.finish();
        std::array::from_fn(|i| bytes[i])
    }

    /// Reads it from an object's metadata.
    ///
    /// # Errors
    /// What is missing there, or wrong.
    pub(super) fn read(container: &Container<'_>) -> Result<Self, String> {
        let text = |name: &str| {
            container.text(name).map(str::to_owned).ok_or_else(|| format!("it has no {name}"))
        };
        let ids = text(SCHEMA_IDS)?;
        let ids = ids.split(',').filter(|id| !id.is_empty());
        let link = Self {
            group: text(GROUP)?,
            pipeline: text(PIPELINE)?,
            topic: text(TOPIC)?,
            topic_id: text(TOPIC_ID)?,
            partition: number(PARTITION, &text(PARTITION)?)?,
            first: NextOffset(number(FIRST, &text(FIRST)?)?),
            last: Offset(number(LAST, &text(LAST)?)?),
            entries: number(ENTRIES, &text(ENTRIES)?)?,
            schema_ids: ids.map(|id| number(SCHEMA_IDS, id)).collect::<Result<_, _>>()?,
            previous: container.text(PREVIOUS).map(Hash::parse).transpose()?,
        };
        match link.entries == container.bodies {
            true => Ok(link),
            false => {
                let (says, has) = (link.entries, container.bodies);
                Err(format!("it says that it has {says} entries, and has {has}"))
            }
        }
    }
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("its {name} is `{text}`, which is no such number"))
}

impl Hash {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let byte =
            |i: usize| text.get(2 * i..2 * i + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
        let mut bytes = [0; 32];
        for (i, slot) in bytes.iter_mut().enumerate() {
            *slot = byte(i).ok_or_else(|| format!("its {PREVIOUS} is no SHA-256"))?;
        }
        match text.len() {
            64 => Ok(Self(bytes)),
            _ => Err(format!("its {PREVIOUS} is no SHA-256")),
        }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A hash of bytes that come in pieces.
#[derive(Default)]
pub(super) struct Hasher(Sha256);

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}
