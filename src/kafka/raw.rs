//! The only unsafe file of the house: librdkafka's queues, messages, answered commits and two admin
//! calls that rust-rdkafka does not wrap, with the promises that make them safe.
//!
//! Why unsafe at all: rust-rdkafka takes one record a call, with a reference count each; a whole batch by
//! one C call costs half of that and may be read and freed on another thread (the partition's task).
//!
//! Promises, and who keeps them:
//! 1. A [`Queue`] is destroyed before its client (`consumer::BatchConsumer::shutdown`).
//! 2. A client is destroyed only when no message is held; else it is leaked (the same function).
//! 3. One thread at a time takes from a queue (`BatchConsumer` takes `&mut self`).
//! 4. The admin calls borrow their client for as long as they run.
#![allow(unsafe_code, reason = "the batch interface of librdkafka is not wrapped by rust-rdkafka")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::fmt;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::types::{RDKafka, RDKafkaErrorCode};
use rdkafka_sys as sys;

use super::error::Error;
use crate::record::{HeaderList, HeaderSource, Offset, Record};

type Resp = sys::rd_kafka_resp_err_t;

/// An owned handle on a librdkafka queue.
pub(super) struct Queue(NonNull<sys::rd_kafka_queue_t>);

// SAFETY: every rd_kafka_queue_* call locks the queue inside; the handle has no thread affinity.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}

impl Queue {
    /// A fresh queue that nothing else reads.
    pub(super) fn new(rk: *mut RDKafka) -> Result<Self, Error> {
        // SAFETY: `rk` is a live client.
        NonNull::new(unsafe { sys::rd_kafka_queue_new(rk) }).map(Self).ok_or(Error::Ended("client"))
    }

    /// The queue on which rebalances, errors, statistics and commit results arrive; `None`: no `group.id`.
    pub(super) fn of_consumer(rk: *mut RDKafka) -> Option<Self> {
        // SAFETY: `rk` is a live client; the call returns a counted handle or null.
        NonNull::new(unsafe { sys::rd_kafka_queue_get_consumer(rk) }).map(Self)
    }

    /// Sends what is and will be fetched of one partition to this queue, until the partition is
    /// unassigned: unassigning clears the route, so each assignment must set it again, before `assign`.
    ///
    /// # Errors
    /// The topic's name has a NUL byte, or the client is no consumer.
    pub(super) fn route_partition_here(
        &self,
        rk: *mut RDKafka,
        topic: &str,
        partition: i32,
    ) -> Result<(), Error> {
        let topic = c_text(topic)?;
        // SAFETY: live client, live queue; the partition's handle is released again, the route stays.
        unsafe {
            let queue = sys::rd_kafka_queue_get_partition(rk, topic.as_ptr(), partition);
            if queue.is_null() {
                return Err(Error::Ended("consumer"));
            }
            sys::rd_kafka_queue_forward(queue, self.0.as_ptr());
            sys::rd_kafka_queue_destroy(queue);
        }
        Ok(())
    }

    /// How many operations wait in it.
    pub(super) fn len(&self) -> usize {
        // SAFETY: live queue.
        unsafe { sys::rd_kafka_queue_length(self.0.as_ptr()) }
    }

    /// Ends a blocked `take` on this queue, or the next one that would block.
    pub(super) fn wake(&self) {
        // SAFETY: live queue; callable from any thread, also from librdkafka's own.
        unsafe { sys::rd_kafka_queue_yield(self.0.as_ptr()) }
    }

    /// No event callback runs on this queue after this returns (librdkafka runs them under its lock).
    pub(super) fn silence(&self) {
        // SAFETY: live queue; a null callback is the documented way to disable.
        unsafe { sys::rd_kafka_queue_cb_event_enable(self.0.as_ptr(), None, ptr::null_mut()) }
    }

