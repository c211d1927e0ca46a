//! The archive as a sink: bind, claim, apply.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::available_parallelism;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Semaphore;

use super::chain::{self, Linked, links};
use super::entry::{Entries, EntryEncoder};
use super::link::{Hash, Link};
use super::object;
use super::store::{Created, Objects, reachable};
use crate::port::{BatchSink, Claim, Encode, Future, Progress, Refusal, Step, Wanted};
use crate::record::{Fault, NextOffset, Offset, Shape, TopicId};

/// So many chains are read at once when partitions are claimed; each needs up to two objects in memory.
const CLAIMS_AT_ONCE: usize = 4;

/// Can events of this shape be archived there? What a file alone can tell.
///
/// # Errors
/// Why not.
pub fn check(to: &str, event: &Arc<Shape>) -> Result<(), String> {
    reachable(to)?;
    match Entries::of(event) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("the event cannot be archived: {error}")),
    }
}

/// What an archive is made of.
#[derive(Debug)]
pub struct Options {
    /// The folder.
    pub to: String,
    /// The pipeline's name; each object carries it.
    pub pipeline: String,
    /// How entries are written.
    pub entries: Entries,
}

/// Events kept as a chain of Avro files.
#[derive(Debug)]
pub struct Archive {
    to: String,
    pipeline: String,
    entries: Arc<Entries>,
    objects: OnceLock<Objects>,
    /// So many objects are made at once: each ends before its time is up, however many are due together.
    makers: Semaphore,
    /// The ends of the chains that were claimed, or went on, here.
    tips: Mutex<HashMap<(TopicId, i32), Tip>>,
}

/// The end of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tip {
    /// The last object's first offset; none: there is no object yet.
    first: Option<NextOffset>,
    /// Where the next one begins.
    next: NextOffset,
    /// The last object's hash.
    hash: Option<Hash>,
}

impl Archive {
    /// An archive that was not looked at yet.
    pub fn new(options: Options) -> Self {
        let Options { to, pipeline, entries } = options;
        let cores = available_parallelism().map_or(1, NonZero::get);
        Self {
            to,
            pipeline,
            entries: Arc::new(entries),
            objects: OnceLock::new(),
            makers: Semaphore::new(cores),
            tips: Mutex::default(),
        }
    }

    /// An archive over objects that are opened already.
    pub fn over(objects: Objects, pipeline: &str, entries: Entries) -> Self {
        let options =
            Options { to: objects.to().to_owned(), pipeline: pipeline.to_owned(), entries };
        Self { objects: OnceLock::from(objects), ..Self::new(options) }
    }

    fn objects(&self) -> Result<&Objects, Fault> {
        self.objects.get().ok_or_else(|| {
            Fault::fatal("not_bound", format!("the archive {} was never opened", self.to))
        })
    }

    fn tip(&self, of: (TopicId, i32)) -> Option<Tip> {
        self.tips.lock().unwrap_or_else(PoisonError::into_inner).get(&of).copied()
    }

    fn set_tip(&self, of: (TopicId, i32), tip: Tip) {
        self.tips.lock().unwrap_or_else(PoisonError::into_inner).insert(of, tip);
    }

    async fn claim_one(&self, group: &Arc<str>, wanted: &Wanted) -> Result<Claim, Fault> {
        let of = (wanted.topic_id, wanted.partition.partition);
        let end = links(self.objects()?, of.0, of.1, 2).await?.pop();
        let tip = match &end {
            Some(last) => {
                self.ours(group, last)?;
                let Link { first, last: offset, .. } = last.link;
                Tip { first: Some(first), next: offset.next(), hash: Some(last.hash) }
            }
            None => Tip { first: None, next: wanted.start, hash: None },
        };
        if let Some(committed) = wanted.committed.filter(|committed| tip.next < *committed) {
            return Err(self.behind(wanted, tip.next, committed));
        }
        if wanted.moved.is_some() && tip.first.is_some() && tip.next != wanted.start {
            let (partition, next) = (&wanted.partition, tip.next);
            tracing::warn!(
                %partition, %next, moved_to = %wanted.start,
                "an archive cannot be moved: it goes on where its chain ends"
            );
        }
        self.set_tip(of, tip);
        Ok(Claim {
            replay_mark: NextOffset(0),
            begins: tip.first.is_none(),
            done_ahead: Vec::new(),
            group: Arc::clone(group),
            partition: wanted.partition.clone(),
            topic_id: wanted.topic_id,
            // The names of objects are the fence: there is no number to raise.
            epoch: 0,
            next: tip.next,
        })
    }

