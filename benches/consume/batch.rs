//! The least that can be done: the library's batch call in C on one queue for all partitions, and the
//! decoder. No engine, nothing tracked but positions.
#![allow(unsafe_code, reason = "the batch call is C")]

use std::ffi::CString;
use std::ptr;
use std::sync::OnceLock;
use std::time::Duration;

use bumpalo::Bump;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka_sys as sys;

use crate::measure::{Moment, Outcome, Sums, consumer};
use crate::orders::{Topic, decode, place, plan};
use crate::poll::Commits;

const BATCH: usize = 1_000;
/// How long a call waits for a whole batch, as long as there is none.
const WAIT_MS: i32 = 5;

/// Routes each assigned partition to the own queue, whose address it holds.
struct Route(OnceLock<usize>);

impl ClientContext for Route {}

impl ConsumerContext for Route {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(list) = rebalance else { return };
        let own = ptr::with_exposed_provenance_mut(*self.0.get().unwrap());
        for element in list.elements() {
            let topic = CString::new(element.topic()).unwrap();
            // SAFETY: live client and queue; the partition's handle is given back.
            unsafe {
                let rk = consumer.client().native_ptr();
                let queue =
                    sys::rd_kafka_queue_get_partition(rk, topic.as_ptr(), element.partition());
                sys::rd_kafka_queue_forward(queue, own);
                sys::rd_kafka_queue_destroy(queue);
            }
        }
    }
}

pub(crate) fn run(topic: &Topic) -> Outcome {
    let plan = plan();
    let config = consumer(&topic.kafka, &topic.group);
    let consumer: BaseConsumer<Route> = config.create_with_context(Route(OnceLock::new())).unwrap();
    let rk = consumer.client().native_ptr();
    // SAFETY: a live client; both queues are destroyed before it.
    let (own, events) =
        unsafe { (sys::rd_kafka_queue_new(rk), sys::rd_kafka_queue_get_consumer(rk)) };
    consumer.context().0.set(own.expose_provenance()).unwrap();
    consumer.subscribe(&[&topic.name]).unwrap();
    let (mut bump, mut sums) = (Bump::with_capacity(16 * 1024), Sums::default());
    let mut commits = Commits::new(topic);
    let mut first = None;
    let mut messages = vec![ptr::null_mut(); BATCH];
    while sums.records < topic.records {
        // SAFETY: a live queue.
        while unsafe { sys::rd_kafka_queue_length(events) } > 0 {
            if let Some(Err(error)) = consumer.poll(Duration::ZERO) {
                panic!("{error}");
            }
        }
        // SAFETY: a live queue, and room for so many messages.
        let taken = unsafe {
            sys::rd_kafka_consume_batch_queue(own, WAIT_MS, messages.as_mut_ptr(), BATCH)
        };
        for message in &messages[..usize::try_from(taken).unwrap()] {
            first.get_or_insert_with(Moment::now);
            // SAFETY: ours until it is destroyed; the payload is so many bytes of it.
            unsafe {
                let m = &**message;
                assert_eq!(m.err as i32, 0);
                let value = std::slice::from_raw_parts(m.payload.cast::<u8>(), m.len);
                decode(&plan, topic.schema_id, value, &mut bump, &mut sums);
                sums.places ^= place(m.partition, m.offset);
                commits.next[m.partition as usize] = m.offset + 1;
                sys::rd_kafka_message_destroy(*message);
            }
            sums.records += 1;
        }
        commits.when_due(&consumer);
    }
    let outcome = first.unwrap().until(Moment::now(), sums);
    // SAFETY: given back once, before the client goes.
    unsafe {
        sys::rd_kafka_queue_destroy(own);
        sys::rd_kafka_queue_destroy(events);
    }
    outcome
}