    /// Waits for one event; one that is an error is one here too.
    fn wait(&self, limit: Duration, what: &impl Fn() -> String) -> Result<Event, Error> {
        let limit_ms = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: live queue; the event is owned.
        let event = unsafe { sys::rd_kafka_queue_poll(self.0.as_ptr(), limit_ms) };
        let Some(event) = NonNull::new(event).map(Event) else {
            return Err(Error::Call {
                what: what(),
                code: RDKafkaErrorCode::OperationTimedOut,
                reason: format!("no answer within {limit_ms} ms"),
            });
        };
        // SAFETY: the event is live.
        let (code, reason) = unsafe {
            (
                RDKafkaErrorCode::from(sys::rd_kafka_event_error(event.0.as_ptr())),
                text(sys::rd_kafka_event_error_string(event.0.as_ptr())),
            )
        };
        match code {
            RDKafkaErrorCode::NoError => Ok(event),
            code => Err(Error::Call { what: what(), code, reason }),
        }
    }

    /// Waits up to `timeout_ms` until `max` messages are there; appends those that came.
    pub(super) fn take(&self, out: &mut Messages, max: usize, timeout_ms: i32) -> usize {
        out.list.reserve(max);
        // SAFETY: room for `max` pointers behind `len`; librdkafka writes `n <= max` valid, owned messages.
        unsafe {
            let end = out.list.as_mut_ptr().add(out.list.len()).cast();
            let taken =
                sys::rd_kafka_consume_batch_queue(self.0.as_ptr(), timeout_ms, end, max).max(0);
            let taken = usize::try_from(taken).unwrap_or(0);
            out.list.set_len(out.list.len() + taken);
            out.held.fetch_add(taken, Ordering::Relaxed);
            taken
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: promise 1; messages still inside are destroyed with it.
        unsafe { sys::rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

/// Owned messages of one consumer, counted in `held`.
pub(super) struct Messages {
    list: Vec<NonNull<sys::rd_kafka_message_t>>,
    held: Arc<AtomicUsize>,
}

// SAFETY: a message belongs to nobody else; its fetch buffer, partition and topic are reference-counted
// with atomics or locks, so it may be read and destroyed on any one thread. Not Sync: reading headers
// parses them into the message on first use.
unsafe impl Send for Messages {}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages", self.list.len())
    }
}

impl Messages {
    /// No messages yet; `held` counts those of all batches of one consumer.
    pub(super) fn new(held: &Arc<AtomicUsize>) -> Self {
        Self { list: Vec::new(), held: Arc::clone(held) }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// The message at `index`.
    pub(super) fn get(&self, index: usize) -> &Message {
        // SAFETY: pointers in the list are live until drop (promise 2); Message is a transparent view.
        unsafe { &*self.list[index].as_ptr().cast::<Message>() }
    }

    /// All of them in order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Message> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// Keeps the messages for which `keep` says yes, destroys the others.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Message) -> bool) {
        let mut gone = Self::new(&self.held);
        self.list.retain(|m| {
            // SAFETY: as in `get`; a refused pointer moves to `gone`, which destroys it once.
            let kept = keep(unsafe { &*m.as_ptr().cast::<Message>() });
            if !kept {
                gone.list.push(*m);
            }
            kept
        });
    }

    /// Cuts off and returns everything from `at` on.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        Self { list: self.list.split_off(at), held: Arc::clone(&self.held) }
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        for message in &self.list {
            // SAFETY: owned, destroyed once; the client lives (promise 2).
            unsafe { sys::rd_kafka_message_destroy(message.as_ptr()) }
        }
        // After the last destroy: `held() == 0` lets the client go.
        self.held.fetch_sub(self.list.len(), Ordering::Release);
    }
}

/// A view of one message inside its batch. Nothing is copied.
#[repr(transparent)]
pub(super) struct Message(sys::rd_kafka_message_t);

impl Message {
    /// The partition's number.
    pub(super) fn partition(&self) -> i32 {
        self.0.partition
    }

    /// The offset of the record, or where an error struck.
    pub(super) fn offset(&self) -> i64 {
        self.0.offset
    }

