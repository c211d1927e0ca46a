//! What a reset would do: pure.

use std::collections::BTreeMap;

use crate::pipeline::spec::{OnReplay, Pipeline, Sink, Sql, Statement};
use crate::port::Watermarks;
use crate::record::{NextOffset, PartitionId, TopicId};

/// Where a group shall go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// To the beginning of each log.
    Earliest,
    /// To the first record at or behind this time, in milliseconds since the Unix epoch.
    Time(i64),
    /// To these offsets; partitions that are not named stay.
    Offsets(BTreeMap<PartitionId, NextOffset>),
}

/// Where a partition stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The partition.
    pub partition: PartitionId,
    /// The topic's identity.
    pub topic_id: TopicId,
    /// Where the pipeline's own truth says that it stands; `None`: it has not begun.
    pub at: Option<NextOffset>,
    /// Records below it were worked before, once the group moves.
    pub mark: NextOffset,
    /// The ends of its log.
    pub ends: Watermarks,
    /// What a look-up by time found, where one was asked for.
    pub found: Option<NextOffset>,
}

/// What becomes of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The partition.
    pub partition: PartitionId,
    /// The topic's identity.
    pub topic_id: TopicId,
    /// Where it stands; `None`: it has not begun.
    pub from: Option<NextOffset>,
    /// Where it goes.
    pub to: NextOffset,
    /// Records below it were worked before.
    pub mark: NextOffset,
}

impl Row {
    /// Records that are read again.
    pub fn again(&self) -> u64 {
        self.from.map_or(0, |from| u64::try_from(from.0 - self.to.0).unwrap_or(0))
    }

    /// Records that will be read and were worked before.
    pub fn replayed(&self) -> u64 {
        u64::try_from(self.mark.0 - self.to.0).unwrap_or(0)
    }

    /// Records that are passed over, never to be read.
    pub fn passed_over(&self) -> u64 {
        self.from.map_or(0, |from| u64::try_from(self.to.0 - from.0).unwrap_or(0))
    }
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A partition that the pipeline does not read.
    #[error("{0} is no partition of the pipeline's topics")]
    Unknown(PartitionId),
    /// A topic that the pipeline does not read.
    #[error("{0} is no topic of the pipeline")]
    Foreign(String),
    /// An offset that the log does not have.
    #[error("{partition} cannot go to {to}: its log holds {start} to {end}")]
    OutOfRange {
        /// The partition.
        partition: PartitionId,
        /// Where it was told to go.
        to: NextOffset,
        /// Where its log begins.
        start: NextOffset,
        /// Where its log ends.
        end: NextOffset,
    },
}

/// The rows of a plan, in the order of `standings`.
///
/// # Errors
/// See [`Error`].
pub fn rows(standings: &[Standing], to: &To) -> Result<Vec<Row>, Error> {
    if let To::Offsets(offsets) = to {
        let known = |id: &&PartitionId| standings.iter().any(|s| s.partition == **id);
        if let Some(unknown) = offsets.keys().find(|id| !known(id)) {
            return Err(Error::Unknown(unknown.clone()));
        }
    }
    let mut rows = Vec::new();
    for standing in standings {
        let goal = match to {
            To::Earliest => Some(standing.ends.start),
            To::Time(_) => Some(standing.found.unwrap_or(standing.ends.end)),
            To::Offsets(offsets) => offsets.get(&standing.partition).copied(),
        };
        let Some(goal) = goal else { continue };
        let (start, end) = (standing.ends.start, standing.ends.end);
        if goal < start || goal > end {
            let partition = standing.partition.clone();
            return Err(Error::OutOfRange { partition, to: goal, start, end });
        }
        rows.push(Row {
            partition: standing.partition.clone(),
            topic_id: standing.topic_id,
            from: standing.at,
            to: goal,
            mark: standing.mark,
        });
    }
    Ok(rows)
}

