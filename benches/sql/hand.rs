//! The loop that a careful user writes: poll, decode, gather a batch for each partition, and write each batch with
//! its offset in one transaction, the statements sent together; four connections, one transaction a partition.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bumpalo::Bump;
use ordermill::codec::frame;
use ordermill::record::Value;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::measure::{Moment, Outcome, Sums, consumer};
use crate::orders::{PARTITIONS, plan};
use crate::store::connect;
use crate::{BATCH, CONNECTIONS, Task};

const INSERT: &str = "INSERT INTO orders (order_id, product_name, quantity, created_at) \
                      SELECT * FROM unnest($1::uuid[], $2::text[], $3::int4[], $4::timestamptz[])";
const MOVE_ON: &str = "UPDATE progress SET next = $2 WHERE partition = $1 AND next = $3";

/// How long a batch waits for more.
const LINGER: Duration = Duration::from_millis(20);
/// Batches that wait for one partition's transaction, as many as the engine's window holds.
const QUEUED: usize = 10;

/// A batch of one partition, by columns.
#[derive(Default)]
struct Rows {
    from: i64,
    to: i64,
    began: Option<Instant>,
    ids: Vec<Uuid>,
    names: Vec<String>,
    quantities: Vec<i32>,
    times: Vec<SystemTime>,
}

/// The connections, each with its statements prepared.
struct Pool {
    free: Mutex<Vec<(Client, Statement, Statement)>>,
    permits: Semaphore,
}

pub(crate) fn run(task: &Task) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let pool = Arc::new(Pool { free: Mutex::default(), permits: Semaphore::new(CONNECTIONS) });
    runtime.block_on(async {
        for _ in 0..CONNECTIONS {
            let client = connect(&task.postgres).await;
            let insert = client.prepare(INSERT).await.unwrap();
            let move_on = client.prepare(MOVE_ON).await.unwrap();
            pool.free.lock().await.push((client, insert, move_on));
        }
    });
    let (mut senders, mut writers) = (Vec::new(), Vec::new());
    for partition in 0..PARTITIONS {
        let (send, mut batches) = mpsc::channel::<Rows>(QUEUED);
        senders.push(send);
        let pool = Arc::clone(&pool);
        writers.push(runtime.spawn(async move {
            while let Some(rows) = batches.recv().await {
                write(&pool, partition, rows).await;
            }
        }));
    }
    // It is kept to the end: what a thread used is not known when it is gone.
    let (first, _consumer) = read(task, &senders);
    drop(senders);
    let last = runtime.block_on(async {
        for writer in writers {
            writer.await.unwrap();
        }
        Moment::now()
    });
    first.until(last, Sums { records: task.topic.records, ..Sums::default() })
}

/// Reads the whole topic; answers when the first record came.
fn read(task: &Task, senders: &[mpsc::Sender<Rows>]) -> (Moment, BaseConsumer) {
    let topic = &task.topic;
    let plan = plan();
    let consumer: BaseConsumer = consumer(&topic.kafka, &topic.group).create().unwrap();
    consumer.subscribe(&[&topic.name]).unwrap();
    let mut bump = Bump::with_capacity(16 * 1024);
    let mut building: Vec<Rows> = senders.iter().map(|_| Rows::default()).collect();
    let (mut records, mut first) = (0, None);
    while records < topic.records {
        if let Some(message) = consumer.poll(Duration::from_millis(5)) {
            let message = message.unwrap();
            first.get_or_insert_with(Moment::now);
            let (id, body) = frame::split(message.payload().unwrap()).unwrap();
            assert_eq!(id, topic.schema_id);
            let partition = message.partition() as usize;
            building[partition].push(plan.decode(body, &bump).unwrap(), message.offset());
            bump.reset();
            records += 1;
            if building[partition].ids.len() == BATCH {
                hand_over(&mut building[partition], &senders[partition]);
            }
            if !records.is_multiple_of(100) {
                continue;
            }
        }
        for (rows, sender) in building.iter_mut().zip(senders) {
            if rows.began.is_some_and(|began| began.elapsed() >= LINGER) {
                hand_over(rows, sender);
            }
        }
    }
    for (rows, sender) in building.iter_mut().zip(senders) {
        hand_over(rows, sender);
    }
    (first.unwrap(), consumer)
}

fn hand_over(rows: &mut Rows, sender: &mpsc::Sender<Rows>) {
    let next = Rows { from: rows.to, to: rows.to, ..Rows::default() };
    let full = std::mem::replace(rows, next);
    if !full.ids.is_empty() {
        sender.blocking_send(full).unwrap();
    }
}

impl Rows {
    fn push(&mut self, fields: &[Value<'_>], offset: i64) {
        let [Value::Uuid(id), Value::Str(name), Value::Int(quantity), Value::Timestamp(at), ..] =
            fields
        else {
            panic!("no order")
        };
        self.began.get_or_insert_with(Instant::now);
        self.to = offset + 1;
        self.ids.push(*id);
        self.names.push((*name).to_owned());
        self.quantities.push(i32::try_from(*quantity).unwrap());
        self.times.push(SystemTime::UNIX_EPOCH + Duration::from_micros(at.unsigned_abs()));
    }
}

async fn write(pool: &Pool, partition: i32, rows: Rows) {
    let _permit = pool.permits.acquire().await.unwrap();
    let (client, insert, move_on) = pool.free.lock().await.pop().unwrap();
    let Rows { from, to, ids, names, quantities, times, .. } = rows;
    let place: [&(dyn ToSql + Sync); 3] = [&partition, &to, &from];
    let columns: [&(dyn ToSql + Sync); 4] = [&ids, &names, &quantities, &times];
    let (begun, moved, inserted) = futures::join!(
        client.batch_execute("BEGIN"),
        client.execute(&move_on, &place),
        client.execute(&insert, &columns),
    );
    begun.unwrap();
    assert_eq!((moved.unwrap(), inserted.unwrap()), (1, ids.len() as u64));
    client.batch_execute("COMMIT").await.unwrap();
    pool.free.lock().await.push((client, insert, move_on));
}
