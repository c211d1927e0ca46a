//! `filter`: goes on with events of which the expression is true; the others are dropped with the reason
//! `filter`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Row;
use super::chain::Site;
use super::step::{Flow, Place, Stage};
use crate::expr::{Program, Source};
use crate::record::{End, Name, Scope, Shape, Uses};

pub(super) const NAME: &str = "filter";

/// Its row in the table.
pub const ROW: Row = Row {
    name: NAME,
    does: "goes on with events of which this is true; drops the others (`filter`)",
};

/// `filter: bool`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// True of the events that go on.
    pub rule: Source,
}

impl Options {
    pub(super) fn build(&self, site: &mut Site<'_>) -> Option<Filter> {
        let rule = site.condition(&self.rule)?;
        Some(Filter { rule, place: site.place, shape: Arc::clone(site.env.event()) })
    }
}

/// The stage.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    rule: Arc<Program>,
    place: Place,
    shape: Arc<Shape>,
}

impl Stage for Filter {
    fn apply<'a>(&mut self, scope: &mut Scope<'a>) -> Result<Flow<'a>, End> {
        match self.rule.eval_bool(scope) {
            Ok(true) => Ok(Flow::On),
            Ok(false) => Err(End::Drop(NAME.into())),
            Err(error) => Err(self.place.failed(&self.rule, error)),
        }
    }

    fn output(&self) -> &Arc<Shape> {
        &self.shape
    }

    fn uses(&self, of_output: &Uses) -> Uses {
        of_output.clone().union(self.rule.uses().clone())
    }

    fn names(&self) -> BTreeSet<Name> {
        self.rule.names().clone()
    }

    fn fresh(&self) -> Box<dyn Stage> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Class;
    use crate::stage::Options as Stages;
    use crate::stage::step::testing::{mistakes, run};

    fn filter(rule: &str) -> Stages {
        Stages::Filter(Options { rule: Source::new(rule, 7, 13) })
    }

    #[test]
    fn what_is_not_wanted_is_dropped_and_the_rest_is_untouched() {
        assert_eq!(run(&[filter("event.number > 4")], 4, &[]).1, Err(End::Drop("filter".into())));
        let (seen, end) = run(&[filter("event.number > 3")], 4, &[]);
        assert_eq!((seen, end), (vec!["e1: 4 open null ()".to_owned()], Ok(1)));
    }

    #[test]
    fn a_failing_expression_is_a_fault_of_the_record_with_stage_and_place() {
        let End::Fault(fault) = run(&[filter("event.note > 'a'")], 4, &[]).1.unwrap_err() else {
            panic!("not a fault")
        };
        assert_eq!((fault.class, &*fault.code), (Class::Poison, "expression"));
        assert_eq!(
            fault.reason,
            "stage 1 (filter), `event.note > 'a'`, column 12: `>` met null; guard it with `!= null` or has()"
        );
    }

    #[test]
    fn a_rule_that_is_no_truth_value_is_refused_with_its_place() {
        assert_eq!(
            mistakes(&[filter("event.number")]),
            ["7:13 stage 1 (filter): the expression must be true or false, but it is int"]
        );
        assert_eq!(
            mistakes(&[filter("event.nmber > 1 && event.stats == 'open'")]),
            [
                "7:19 stage 1 (filter): `order` has no field `nmber`; did you mean `number`?",
                "7:38 stage 1 (filter): `order` has no field `stats`; did you mean `status`?",
            ]
        );
    }
}
