//! The stages of a pipeline, one after another, on one event at a time.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::error::{Error, Mistake};
use super::step::Place;
use super::{Child, Flow, Options, Stage};
use crate::expr::{self, Env, Program, Source, nearest};
use crate::record::{End, Fault, Name, Scope, Shape, Type, Uses};

/// Stages of a pipeline, at most.
pub const STAGES_MAX: usize = 64;

/// The stages of one pipeline for one partition task.
#[derive(Debug)]
pub struct Chain {
    stages: Vec<Box<dyn Stage>>,
    input: Arc<Shape>,
    output: Arc<Shape>,
    options: Arc<[Options]>,
    key: Type,
}

/// Checks the stages against the event's shape and the type of keys, one by the shape that the one before
/// gives, and makes them.
///
/// # Errors
/// Every mistake up to and with the first stage whose output is unknown because of one.
pub fn build(options: &[Options], shape: &Arc<Shape>, key: &Type) -> Result<Chain, Vec<Error>> {
    make(options.into(), shape, key, false)
}

fn make(
    options: Arc<[Options]>,
    shape: &Arc<Shape>,
    key: &Type,
    narrow: bool,
) -> Result<Chain, Vec<Error>> {
    let mut env = Env::new(Arc::clone(shape), key.clone());
    let mut stages: Vec<Box<dyn Stage>> = Vec::new();
    let mut errors = Vec::new();
    for (i, options) in options.iter().enumerate() {
        let place = Place { number: i + 1, name: options.name() };
        let mut site = Site { place, env: &env, narrow, errors: &mut errors };
        if i == STAGES_MAX {
            site.wrong::<()>(&Source::from(""), Mistake::TooMany(i + 1));
            break;
        }
        match site.stage(options) {
            Some(stage) => {
                env = env.with_event(Arc::clone(stage.output()));
                stages.push(stage);
            }
            None if changes_shape(options) => break,
            None => {}
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let (input, output) = (Arc::clone(shape), Arc::clone(env.event()));
    Ok(Chain { stages, input, output, options, key: key.clone() })
}

/// Does what comes after this stage depend on it being right?
pub fn changes_shape(options: &Options) -> bool {
    !matches!(options, Options::Filter(_) | Options::Check(_) | Options::Dedup(_))
}

impl Chain {
    /// The shape of the events that come in.
    pub fn input(&self) -> &Arc<Shape> {
        &self.input
    }

    /// The shape of the events that leave.
    pub fn output(&self) -> &Arc<Shape> {
        &self.output
    }

    /// What must be decoded of the event when `of_output` is used of what leaves the chain (by the sink).
    pub fn uses(&self, of_output: &Uses) -> Uses {
        self.stages.iter().rev().fold(of_output.clone(), |uses, stage| stage.uses(&uses))
    }

    /// The names that the stages say; `Event` is among them where they read fields.
    pub fn names(&self) -> BTreeSet<Name> {
        self.stages.iter().flat_map(|stage| stage.names()).collect()
    }

    /// The same chain for events that hold only what [`Chain::uses`] gave: what a stage names but nobody
    /// uses may be missing.
    ///
    /// # Errors
    /// A shape that lacks what is used.
    pub fn narrow(&self, shape: &Arc<Shape>) -> Result<Chain, Vec<Error>> {
        make(Arc::clone(&self.options), shape, &self.key, true)
    }

    /// The same chain without what it has seen: for another partition or generation.
    #[must_use]
    pub fn fresh(&self) -> Chain {
        Chain {
            stages: self.stages.iter().map(|stage| stage.fresh()).collect(),
            input: Arc::clone(&self.input),
            output: Arc::clone(&self.output),
            options: Arc::clone(&self.options),
            key: self.key.clone(),
        }
    }

    /// Runs one event through all stages; `out` gets what is left of it: itself or its children, in order.
    /// Gives how many those were, at least one.
    ///
    /// # Errors
    /// The named end of the record. What `out` got before belongs to a record that did not pass: forget
    /// it. A record whose children were all dropped is dropped; one that is rejected or fails ends the
    /// record so.
    pub fn run<'a>(
        &mut self,
        scope: Scope<'a>,
        out: &mut dyn FnMut(&Scope<'a>) -> Result<(), End>,
    ) -> Result<usize, End> {
        if scope.event.len() != self.input.fields.len() {
            let reason = format!(
                "the event has {} fields, but the stages were built for {}",
                scope.event.len(),
                self.input.fields.len()
            );
            return Err(End::Fault(Fault::fatal("stage_shape", reason)));
        }
        through(&mut self.stages, scope, out)
    }
}

fn through<'a>(
    mut stages: &mut [Box<dyn Stage>],
    mut scope: Scope<'a>,
    out: &mut dyn FnMut(&Scope<'a>) -> Result<(), End>,
) -> Result<usize, End> {
    while let [stage, rest @ ..] = stages {
        match stage.apply(&mut scope)? {
            Flow::On => stages = rest,
            Flow::Split(children) => return each(rest, scope, children, out),
        }
    }
    out(&scope)?;
    Ok(1)
}

/// Each child goes on by itself: a dropped one is only left out, any other end is the record's.
fn each<'a>(
    stages: &mut [Box<dyn Stage>],
    scope: Scope<'a>,
    children: &[Child<'a>],
    out: &mut dyn FnMut(&Scope<'a>) -> Result<(), End>,
) -> Result<usize, End> {
    let mut passed = 0;
    let mut dropped = None;
    for child in children {
        let scope = Scope { event: child.event, id: child.id, ..scope };
        match through(stages, scope, out) {
            Ok(count) => passed += count,
            Err(End::Drop(why)) => dropped = dropped.or(Some(why)),
            Err(end) => return Err(end),
        }
    }
    match dropped {
        Some(why) if passed == 0 => Err(End::Drop(why)),
        _ => Ok(passed),
    }
}

/// Where a stage is being made: what it may see, and where its mistakes go.
pub(super) struct Site<'s> {
    pub(super) place: Place,
    pub(super) env: &'s Env,
    /// Fields that are only passed on may be missing: they were checked, and nobody uses them.
    pub(super) narrow: bool,
    errors: &'s mut Vec<Error>,
}

impl Site<'_> {
    fn stage(&mut self, options: &Options) -> Option<Box<dyn Stage>> {
        Some(match options {
            Options::Filter(options) => Box::new(options.build(self)?),
            Options::Check(options) => Box::new(options.build(self)?),
            Options::Map(options) => Box::new(options.build(self)?),
            Options::Set(options) => Box::new(options.build(self)?),
            Options::Keep(options) => Box::new(options.build(self)?),
            Options::Drop(options) => Box::new(options.build(self)?),
            Options::Unnest(options) => Box::new(options.build(self)?),
            Options::Dedup(options) => Box::new(options.build(self)?),
        })
    }

    /// An expression of any type.
    pub(super) fn program(&mut self, source: &Source) -> Option<Arc<Program>> {
        match expr::compile(&source.text, self.env) {
            Ok(program) => Some(Arc::new(program)),
            Err(errors) => {
                for error in errors {
                    let (line, column) = source.place(&error);
                    let mistake = Mistake::Expression(error.mistake);
                    self.errors.push(self.error(line, column, mistake));
                }
                None
            }
        }
    }

    /// An expression that is true or false.
    pub(super) fn condition(&mut self, source: &Source) -> Option<Arc<Program>> {
        let program = self.program(source)?;
        if *program.ty() != Type::Bool {
            return self.wrong(source, Mistake::NotBool(program.ty().clone()));
        }
        Some(program)
    }

    /// The slot of a field of the event; `None` without a mistake: it may be missing here.
    pub(super) fn slot(&mut self, field: &Source) -> Option<usize> {
        let shape = self.env.event();
        if let Some((slot, _)) = shape.field(&field.text) {
            return Some(slot);
        }
        if self.narrow {
            return None;
        }
        let nearest = nearest(&field.text, shape.fields.iter().map(|f| f.name.as_str()));
        let nearest = nearest.map(str::to_owned);
        self.wrong(field, Mistake::UnknownField { field: field.text.clone(), nearest })
    }

    /// A list of fields: named once each, and at least one.
    pub(super) fn once<'f>(&mut self, fields: impl Iterator<Item = &'f Source>) -> Option<()> {
        let mut seen: Vec<&str> = Vec::new();
        let mut right = Some(());
        for field in fields {
            if seen.contains(&field.text.as_str()) {
                right = self.wrong(field, Mistake::Twice(field.text.clone()));
            }
            seen.push(&field.text);
        }
        if seen.is_empty() {
            return self.wrong(&Source::from(""), Mistake::NoFields);
        }
        right
    }

    /// The name of a new field.
    pub(super) fn name(&mut self, name: &Source) -> Option<()> {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let right = name.text.chars().all(word)
            && name.text.chars().next().is_some_and(|c| !c.is_ascii_digit());
        if right { Some(()) } else { self.wrong(name, Mistake::Name(name.text.clone())) }
    }

    /// Reports a mistake at the beginning of that text.
    pub(super) fn wrong<T>(&mut self, at: &Source, mistake: Mistake) -> Option<T> {
        self.errors.push(self.error(at.line, at.column, mistake));
        None
    }

    fn error(&self, line: u32, column: u32, mistake: Mistake) -> Error {
        let Place { number, name } = self.place;
        Error { line, column, number, name, mistake }
    }
}
