//! The effect of a pipeline as its tasks drive it: a contiguous range at once, or record by record.

use std::fmt;
use std::sync::Arc;

use crate::port::{BatchSink, Encode, KeyedSink, Outbox, Progress};
use crate::record::Fault;

/// A sink by its trait.
#[derive(Clone)]
pub enum Effect {
    /// Contiguous ranges of a partition.
    Batch(Arc<dyn BatchSink>),
    /// One record of a key at a time, many keys at once.
    Keyed(Keyed),
}

/// A keyed sink with what its driver needs to know.
#[derive(Clone)]
pub struct Keyed {
    /// The sink.
    pub sink: Arc<dyn KeyedSink>,
    /// How many effects at once, per pipeline and process.
    pub in_flight: usize,
    /// The state database, which is the truth for where the pipeline stands and what is done ahead of it;
    /// `None`: Kafka's committed offset is.
    pub state: Option<Arc<dyn Progress>>,
}

impl Effect {
    /// See [`BatchSink::bind`] and [`KeyedSink::bind`].
    ///
    /// # Errors
    /// Those of the sink.
    pub async fn bind(&self) -> Result<(), Fault> {
        match self {
            Effect::Batch(sink) => sink.bind().await,
            Effect::Keyed(keyed) => keyed.sink.bind().await,
        }
    }

    /// A fresh encoder for a partition task; after `bind`.
    ///
    /// # Errors
    /// `Fatal` when it was never bound.
    pub fn encoder(&self) -> Result<Box<dyn Encode>, Fault> {
        match self {
            Effect::Batch(sink) => sink.encoder(),
            Effect::Keyed(keyed) => keyed.sink.encoder(),
        }
    }

    /// The store that is the truth, where it is not Kafka's committed offset.
    pub fn truth(&self) -> Option<&dyn Progress> {
        match self {
            Effect::Batch(sink) => sink.truth(),
            Effect::Keyed(keyed) => keyed.state.as_deref(),
        }
    }

    /// See [`BatchSink::gathers`].
    pub fn gathers(&self) -> bool {
        match self {
            Effect::Batch(sink) => sink.gathers(),
            Effect::Keyed(_) => false,
        }
    }

    /// See [`BatchSink::rejects`].
    pub fn rejects(&self) -> bool {
        match self {
            Effect::Batch(sink) => sink.rejects(),
            Effect::Keyed(_) => false,
        }
    }

    /// Where dead letters wait for their relay; `None`: tasks send them and wait.
    pub fn outbox(&self) -> Option<&dyn Outbox> {
        match self {
            Effect::Batch(sink) => sink.outbox(),
            Effect::Keyed(_) => None,
        }
    }
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Effect::Batch(_) => "batch sink",
            Effect::Keyed(_) => "keyed sink",
        })
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}