    /// The topic's name; empty when the library gives none.
    pub(super) fn topic(&self) -> &str {
        if self.0.rkt.is_null() {
            return "";
        }
        // SAFETY: the message holds its topic; the name is a C string that lives as long.
        unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(self.0.rkt)) }.to_str().unwrap_or("")
    }

    /// A failure of the partition instead of a record.
    pub(super) fn error(&self) -> Option<RDKafkaErrorCode> {
        Some(self.0.err.into()).filter(|code| *code != RDKafkaErrorCode::NoError)
    }

    /// Of the same partition of the same topic? (One topic has one handle per client.)
    pub(super) fn same_partition(&self, other: &Self) -> bool {
        self.0.partition == other.0.partition && self.0.rkt == other.0.rkt
    }

    /// Bytes of key and value.
    pub(super) fn bytes(&self) -> usize {
        self.0.key_len + self.0.len
    }

    /// The message as the house's record.
    pub(super) fn record(&self) -> Record<'_> {
        // SAFETY: live message; a null type pointer is allowed.
        let timestamp = unsafe { sys::rd_kafka_message_timestamp(&self.0, ptr::null_mut()) };
        Record {
            offset: Offset(self.0.offset),
            timestamp: Some(timestamp).filter(|t| *t >= 0),
            // SAFETY: librdkafka gives null or so many readable bytes that live as long as the message.
            key: unsafe { bytes(self.0.key, self.0.key_len) },
            // SAFETY: as above.
            value: unsafe { bytes(self.0.payload, self.0.len) },
            headers: HeaderList::new(self),
        }
    }
}

impl HeaderSource for Message {
    fn header(&self, index: usize) -> Option<(&str, Option<&[u8]>)> {
        let mut list = ptr::null_mut();
        let (mut name, mut value, mut len) = (ptr::null(), ptr::null(), 0);
        // SAFETY: live message on one thread (Messages is not Sync): the library parses the headers into the
        // message once; name and value point into it.
        unsafe {
            let none = Resp::RD_KAFKA_RESP_ERR_NO_ERROR;
            if sys::rd_kafka_message_headers(&self.0, &mut list) != none
                || sys::rd_kafka_header_get_all(list, index, &mut name, &mut value, &mut len)
                    != none
            {
                return None;
            }
            // A name that is no text keeps its place in the list.
            let name = CStr::from_ptr(name).to_str().unwrap_or("\u{fffd}");
            Some((name, bytes(value.cast_mut(), len)))
        }
    }
}

/// # Safety
/// `p` is null or points to `len` readable bytes that live for `'a`.
unsafe fn bytes<'a>(p: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!p.is_null()).then(|| unsafe { slice::from_raw_parts(p.cast(), len) })
}

fn c_text(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::Nul(text.to_owned()))
}

/// # Safety
/// `p` is null or a C string.
unsafe fn text(p: *const c_char) -> String {
    if p.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(p) }.to_string_lossy().into_owned()
}

/// Does this client stand in its group's list of members, as far as it knows?
pub(super) fn is_member(rk: *mut RDKafka) -> bool {
    // SAFETY: live client; the text is ours and freed with the library's own call.
    unsafe {
        let id = sys::rd_kafka_memberid(rk);
        if id.is_null() {
            return false;
        }
        let named = *id != 0;
        sys::rd_kafka_mem_free(rk, id.cast());
        named
    }
}

/// Sends a commit whose outcome arrives on `answers` (the consumer's own queue: then as its commit
/// callback). The library's plain asynchronous commit answers nobody when events are in use.
///
/// # Errors
/// The client has no group.
pub(super) fn commit_answered_on(
    rk: *mut RDKafka,
    offsets: &TopicPartitionList,
    answers: &Queue,
) -> Result<(), Error> {
    // SAFETY: live client, list and queue; the library copies the list and keeps the queue alive.
    let code: RDKafkaErrorCode = unsafe {
        sys::rd_kafka_commit_queue(rk, offsets.ptr(), answers.0.as_ptr(), None, ptr::null_mut())
    }
    .into();
    match code {
        RDKafkaErrorCode::NoError => Ok(()),
        code => Err(refused("commit", code)),
    }
}

