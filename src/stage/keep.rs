//! `keep`: keeps only these fields, in this order.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Row;
use super::chain::Site;
use super::step::{Flow, Place, Stage, by_field};
use crate::expr::Source;
use crate::record::{End, Name, Scope, Shape, Uses};

pub(super) const NAME: &str = "keep";

/// Its row in the table.
pub const ROW: Row = Row { name: NAME, does: "keeps only these fields" };

/// `keep: [field]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The fields that stay.
    pub fields: Vec<Source>,
}

impl Options {
    pub(super) fn build(&self, site: &mut Site<'_>) -> Option<Keep> {
        let named = site.once(self.fields.iter());
        let slots: Vec<Option<usize>> = self.fields.iter().map(|field| site.slot(field)).collect();
        named?;
        let slots: Vec<usize> = if site.narrow {
            slots.into_iter().flatten().collect()
        } else {
            slots.into_iter().collect::<Option<_>>()?
        };
        Some(Keep::of(slots, site))
    }
}

/// The stage: also what `drop` leaves.
#[derive(Clone, Debug)]
pub(super) struct Keep {
    slots: Arc<[usize]>,
    place: Place,
    shape: Arc<Shape>,
}

impl Keep {
    /// Keeps what is in these slots of the event.
    pub(super) fn of(slots: Vec<usize>, site: &Site<'_>) -> Keep {
        let event = site.env.event();
        let fields = slots.iter().filter_map(|slot| event.fields.get(*slot)).cloned().collect();
        let shape = Arc::new(Shape { name: event.name.clone(), fields });
        Keep { slots: slots.into(), place: site.place, shape }
    }
}

impl Stage for Keep {
    fn apply<'a>(&mut self, scope: &mut Scope<'a>) -> Result<Flow<'a>, End> {
        let mut event = bumpalo::collections::Vec::with_capacity_in(self.slots.len(), scope.bump);
        for slot in &*self.slots {
            event.push(self.place.slot(scope.event, *slot)?);
        }
        scope.event = event.into_bump_slice();
        Ok(Flow::On)
    }

    fn output(&self) -> &Arc<Shape> {
        &self.shape
    }

    fn uses(&self, of_output: &Uses) -> Uses {
        let passed = by_field(of_output, &self.shape);
        Uses::Fields(passed.map(|(name, uses)| (name.to_owned(), uses.clone())).collect())
    }

    fn names(&self) -> BTreeSet<Name> {
        BTreeSet::new()
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

    fn keep(fields: &[&str]) -> Stages {
        Stages::Keep(Options { fields: fields.iter().map(|f| Source::from(*f)).collect() })
    }

    #[test]
    fn only_these_fields_stay_in_this_order() {
        assert_eq!(run(&[keep(&["status", "number"])], 4, &[]).0, ["e1: open 4"]);
        assert_eq!(
            mistakes(&[keep(&["nummer", "note"])]),
            ["1:1 stage 1 (keep): the event has no field `nummer` here; did you mean `number`?"]
        );
    }

    #[test]
    fn what_is_kept_and_never_used_may_be_missing_from_the_decoded_event() {
        let chain = build(&[keep(&["status", "number"])], &order(), &Type::Str).unwrap();
        let mut of_output = Uses::nothing();
        of_output.add(&["number"]);
        assert_eq!(chain.uses(&of_output), of_output);
        let decoded = Shape { name: "order".to_owned(), fields: vec![order().fields[0].clone()] };
        let narrow = chain.narrow(&Arc::new(decoded)).unwrap();
        assert_eq!(narrow.output().field("number"), Some((0, &Type::Int)));
    }
}
