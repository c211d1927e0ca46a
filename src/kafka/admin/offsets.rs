//! Where partitions begin and end, and where groups stand in them.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::groups::patiently;
use super::{Client, LIMIT};
use crate::kafka::error::{Error, no_nul};
use crate::kafka::raw;
use crate::port::{Commit, CommittedAt, Watermarks};
use crate::record::{NextOffset, PartitionId};

/// How long first records are waited for.
const LOOK: Duration = Duration::from_secs(3);

impl Client {
    /// All partitions of one end with one request to each leader.
    pub(super) fn ends(
        &self,
        partitions: &[PartitionId],
        end: Offset,
    ) -> Result<Vec<NextOffset>, Error> {
        let what = || "read the ends of partitions".to_owned();
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for id in partitions {
            // The look-up by time takes the two ends as times -1 and -2.
            list.add_partition_offset(&id.topic, id.partition, end)
                .map_err(|e| Error::call(what(), &e))?;
        }
        let found =
            self.consumer.offsets_for_times(list, LIMIT).map_err(|e| Error::call(what(), &e))?;
        let found: HashMap<(String, i32), _> = found
            .elements()
            .iter()
            .map(|e| {
                let at = e.error().map(|()| e.offset());
                ((e.topic().to_owned(), e.partition()), at)
            })
            .collect();
        partitions
            .iter()
            .map(|id| match found.get(&(id.topic.to_string(), id.partition)) {
                Some(Ok(Offset::Offset(at))) => Ok(NextOffset(*at)),
                Some(Err(e)) => Err(Error::call(format!("read the ends of {id}"), e)),
                Some(Ok(_)) | None => Err(Error::Call {
                    what: format!("read the ends of {id}"),
                    code: Code::UnknownPartition,
                    reason: "the broker does not say".to_owned(),
                }),
            })
            .collect()
    }

    pub(super) fn watermarks(&self, partitions: &[PartitionId]) -> Result<Vec<Watermarks>, Error> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        partitions.iter().try_for_each(|id| no_nul(&id.topic))?;
        // The start first: it never passes an end that is read later.
        let starts = self.ends(partitions, Offset::Beginning)?;
        let ends = self.ends(partitions, Offset::End)?;
        Ok(starts.into_iter().zip(ends).map(|(start, end)| Watermarks { start, end }).collect())
    }

    pub(super) fn committed(
        &self,
        group: &str,
        partitions: &[PartitionId],
    ) -> Result<Vec<Option<CommittedAt>>, Error> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        partitions.iter().try_for_each(|id| no_nul(&id.topic))?;
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for id in partitions {
            list.add_partition(&id.topic, id.partition);
        }
        let mut found: HashMap<(String, i32), CommittedAt> =
            patiently(|| raw::committed_offsets(self.rk(), group, Some(&list), LIMIT))?
                .into_iter()
                .filter(|g| g.offset >= 0)
                .map(|g| {
                    let at = CommittedAt { next: NextOffset(g.offset), metadata: g.metadata };
                    ((g.topic, g.partition), at)
                })
                .collect();
        Ok(partitions
            .iter()
            .map(|id| found.remove(&(id.topic.to_string(), id.partition)))
            .collect())
    }

    pub(super) fn committed_anywhere(&self, group: &str) -> Result<Vec<PartitionId>, Error> {
        let found = patiently(|| raw::committed_offsets(self.rk(), group, None, LIMIT))?;
        let found = found.into_iter().filter(|g| g.offset >= 0);
        let mut all: Vec<_> = found.map(|g| PartitionId::new(g.topic, g.partition)).collect();
        all.sort();
        Ok(all)
    }

    pub(super) fn timestamps(
        &self,
        group: &str,
        places: &[(PartitionId, NextOffset)],
    ) -> Result<HashMap<PartitionId, i64>, Error> {
        let mut found = HashMap::new();
        if places.is_empty() {
            return Ok(found);
        }
        // Rare: a client of its own, which names the group (it is allowed to read by it) and never joins it.
        let mut config = self.settings.admin()?;
        config.set("group.id", group).set("enable.auto.commit", "false");
        config.set("auto.offset.reset", "earliest").set("queued.min.messages", "1");
        let client: BaseConsumer =
            config.create().map_err(|cause| Error::Client { what: "looking client", cause })?;
        let what = || "read the first records".to_owned();
        let mut list = TopicPartitionList::with_capacity(places.len());
        for (id, next) in places {
            list.add_partition_offset(&id.topic, id.partition, Offset::Offset(next.0))
                .map_err(|e| Error::call(what(), &e))?;
        }
        client.assign(&list).map_err(|e| Error::call(what(), &e))?;
        let until = Instant::now() + LOOK;
        while found.len() < places.len() && Instant::now() < until {
            let Some(Ok(record)) = client.poll(Duration::from_millis(100)) else { continue };
            if let Some(time) = record.timestamp().to_millis() {
                found.entry(PartitionId::new(record.topic(), record.partition())).or_insert(time);
            }
        }
        Ok(found)
    }

    pub(super) fn offsets_at(
        &self,
        time_ms: i64,
        partitions: &[PartitionId],
    ) -> Result<Vec<NextOffset>, Error> {
        let ends = self.ends(partitions, Offset::End)?;
        let what = || "look offsets up by time".to_owned();
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for id in partitions {
            list.add_partition_offset(&id.topic, id.partition, Offset::Offset(time_ms.max(0)))
                .map_err(|e| Error::call(what(), &e))?;
        }
        let found =
            self.consumer.offsets_for_times(list, LIMIT).map_err(|e| Error::call(what(), &e))?;
        let at = |id: &PartitionId, end: NextOffset| {
            let element = found.find_partition(&id.topic, id.partition);
            match element.map(|e| e.error().map(|()| e.offset())) {
                Some(Ok(Offset::Offset(at))) => Ok(NextOffset(at)),
                Some(Err(e)) => Err(Error::call(what(), &e)),
                // No record is so young.
                Some(Ok(_)) | None => Ok(end),
            }
        };
        partitions.iter().zip(ends).map(|(id, end)| at(id, end)).collect()
    }

    pub(super) fn commit(&self, group: &str, commits: &[Commit]) -> Result<(), Error> {
        let what = || format!("commit offsets of group {group}");
        let mut list = TopicPartitionList::with_capacity(commits.len());
        for commit in commits {
            let id = &commit.partition;
            list.add_partition_offset(&id.topic, id.partition, Offset::Offset(commit.next.0))
                .map_err(|e| Error::call(what(), &e))?;
            if let Some(mut element) = list.find_partition(&id.topic, id.partition) {
                element.set_metadata(&commit.metadata);
            }
        }
        // Rare: a client of its own, which names the group and never joins it.
        let mut config = self.settings.admin()?;
        config.set("group.id", group);
        let client: BaseConsumer =
            config.create().map_err(|cause| Error::Client { what: "commit client", cause })?;
        // The library asks for the group's coordinator once it is told to do something with the group.
        let found = client.committed_offsets(list.clone(), LIMIT);
        let done = found
            .map_err(|e| Error::call(what(), &e))
            .and_then(|_| raw::commit_within(client.client().native_ptr(), &list, LIMIT));
        if done.is_err() {
            // Its end waits for brokers, which may be away.
            drop(list);
            thread::spawn(move || drop(client));
        }
        done
    }
}