/// Commits and waits for the answer, at most `limit`: the library's own synchronous commit has no limit.
///
/// # Errors
/// The broker's answer for the whole or for one partition; `OperationTimedOut`: nobody knows.
pub(super) fn commit_within(
    rk: *mut RDKafka,
    offsets: &TopicPartitionList,
    limit: Duration,
) -> Result<(), Error> {
    let answers = Queue::new(rk)?;
    commit_answered_on(rk, offsets, &answers)?;
    let event = answers.wait(limit, &|| "commit".to_owned())?;
    // SAFETY: the event is live and owns the list.
    unsafe {
        let list = sys::rd_kafka_event_topic_partition_list(event.0.as_ptr());
        let count = if list.is_null() { 0 } else { (*list).cnt };
        for i in 0..usize::try_from(count).unwrap_or(0) {
            let found = &*(*list).elems.add(i);
            let code: RDKafkaErrorCode = found.err.into();
            if code != RDKafkaErrorCode::NoError {
                let what = format!("commit {}[{}]", text(found.topic), found.partition);
                return Err(refused(what, code));
            }
        }
    }
    Ok(())
}

fn refused(what: impl Into<String>, code: RDKafkaErrorCode) -> Error {
    Error::Call { what: what.into(), code, reason: code.to_string() }
}

/// Shortens how long the mock cluster waits for more members before the first assignment.
///
/// `rk` must be a client that carries its own mock cluster; without one nothing happens.
pub(super) fn mock_initial_rebalance_delay(rk: *mut RDKafka, delay_ms: i32) {
    // SAFETY: live client; its mock cluster lives as long, null is checked.
    unsafe {
        let cluster = sys::rd_kafka_handle_mock_cluster(rk);
        if !cluster.is_null() {
            sys::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, delay_ms);
        }
    }
}

/// What a broker says of a topic: its id as bits (zero: the broker knows no ids) and its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Described {
    /// The id, most significant bit first.
    pub(super) id: u128,
    /// How many partitions.
    pub(super) partitions: i32,
}

/// Describes one topic; `None`: the cluster says that there is none.
///
/// # Errors
/// No answer in time, or the cluster refuses.
pub(super) fn describe_topic(
    rk: *mut RDKafka,
    topic: &str,
    limit: Duration,
) -> Result<Option<Described>, Error> {
    let what = || format!("describe topic {topic}");
    let name = c_text(topic)?;
    let ask = |options, queue| {
        let mut names = [name.as_ptr()];
        // SAFETY: live client, options and queue; the collection copies the names.
        unsafe {
            let topics = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1);
            sys::rd_kafka_DescribeTopics(rk, topics, options, queue);
            sys::rd_kafka_TopicCollection_destroy(topics);
        }
    };
    let op = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    let event = admin_call(rk, op, limit, &what, ask)?;
    // SAFETY: the event lives to the end of this function and owns everything that is read from it.
    unsafe {
        let result = sys::rd_kafka_event_DescribeTopics_result(event.0.as_ptr());
        if result.is_null() {
            return Err(no_result(what()));
        }
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if topics.is_null() || count != 1 {
            return Err(no_result(what()));
        }
        let topic = *topics;
        let error = sys::rd_kafka_TopicDescription_error(topic);
        let code: RDKafkaErrorCode = sys::rd_kafka_error_code(error).into();
        match code {
            RDKafkaErrorCode::NoError => {}
            RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => {
                return Ok(None);
            }
            code => {
                return Err(Error::Call {
                    what: what(),
                    code,
                    reason: text(sys::rd_kafka_error_string(error)),
                });
            }
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        let (high, low) = if id.is_null() {
            (0, 0)
        } else {
            (
                sys::rd_kafka_Uuid_most_significant_bits(id),
                sys::rd_kafka_Uuid_least_significant_bits(id),
            )
        };
        let mut partitions = 0;
        sys::rd_kafka_TopicDescription_partitions(topic, &mut partitions);
        Ok(Some(Described {
            id: (u128::from(high.cast_unsigned()) << 64) | u128::from(low.cast_unsigned()),
            partitions: i32::try_from(partitions).unwrap_or(i32::MAX),
        }))
    }
}

/// A group's committed offset of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupOffset {
    /// The topic's name.
    pub(super) topic: String,
    /// The partition's number.
    pub(super) partition: i32,
    /// Next to read; negative: nothing is committed.
    pub(super) offset: i64,
    /// What stood beside it; bytes that are no text are replaced.
    pub(super) metadata: String,
}

