//! The embedded registry as the engine sees one: no socket between.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::store::{Registry, Which};
use crate::port::{Future, Registered, SchemaText, Schemas};
use crate::record::Fault;
use crate::registry::Error;
use crate::registry::references::direct;

/// A handle on the embedded registry for those in its process. It always answers at once, and knows for
/// certain what it does not have: no grace time.
#[derive(Clone, Debug)]
pub struct EmbeddedSchemas(Arc<Mutex<Registry>>);

impl EmbeddedSchemas {
    /// A handle on this registry.
    pub fn new(registry: Arc<Mutex<Registry>>) -> Self {
        Self(registry)
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        // Whoever panicked with the lock left whole maps behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self, id: u32) -> Result<Arc<SchemaText>, Error> {
        let found = self.registry().text_of(id);
        let grace = std::time::Duration::ZERO;
        found.unwrap_or(Err(Error::Unknown { id, grace })).map(Arc::new)
    }

    fn newest(&self, subject: &str) -> Result<Option<Registered>, Error> {
        let registry = self.registry();
        let Ok(shown) = registry.version(subject, Which::Latest, false) else {
            return Ok(None);
        };
        let schema = registry.with_references(shown.text.to_owned(), shown.references.to_vec())?;
        Ok(Some(Registered {
            subject: subject.to_owned(),
            version: shown.version,
            id: shown.id,
            schema: Arc::new(schema),
        }))
    }

    fn add(&self, subject: &str, schema: &SchemaText) -> Result<u32, Error> {
        let mut registry = self.registry();
        let references = Registry::pointers(&direct(schema));
        let sent = registry.sent(schema.text.clone(), references);
        let added = sent.and_then(|sent| registry.register(subject, sent));
        added.map_err(|refusal| Error::Refused {
            status: refusal.status,
            code: refusal.code,
            message: refusal.message,
        })
    }
}

impl Schemas for EmbeddedSchemas {
    fn by_id(&self, id: u32) -> Future<'_, Result<Arc<SchemaText>, Fault>> {
        Box::pin(async move { self.text(id).map_err(Fault::from) })
    }

    fn latest<'a>(&'a self, subject: &'a str) -> Future<'a, Result<Option<Registered>, Fault>> {
        Box::pin(async move { self.newest(subject).map_err(Fault::from) })
    }

    fn register<'a>(
        &'a self,
        subject: &'a str,
        schema: &'a SchemaText,
    ) -> Future<'a, Result<u32, Fault>> {
        Box::pin(async move { self.add(subject, schema).map_err(Fault::from) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Reference;
    use crate::record::Class;

    fn schemas() -> EmbeddedSchemas {
        EmbeddedSchemas::new(Arc::new(Mutex::new(Registry::new())))
    }

    fn schema(text: &str) -> SchemaText {
        SchemaText { text: text.to_owned(), references: Vec::new() }
    }

    #[tokio::test]
    async fn what_was_registered_is_found_by_id_and_as_the_latest() {
        let schemas = schemas();
        let (v1, v2) = (schema("\"int\""), schema("\"long\""));
        assert_eq!(schemas.latest("s").await, Ok(None));
        let first = schemas.register("s", &v1).await.unwrap();
        let second = schemas.register("s", &v2).await.unwrap();
        assert_ne!(first, second);
        assert_eq!(schemas.register("other", &v1).await, Ok(first));
        assert_eq!(*schemas.by_id(first).await.unwrap(), v1);
        let latest = schemas.latest("s").await.unwrap().unwrap();
        assert_eq!((latest.version, latest.id, &*latest.schema), (2, second, &v2));
        let unknown = schemas.by_id(99).await.expect_err("no such id");
        assert_eq!((unknown.class, &*unknown.code), (Class::Poison, "unknown_schema"));
        let worse = schemas.register("s", &schema("\"string\"")).await.expect_err("incompatible");
        assert_eq!(worse.class, Class::Fatal);
    }

    #[tokio::test]
    async fn references_come_back_whole() {
        let schemas = schemas();
        let base = r#"{"type":"record","name":"B","fields":[]}"#;
        schemas.register("base", &schema(base)).await.unwrap();
        let whole = SchemaText {
            text: r#"{"type":"record","name":"U","fields":[{"name":"b","type":"B"}]}"#.to_owned(),
            references: vec![Reference {
                name: "B".to_owned(),
                subject: "base".to_owned(),
                version: 1,
                text: base.to_owned(),
            }],
        };
        let id = schemas.register("user", &whole).await.unwrap();
        assert_eq!(*schemas.by_id(id).await.unwrap(), whole);
    }
}
