//! A pipeline from its file to its end: wait for the world, bind, join the group, work, leave.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, Semaphore};
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;

use super::begin::begin;
use super::build::{Built, MakeSink, build, named_sink};
use super::claim::{Claimer, CommittedOffsets};
use super::compile::Compiled;
use super::effect::Effect;
use super::group::{self, Group, door};
use super::spec;
use super::task::{Limits, Shared};
use super::world::World;
use crate::engine::breaker::Breaker;
use crate::engine::flow::Window;
use crate::engine::retry::{Policy, Then};
use crate::engine::stop::StopAfter;
use crate::kafka::Member;
use crate::observe::{PipelineView, State};
use crate::port::{Commits, SchemaText};
use crate::record::{Class, Fault, Position};

/// How a pipeline ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As asked, drained.
    Stopped,
    /// At something that a person must look at.
    Halted(Option<Position>, Fault),
    /// Before the first record: the world is not as the file says. Exit code 78.
    Unfit(Fault),
}

/// Runs a pipeline until it is asked to stop, halts, or turns out not to fit the world.
pub async fn run(
    pipeline: Arc<spec::Pipeline>,
    world: Arc<World>,
    stop: CancellationToken,
) -> Ended {
    let (named, around) = (Arc::clone(&pipeline), Arc::clone(&world));
    run_with(pipeline, world, &move |compiled| named_sink(&named, compiled, &around), stop).await
}

/// As [`run`], with a sink in Rust in the place of the one that the file names: what a file cannot say.
///
/// Everything else in the file holds, also the `columns` and the `batch` of its sink; the database that it
/// names need not be there.
pub async fn run_with(
    pipeline: Arc<spec::Pipeline>,
    world: Arc<World>,
    sink: &MakeSink,
    stop: CancellationToken,
) -> Ended {
    let view = world.board.pipeline(&pipeline.name, &pipeline.source.group);
    let bound = tokio::select! {
        () = stop.cancelled() => {
            view.health.set(State::Stopped);
            return Ended::Stopped;
        }
        bound = bind_when_possible(&pipeline, &world, sink, &view) => bound,
    };
    let built = match bound {
        Ok(built) => built,
        Err(fault) => return unfit(&view, fault),
    };
    let limits = pipeline.limits;
    let window = Window { records: limits.window.records, bytes: limits.window.bytes };
    let (intake, events) = door(&view, window);
    let group = &pipeline.source.group;
    let member = match Member::start(
        &world.kafka,
        group,
        &pipeline.source.topics,
        Arc::<_>::clone(&intake) as _,
    ) {
        Ok(member) => member,
        Err(error) => return unfit(&view, error.fault()),
    };
    let shared = Arc::new(shared(&pipeline, &world, &built, member.commits()));
    let group = Group::new(shared, built.factory, view, (intake, events), member, limits.drain);
    match group.run(stop).await {
        group::Ended::Stopped => Ended::Stopped,
        group::Ended::Halted(position, fault) => Ended::Halted(position, fault),
    }
}

/// Looks once whether a pipeline could start: the first contact of [`run`], and nothing after it. What that makes,
/// such as the tables in which pipelines keep where they stand, is made.
///
/// # Errors
/// `Unavailable`: something is away; `Fatal`: the world is not as the file says.
pub async fn try_bind(pipeline: Arc<spec::Pipeline>, world: Arc<World>) -> Result<(), Fault> {
    let (named, around) = (Arc::clone(&pipeline), Arc::clone(&world));
    let sink = move |compiled: &Compiled| named_sink(&named, compiled, &around);
    bind(&pipeline, &world, &sink).await.map(|_| ())
}

fn unfit(view: &PipelineView, fault: Fault) -> Ended {
    tracing::error!(pipeline = %view.name, "cannot start: {fault}");
    view.health.set(State::Halted(format!("cannot start: {fault}")));
    Ended::Unfit(fault)
}

fn shared(
    pipeline: &spec::Pipeline,
    world: &World,
    built: &Built,
    commits: Arc<dyn Commits>,
) -> Shared {
    let retry = pipeline.retry;
    let skips = pipeline.on_replay == spec::OnReplay::Skip;
    Shared {
        sink: built.sink.clone(),
        permits: Arc::new(Semaphore::new(match &built.sink {
            Effect::Batch(_) => 0,
            Effect::Keyed(keyed) => keyed.in_flight,
        })),
        committed: Arc::new(CommittedOffsets::new(Arc::clone(&world.admin))),
        claimer: Claimer {
            group: Arc::from(pipeline.source.group.as_str()),
            admin: Arc::clone(&world.admin),
            commits,
            keep_ahead: skips,
            cannot_skip: skips && built.sink.truth().is_none(),
        },
        schemas: Arc::clone(&world.schemas),
        board: Arc::clone(&world.board),
        limits: Limits {
            rows: built.batch.rows,
            bytes: built.batch.bytes,
            every: built.batch.every,
        },
        stop_after: StopAfter {
            consecutive: pipeline.dead_letter.stop_after.consecutive,
            ratio: pipeline.dead_letter.stop_after.ratio,
            of: pipeline.dead_letter.stop_after.of,
        },
        dead_letter_topics: pipeline
            .source
            .topics
            .iter()
            .map(|topic| (topic.clone(), Arc::from(pipeline.dead_letter_topic(topic))))
            .collect(),
        producer: Arc::clone(&world.producer),
        letters: Notify::new(),
        letters_wait: AtomicBool::new(false),
        letters_why: Mutex::default(),
        timeout: pipeline.sink.timeout(),
        policy: Policy {
            attempts: retry.attempts,
            every: retry.every,
            then: match retry.then {
                spec::Then::Stop => Then::Stop,
                spec::Then::DeadLetter => Then::DeadLetter,
            },
        },
    }
}

