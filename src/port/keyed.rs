//! What a keyed sink is: an effect of one record at a time, the records of a key one after another, many
//! keys at once.

use super::{Encode, Future};
use crate::record::Fault;

/// A sink whose effects happen one by one and may be done again: each carries what tells a repeat from a
/// new one (an idempotency key, a Message-ID).
pub trait KeyedSink: Send + Sync {
    /// Looks at the real thing before the first record.
    ///
    /// # Errors
    /// `Unavailable`: not reachable yet, ask again. `Fatal`: it can never work; says what to do.
    fn bind(&self) -> Future<'_, Result<(), Fault>>;

    /// A fresh encoder for a partition task; after `bind`.
    ///
    /// # Errors
    /// `Fatal` when it was never bound.
    fn encoder(&self) -> Result<Box<dyn Encode>, Fault>;

    /// Does one effect, as the encoder wrote it. It returns when the effect has happened, and may be asked
    /// again for the same one after any error or crash. The caller ends it at the sink's timeout.
    ///
    /// # Errors
    /// `Unavailable`: what the sink needs is down or throttles; asked again without counting. `Retryable`:
    /// this effect failed and may succeed later. `Poison`: it never can. `Fatal`: the sink is misconfigured.
    fn effect<'a>(&'a self, effect: &'a [u8]) -> Future<'a, Result<(), Fault>>;
}