/// What a pipeline's sink does with records that are read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Their effects happen again; the text says how.
    Again(&'static str),
    /// They are passed over up to the replay mark.
    Skipped,
    /// The reset is refused; the text says why and what to do.
    Refused(&'static str),
}

/// What a reset means for a pipeline; `state`: is there a state database?
pub fn meaning(pipeline: &Pipeline, state: bool) -> Meaning {
    let skip = pipeline.on_replay == OnReplay::Skip;
    match &pipeline.sink {
        Sink::Archive(_) => Meaning::Refused(
            "an archive goes on where its chain of files ends and keeps nothing twice: there is nothing that \
             a reset could do; to archive the topic anew, give the pipeline another folder and group",
        ),
        Sink::Sql(_) if skip => Meaning::Skipped,
        Sink::Sql(Sql { statement: Statement::Execute(_), .. }) => Meaning::Again(
            "the statement runs again for each of them, which is right only if its tables were emptied first",
        ),
        Sink::Sql(_) => Meaning::Again("the rows are inserted again, as `conflict` says"),
        Sink::Topic(_) if skip => Meaning::Refused(
            "a topic sink has no store of replay marks: say `on_replay: run`, its records carry their ids",
        ),
        Sink::Topic(_) => Meaning::Again("the records are written again, with the same ids"),
        Sink::Mail(_) if skip && state => Meaning::Skipped,
        Sink::Mail(_) if skip => Meaning::Refused(
            "without a state database nobody knows which mails have left: set `state` in ordermill.yaml \
             before the group begins, or say `on_replay: run` in the pipeline's file and send them again",
        ),
        Sink::Mail(_) => Meaning::Again("the mails are sent again, with the same Message-IDs"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::pipeline::spec;

    fn standing(partition: i32, at: Option<i64>, start: i64, end: i64) -> Standing {
        Standing {
            partition: PartitionId::new("t", partition),
            topic_id: TopicId(Uuid::nil()),
            at: at.map(NextOffset),
            mark: NextOffset(at.unwrap_or(0)),
            ends: Watermarks { start: NextOffset(start), end: NextOffset(end) },
            found: None,
        }
    }

    #[test]
    fn a_partition_or_an_offset_that_is_not_there_is_refused_and_nothing_is_planned() {
        let all = [standing(0, Some(5), 2, 9)];
        let to = |partition, at| {
            let id = PartitionId::new("t", partition);
            rows(&all, &To::Offsets(BTreeMap::from([(id, NextOffset(at))])))
        };
        assert!(matches!(to(1, 5), Err(Error::Unknown(_))));
        let said = to(0, 10).unwrap_err().to_string();
        assert!(said.ends_with("cannot go to 10: its log holds 2 to 9"), "{said}");
        assert!(to(0, 1).is_err());
        assert_eq!(to(0, 9).unwrap()[0].passed_over(), 4);
    }

    #[test]
    fn what_must_not_happen_twice_is_skipped_or_refused_and_never_run() {
        let meaning = |sink: &str, more: &str, state| {
            let text = format!("name: a\nsource: {{ topic: t }}\nsink: {sink}\n{more}");
            let pipeline = spec::parse(Path::new("a.yaml"), text.as_bytes());
            super::meaning(&pipeline.unwrap_or_else(|p| panic!("{p}")), state)
        };
        let insert = "{ sql: { database: d, insert: { table: t } } }";
        let mail = "{ mail: { from: a@b.example, to: c@d.example, subject: e, text: f } }";
        assert_eq!(meaning(insert, "", false), Meaning::Skipped);
        assert_eq!(meaning(mail, "", true), Meaning::Skipped);
        assert!(matches!(meaning(mail, "", false), Meaning::Refused(_)));
        assert!(matches!(meaning(mail, "on_replay: run\n", false), Meaning::Again(_)));
        assert!(matches!(meaning("{ archive: { to: a } }", "", true), Meaning::Refused(_)));
        let ignore = "{ sql: { database: d, insert: { table: t, conflict: ignore } } }";
        assert!(matches!(meaning(ignore, "", false), Meaning::Again(_)));
        assert!(matches!(meaning("{ topic: { topic: o } }", "", false), Meaning::Again(_)));
    }

    proptest! {
        #[test]
        fn every_row_lies_in_its_log_and_says_what_is_read_again_or_passed_over(
            logs in prop::collection::vec((0_i64..50, 0_i64..50, prop::option::of(0_i64..50), 0_i64..100), 1..8),
            earliest in any::<bool>(),
        ) {
            let standings: Vec<Standing> = logs.iter().zip(0..).map(|((start, len, at, found), n)| {
                let end = start + len;
                let mut one = standing(n, at.map(|at| start + at % (len + 1)), *start, end);
                one.found = Some(NextOffset((*found).clamp(*start, end)));
                one
            }).collect();
            let to = if earliest { To::Earliest } else { To::Time(7) };
            let rows = rows(&standings, &to).unwrap();
            prop_assert_eq!(rows.len(), standings.len());
            for (row, standing) in rows.iter().zip(&standings) {
                prop_assert!(standing.ends.start <= row.to && row.to <= standing.ends.end);
                let moved = row.from.map_or(0, |from| from.0 - row.to.0);
                prop_assert_eq!(i128::from(row.again()) - i128::from(row.passed_over()), i128::from(moved));
                prop_assert!(row.again() == 0 || row.passed_over() == 0);
            }
        }
    }
}
