//! `map`: makes a new event of these fields, in this order. The expressions see the event as it was; the
//! key, the id and the other names stay.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Row;
use super::chain::Site;
use super::step::{Flow, Place, Stage};
use crate::expr::{Program, Source};
use crate::record::{End, Field, Name, Scope, Shape, Uses};

pub(super) const NAME: &str = "map";

/// Its row in the table.
pub const ROW: Row = Row { name: NAME, does: "makes a new event of these fields" };

/// `map: { field: CEL }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The fields of the new event and what they hold.
    pub fields: Vec<(String, Source)>,
}

impl Options {
    pub(super) fn build(&self, site: &mut Site<'_>) -> Option<Map> {
        let programs = programs(&self.fields, site)?;
        let field = |((name, _), program): (&(String, Source), &Arc<Program>)| Field {
            name: name.clone(),
            ty: program.ty().clone(),
        };
        let fields = self.fields.iter().zip(&programs).map(field).collect();
        let shape = Shape { name: NAME.to_owned(), fields };
        Some(Map { programs: programs.into(), place: site.place, shape: Arc::new(shape) })
    }
}

/// The programs of named fields: each name once, and one that expressions can say.
pub(super) fn programs(
    fields: &[(String, Source)],
    site: &mut Site<'_>,
) -> Option<Vec<Arc<Program>>> {
    let names: Vec<Source> =
        fields.iter().map(|(name, source)| Source::new(name, source.line, source.column)).collect();
    let named = site.once(names.iter());
    let words: Vec<Option<()>> = names.iter().map(|name| site.name(name)).collect();
    let programs: Vec<Option<Arc<Program>>> =
        fields.iter().map(|(_, source)| site.program(source)).collect();
    named?;
    words.into_iter().collect::<Option<Vec<()>>>()?;
    programs.into_iter().collect()
}

/// The stage.
#[derive(Clone, Debug)]
pub(super) struct Map {
    programs: Arc<[Arc<Program>]>,
    place: Place,
    shape: Arc<Shape>,
}

impl Stage for Map {
    fn apply<'a>(&mut self, scope: &mut Scope<'a>) -> Result<Flow<'a>, End> {
        let mut event =
            bumpalo::collections::Vec::with_capacity_in(self.programs.len(), scope.bump);
        for program in &*self.programs {
            event.push(program.eval(scope).map_err(|error| self.place.failed(program, error))?);
        }
        scope.event = event.into_bump_slice();
        Ok(Flow::On)
    }

    fn output(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// Every expression runs, used or not: a failure is the record's. Of a mere field, only what is used
    /// further on is read.
    fn uses(&self, of_output: &Uses) -> Uses {
        let fields = self.shape.fields.iter().zip(&*self.programs);
        fields.fold(Uses::nothing(), |uses, (field, program)| {
            let of = of_output.below(&field.name).filter(|of| **of != Uses::nothing());
            uses.union(of.map_or_else(|| program.uses().clone(), |of| program.uses_for(of)))
        })
    }

    fn names(&self) -> BTreeSet<Name> {
        self.programs.iter().flat_map(|program| program.names().clone()).collect()
    }

    fn fresh(&self) -> Box<dyn Stage> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Type;
    use crate::stage::step::testing::{mistakes, order, run};
    use crate::stage::{Options as Stages, build};

    fn map(fields: &[(&str, &str)]) -> Stages {
        let field = |(name, text): &(&str, &str)| ((*name).to_owned(), Source::from(*text));
        Stages::Map(Options { fields: fields.iter().map(field).collect() })
    }

    #[test]
    fn the_new_event_has_these_fields_and_no_other() {
        let stages = [map(&[("twice", "event.number * 2"), ("number", "event.status")])];
        assert_eq!(run(&stages, 4, &[]), (vec!["e1: 8 open".to_owned()], Ok(1)));
        let chain = build(&stages, &order(), &Type::Str).unwrap();
        assert_eq!(chain.output().field("twice"), Some((0, &Type::Int)));
    }

    #[test]
    fn only_what_is_used_of_a_passed_on_field_is_read() {
        let stages = [map(&[("lines", "event.lines"), ("n", "event.number")])];
        let chain = build(&stages, &order(), &Type::Str).unwrap();
        let mut of_output = Uses::nothing();
        of_output.add(&["lines", "quantity"]);
        let mut expect = Uses::nothing();
        expect.add(&["lines", "quantity"]);
        expect.add(&["number"]);
        assert_eq!(chain.uses(&of_output), expect);
    }

    #[test]
    fn names_are_words_and_stand_once() {
        assert_eq!(
            mistakes(&[map(&[("a", "event.number"), ("a", "1"), ("b-c", "2"), ("d", "evnt")])]),
            [
                "1:1 stage 1 (map): `a` stands here twice",
                "1:1 stage 1 (map): `b-c` is no field name: letters, digits and _, not a digit first",
                "1:1 stage 1 (map): unknown name `evnt`; did you mean `event`?; allowed: event, key, id, \
                 headers, topic, partition, offset, timestamp",
            ]
        );
        assert_eq!(mistakes(&[map(&[])]), ["1:1 stage 1 (map): no fields are named"]);
    }
}
