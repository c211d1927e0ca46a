//! A letter that its topic refused as it was, made into what the topic takes.
//!
//! Nothing of what is mended is lost: the value comes in parts that join again, the source partition and the
//! timestamp stand in the letter's own headers.

use super::super::outbox::Letter;
use crate::record::{Class, Fault, OwnedRecord, parts};

/// Smaller parts are not tried: then it is key and headers that are too large.
const PART_BYTES_MIN: usize = 1 << 10;

/// How a letter is sent next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// The partition of its topic.
    pub(super) partition: i32,
    record: OwnedRecord,
    /// Bytes of value in one part.
    part_bytes: usize,
}

impl Attempt {
    /// Whole, to this partition.
    pub(super) fn new(letter: &Letter, partition: i32) -> Self {
        Self { partition, record: letter.record.clone(), part_bytes: usize::MAX }
    }

    /// What is sent, one after the other.
    pub(super) fn records(&self) -> Vec<OwnedRecord> {
        parts(&self.record, self.part_bytes)
    }

    /// Makes it into what may be taken after this refusal. Every change makes something smaller, so there is
    /// an end.
    ///
    /// # Errors
    /// Nothing can be changed: what it means for the letter's pipeline.
    pub(super) fn mend(&mut self, topic: &str, fault: Fault) -> Result<(), Fault> {
        match &*fault.code {
            "unknown_topic" if self.partition > 0 => {
                self.partition = fold(self.partition);
                Ok(())
            }
            "message_size_too_large" | "message_batch_too_large" => self.cut(topic),
            // Topics refuse times that are too far in the past or future: the broker's own does.
            "invalid_timestamp" if self.record.timestamp.is_some() => {
                self.record.timestamp = None;
                Ok(())
            }
            _ => Err(stuck(topic, fault)),
        }
    }

    fn cut(&mut self, topic: &str) -> Result<(), Fault> {
        let bytes = self.record.value.as_ref().map_or(0, Vec::len).min(self.part_bytes);
        if bytes <= PART_BYTES_MIN {
            return Err(Fault::fatal(
                "dead_letter_too_large",
                format!(
                    "a dead letter does not fit topic {topic} with even {PART_BYTES_MIN} bytes of its value: \
                     its key and headers are too large; set max.message.bytes of the topic to that of the \
                     source topic and 65536 more, and the client's message.max.bytes likewise"
                ),
            ));
        }
        self.part_bytes = bytes.div_ceil(2).max(PART_BYTES_MIN);
        Ok(())
    }
}

/// Is it the record or the topic that stands in the way, and not an outage? A broker refuses all records of a
/// request for one of them.
pub(super) fn is_refusal(fault: &Fault) -> bool {
    fault.class != Class::Unavailable || fault.code == "message_batch_too_large"
}

/// The next lower partition to try where there is none of this number: without its highest bit. All records
/// of one source partition go the same way, so their order is kept, and a null key needs no rule of its own.
fn fold(partition: i32) -> i32 {
    match partition.checked_ilog2() {
        Some(bit) => partition & !(1 << bit),
        None => 0,
    }
}

/// What a refusal means for the pipeline: its input stops until a person has done something, and goes on by
/// itself then.
fn stuck(topic: &str, fault: Fault) -> Fault {
    let todo = match &*fault.code {
        "unknown_topic" => "create it with as many partitions as the source topic has",
        "topic_authorization_failed" | "cluster_authorization_failed" => {
            "allow this program to describe and write it"
        }
        "policy_violation" => "a policy of the cluster refuses the record: see the broker's log",
        _ if fault.class == Class::Poison => {
            "the topic must take every record as it is: cleanup.policy=delete, and no interceptor \
             or limit that refuses a key or a timestamp"
        }
        _ => return fault,
    };
    let reason = format!(
        "dead-letter topic {topic}: {}; {todo}; the letters wait in ordermill_outbox",
        fault.reason
    );
    Fault::unavailable(fault.code, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(bytes: usize, partition: i32) -> Attempt {
        let record = OwnedRecord {
            value: Some(vec![7; bytes]),
            timestamp: Some(9),
            ..OwnedRecord::default()
        };
        Attempt::new(&Letter { id: 1, topic: "t".into(), partition, record }, partition)
    }

    fn too_large() -> Fault {
        Fault::poison("message_size_too_large", "")
    }

    #[test]
    fn parts_are_halved_down_to_the_least_and_then_it_is_fatal() {
        let mut attempt = attempt(5_000, 0);
        assert_eq!(attempt.records().len(), 1);
        for largest in [2_500, 1_250, 1_024] {
            attempt.mend("t", too_large()).unwrap();
            let lengths: Vec<_> =
                attempt.records().iter().map(|part| part.value.as_ref().unwrap().len()).collect();
            assert_eq!(lengths.iter().sum::<usize>(), 5_000);
            assert!(lengths.iter().all(|length| *length <= largest), "{lengths:?}");
        }
        let fault = attempt.mend("t", too_large()).unwrap_err();
        assert_eq!((fault.class, &*fault.code), (Class::Fatal, "dead_letter_too_large"));
        assert!(fault.reason.contains("max.message.bytes"), "{fault}");
    }

    #[test]
    fn a_partition_that_is_missing_is_folded_to_a_lower_one_and_without_any_the_topic_is_missing() {
        let mut attempt = attempt(1, 11);
        let unknown = || Fault::fatal("unknown_topic", "nobody knows it");
        for want in [3, 1, 0] {
            attempt.mend("t", unknown()).unwrap();
            assert_eq!(attempt.partition, want);
        }
        let fault = attempt.mend("t", unknown()).unwrap_err();
        assert_eq!((fault.class, &*fault.code), (Class::Unavailable, "unknown_topic"));
        assert!(fault.reason.contains("topic t") && fault.reason.contains("create it"), "{fault}");
    }

    #[test]
    fn every_partition_is_folded_to_one_that_a_smaller_topic_has() {
        for partition in [1, 2, 3, 7, 100, i32::MAX] {
            for count in [1, 2, 3, 12] {
                let mut at = partition;
                while at >= count {
                    assert!(fold(at) < at);
                    at = fold(at);
                }
                assert!((0..count).contains(&at));
            }
        }
        assert_eq!(fold(0), 0);
    }

    #[test]
    fn a_time_that_the_topic_refuses_is_left_to_the_broker_once() {
        let mut attempt = attempt(1, 0);
        let refused = || Fault::poison("invalid_timestamp", "");
        attempt.mend("t", refused()).unwrap();
        assert_eq!(attempt.records()[0].timestamp, None);
        assert_eq!(attempt.mend("t", refused()).unwrap_err().class, Class::Unavailable);
    }

    #[test]
    fn what_a_person_can_mend_waits_and_a_broken_client_halts() {
        let table = [
            (Fault::fatal("topic_authorization_failed", ""), Class::Unavailable),
            (Fault::poison("invalid_record", ""), Class::Unavailable),
            (Fault::unavailable("message_timed_out", ""), Class::Unavailable),
            (Fault::fatal("fatal", ""), Class::Fatal),
            (Fault::fatal("invalid_topic", ""), Class::Fatal),
        ];
        for (fault, want) in table {
            let code = fault.code.clone();
            assert_eq!(attempt(1, 0).mend("t", fault).unwrap_err().class, want, "{code}");
        }
    }
}