/// Tries to bind until the world answers, and keeps where the group begins. Says what it waits for once a change.
async fn bind_when_possible(
    pipeline: &spec::Pipeline,
    world: &World,
    sink: &MakeSink,
    view: &PipelineView,
) -> Result<Built, Fault> {
    let mut breaker = Breaker::default();
    // A broker that does not answer takes its time to be known as such.
    view.health.set(State::Starting("the first contact is under way".to_owned()));
    loop {
        let bound = async {
            let built = bind(pipeline, world, sink).await?;
            begin(pipeline, &*world.admin, &built.sink).await?;
            Ok::<_, Fault>(built)
        };
        match bound.await {
            Err(fault) if matches!(fault.class, Class::Unavailable | Class::Conflict) => {
                let state = State::Starting(fault.reason.clone());
                if view.health.set(state) {
                    tracing::warn!(pipeline = %view.name, waits_for = %fault.reason, "waiting to start");
                }
                let pause = breaker.failed(Duration::ZERO);
                tokio::time::sleep(pause).await;
            }
            Err(fault) => return Err(fault),
            Ok(built) => return Ok(built),
        }
    }
}

/// The first contact: topics, schema, table, grants. Everything that only a live system can tell.
async fn bind(pipeline: &spec::Pipeline, world: &World, sink: &MakeSink) -> Result<Built, Fault> {
    for topic in &pipeline.source.topics {
        let found = world.admin.topic(topic).await?;
        found.ok_or_else(|| {
            Fault::fatal(
                "unknown_topic",
                format!(
                    "topic {topic} does not exist; create it, or correct source in {}",
                    pipeline.file.display()
                ),
            )
        })?;
    }
    for topic in &pipeline.source.topics {
        let letters = pipeline.dead_letter_topic(topic);
        if world.admin.topic(&letters).await?.is_none() {
            world.make_dead_letter_topic(&letters, topic, pipeline).await?;
        }
    }
    for topic in pipeline.outputs() {
        output(pipeline, world, topic).await?;
    }
    let reader = reader_schema(pipeline, world).await?;
    let built = build(pipeline, &reader, sink)?;
    if let (Effect::Keyed(_), Some(state)) = (&built.sink, &world.state) {
        state.ready().await?;
    }
    built.sink.bind().await?;
    Ok(built)
}

/// An output topic must be there, with a partition for each of the source's where records keep theirs.
async fn output(pipeline: &spec::Pipeline, world: &World, topic: &str) -> Result<(), Fault> {
    let mut partitions = 1;
    for source in &pipeline.source.topics {
        let found = world.admin.topic(source).await?;
        partitions = partitions.max(found.map_or(1, |info| info.partitions));
    }
    let file = pipeline.file.display();
    match world.admin.topic(topic).await? {
        None if world.make_topics => world.admin.create_topic(topic, partitions, 1).await,
        None => Err(Fault::fatal(
            "unknown_topic",
            format!(
                "output topic {topic} does not exist; create it (`ordermill topic apply` does), or \
                 correct the sink in {file}"
            ),
        )),
        Some(info) if pipeline.keeps_partitions() && info.partitions < partitions => {
            Err(Fault::fatal(
                "partitions",
                format!(
                    "output topic {topic} has {} partitions and its source {partitions}: records \
                     cannot keep theirs; raise it, or say `partition: hash` in {file}",
                    info.partitions
                ),
            ))
        }
        Some(_) => Ok(()),
    }
}

/// The schema under which events are read: the repository's newest contract, else the registry's newest
/// version, fixed from here on.
async fn reader_schema(pipeline: &spec::Pipeline, world: &World) -> Result<Arc<SchemaText>, Fault> {
    let subject = pipeline.source.schema.as_str();
    if let Some(contract) = world.contracts.latest(subject) {
        return Ok(Arc::clone(&contract.schema));
    }
    let latest = world.schemas.latest(subject).await?;
    latest.map(|registered| registered.schema).ok_or_else(|| {
        Fault::fatal(
            "unknown_subject",
            format!(
                "subject {subject} is neither under {} nor in the registry; register its schema, or say \
                 source.schema in {}",
                world.contracts_folder.display(),
                pipeline.file.display()
            ),
        )
    })
}
