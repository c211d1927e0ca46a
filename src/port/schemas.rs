//! Schemas by id and by subject, from a registry.

use std::sync::Arc;

use super::Future;
use crate::record::Fault;

/// A schema's text with everything that it refers to.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SchemaText {
    /// Avro schema JSON.
    pub text: String,
    /// The schemas that it names, transitively, each before those that name it.
    pub references: Vec<Reference>,
}

/// A schema that another one names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The Avro full name by which it is named.
    pub name: String,
    /// Its subject.
    pub subject: String,
    /// Its version there.
    pub version: u32,
    /// Avro schema JSON.
    pub text: String,
}

/// A version of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The subject, such as `orders.created-value`.
    pub subject: String,
    /// The version, from 1.
    pub version: u32,
    /// The registry's id: what stands in each record's frame.
    pub id: u32,
    /// The schema.
    pub schema: Arc<SchemaText>,
}

/// A Confluent-compatible registry, cached.
pub trait Schemas: Send + Sync {
    /// The schema of an id.
    ///
    /// # Errors
    /// `Unavailable` while the registry cannot tell; `Poison` (code `unknown_schema`) once it has said for
    /// longer than the grace time that it has no such id.
    fn by_id(&self, id: u32) -> Future<'_, Result<Arc<SchemaText>, Fault>>;

    /// The newest version of a subject; `None`: the registry says that there is none.
    ///
    /// # Errors
    /// `Unavailable` while the registry cannot tell.
    fn latest<'a>(&'a self, subject: &'a str) -> Future<'a, Result<Option<Registered>, Fault>>;

    /// Registers a schema under a subject, or finds it there; answers its id.
    ///
    /// # Errors
    /// `Unavailable`; `Fatal` when the registry refuses it (not compatible, not a schema).
    fn register<'a>(
        &'a self,
        subject: &'a str,
        schema: &'a SchemaText,
    ) -> Future<'a, Result<u32, Fault>>;
}
