//! The laws of the chain: against a model with crashes, late writes and failing stores, and on a real folder.

mod folder;
mod model;
mod store;

use std::ops::Range;
use std::sync::Arc;

use apache_avro::types::Value as Avro;
use bumpalo::Bump;
use object_store::ObjectStore;
use object_store::path::Path;
use uuid::Uuid;

use super::*;
use crate::codec::frame;
use crate::port::{BatchSink as _, Claim, Progress as _, Refusal, Step, Wanted};
use crate::record::{
    Effects, Fault, Field, NextOffset, Offset, OwnedRecord, PartitionId, Scope, Shape, TopicId,
    Type, Value,
};

const TOPIC: TopicId = TopicId(Uuid::from_u128(7));

fn event() -> Arc<Shape> {
    Arc::new(Shape {
        name: "shop.Order".to_owned(),
        fields: vec![Field { name: "n".to_owned(), ty: Type::Int }],
    })
}

fn archive(objects: Objects) -> Archive {
    Archive::over(objects, "audit", Entries::of(&event()).unwrap())
}

fn over(store: &Arc<impl ObjectStore>) -> Archive {
    archive(Objects::over(Arc::<_>::clone(store) as _, "the archive"))
}

fn wanted(partition: i32) -> Wanted {
    let partition = PartitionId::new("orders", partition);
    Wanted { partition, topic_id: TOPIC, start: NextOffset(0), moved: None, committed: None }
}

async fn claim(archive: &Archive, partition: i32) -> Result<Claim, Fault> {
    let group: Arc<str> = "g".into();
    Ok(archive.claim(&group, &[wanted(partition)]).await?.remove(0))
}

/// The effects of these offsets; those of which `drop` says so have none.
fn effects(archive: &Archive, offsets: Range<i64>, drop: impl Fn(i64) -> bool) -> Effects {
    let mut encoder = archive.encoder().unwrap();
    let (mut effects, bump) = (Effects::default(), Bump::new());
    for offset in offsets.filter(|offset| !drop(*offset)) {
        let mut value = Vec::new();
        frame::put(u32::try_from(offset % 3).unwrap() + 1, &mut value);
        let record = OwnedRecord {
            key: Some(offset.to_string().into_bytes()),
            value: Some(value),
            headers: vec![("a".into(), None), ("a".into(), Some(vec![0xff]))],
            timestamp: Some(offset),
        };
        let event = [Value::Int(offset)];
        let mut scope = Scope::of(&event, &bump);
        let id = format!("id-{offset}");
        scope.id = Value::Str(&id);
        scope.topic = Value::Str("orders");
        scope.partition = Value::Int(0);
        encoder.encode(&scope, &record.at(Offset(offset)), effects.buffer()).unwrap();
        effects.finish(Offset(offset));
    }
    effects
}

async fn apply(
    archive: &Archive,
    claim: &Claim,
    (from, to): (i64, i64),
    drop: impl Fn(i64) -> bool,
) -> Result<(), Refusal> {
    let effects = effects(archive, from..to, drop);
    let (from, to, rows) = (NextOffset(from), NextOffset(to), 0..effects.len());
    archive
        .apply(Step { claim, from, to, effects: &effects, rows, dead: &[], otherwise: None })
        .await
}

/// Every offset in the objects of a partition, in their order; the chain must be sound.
async fn offsets(store: &Arc<impl ObjectStore>, partition: i32) -> Vec<i64> {
    let objects = Objects::over(Arc::<_>::clone(store) as _, "the archive");
    let chain = links(&objects, TOPIC, partition, usize::MAX).await.unwrap();
    let mut offsets = Vec::new();
    for linked in chain {
        let bytes = objects.get(&Path::from(linked.path)).await.unwrap();
        let before = offsets.len();
        for entry in apache_avro::Reader::new(&bytes[..]).unwrap() {
            let Avro::Record(fields) = entry.unwrap() else { panic!() };
            let field = |name: &str| fields.iter().find(|(n, _)| n == name).unwrap().1.clone();
            let Avro::Long(offset) = field("offset") else { panic!() };
            assert_eq!(field("id"), Avro::String(format!("id-{offset}")));
            assert_eq!(field("event"), Avro::Record(vec![("n".to_owned(), Avro::Long(offset))]));
            assert!(linked.link.first.0 <= offset && offset <= linked.link.last.0);
            offsets.push(offset);
        }
        assert_eq!((offsets.len() - before) as u64, linked.link.entries);
    }
    offsets
}
