//! What the real database made of a sink's options, once it was asked.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::plan::Field;
use super::{postgres, sqlite};
use crate::database::SqlType;
use crate::port::Encode;
use crate::record::Fault;

/// The fields to write and the statement that takes them; none before the first bind.
pub(super) struct Bound<S>(RwLock<Option<Pair<S>>>);

type Pair<S> = (Arc<[Field]>, Arc<S>);

impl<S> fmt::Debug for Bound<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").finish_non_exhaustive()
    }
}

impl<S> Bound<S> {
    /// Not bound yet.
    pub(super) fn none() -> Self {
        Self(RwLock::new(None))
    }

    /// From now on it is this.
    pub(super) fn set(&self, fields: Vec<Field>, statement: S) {
        let bound = (fields.into(), Arc::new(statement));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(bound);
    }

    /// The statement.
    pub(super) fn statement(&self) -> Result<Arc<S>, Fault> {
        self.get().map(|(_, statement)| statement)
    }

    /// A fresh encoder, in the form of the fields' database.
    pub(super) fn encoder(&self) -> Result<Box<dyn Encode>, Fault> {
        let (fields, _) = self.get()?;
        Ok(match fields.first().map(|field| &field.ty) {
            Some(SqlType::Sqlite(_)) => Box::new(sqlite::Encoder::new(fields)),
            _ => Box::new(postgres::Encoder(fields)),
        })
    }

    fn get(&self) -> Result<Pair<S>, Fault> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or_else(|| Fault::fatal("defect", "the sql sink was used before it was bound"))
    }
}
