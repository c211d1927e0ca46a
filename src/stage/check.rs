//! `check`: a rule of the business. An event that breaks it is rejected with the reason that the file
//! gives; that is no fault.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Row;
use super::chain::Site;
use super::step::{Flow, Place, Stage};
use crate::expr::{Program, Source};
use crate::record::{End, Name, Scope, Shape, Uses};

pub(super) const NAME: &str = "check";

/// Its row in the table.
pub const ROW: Row = Row {
    name: NAME,
    does: "goes on with events that keep the rule; rejects the others with the reason",
};

/// `check: { rule: bool, reason: str }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// True of a good event.
    pub rule: Source,
    /// Why the others are rejected.
    pub reason: String,
}

impl Options {
    pub(super) fn build(&self, site: &mut Site<'_>) -> Option<Check> {
        let rule = site.condition(&self.rule)?;
        let reason = self.reason.as_str().into();
        Some(Check { rule, reason, place: site.place, shape: Arc::clone(site.env.event()) })
    }
}

/// The stage.
#[derive(Clone, Debug)]
pub(super) struct Check {
    rule: Arc<Program>,
    reason: Arc<str>,
    place: Place,
    shape: Arc<Shape>,
}

impl Stage for Check {
    fn apply<'a>(&mut self, scope: &mut Scope<'a>) -> Result<Flow<'a>, End> {
        match self.rule.eval_bool(scope) {
            Ok(true) => Ok(Flow::On),
            Ok(false) => Err(End::Reject(Cow::Owned(self.reason.to_string()))),
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
    use crate::stage::Options as Stages;
    use crate::stage::step::testing::run;

    #[test]
    fn a_broken_rule_rejects_with_the_reason_of_the_file() {
        let check = Stages::Check(Options {
            rule: "event.number <= 1000".into(),
            reason: "number out of range".to_owned(),
        });
        assert_eq!(run(std::slice::from_ref(&check), 1000, &[]).1, Ok(1));
        assert_eq!(run(&[check], 1001, &[]).1, Err(End::Reject("number out of range".into())));
    }
}
