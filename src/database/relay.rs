//! Takes dead letters from the outbox to their topics.
//!
//! ```text
//! lease ── read some ── wave ── wave ── … ── let go
//!                        └ renew the lease · send · delete what arrived · mend what was refused
//! ```
//!
//! Nothing of the database is held while records are on their way: no transaction, no lock, no connection; the
//! lease is renewed meanwhile. A process that dies between the acknowledgement and the deletion leaves at most
//! one wave of letters to be sent again, with the same ids.
//!
//! Order: the letters of one source partition arrive in the order of the table. One that fails stops those of
//! its partition behind it; only what was on its way in the same wave may have passed it. The first letter of
//! each partition goes ahead without the others, so that one that failed is not passed by more at each call.

mod attempt;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use self::attempt::{Attempt, is_refusal};
use super::outbox::Letter;
use super::{Database, Error};
use crate::port::{Future, Outbox, Outgoing, Producer};
use crate::record::{Class, Fault, OwnedRecord, Position};

/// Bytes read at once; a letter that is larger comes alone.
const READ_BYTES: usize = 8 << 20;
/// Bytes on their way at once; a letter that is larger goes alone, so that nothing passes it if it must be cut.
const WAVE_BYTES: usize = 256 << 10;
/// Letters on their way at once: so many may be sent again after a kill.
const WAVE_LETTERS: usize = 16;
/// A third of the lease.
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// Who may send a group's letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// This process, for a while.
    Ours,
    /// Another one. What kept the last one that tried from sending, if anything did.
    Theirs(Option<String>),
}

/// The groups whose letters this process is sending: a second call for one of them has nothing to do.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashSet<Arc<str>>>);

/// Ends with its value, however the call ends.
struct Turn<'a> {
    turns: &'a Turns,
    group: Arc<str>,
}

impl Turns {
    fn take(&self, group: &Arc<str>) -> Option<Turn<'_>> {
        let new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(group));
        new.then(|| Turn { turns: self, group: Arc::clone(group) })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.group);
    }
}

impl Outbox for Database {
    fn ship<'a>(
        &'a self,
        group: &'a Arc<str>,
        producer: &'a dyn Producer,
        max: usize,
    ) -> Future<'a, Result<usize, Fault>> {
        Box::pin(async move {
            let Some(_turn) = self.turns.take(group) else { return Ok(0) };
            self.ready().await.map_err(trouble)?;
            if !self.has_letters(group).await.map_err(trouble)? {
                return Ok(0);
            }
            match self.hold(group).await.map_err(trouble)? {
                Hold::Ours => {}
                Hold::Theirs(None) => return Ok(0),
                Hold::Theirs(Some(reason)) => return Err(Fault::unavailable("outbox", reason)),
            }
            let mut round = Round {
                database: self,
                group,
                producer,
                sent: 0,
                detours: HashMap::new(),
                begun: HashSet::new(),
                blocked: HashSet::new(),
                fault: None,
            };
            let ended = round.run(max).await;
            let outcome = match (ended, round.fault) {
                (Err(error), _) => Err(trouble(error)),
                (Ok(()), Some(fault)) => Err(fault),
                (Ok(()), None) => Ok(round.sent),
            };
            let why = outcome.as_ref().err().map(|fault| &*fault.reason);
            // If this fails the lease runs out by itself.
            let _ = self.let_go(group, why).await;
            outcome
        })
    }
}

/// A failure of the database here: no record is in it, so it is never one's fault, and what is in each
/// other's way passes.
fn trouble(error: Error) -> Fault {
    let fault = Fault::from(error);
    match fault.class {
        Class::Fatal => fault,
        _ => Fault { class: Class::Unavailable, ..fault },
    }
}

/// One call of [`Outbox::ship`].
struct Round<'a> {
    database: &'a Database,
    group: &'a Arc<str>,
    producer: &'a dyn Producer,
    sent: usize,
    /// Where letters go whose partition their topic does not have.
    detours: HashMap<Lane, i32>,
    /// Lanes whose first letter was taken up.
    begun: HashSet<Lane>,
    /// Lanes in which a letter failed: those behind it wait.
    blocked: HashSet<Lane>,
    /// The first failure.
    fault: Option<Fault>,
}

/// How a letter that was refused ended.
enum Mended {
    /// It is in its topic.
    Arrived,
    /// Its topic takes it in no form.
    Stuck(Fault),
    /// The brokers were away before that was known.
    Away(Fault),
}

/// The topic that letters go to and the partition that they come from.
type Lane = (Arc<str>, i32);

fn lane(letter: &Letter) -> Lane {
    (Arc::clone(&letter.topic), letter.partition)
}

