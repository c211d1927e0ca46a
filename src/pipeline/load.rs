//! How much a partition holds: written by the poll thread and the partition's task, judged by flow.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::engine::flow;

/// Records and bytes that were delivered and not settled.
#[derive(Debug)]
pub struct Load {
    records: AtomicUsize,
    bytes: AtomicUsize,
    shared_bytes: Arc<AtomicUsize>,
}

impl Load {
    /// An empty load that counts its bytes also against the pipeline's.
    pub fn new(shared_bytes: Arc<AtomicUsize>) -> Self {
        Self { records: AtomicUsize::new(0), bytes: AtomicUsize::new(0), shared_bytes }
    }

    /// Delivered.
    pub fn add(&self, records: usize, bytes: usize) {
        self.records.fetch_add(records, Ordering::AcqRel);
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.shared_bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Settled or given back.
    pub fn sub(&self, records: usize, bytes: usize) {
        self.records.fetch_sub(records, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.shared_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// What it is now.
    pub fn now(&self) -> flow::Load {
        flow::Load {
            records: self.records.load(Ordering::Acquire),
            bytes: self.bytes.load(Ordering::Acquire),
            shared_bytes: self.shared_bytes.load(Ordering::Acquire),
        }
    }
}
