//! The sink `topic`.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};

use super::encoder::Encoder;
use super::form;
use crate::codec::{self, Schema};
use crate::expr::Program;
use crate::port::{
    BatchSink, Encode, Future, Outgoing, Producer, Progress, Refusal, SchemaText, Schemas, Step,
};
use crate::record::{Class, Fault, NextOffset, PartitionId, Position, Shape};
use crate::stage::route::Router;

/// A topic that is written.
#[derive(Clone, Debug)]
pub struct Target {
    /// The topic.
    pub topic: Arc<str>,
    /// The subject of its schema.
    pub subject: String,
    /// The repository's newest contract of the subject, if it has one.
    pub contract: Option<Arc<SchemaText>>,
}

/// What a pipeline says of the records that it writes.
#[derive(Debug)]
pub struct Options {
    /// The topics, by the numbers that the router says; without a router the first one.
    pub targets: Vec<Target>,
    /// Which of them; `None`: the first.
    pub router: Option<Router>,
    /// The key; `None`: the record's, byte for byte.
    pub key: Option<Arc<Program>>,
    /// Do records keep their partition's number?
    pub same_partition: bool,
    /// Do they keep their headers?
    pub copy_headers: bool,
    /// The event after the stages.
    pub shape: Arc<Shape>,
}

/// An output after bind.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) schema_id: u32,
    pub(super) encoder: codec::Encoder,
}

type Answers = Arc<[Result<Position, Fault>]>;
type Sending = Shared<BoxFuture<'static, Answers>>;

/// What is known of the last step of a partition.
struct Sent {
    epoch: i64,
    /// The step as it came first; what came since are parts of it.
    from: NextOffset,
    to: NextOffset,
    /// The part on its way.
    part: (NextOffset, NextOffset),
    /// The rows on their way, in their order.
    rows: Vec<usize>,
    under_way: Option<Sending>,
    /// Rows that a broker has acknowledged.
    there: BTreeSet<usize>,
}

/// Writes a record for each event.
pub struct Topic {
    options: Arc<Options>,
    schemas: Arc<dyn Schemas>,
    producer: Arc<dyn Producer>,
    outputs: OnceLock<Arc<[Output]>>,
    sent: Mutex<HashMap<PartitionId, Sent>>,
}

impl Topic {
    /// A sink over a registry and a producer that never gives a record up by itself.
    pub fn new(options: Options, schemas: Arc<dyn Schemas>, producer: Arc<dyn Producer>) -> Self {
        let (outputs, sent) = (OnceLock::new(), Mutex::default());
        Self { options: Arc::new(options), schemas, producer, outputs, sent }
    }

    async fn output(&self, target: &Target) -> Result<Output, Fault> {
        let subject = &target.subject;
        let (schema_id, text) = match &target.contract {
            Some(contract) => {
                (self.schemas.register(subject, contract).await?, Arc::clone(contract))
            }
            None => {
                let latest = self.schemas.latest(subject).await?.ok_or_else(|| {
                    let reason = format!(
                        "subject {subject} of output topic {} is neither in the repository nor in the \
                         registry; register its schema",
                        target.topic
                    );
                    Fault::fatal("unknown_subject", reason)
                })?;
                (latest.id, latest.schema)
            }
        };
        let encoder = fits(&text, &self.options.shape).map_err(|why| {
            Fault::fatal("output_schema", format!("events do not fit subject {subject}: {why}"))
        })?;
        Ok(Output { schema_id, encoder })
    }

