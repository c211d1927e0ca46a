//! The machine and its steps: tell it what happened, do what it says.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::{Instant, timeout};

use super::otherwise::Line;
use super::{Task, Word};
use crate::engine::part::Part;
use crate::engine::partition::{Command, Input};
use crate::pipeline::effect::Effect;
use crate::port::{Outgoing, Producer, Refusal, Step};
use crate::record::{Class, DeadLetter, Effects, Fault, Offset, Position};

impl Task {
    pub(super) fn tell(&mut self, input: &Input<'_>) {
        let now = self.now();
        let none = Effects::default();
        let chunk = self.begun.as_ref().map(|b| Arc::clone(&b.chunk));
        let effects = chunk.as_ref().map_or(&none, |c| &c.effects);
        let commands = self.machine.step(input, effects, now);
        self.carry_out(commands);
    }

    pub(super) fn carry_out(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Claim => self.begin_claim(),
                // The group hears it with the claim itself: see `claimed`.
                Command::Start(_) => {}
                Command::Apply(part) => self.apply(&part),
                Command::Settle(part) => self.settle(&part),
                Command::Bury(part, offset, fault) => self.bury(part, offset, &fault),
                Command::Wake(at) => self.wake_at = Some(at),
                Command::Halt(offset, fault) => {
                    let position =
                        offset.map(|offset| Position { partition: self.partition.clone(), offset });
                    let _ = self.wiring.words.send(Word::Halt(position, fault));
                }
                Command::Gone(watermark) => {
                    self.gone = true;
                    let commit =
                        watermark.zip(self.claim.as_ref()).map(|(w, c)| ((**c).clone(), w));
                    let word = Word::Gone(self.partition.clone(), commit);
                    let _ = self.wiring.words.send(word);
                }
            }
        }
        self.show();
    }

    pub(super) fn apply(&mut self, part: &Part) {
        let (Some(begun), Some(claim)) = (&self.begun, &self.claim) else { return };
        let Effect::Batch(sink) = &self.shared.sink else { return };
        let (sink, claim) = (Arc::clone(sink), Arc::clone(claim));
        let (chunk, part) = (Arc::clone(&begun.chunk), part.clone());
        let letters: Vec<DeadLetter> = begun.letters(&part).cloned().collect();
        let sent = Arc::clone(&begun.sent);
        let (line, asked) = Line::new(part.clone());
        self.asked = Some(asked);
        let (producer, limit) = (Arc::clone(&self.shared.producer), self.shared.timeout);
        let step = async move {
            let effects = &chunk.effects;
            let step = Step {
                claim: &claim,
                from: part.from,
                to: part.to,
                effects,
                rows: part.rows,
                dead: &letters,
                otherwise: Some(&line),
            };
            if sink.outbox().is_none() && !letters.is_empty() {
                // Nothing writes them with the step: they must be there before it is settled.
                send(&*producer, &letters, &sent).await?;
            }
            timeout(limit, sink.apply(step)).await.unwrap_or_else(|_| {
                let reason = format!("the step took longer than the sink's timeout, {limit:?}");
                // Whether it happened nobody knows: the same step, asked again, finds out.
                Err(Refusal::Fault(Fault::unavailable("timeout", reason)))
            })
        };
        self.applying = Some((Box::pin(step), Instant::now()));
    }

    pub(super) fn applied(&mut self, outcome: Result<(), Refusal>) {
        self.asked = None;
        if let Some((_, began)) = self.applying.take() {
            self.observe("step", began);
        }
        match outcome {
            Ok(()) => {
                self.wiring.view.set_waiting(None);
                self.tell(&Input::Done);
            }
            Err(Refusal::Fenced) => {
                tracing::info!(partition = %self.partition, "fenced: another owner claimed it");
                let _ = self.wiring.words.send(Word::Hold(self.partition.clone()));
                self.forget();
                self.tell(&Input::Fenced);
            }
            Err(Refusal::Fault(fault)) => {
                self.count_failure(fault.class);
                if fault.class == Class::Unavailable {
                    self.wiring.view.set_waiting(Some(fault.reason.clone()));
                } else {
                    tracing::debug!(partition = %self.partition, %fault, "step refused");
                }
                self.tell(&Input::Failed(&fault));
            }
        }
    }

    /// A record whose effect can never succeed becomes a dead letter, unless it is one too many.
    pub(super) fn bury(&mut self, part: Part, offset: Offset, fault: &Fault) {
        if self.refused.bad() {
            return self.tell(&Input::Bad(offset, fault));
        }
        let Some(letter) = self.held_letter(offset, fault) else {
            // Every unsettled record is held, so this is a fault of the program: stop rather than lose it.
            return self.tell(&Input::Bad(offset, fault));
        };
        if let Some(begun) = &mut self.begun {
            begun.bury(letter);
        }
        self.tell(&Input::Buried(part));
    }

    /// A dead letter of a record that is held: of the chunk that is being applied.
    pub(super) fn held_letter(&self, offset: Offset, fault: &Fault) -> Option<DeadLetter> {
        let mut held = self.kept.iter().chain(&self.queue);
        let held = held.find(|batch| batch.record(batch.len() - 1).offset >= offset)?;
        // Offsets rise.
        let (mut low, mut high) = (0, held.len() - 1);
        while low < high {
            let middle = usize::midpoint(low, high);
            match held.record(middle).offset < offset {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        let record = held.record(low);
        (record.offset == offset).then(|| self.letter(&record, fault.clone()))
    }

    pub(super) fn settle(&mut self, part: &Part) {
        for (offset, code, reason) in self.begun.iter().flat_map(|begun| begun.dead(part)) {
            self.say_dead(offset, code, reason);
        }
        let Some(begun) = &mut self.begun else { return };
        let tally = begun.tally(part);
        let records = usize::try_from(tally.records()).unwrap_or(usize::MAX);
        begun.settled_records += records;
        if let Some(receipt) = begun.receipt.take() {
            let (done, rest) = receipt.split(Offset(part.to.0));
            begun.receipt = rest;
            if let Some(done) = done {
                self.tracker.settle(done);
            }
        }
        self.refused.good(tally.effects);
        self.wiring.topic.ledger.settled(&tally);
        let complete = part.to >= begun.chunk.to;
        // Bytes are booked with the end of the chunk: it is held until then.
        let bytes = if complete { begun.chunk.bytes } else { 0 };
        self.wiring.load.sub(records, bytes);
        self.wiring.view.set_watermark(part.to);
        if complete {
            self.begun = None;
            self.kept.retain(|batch| batch.record(batch.len() - 1).offset.0 >= part.to.0);
        }
        if !tally.dead_lettered.is_empty() {
            self.shared.letters.notify_one();
        }
        self.tell_room();
    }

    /// The poll thread looks at the window again, if it was full.
    pub(super) fn tell_room(&self) {
        if self.wiring.full.load(Ordering::Acquire) {
            let _ = self.wiring.words.send(Word::Room);
        }
    }
}

/// Sends dead letters that were not sent yet, and waits for each of them.
async fn send(
    producer: &dyn Producer,
    letters: &[DeadLetter],
    sent: &Mutex<BTreeSet<Offset>>,
) -> Result<(), Refusal> {
    let had = sent.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let new = || letters.iter().filter(|letter| !had.contains(&letter.position.offset));
    let outgoing = new().map(|letter| Outgoing {
        topic: Arc::clone(&letter.topic),
        partition: Some(letter.position.partition.partition),
        record: letter.outgoing(),
    });
    let answers = producer.send(outgoing.collect()).await;
    for (letter, answer) in new().zip(answers) {
        answer.map_err(|fault| {
            let reason = format!("dead letters cannot be sent: {}", fault.reason);
            Refusal::Fault(Fault::unavailable(fault.code, reason))
        })?;
        sent.lock().unwrap_or_else(PoisonError::into_inner).insert(letter.position.offset);
    }
    Ok(())
}
