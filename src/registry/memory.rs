//! What is known of ids for the moment: kept answers, pinned schemas, denials with their age.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::future::Cache;
use tokio::time::Instant;

use super::Error;
use super::disk::{Fingerprint, fingerprint};
use super::settings::{NEGATIVE_MAX, Settings};
use crate::port::SchemaText;

/// Texts kept in memory, in bytes.
const MEMORY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Ids whose schema is pinned, and denied ids whose grace time runs.
const IDS_MAX: usize = 65_536;
/// What the disk gave is asked for again after this.
const FROM_DISK_FOR: Duration = Duration::from_secs(30);
/// Within the grace time, the registry is asked again after at most this.
const DENIED_FOR: Duration = Duration::from_secs(1);

/// What is known of an id for the moment.
#[derive(Clone, Debug)]
pub(super) enum Held {
    /// The registry gave it.
    Given(Arc<SchemaText>),
    /// The disk gave it, because the registry could not.
    FromDisk(Arc<SchemaText>),
    /// The registry denies it: `NotYetKnown` or `Unknown`.
    Denied(Error),
}

impl Held {
    fn weight(&self) -> u32 {
        let bytes = match self {
            Held::Given(schema) | Held::FromDisk(schema) => {
                let references = schema.references.iter().map(|of| of.text.len() + 256);
                schema.text.len() + references.sum::<usize>()
            }
            Held::Denied(_) => 0,
        };
        u32::try_from(bytes + 256).unwrap_or(u32::MAX)
    }
}

/// The kept answers: one question an id at a time, errors not kept.
pub(super) fn cache(settings: &Settings) -> Cache<u32, Held> {
    Cache::builder()
        .max_capacity(MEMORY_BYTES_MAX)
        .weigher(|_, held: &Held| held.weight())
        .expire_after(Lifetimes {
            negative: settings.negative.min(NEGATIVE_MAX),
            waiting: DENIED_FOR.min(settings.grace / 4),
        })
        .build()
}

/// How long an answer is believed.
#[derive(Debug)]
struct Lifetimes {
    negative: Duration,
    waiting: Duration,
}

impl moka::Expiry<u32, Held> for Lifetimes {
    fn expire_after_create(
        &self,
        _id: &u32,
        held: &Held,
        _now: std::time::Instant,
    ) -> Option<Duration> {
        match held {
            Held::Given(_) => None,
            Held::FromDisk(_) => Some(FROM_DISK_FOR),
            Held::Denied(Error::NotYetKnown { .. }) => Some(self.waiting),
            Held::Denied(_) => Some(self.negative),
        }
    }
}

/// What each id stood for when it was first seen. Past the bound, ids are believed unpinned.
#[derive(Debug, Default)]
pub(super) struct Pins(Mutex<HashMap<u32, Fingerprint>>);

impl Pins {
    /// Pins the id to the schema, or holds the schema against the pin.
    ///
    /// # Errors
    /// `Changed`.
    pub(super) fn hold(&self, id: u32, schema: &SchemaText) -> Result<(), Error> {
        let print = fingerprint(schema);
        let mut pins = lock(&self.0);
        match pins.get(&id) {
            Some(pinned) if *pinned != print => Err(Error::Changed {
                id,
                before: "since this process started",
                remedy: "start again".to_owned(),
            }),
            Some(_) => Ok(()),
            None => {
                if pins.len() < IDS_MAX {
                    pins.insert(id, print);
                }
                Ok(())
            }
        }
    }
}

/// When the registry first denied an id.
#[derive(Debug, Default)]
pub(super) struct Denials(Mutex<HashMap<u32, Instant>>);

impl Denials {
    /// The registry denies the id `now`: what that means depends on since when it does.
    pub(super) fn denied(&self, id: u32, now: Instant, grace: Duration) -> Error {
        let mut denied = lock(&self.0);
        if denied.len() >= IDS_MAX && !denied.contains_key(&id) {
            // Somebody sends made-up ids. The oldest one's grace begins anew when it is asked for again:
            // it waits longer, and nothing is given up too early.
            let oldest = denied.iter().min_by_key(|(_, since)| **since);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                denied.remove(&oldest);
            }
        }
        let since = *denied.entry(id).or_insert(now);
        if now.duration_since(since) >= grace {
            Error::Unknown { id, grace }
        } else {
            Error::NotYetKnown { id, grace }
        }
    }

    /// The registry has it after all.
    pub(super) fn forget(&self, id: u32) {
        lock(&self.0).remove(&id);
    }
}

/// A lock whose holder panicked guards plain maps that are whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_given_up_only_after_the_grace_time_since_its_first_denial() {
        let (denials, grace) = (Denials::default(), Duration::from_secs(30));
        let start = Instant::now();
        let code = |id, after| {
            let now = start + Duration::from_millis(after);
            denials.denied(id, now, grace).code()
        };
        assert_eq!(code(1, 0), "schema_not_yet_known");
        assert_eq!(code(1, 29_999), "schema_not_yet_known");
        assert_eq!(code(2, 29_999), "schema_not_yet_known");
        assert_eq!(code(1, 30_000), "unknown_schema");
        assert_eq!(code(2, 30_000), "schema_not_yet_known");
        denials.forget(1);
        assert_eq!(code(1, 30_001), "schema_not_yet_known");
    }

    #[test]
    fn made_up_ids_take_no_more_than_the_bound_and_shorten_nobodys_grace() {
        let (denials, grace) = (Denials::default(), Duration::from_secs(30));
        let start = Instant::now();
        let ids = u32::try_from(IDS_MAX).unwrap();
        for id in 0..ids {
            denials.denied(id, start + Duration::from_micros(u64::from(id)), grace);
        }
        let late = start + Duration::from_secs(31);
        assert_eq!(denials.denied(ids, late, grace).code(), "schema_not_yet_known");
        assert_eq!(lock(&denials.0).len(), IDS_MAX);
        // The first was forgotten for it: it starts again.
        assert_eq!(denials.denied(0, late, grace).code(), "schema_not_yet_known");
        assert_eq!(denials.denied(ids - 1, late, grace).code(), "unknown_schema");
    }

    #[test]
    fn a_pin_holds() {
        let schema = |text: &str| SchemaText { text: text.to_owned(), references: Vec::new() };
        let pins = Pins::default();
        assert_eq!(pins.hold(7, &schema("\"int\"")), Ok(()));
        assert_eq!(pins.hold(7, &schema("\"int\"")), Ok(()));
        assert_eq!(pins.hold(8, &schema("\"long\"")), Ok(()));
        let error = pins.hold(7, &schema("\"long\"")).expect_err("another schema");
        assert_eq!(error.classify(), crate::record::Class::Fatal);
    }
}