    /// Begins to send a step, or finds it on its way.
    fn send(&self, step: &Step<'_>) -> Result<Option<Sending>, Fault> {
        let partition = &step.claim.partition;
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut there, mut from, mut to) = (BTreeSet::new(), step.from, step.to);
        if let Some(last) = sent.get_mut(partition)
            && last.covers(step)
        {
            if let Some(sending) = last.under_way.clone()
                && last.part == (step.from, step.to)
            {
                return Ok(Some(sending));
            }
            (from, to) = (last.from, last.to);
            there = std::mem::take(&mut last.there);
        }
        let rows: Vec<usize> = step.rows.clone().filter(|row| !there.contains(row)).collect();
        let records = self.records(step, &rows)?;
        let producer = Arc::clone(&self.producer);
        let under_way = (!records.is_empty()).then(|| {
            // It goes on when the caller's patience ends: the same step asked again finds it.
            let task = tokio::spawn(async move { producer.send(records).await });
            let count = rows.len();
            async move {
                task.await.map_or_else(
                    |_| {
                        let gone = Fault::unavailable("kafka_closed", "the producer has ended");
                        vec![Err(gone); count].into()
                    },
                    Arc::from,
                )
            }
            .boxed()
            .shared()
        });
        let (epoch, part) = (step.claim.epoch, (step.from, step.to));
        let entry = Sent { epoch, from, to, part, rows, under_way: under_way.clone(), there };
        sent.insert(partition.clone(), entry);
        Ok(under_way)
    }

    fn records(&self, step: &Step<'_>, rows: &[usize]) -> Result<Vec<Outgoing>, Fault> {
        let same = self.options.same_partition.then_some(step.claim.partition.partition);
        let record = |row: &usize| {
            let (target, record) = form::read(step.effects.row(*row))?;
            let topic = Arc::clone(&self.options.targets.get(target)?.topic);
            Some(Outgoing { topic, partition: same, record })
        };
        let records: Option<Vec<Outgoing>> = rows.iter().map(record).collect();
        records.ok_or_else(|| Fault::fatal("defect", "an outgoing record cannot be read back"))
    }

    /// Books what came of a step; answers what must happen to it.
    fn booked(&self, step: &Step<'_>, answers: &Answers) -> Result<(), Fault> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sent.get_mut(&step.claim.partition).filter(|last| last.covers(step));
        if let Some(last) = known {
            last.under_way = None;
            let rows = std::mem::take(&mut last.rows);
            last.there.extend(
                rows.into_iter().zip(&**answers).filter_map(|(row, a)| a.is_ok().then_some(row)),
            );
        }
        let faults = answers.iter().filter_map(|answer| answer.as_ref().err());
        // The whole step waits for what may pass, before a record of it is judged.
        match faults.max_by_key(|fault| weight(fault.class)) {
            None => Ok(()),
            Some(fault) => Err(fault.clone()),
        }
    }
}

impl Sent {
    /// Is this step the last one, or a part of it?
    fn covers(&self, step: &Step<'_>) -> bool {
        self.epoch == step.claim.epoch && self.from <= step.from && step.to <= self.to
    }
}

fn weight(class: Class) -> u8 {
    match class {
        Class::Poison => 0,
        Class::Retryable | Class::Conflict => 1,
        Class::Unavailable => 2,
        Class::Fatal => 3,
    }
}

/// How events of this shape are written under a schema.
///
/// # Errors
/// Why they cannot be.
pub fn fits(text: &SchemaText, shape: &Shape) -> Result<codec::Encoder, codec::Error> {
    let references: Vec<&str> = text.references.iter().map(|r| r.text.as_str()).collect();
    let schema = Schema::parse(&text.text, &references)?;
    codec::Encoder::compile(&schema, shape)
}

impl BatchSink for Topic {
    fn bind(&self) -> Future<'_, Result<(), Fault>> {
        Box::pin(async move {
            let mut outputs = Vec::with_capacity(self.options.targets.len());
            for target in &self.options.targets {
                outputs.push(self.output(target).await?);
            }
            // Bound twice it stays as it was first: the schema is fixed.
            let _ = self.outputs.set(outputs.into());
            Ok(())
        })
    }

    fn encoder(&self) -> Result<Box<dyn Encode>, Fault> {
        let outputs = self.outputs.get().ok_or_else(|| {
            Fault::fatal("defect", "the topic sink was asked for an encoder before it was bound")
        })?;
        Ok(Box::new(Encoder {
            options: Arc::clone(&self.options),
            outputs: Arc::clone(outputs),
            scratch: Vec::new(),
        }))
    }

    fn truth(&self) -> Option<&dyn Progress> {
        None
    }

    fn apply<'a>(&'a self, step: Step<'a>) -> Future<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let Some(sending) = self.send(&step)? else { return Ok(()) };
            let answers = sending.await;
            Ok(self.booked(&step, &answers)?)
        })
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic").field("options", &self.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