    /// An archive belongs to one group and one pipeline.
    fn ours(&self, group: &str, last: &Linked) -> Result<(), Fault> {
        let link = &last.link;
        if link.group == group && link.pipeline == self.pipeline {
            return Ok(());
        }
        Err(Fault::fatal(
            "archive_owner",
            format!(
                "{}/{} was written by pipeline {} in group {}, not by {} in {group}; give each archive its own \
                 folder",
                self.to, last.path, link.pipeline, link.group, self.pipeline
            ),
        ))
    }

    /// The commit follows the chain, so a chain that ends before it has lost objects, or is not the one.
    fn behind(&self, wanted: &Wanted, ends: NextOffset, committed: NextOffset) -> Fault {
        let Wanted { partition, topic_id, .. } = wanted;
        Fault::unavailable(
            "archive_behind",
            format!(
                "{partition} was archived up to {committed}, but {}/{} ends at {ends}: is the disk mounted, \
                 and nothing missing? If those objects are lost, move the group to {ends}: what the topic \
                 still has is archived again",
                self.to,
                chain::folder(*topic_id, partition.partition)
            ),
        )
    }

    async fn step(&self, step: Step<'_>) -> Result<(), Refusal> {
        let Step { claim, from, to, effects, rows, .. } = step;
        let of = (claim.topic_id, claim.partition.partition);
        let tip = self.tip(of).ok_or(Refusal::Fenced)?;
        if tip.next == to && tip.first == Some(from) {
            return Ok(());
        }
        if tip.next != from {
            return Err(Refusal::Fenced);
        }
        let link = Link {
            group: claim.group.to_string(),
            pipeline: self.pipeline.clone(),
            topic: claim.partition.topic.to_string(),
            topic_id: claim.topic_id.to_string(),
            partition: claim.partition.partition,
            first: from,
            last: last_before(to),
            entries: 0,
            schema_ids: [].into(),
            previous: tip.hash,
        };
        let object = {
            let _turn = self.makers.acquire().await;
            object::make(self.entries.schema(), link, effects, rows).await
        };
        let (objects, name) = (self.objects()?, chain::name(of.0, of.1, from));
        match objects.create(&name, object.pieces).await? {
            Created::New => {}
            // Perhaps by this very step, when nobody heard the answer: then it has the same bytes.
            Created::Taken if Hash::of(&objects.get(&name).await?) == object.hash => {}
            Created::Taken => return Err(Refusal::Fenced),
        }
        self.set_tip(of, Tip { first: Some(from), next: to, hash: Some(object.hash) });
        Ok(())
    }
}

/// The offset before the next one: the last that a range ends with.
fn last_before(to: NextOffset) -> Offset {
    Offset(to.0 - 1)
}

impl BatchSink for Archive {
    fn bind(&self) -> Future<'_, Result<(), Fault>> {
        Box::pin(async move {
            let objects = match self.objects.get() {
                Some(objects) => objects,
                None => {
                    let opened = Objects::at(&self.to).await?;
                    self.objects.get_or_init(|| opened)
                }
            };
            objects.probe().await
        })
    }

    fn encoder(&self) -> Result<Box<dyn Encode>, Fault> {
        self.objects()?;
        Ok(Box::new(EntryEncoder(Arc::clone(&self.entries))))
    }

    fn truth(&self) -> Option<&dyn Progress> {
        Some(self)
    }

    fn gathers(&self) -> bool {
        true
    }

    fn apply<'a>(&'a self, step: Step<'a>) -> Future<'a, Result<(), Refusal>> {
        Box::pin(self.step(step))
    }
}

impl Progress for Archive {
    fn claim<'a>(
        &'a self,
        group: &'a Arc<str>,
        wanted: &'a [Wanted],
    ) -> Future<'a, Result<Vec<Claim>, Fault>> {
        Box::pin(async move {
            self.objects()?.sweep().await;
            let claims: Vec<Future<'_, _>> =
                wanted.iter().map(|wanted| self.claim_one(group, wanted).boxed()).collect();
            stream::iter(claims).buffered(CLAIMS_AT_ONCE).try_collect().await
        })
    }
}