/// What `group` has committed for the partitions in the list, in any order; without a list: for all.
///
/// # Errors
/// No answer in time, or the cluster refuses the group or one of the partitions.
pub(super) fn committed_offsets(
    rk: *mut RDKafka,
    group: &str,
    partitions: Option<&TopicPartitionList>,
    limit: Duration,
) -> Result<Vec<GroupOffset>, Error> {
    let what = || format!("read the committed offsets of group {group}");
    let name = c_text(group)?;
    let list = partitions.map_or(std::ptr::null_mut(), |partitions| partitions.ptr());
    let ask = |options, queue| {
        // SAFETY: live client, options, queue and list, or none; the request copies name and list.
        unsafe {
            let mut request = sys::rd_kafka_ListConsumerGroupOffsets_new(name.as_ptr(), list);
            sys::rd_kafka_ListConsumerGroupOffsets(rk, &mut request, 1, options, queue);
            sys::rd_kafka_ListConsumerGroupOffsets_destroy(request);
        }
    };
    let op = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS;
    let event = admin_call(rk, op, limit, &what, ask)?;
    // SAFETY: the event lives to the end of this function and owns everything that is read from it.
    unsafe {
        let result = sys::rd_kafka_event_ListConsumerGroupOffsets_result(event.0.as_ptr());
        if result.is_null() {
            return Err(no_result(what()));
        }
        let mut count = 0;
        let groups = sys::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &mut count);
        if groups.is_null() || count != 1 {
            return Err(no_result(what()));
        }
        let error = sys::rd_kafka_group_result_error(*groups);
        if !error.is_null() {
            return Err(Error::Call {
                what: what(),
                code: sys::rd_kafka_error_code(error).into(),
                reason: text(sys::rd_kafka_error_string(error)),
            });
        }
        let list = sys::rd_kafka_group_result_partitions(*groups);
        if list.is_null() {
            return Err(no_result(what()));
        }
        let count = usize::try_from((*list).cnt).unwrap_or(0);
        (0..count).map(|i| group_offset(&*(*list).elems.add(i), &what)).collect()
    }
}

fn group_offset(
    found: &sys::rd_kafka_topic_partition_t,
    what: &impl Fn() -> String,
) -> Result<GroupOffset, Error> {
    let code: RDKafkaErrorCode = found.err.into();
    // SAFETY: an element of a live list: its name is a C string, its metadata null or so many bytes.
    let (topic, metadata) =
        unsafe { (text(found.topic), bytes(found.metadata, found.metadata_size)) };
    if code != RDKafkaErrorCode::NoError {
        return Err(Error::Call {
            what: what(),
            code,
            reason: format!("{topic}[{}]: {code}", found.partition),
        });
    }
    Ok(GroupOffset {
        topic,
        partition: found.partition,
        offset: found.offset,
        metadata: String::from_utf8_lossy(metadata.unwrap_or_default()).into_owned(),
    })
}

fn no_result(what: String) -> Error {
    Error::Call {
        what,
        code: RDKafkaErrorCode::BadMessage,
        reason: "the answer has no result".to_owned(),
    }
}

/// The answer of an admin call or a commit.
struct Event(NonNull<sys::rd_kafka_event_t>);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: owned, destroyed once.
        unsafe { sys::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

/// Asks, and waits for the one answer; an answer that is an error is one here too.
fn admin_call(
    rk: *mut RDKafka,
    op: sys::rd_kafka_admin_op_t,
    limit: Duration,
    what: &impl Fn() -> String,
    ask: impl Fn(*const sys::rd_kafka_AdminOptions_t, *mut sys::rd_kafka_queue_t),
) -> Result<Event, Error> {
    let queue = Queue::new(rk)?;
    let limit_ms = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX).max(1);
    // SAFETY: live client (promise 4); the call copies the options.
    unsafe {
        let options = sys::rd_kafka_AdminOptions_new(rk, op);
        if options.is_null() {
            return Err(no_result(what()));
        }
        let mut reason = [0; 256];
        sys::rd_kafka_AdminOptions_set_request_timeout(
            options,
            limit_ms,
            reason.as_mut_ptr(),
            reason.len(),
        );
        ask(options, queue.0.as_ptr());
        sys::rd_kafka_AdminOptions_destroy(options);
    }
    // The request ends at its own limit with an answer; the margin is for a library that is late.
    queue.wait(limit + Duration::from_secs(1), what)
}
