//! The sink against a producer that refuses, fails and takes its time.

use std::time::Duration;

use tokio::sync::Semaphore;
use uuid::Uuid;

use super::*;
use crate::port::{Claim, Registered};
use crate::record::{Effects, Field, Offset, TopicId, Type};

/// A broker that takes what it is allowed to.
struct Broker {
    /// Values in the order in which they arrived.
    arrived: Mutex<Vec<Vec<u8>>>,
    /// Values that never fit.
    too_large: Vec<u8>,
    /// Values that fail this once.
    fails_once: Mutex<Vec<u8>>,
    open: Semaphore,
}

impl Broker {
    fn new(too_large: &[u8], fails_once: &[u8], open: usize) -> Arc<Self> {
        Arc::new(Self {
            arrived: Mutex::default(),
            too_large: too_large.to_vec(),
            fails_once: Mutex::new(fails_once.to_vec()),
            open: Semaphore::new(open),
        })
    }

    fn arrived(&self) -> Vec<u8> {
        self.arrived.lock().unwrap().iter().map(|value| value[0]).collect()
    }
}

impl Producer for Broker {
    fn send(&self, records: Vec<Outgoing>) -> Future<'_, Vec<Result<Position, Fault>>> {
        Box::pin(async move {
            self.open.acquire().await.unwrap().forget();
            let answer = |out: Outgoing| {
                let value = out.record.value.unwrap();
                if self.too_large.contains(&value[0]) {
                    return Err(Fault::poison("too_large", "larger than the topic allows"));
                }
                let mut fails = self.fails_once.lock().unwrap();
                if let Some(at) = fails.iter().position(|v| *v == value[0]) {
                    fails.remove(at);
                    return Err(Fault::unavailable("leader", "no leader"));
                }
                self.arrived.lock().unwrap().push(value);
                let partition = PartitionId::new(out.topic, 0);
                Ok(Position { partition, offset: Offset(0) })
            };
            records.into_iter().map(answer).collect()
        })
    }
}

struct NoRegistry;

impl Schemas for NoRegistry {
    fn by_id(&self, _: u32) -> Future<'_, Result<Arc<SchemaText>, Fault>> {
        Box::pin(async { Err(Fault::unavailable("test", "not asked")) })
    }

    fn latest<'a>(&'a self, _: &'a str) -> Future<'a, Result<Option<Registered>, Fault>> {
        Box::pin(async { Ok(None) })
    }

    fn register<'a>(&'a self, _: &'a str, _: &'a SchemaText) -> Future<'a, Result<u32, Fault>> {
        Box::pin(async { Ok(1) })
    }
}

fn topic(broker: &Arc<Broker>, contract: Option<&str>) -> Topic {
    let contract =
        contract.map(|text| Arc::new(SchemaText { text: text.to_owned(), references: Vec::new() }));
    let target = Target { topic: "out".into(), subject: "out-value".into(), contract };
    let options = Options {
        targets: vec![target],
        router: None,
        key: None,
        same_partition: false,
        copy_headers: true,
        shape: Arc::new(Shape {
            name: "E".into(),
            fields: vec![Field { name: "n".into(), ty: Type::Int }],
        }),
    };
    Topic::new(options, Arc::new(NoRegistry), Arc::clone(broker) as _)
}

fn claim(epoch: i64) -> Claim {
    Claim {
        group: "g".into(),
        partition: PartitionId::new("t", 0),
        topic_id: TopicId(Uuid::nil()),
        epoch,
        next: NextOffset(0),
        replay_mark: NextOffset(0),
        begins: false,
        done_ahead: Vec::new(),
    }
}

fn effects(values: std::ops::Range<u8>) -> Effects {
    let mut effects = Effects::default();
    for value in values {
        form::begin(effects.buffer(), 0, None, None);
        form::headers(effects.buffer(), std::iter::empty());
        effects.buffer().push(value);
        effects.finish(Offset(i64::from(value)));
    }
    effects
}

async fn apply(
    topic: &Topic,
    claim: &Claim,
    rows: std::ops::Range<usize>,
    effects: &Effects,
) -> Result<(), Refusal> {
    let at = |row: usize| NextOffset(i64::try_from(row).unwrap());
    let (from, to) = (at(rows.start), at(rows.end));
    topic.apply(Step { claim, from, to, effects, rows, dead: &[], otherwise: None }).await
}

#[tokio::test]
async fn a_record_that_never_fits_is_found_by_halves_and_its_neighbours_arrive_once() {
    let broker = Broker::new(&[5], &[], 100);
    let topic = topic(&broker, None);
    let (claim, effects) = (claim(1), effects(0..8));
    assert!(apply(&topic, &claim, 0..8, &effects).await.is_err());
    assert_eq!(apply(&topic, &claim, 0..4, &effects).await, Ok(()));
    assert!(apply(&topic, &claim, 4..8, &effects).await.is_err());
    assert!(apply(&topic, &claim, 4..6, &effects).await.is_err());
    assert_eq!(apply(&topic, &claim, 4..5, &effects).await, Ok(()));
    assert!(apply(&topic, &claim, 5..6, &effects).await.is_err());
    assert_eq!(apply(&topic, &claim, 6..8, &effects).await, Ok(()));
    assert_eq!(broker.arrived(), [0, 1, 2, 3, 4, 6, 7]);
}

#[tokio::test]
async fn a_step_asked_again_while_it_is_under_way_is_awaited_and_not_sent_again() {
    let broker = Broker::new(&[], &[], 0);
    let topic = topic(&broker, None);
    let (claim, effects) = (claim(1), effects(0..3));
    for _ in 0..3 {
        let step = apply(&topic, &claim, 0..3, &effects);
        assert!(tokio::time::timeout(Duration::from_millis(1), step).await.is_err());
    }
    broker.open.add_permits(1);
    assert_eq!(apply(&topic, &claim, 0..3, &effects).await, Ok(()));
    assert_eq!(broker.arrived(), [0, 1, 2]);
    // A new owner knows nothing of that.
    broker.open.add_permits(1);
    assert_eq!(apply(&topic, &self::claim(2), 0..3, &effects).await, Ok(()));
    assert_eq!(broker.arrived().len(), 6);
}

#[tokio::test]
async fn what_may_pass_is_waited_for_before_a_record_is_judged() {
    let broker = Broker::new(&[1], &[2], 100);
    let topic = topic(&broker, None);
    let (claim, effects) = (claim(1), effects(0..3));
    let Err(Refusal::Fault(fault)) = apply(&topic, &claim, 0..3, &effects).await else { panic!() };
    assert_eq!(fault.class, Class::Unavailable);
    let Err(Refusal::Fault(fault)) = apply(&topic, &claim, 0..3, &effects).await else { panic!() };
    assert_eq!(fault.class, Class::Poison);
    assert_eq!(broker.arrived(), [0, 2]);
}

#[tokio::test]
async fn events_that_do_not_fit_the_output_schema_are_refused_at_bind() {
    let broker = Broker::new(&[], &[], 1);
    let unfit = topic(&broker, None).bind().await.unwrap_err();
    assert_eq!((unfit.class, &*unfit.code), (Class::Fatal, "unknown_subject"));
    let other = r#"{"type":"record","name":"E","fields":[{"name":"m","type":"int"}]}"#;
    let unfit = topic(&broker, Some(other)).bind().await.unwrap_err();
    assert!(unfit.reason.contains("events do not fit subject out-value"), "{}", unfit.reason);
    let good = r#"{"type":"record","name":"E","fields":[{"name":"n","type":"long"}]}"#;
    topic(&broker, Some(good)).bind().await.unwrap();
}
