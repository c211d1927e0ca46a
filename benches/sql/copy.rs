//! What the database itself can take: the same rows, encoded before, by binary COPY; no Kafka, no progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::SinkExt;
use uuid::Uuid;

use crate::measure::{Moment, Outcome, Sums};
use crate::store::connect;
use crate::{BATCH, CONNECTIONS, Task};

const COPY: &str =
    "COPY orders (order_id, product_name, quantity, created_at) FROM STDIN (FORMAT binary)";

/// From 1970 to 2000, from where PostgreSQL counts.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

pub(crate) fn run(task: &Task) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let records = i64::try_from(task.topic.records).unwrap();
    let all: Vec<i64> = (0..records).collect();
    let batches: Arc<Vec<Bytes>> = Arc::new(all.chunks(BATCH).map(encoded).collect());
    runtime.block_on(async {
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let client = connect(&task.postgres).await;
            let copy = client.prepare(COPY).await.unwrap();
            clients.push((client, copy));
        }
        let next = Arc::new(AtomicUsize::new(0));
        let first = Moment::now();
        let writers = clients.into_iter().map(|(client, copy)| {
            let (batches, next) = (Arc::clone(&batches), Arc::clone(&next));
            tokio::spawn(async move {
                while let Some(batch) = batches.get(next.fetch_add(1, Ordering::AcqRel)) {
                    let mut sink = Box::pin(client.copy_in::<_, Bytes>(&copy).await.unwrap());
                    sink.send(batch.clone()).await.unwrap();
                    sink.as_mut().finish().await.unwrap();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        first.until(Moment::now(), Sums { records: task.topic.records, ..Sums::default() })
    })
}

/// A whole COPY of these orders: header, rows, end. The values are those that are in the topic.
fn encoded(orders: &[i64]) -> Bytes {
    let mut out = Vec::new();
    out.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
    out.extend_from_slice(&[0; 8]);
    for &n in orders {
        let id = Uuid::from_u128(
            0x0190_a1b2_0000_7000_8000_0000_0000_0000 + n.cast_unsigned() as u128 * 7_919,
        );
        let name = ["desk lamp, brass", "writing desk", "chair, oak"][n as usize % 3];
        let at = 1_767_607_200_000_000 + n * 1_000 - EPOCH_MICROS;
        out.extend_from_slice(&4_i16.to_be_bytes());
        field(&mut out, id.as_bytes());
        field(&mut out, name.as_bytes());
        field(&mut out, &((n % 1_000) as i32).to_be_bytes());
        field(&mut out, &at.to_be_bytes());
    }
    out.extend_from_slice(&(-1_i16).to_be_bytes());
    out.into()
}

fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}