impl Round<'_> {
    /// Sends up to `max` letters. What Kafka refuses is kept in `fault`.
    async fn run(&mut self, max: usize) -> Result<(), Error> {
        let (mut left, mut after) = (max, i64::MIN);
        while left > 0 {
            let letters = self.database.oldest(self.group, after, left, READ_BYTES).await?;
            let Some(last) = letters.last() else { break };
            after = last.id;
            left -= letters.len();
            let (heads, rest): (Vec<_>, Vec<_>) =
                letters.into_iter().partition(|letter| self.begun.insert(lane(letter)));
            for wave in waves(&heads).chain(waves(&rest)) {
                // Somebody else has it if this process was frozen for long: what is left is theirs.
                if self.database.hold(self.group).await? != Hold::Ours {
                    return Ok(());
                }
                if !self.wave(wave).await? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Sends some letters together, forgets those that arrived and mends those that were refused. `false`:
    /// the brokers are away, and the next wave would only wait for them again.
    async fn wave(&mut self, wave: &[Letter]) -> Result<bool, Error> {
        let wave: Vec<_> = wave.iter().filter(|l| !self.blocked.contains(&lane(l))).collect();
        let outgoing = wave
            .iter()
            .map(|letter| self.outgoing(letter, self.partition(letter), letter.record.clone()))
            .collect();
        let (mut arrived, mut refused, mut reachable) = (Vec::new(), Vec::new(), true);
        for (letter, answer) in wave.iter().zip(self.send(outgoing).await) {
            match answer {
                Ok(_) => arrived.push(letter.id),
                Err(fault) if is_refusal(&fault) => refused.push((*letter, fault)),
                Err(fault) => {
                    reachable = false;
                    self.block(letter, fault);
                }
            }
        }
        self.forget(&arrived).await?;
        let alone = wave.len() == 1;
        for (letter, fault) in refused {
            if self.blocked.contains(&lane(letter)) {
                continue;
            }
            match self.mend(letter, alone.then_some(fault)).await {
                Mended::Arrived => self.forget(&[letter.id]).await?,
                Mended::Stuck(fault) => self.block(letter, fault),
                Mended::Away(fault) => {
                    reachable = false;
                    self.block(letter, fault);
                }
            }
        }
        Ok(reachable)
    }

    /// Sends a refused letter by itself in whatever form its topic takes. `fault` is why it was refused when
    /// it was alone already: else a neighbour may have been the reason, and it is tried as it is.
    async fn mend(&mut self, letter: &Letter, fault: Option<Fault>) -> Mended {
        let mut attempt = Attempt::new(letter, self.partition(letter));
        let mut refusal = fault;
        loop {
            if let Some(fault) = refusal
                && let Err(fault) = attempt.mend(&letter.topic, fault)
            {
                return Mended::Stuck(fault);
            }
            refusal = match self.attempt(letter, &attempt).await {
                Ok(()) => break,
                Err(fault) if is_refusal(&fault) => Some(fault),
                Err(fault) => return Mended::Away(fault),
            };
        }
        if attempt.partition != letter.partition {
            self.detours.insert(lane(letter), attempt.partition);
        }
        Mended::Arrived
    }

    /// One part after the other: when the first is too large, no other one lies in the topic.
    async fn attempt(&self, letter: &Letter, attempt: &Attempt) -> Result<(), Fault> {
        for record in attempt.records() {
            let outgoing = self.outgoing(letter, attempt.partition, record);
            self.send(vec![outgoing]).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        }
        Ok(())
    }

    fn outgoing(&self, letter: &Letter, partition: i32, record: OwnedRecord) -> Outgoing {
        Outgoing { topic: Arc::clone(&letter.topic), partition: Some(partition), record }
    }

    fn partition(&self, letter: &Letter) -> i32 {
        self.detours.get(&lane(letter)).copied().unwrap_or(letter.partition)
    }

    fn block(&mut self, letter: &Letter, fault: Fault) {
        self.blocked.insert(lane(letter));
        self.fault.get_or_insert(fault);
    }

    async fn forget(&mut self, ids: &[i64]) -> Result<(), Error> {
        if !ids.is_empty() {
            self.database.forget(ids).await?;
            self.sent += ids.len();
        }
        Ok(())
    }

    /// Sends and waits, and keeps the lease meanwhile.
    async fn send(&self, records: Vec<Outgoing>) -> Vec<Result<Position, Fault>> {
        let mut sending = self.producer.send(records);
        loop {
            tokio::select! {
                answers = &mut sending => return answers,
                () = tokio::time::sleep(RENEW_EVERY) => {
                    // What is on its way cannot be called back, whatever the answer: the next wave asks again.
                    let _ = self.database.hold(self.group).await;
                }
            }
        }
    }
}

/// Cuts letters into what is sent at once.
fn waves(mut letters: &[Letter]) -> impl Iterator<Item = &[Letter]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fit = letters.iter().take(WAVE_LETTERS).take_while(|letter| {
            bytes += letter.bytes();
            bytes <= WAVE_BYTES
        });
        let (wave, rest) = letters.split_at(fit.count().max(1).min(letters.len()));
        letters = rest;
        (!wave.is_empty()).then_some(wave)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waves_are_all_letters_in_order_and_only_a_lone_one_is_larger_than_a_wave(
            sizes in prop::collection::vec(prop_oneof![0..5_000_usize, 100_000..400_000_usize], 0..200)
        ) {
            let letters: Vec<_> = (0..).zip(&sizes).map(|(id, size)| Letter {
                id,
                topic: "t".into(),
                partition: 0,
                record: OwnedRecord { value: Some(vec![0; *size]), ..OwnedRecord::default() },
            }).collect();
            let mut ids = Vec::new();
            for wave in waves(&letters) {
                prop_assert!(!wave.is_empty() && wave.len() <= WAVE_LETTERS);
                let bytes: usize = wave.iter().map(Letter::bytes).sum();
                prop_assert!(wave.len() == 1 || bytes <= WAVE_BYTES);
                ids.extend(wave.iter().map(|letter| letter.id));
            }
            prop_assert_eq!(ids, letters.iter().map(|letter| letter.id).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_group_has_one_turn_at_a_time() {
        let turns = Turns::default();
        let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
        let turn = turns.take(&one).unwrap();
        assert!(turns.take(&one).is_none());
        assert!(turns.take(&two).is_some());
        drop(turn);
        assert!(turns.take(&one).is_some());
    }
}
