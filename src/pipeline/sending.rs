//! What a topic sink takes of each event, compiled against the event's shape: the route and the key.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::compile::{Compiled, program};
use super::spec::{self, Otherwise, Problem, Problems};
use crate::expr::{Env, Program};
use crate::record::{Name, Type, Uses};
use crate::registry::contracts::Contracts;
use crate::sink::topic;
use crate::stage::route::{self, Router};

/// The topics that are written, and how one is chosen.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Topics with the subjects of their schemas, by the numbers that the router says.
    pub topics: Vec<(String, String)>,
    /// Which of them; `None`: the first.
    pub router: Option<Router>,
    /// The new record's key; `None`: the record's.
    pub key: Option<Arc<Program>>,
}

impl Sending {
    /// Compiles what the file says of its topic sink; `None`: it has none, or there are problems.
    pub(super) fn of(
        pipeline: &spec::Pipeline,
        after: &Env,
        problems: &mut Problems,
    ) -> Option<Self> {
        let spec::Sink::Topic(said) = &pipeline.sink else { return None };
        let file = pipeline.file.as_path();
        let key = said.key.as_ref().and_then(|key| program(file, key, after, problems));
        let subject = |topic: &str| match &said.schema {
            Some(subject) => subject.as_str().to_owned(),
            None => format!("{topic}-value"),
        };
        let topics = pipeline.outputs().into_iter();
        let topics: Vec<_> = topics.map(|topic| (topic.to_owned(), subject(topic))).collect();
        let route = pipeline.stages.iter().find_map(|stage| match stage {
            spec::Stage::Route(route) => Some(route),
            _ => None,
        });
        let router = route.map(|route| router(file, route, &topics, after, problems));
        Some(Self { topics, router, key })
    }

    /// What of the event is asked for besides all its fields' values.
    pub(super) fn uses(&self) -> Uses {
        let routed = self.router.as_ref().map_or_else(Uses::nothing, Router::uses);
        self.key.iter().fold(routed, |uses, key| uses.union(key.uses().clone()))
    }

    /// The names besides fields that are asked for; the id is in each record's header.
    pub(super) fn names(&self) -> BTreeSet<Name> {
        let mut names = self.router.as_ref().map(Router::names).unwrap_or_default();
        names.extend(self.key.iter().flat_map(|key| key.names().iter().copied()));
        names.insert(Name::Id);
        names
    }
}

fn router(
    file: &Path,
    route: &spec::Route,
    topics: &[(String, String)],
    after: &Env,
    problems: &mut Problems,
) -> Router {
    let number = |topic: &str| topics.iter().position(|(known, _)| known == topic).unwrap_or(0);
    let mut when = Vec::with_capacity(route.when.len());
    for (rule, topic) in &route.when {
        let Some(rule_program) = program(file, rule, after, problems) else { continue };
        if !matches!(rule_program.ty(), Type::Bool) {
            let what = format!("`when` must be true or false, but it is {}", rule_program.ty());
            problems.push(Problem::new(file, rule.at, what));
        }
        when.push((rule_program, number(topic)));
    }
    let otherwise = match &route.otherwise {
        Otherwise::Topic(topic) => route::Otherwise::Topic(number(topic)),
        Otherwise::Drop => route::Otherwise::Drop,
        Otherwise::Reject => route::Otherwise::Reject,
    };
    Router { when, otherwise }
}

/// Checks the events of a compiled file against the contracts of its outputs, as far as there are any.
///
/// # Errors
/// What does not fit, at the place of the sink.
pub fn check(
    pipeline: &spec::Pipeline,
    compiled: &Compiled,
    contracts: &Contracts,
) -> Result<(), Problems> {
    let mut problems = Problems::default();
    for (topic, subject) in compiled.sending.iter().flat_map(|sending| &sending.topics) {
        let Some(contract) = contracts.latest(subject) else { continue };
        if let Err(why) = topic::fits(&contract.schema, compiled.chain.output()) {
            let what = format!("events do not fit subject {subject} of topic {topic}: {why}");
            problems.push(Problem::new(&pipeline.file, pipeline.places.sink, what));
        }
    }
    problems.or(())
}
