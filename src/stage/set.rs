//! `set`: adds these fields, or replaces those that are there (in their place). All expressions see the
//! event as it was.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Row;
use super::chain::Site;
use super::map::programs;
use super::step::{Flow, Place, Stage, by_field};
use crate::expr::{Program, Source};
use crate::record::{End, Field, Name, Scope, Shape, Uses, Value};

pub(super) const NAME: &str = "set";

/// Its row in the table.
pub const ROW: Row = Row {
    name: NAME,
    does: "adds or replaces these fields; all are computed from the event as it came in",
};

/// `set: { field: CEL }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The fields and what they hold from here on.
    pub fields: Vec<(String, Source)>,
}

impl Options {
    pub(super) fn build(&self, site: &mut Site<'_>) -> Option<Set> {
        let programs = programs(&self.fields, site)?;
        let mut shape = Shape::clone(site.env.event());
        let mut slots = Vec::new();
        for ((name, _), program) in self.fields.iter().zip(&programs) {
            let field = Field { name: name.clone(), ty: program.ty().clone() };
            match shape.field(name).map(|(slot, _)| slot) {
                Some(slot) => {
                    shape.fields[slot] = field;
                    slots.push(slot);
                }
                None => {
                    slots.push(shape.fields.len());
                    shape.fields.push(field);
                }
            }
        }
        let programs = slots.into_iter().zip(programs).collect();
        Some(Set { programs, place: site.place, shape: Arc::new(shape) })
    }
}

/// The stage.
#[derive(Clone, Debug)]
pub(super) struct Set {
    /// Each program by the slot that it fills.
    programs: Arc<[(usize, Arc<Program>)]>,
    place: Place,
    shape: Arc<Shape>,
}

impl Stage for Set {
    fn apply<'a>(&mut self, scope: &mut Scope<'a>) -> Result<Flow<'a>, End> {
        let width = self.shape.fields.len();
        let mut event = bumpalo::collections::Vec::with_capacity_in(width, scope.bump);
        event.extend_from_slice(scope.event);
        event.resize(width, Value::Null);
        for (slot, program) in &*self.programs {
            let value = program.eval(scope).map_err(|error| self.place.failed(program, error))?;
            *event.get_mut(*slot).ok_or_else(|| self.place.misshapen())? = value;
        }
        scope.event = event.into_bump_slice();
        Ok(Flow::On)
    }

    fn output(&self) -> &Arc<Shape> {
        &self.shape
    }

    fn uses(&self, of_output: &Uses) -> Uses {
        let made = |name: &str| {
            self.programs.iter().any(|(slot, _)| self.shape.fields[*slot].name == name)
        };
        let passed: Uses = Uses::Fields(
            by_field(of_output, &self.shape)
                .filter(|(name, _)| !made(name))
                .map(|(name, uses)| (name.to_owned(), uses.clone()))
                .collect(),
        );
        self.programs.iter().fold(passed, |uses, (slot, program)| {
            let of = of_output.below(&self.shape.fields[*slot].name);
            let of = of.filter(|of| **of != Uses::nothing());
            uses.union(of.map_or_else(|| program.uses().clone(), |of| program.uses_for(of)))
        })
    }

    fn names(&self) -> BTreeSet<Name> {
        self.programs.iter().flat_map(|(_, program)| program.names().clone()).collect()
    }

    fn fresh(&self) -> Box<dyn Stage> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Type;
    use crate::stage::step::testing::{order, run};
    use crate::stage::{Options as Stages, build};

    fn set(fields: &[(&str, &str)]) -> Stages {
        let field = |(name, text): &(&str, &str)| ((*name).to_owned(), Source::from(*text));
        Stages::Set(Options { fields: fields.iter().map(field).collect() })
    }

    #[test]
    fn fields_are_replaced_in_place_or_added_and_see_the_event_as_it_was() {
        let stages = [set(&[("number", "event.number + 1"), ("before", "event.number")])];
        assert_eq!(run(&stages, 4, &[]).0, ["e1: 5 open null () 4"]);
    }

    #[test]
    fn a_replaced_field_that_nobody_reads_is_not_decoded() {
        let stages = [set(&[("status", "'paid'")])];
        let chain = build(&stages, &order(), &Type::Str).unwrap();
        let Uses::Fields(fields) = chain.uses(&Uses::All) else { panic!("all is used") };
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["lines", "note", "number"]);
        let narrow = Shape {
            fields: order().fields.iter().filter(|f| f.name != "status").cloned().collect(),
            ..Shape::clone(&order())
        };
        let narrow = chain.narrow(&Arc::new(narrow)).unwrap();
        assert_eq!(narrow.output().field("status"), Some((3, &Type::Str)));
    }
}
