//! From a compiled file to what runs: the one place where sinks are made.

use std::sync::Arc;

use super::compile::{Compiled, compile};
use super::process::Factory;
use super::reader::Tombstone;
use super::spec;
use super::world::World;
use crate::database::Conflict;
use crate::port::{BatchSink, SchemaText};
use crate::record::Fault;
use crate::sink::{archive, sql};

/// A pipeline ready to be bound.
#[derive(Debug)]
pub struct Built {
    /// Makes the synchronous half of each task.
    pub factory: Arc<Factory>,
    /// The effect.
    pub sink: Sink,
    /// How much goes into one step.
    pub batch: spec::Batch,
}

/// A sink by its trait.
#[derive(Clone)]
pub struct Sink(pub Arc<dyn BatchSink>);

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("sink")
    }
}

/// Makes the effect of a pipeline whose file is compiled. Asked at every try to start, so it makes and does
/// not connect: that is what [`BatchSink::bind`] is for.
///
/// What the file says of its sink is in the compiled columns: names, types and where their values come from.
///
/// # Errors
/// `Fatal`: there can be no such sink for this file.
pub type MakeSink = dyn Fn(&Compiled) -> Result<Arc<dyn BatchSink>, Fault> + Send + Sync;

/// Builds a pipeline around the sink that `make` gives.
///
/// # Errors
/// `Fatal`: the file does not fit its schema, or no sink can be made for it.
pub fn build(
    pipeline: &spec::Pipeline,
    schema: &SchemaText,
    make: &MakeSink,
) -> Result<Built, Fault> {
    let compiled =
        compile(pipeline, schema).map_err(|p| Fault::fatal("pipeline_file", p.to_string()))?;
    let sink = make(&compiled)?;
    let batch = batch(pipeline)?;
    let tombstone = Tombstone::of(&pipeline.source);
    let key_type = pipeline.source.key_type;
    let factory = Factory::new(Arc::new(compiled), Arc::clone(&sink), tombstone, key_type);
    Ok(Built { factory: Arc::new(factory), sink: Sink(sink), batch })
}

/// The sink that the file names, over the world's clients.
///
/// # Errors
/// `Fatal`: the file names a database that is not set.
pub fn named_sink(
    pipeline: &spec::Pipeline,
    compiled: &Compiled,
    world: &World,
) -> Result<Arc<dyn BatchSink>, Fault> {
    if let spec::Sink::Archive(archive) = &pipeline.sink {
        return named_archive(pipeline, archive, compiled);
    }
    let sql = sql(pipeline)?;
    let spec::Statement::Insert(insert) = &sql.statement else {
        return Err(Fault::fatal("not_yet", "execute is not built yet"));
    };
    let database = world.databases.get(&sql.database).ok_or_else(|| {
        Fault::fatal("unknown_database", format!("database {} is not set", sql.database))
    })?;
    let options = sql::Options {
        table: insert.table.clone(),
        columns: compiled.columns.clone(),
        conflict: match &insert.conflict {
            spec::Conflict::Reject => Conflict::Reject,
            spec::Conflict::Ignore => Conflict::Ignore,
            spec::Conflict::Update { on, update } => {
                Conflict::Update { on: on.clone(), update: update.clone() }
            }
        },
    };
    Ok(Arc::new(sql::Insert::new(Arc::clone(database), options)))
}

fn named_archive(
    pipeline: &spec::Pipeline,
    archive: &spec::Archive,
    compiled: &Compiled,
) -> Result<Arc<dyn BatchSink>, Fault> {
    let entries = archive::Entries::of(compiled.chain.output())
        .map_err(|e| Fault::fatal(e.code(), e.to_string()))?;
    let (to, pipeline) = (archive.to.clone(), pipeline.name.clone());
    Ok(Arc::new(archive::Archive::new(archive::Options { to, pipeline, entries })))
}

/// How much goes into one step.
fn batch(pipeline: &spec::Pipeline) -> Result<spec::Batch, Fault> {
    match &pipeline.sink {
        // Only its size and age end an object; the window bounds both.
        spec::Sink::Archive(spec::Archive { roll, .. }) => {
            Ok(spec::Batch { rows: usize::MAX, bytes: roll.size, every: roll.every })
        }
        _ => Ok(sql(pipeline)?.batch),
    }
}

fn sql(pipeline: &spec::Pipeline) -> Result<&spec::Sql, Fault> {
    match &pipeline.sink {
        spec::Sink::Sql(sql) => Ok(sql),
        _ => Err(Fault::fatal("not_yet", "this sink is not built yet")),
    }
}
