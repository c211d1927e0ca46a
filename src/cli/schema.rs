//! `schema`: contracts and the registry.

use std::sync::Arc;

use anyhow::Context;

use super::args::{Common, Schema, SchemaCommand};
use super::{Failure, output, world};
use crate::port::SchemaText;

/// Does what was asked of schemas.
///
/// # Errors
/// A file that cannot be read or is no schema, a registry that refuses or is away.
pub(super) async fn schema(common: &Common, command: &Schema) -> Result<(), Failure> {
    let config = world::config(common, None)?;
    match &command.command {
        SchemaCommand::Register { subject, file } => {
            let registry = world::registry(&config)?;
            let schema = match file {
                Some(file) => {
                    let text = std::fs::read_to_string(file)
                        .with_context(|| format!("failed to read {}", file.display()))?;
                    Arc::new(SchemaText { text, references: Vec::new() })
                }
                None => {
                    let contracts = world::contracts(&config)?;
                    let contract = contracts.latest(subject).with_context(|| {
                        format!(
                            "{} has no contract of {subject}; name a file",
                            config.avro.display()
                        )
                    })?;
                    Arc::clone(&contract.schema)
                }
            };
            let id = registry.register(subject, &schema).await?;
            output::line(id);
            Ok(())
        }
    }
}
