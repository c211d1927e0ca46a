//! From a compiled file to what runs: the one place where sinks are made.

use std::sync::Arc;
use std::time::Duration;

use super::compile::{Compiled, compile};
use super::effect::{Effect, Keyed};
use super::order::Order;
use super::process::Factory;
use super::reader::Tombstone;
use super::spec;
use super::world::World;
use crate::database::{Conflict, Demand};
use crate::kafka::Producer;
use crate::port::{Progress, SchemaText};
use crate::record::Fault;
use crate::sink::{archive, mail, sql, topic};

/// A pipeline ready to be bound.
#[derive(Debug)]
pub struct Built {
    /// Makes the synchronous half of each task.
    pub factory: Arc<Factory>,
    /// The effect.
    pub sink: Effect,
    /// How much goes into one step.
    pub batch: spec::Batch,
}

/// Makes the effect of a pipeline whose file is compiled. Asked at every try to start, so it makes and does
/// not connect: that is what [`Effect::bind`] is for.
///
/// What the file says of its sink is in the compiled columns: names, types and where their values come from.
///
/// # Errors
/// `Fatal`: there can be no such sink for this file.
pub type MakeSink = dyn Fn(&Compiled) -> Result<Effect, Fault> + Send + Sync;

/// Builds a pipeline around the sink that `make` gives.
///
/// # Errors
/// `Fatal`: the file does not fit its schema, or no sink can be made for it.
pub fn build(
    pipeline: &spec::Pipeline,
    schema: &SchemaText,
    make: &MakeSink,
) -> Result<Built, Fault> {
    let mut compiled =
        compile(pipeline, schema).map_err(|p| Fault::fatal("pipeline_file", p.to_string()))?;
    let sink = make(&compiled)?;
    if matches!(sink, Effect::Batch(_)) {
        compiled.order = Order::Partition;
    }
    let batch = batch(pipeline);
    let tombstone = Tombstone::of(&pipeline.source);
    let key_type = pipeline.source.key_type;
    let factory =
        Factory::new(Arc::new(compiled), sink.clone(), tombstone, key_type, pipeline.on_replay);
    Ok(Built { factory: Arc::new(factory), sink, batch })
}

/// The sink that the file names, over the world's clients.
///
/// # Errors
/// `Fatal`: the file names something that is not set.
pub fn named_sink(
    pipeline: &spec::Pipeline,
    compiled: &Compiled,
    world: &World,
) -> Result<Effect, Fault> {
    match &pipeline.sink {
        spec::Sink::Sql(sql) => named_sql(sql, compiled, world),
        spec::Sink::Mail(mail) => named_mail(pipeline, mail, compiled, world),
        spec::Sink::Archive(archive) => named_archive(pipeline, archive, compiled),
        spec::Sink::Topic(topic) => named_topic(topic, compiled, world),
    }
}

fn named_sql(sql: &spec::Sql, compiled: &Compiled, world: &World) -> Result<Effect, Fault> {
    let database = world.databases.get(&sql.database).ok_or_else(|| {
        Fault::fatal("unknown_database", format!("database {} is not set", sql.database))
    })?;
    let database = Arc::clone(database);
    Ok(Effect::Batch(match &sql.statement {
        spec::Statement::Insert(insert) => {
            Arc::new(sql::Insert::new(database, insert_options(insert, compiled)))
        }
        spec::Statement::Execute(execute) => {
            Arc::new(sql::Execute::new(database, execute_options(execute, compiled)?))
        }
    }))
}

fn insert_options(insert: &spec::Insert, compiled: &Compiled) -> sql::Options {
    sql::Options {
        table: insert.table.clone(),
        columns: compiled.columns.clone(),
        conflict: match &insert.conflict {
            spec::Conflict::Reject => Conflict::Reject,
            spec::Conflict::Ignore => Conflict::Ignore,
            spec::Conflict::Update { on, update } => {
                Conflict::Update { on: on.clone(), update: update.clone() }
            }
        },
    }
}

