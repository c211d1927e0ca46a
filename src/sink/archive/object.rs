//! An object: the file of one step, made in pieces.

use std::ops::Range;

use bytes::Bytes;

use super::entry::split;
use super::link::{Hash, Hasher, Link};
use crate::codec::container::{Container, block, header};
use crate::record::Effects;

/// A block is closed at so many bytes of entries: large enough to deflate well, small enough that making one
/// does not keep other tasks waiting.
const BLOCK_BYTES: usize = 128 * 1024;

/// An object that is ready to be written.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) pieces: Vec<Bytes>,
    pub(super) hash: Hash,
}

/// Makes the object of these rows. `link` lacks their number and their schema ids, which are filled in here.
pub(super) async fn make(
    schema: &str,
    mut link: Link,
    effects: &Effects,
    rows: Range<usize>,
) -> Object {
    link.entries = rows.len() as u64;
    link.schema_ids = rows.clone().map(|row| split(effects.row(row)).0).collect();
    let marker = link.marker();
    let mut object = Making::default();
    object.push(header(schema, &link.metadata(), marker));
    let (mut count, mut bodies) = (0, Vec::new());
    for row in rows {
        bodies.extend_from_slice(split(effects.row(row)).1);
        count += 1;
        if bodies.len() >= BLOCK_BYTES {
            object.push(block(count, &bodies, marker));
            (count, bodies) = (0, Vec::new());
            // Deflating takes milliseconds a block, and an object has hundreds.
            tokio::task::yield_now().await;
        }
    }
    if count > 0 {
        object.push(block(count, &bodies, marker));
    }
    Object { pieces: object.pieces, hash: object.hasher.finish() }
}

/// Reads what an object says of itself.
///
/// # Errors
/// Why it is none of ours, or not whole.
pub(super) fn read(bytes: &[u8]) -> Result<Link, String> {
    let container = Container::read(bytes).map_err(|damage| damage.to_string())?;
    Link::read(&container)
}

#[derive(Default)]
struct Making {
    pieces: Vec<Bytes>,
    hasher: Hasher,
}

impl Making {
    fn push(&mut self, piece: Vec<u8>) {
        self.hasher.update(&piece);
        self.pieces.push(Bytes::from(piece));
    }
}
