//! The chain of a partition: its objects in order, each checked against the one before it.

use object_store::path::Path;

use super::link::{Hash, Link};
use super::object;
use super::store::Objects;
use crate::record::{Fault, NextOffset, TopicId};

const SUFFIX: &str = ".avro";
/// Digits of an offset in a name: names sort as their offsets do.
const DIGITS: usize = 20;

/// An object in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// Its name below the archive's folder.
    pub path: String,
    /// What it says of itself.
    pub link: Link,
    /// The hash of its bytes.
    pub hash: Hash,
}

/// The folder of a partition.
pub(super) fn folder(topic_id: TopicId, partition: i32) -> Path {
    Path::from_iter([topic_id.to_string(), partition.to_string()])
}

/// The name of the object that begins at an offset.
pub(super) fn name(topic_id: TopicId, partition: i32, first: NextOffset) -> Path {
    let file = format!("{:0DIGITS$}{SUFFIX}", first.0);
    Path::from_iter([topic_id.to_string(), partition.to_string(), file])
}

/// The offset that a name says; nothing of ours has another form.
fn first(path: &Path) -> Option<NextOffset> {
    let digits = path.filename()?.strip_suffix(SUFFIX)?;
    let own = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    own.then(|| digits.parse().ok().map(NextOffset)).flatten()
}

/// The newest `count` objects of a partition's chain in their order, each checked: whole, named as it says,
/// beginning behind the one before it and carrying its hash. The oldest that is looked at is not held against
/// the one before it: older objects may have been moved to another place.
///
/// # Errors
/// `Fatal` with the object's name where the chain is broken; `Unavailable` when the store is away.
pub async fn links(
    objects: &Objects,
    topic_id: TopicId,
    partition: i32,
    count: usize,
) -> Result<Vec<Linked>, Fault> {
    let mut names = objects.list(&folder(topic_id, partition)).await?;
    names.retain(|path| first(path).is_some());
    names.sort();
    let skipped = names.len().saturating_sub(count);
    let mut chain: Vec<Linked> = Vec::with_capacity(names.len() - skipped);
    for path in &names[skipped..] {
        let bytes = objects.get(path).await?;
        let broken = |why: String| broken(objects.to(), path, &why);
        let link = object::read(&bytes).map_err(|why| broken(format!("it is damaged: {why}")))?;
        follows(path, &link, chain.last()).map_err(broken)?;
        chain.push(Linked { path: path.to_string(), hash: Hash::of(&bytes), link });
    }
    Ok(chain)
}

/// Does an object stand where it says, behind the one before it?
fn follows(path: &Path, link: &Link, before: Option<&Linked>) -> Result<(), String> {
    if first(path) != Some(link.first) || link.last.next() <= link.first {
        let Link { first, last, .. } = link;
        return Err(format!("it says that it holds {first} to {last}, which is not its name"));
    }
    let Some(before) = before else { return Ok(()) };
    if before.link.last.next() != link.first {
        let (ends, path) = (before.link.last, &before.path);
        return Err(format!("{path} before it ends at {ends}: what lay between them is missing"));
    }
    if link.previous != Some(before.hash) {
        let path = &before.path;
        return Err(format!(
            "{path} before it has another hash than it had when this one was made"
        ));
    }
    Ok(())
}

fn broken(to: &str, path: &Path, why: &str) -> Fault {
    Fault::fatal(
        "chain_broken",
        format!(
            "the archive's chain is broken at {to}/{path}: {why}; put back the file from a copy, or move it \
             and those behind it out of the folder: what they held is archived again from the topic"
        ),
    )
}