fn execute_options(
    execute: &spec::Execute,
    compiled: &Compiled,
) -> Result<sql::ExecuteOptions, Fault> {
    let statement = compiled
        .statement
        .as_ref()
        .ok_or_else(|| Fault::fatal("pipeline_file", "the statement was not compiled"))?;
    Ok(sql::ExecuteOptions {
        statement: Arc::clone(statement),
        fields: compiled.columns.clone(),
        demand: match execute.rows {
            spec::Rows::Any => None,
            spec::Rows::Exactly(rows) => {
                Some(Demand { rows, drops: execute.otherwise == spec::Shortfall::Drop })
            }
        },
    })
}

fn named_archive(
    pipeline: &spec::Pipeline,
    archive: &spec::Archive,
    compiled: &Compiled,
) -> Result<Effect, Fault> {
    let entries = archive::Entries::of(compiled.chain.output())
        .map_err(|e| Fault::fatal(e.code(), e.to_string()))?;
    let (to, pipeline) = (archive.to.clone(), pipeline.name.clone());
    let options = archive::Options { to, pipeline, entries };
    Ok(Effect::Batch(Arc::new(archive::Archive::new(options))))
}

fn named_topic(
    said: &spec::TopicSink,
    compiled: &Compiled,
    world: &World,
) -> Result<Effect, Fault> {
    let sending = compiled
        .sending
        .as_ref()
        .ok_or_else(|| Fault::fatal("pipeline_file", "the topic sink was not compiled"))?;
    let target = |(topic, subject): &(String, String)| topic::Target {
        topic: Arc::from(topic.as_str()),
        subject: subject.clone(),
        contract: world.contracts.latest(subject).map(|contract| Arc::clone(&contract.schema)),
    };
    let options = topic::Options {
        targets: sending.topics.iter().map(target).collect(),
        router: sending.router.clone(),
        key: sending.key.clone(),
        same_partition: said.partition == spec::Partition::Same,
        copy_headers: said.headers == spec::Headers::Copy,
        shape: Arc::clone(compiled.chain.output()),
    };
    // A record that was given up would be overtaken by those behind it: the step waits instead.
    let kafka = world.kafka.clone().patient();
    let producer = Producer::new(&kafka).map_err(|e| Fault::fatal("kafka", e.to_string()))?;
    let schemas = Arc::clone(&world.schemas);
    Ok(Effect::Batch(Arc::new(topic::Topic::new(options, schemas, Arc::new(producer)))))
}

fn named_mail(
    pipeline: &spec::Pipeline,
    said: &spec::Mail,
    compiled: &Compiled,
    world: &World,
) -> Result<Effect, Fault> {
    let transport = world.mail.as_ref().ok_or_else(|| {
        Fault::fatal("unknown_mail", "no way for mails is set; set mail in ordermill.yaml")
    })?;
    let templates = compiled
        .mail
        .as_ref()
        .ok_or_else(|| Fault::fatal("pipeline_file", "the mail's templates were not compiled"))?;
    let options = mail::Options {
        templates: Arc::clone(templates),
        group: Arc::from(pipeline.source.group.as_str()),
        in_flight: said.in_flight,
        timeout: said.timeout,
    };
    let state = world.state.as_ref().map(|state| Arc::clone(state) as Arc<dyn Progress>);
    let sink = Arc::new(mail::Mail::new(options, transport)?);
    Ok(Effect::Keyed(Keyed { sink, in_flight: said.in_flight, state }))
}

/// How much goes into one step.
fn batch(pipeline: &spec::Pipeline) -> spec::Batch {
    match &pipeline.sink {
        spec::Sink::Sql(sql) => sql.batch,
        spec::Sink::Topic(topic) => topic.batch,
        // Only its size and age end an object; the window bounds both.
        spec::Sink::Archive(spec::Archive { roll, .. }) => {
            spec::Batch { rows: usize::MAX, bytes: roll.size, every: roll.every }
        }
        // Its records go one by one.
        spec::Sink::Mail(_) => spec::Batch { rows: 1, bytes: 1, every: Duration::ZERO },
    }
}
