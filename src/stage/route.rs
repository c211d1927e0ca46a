//! `route`: says which topic an event goes to; the first condition that is true decides. It is the last
//! stage, asked by the topic sink as it encodes.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Row;
use crate::expr::Program;
use crate::record::{End, Fault, Name, Scope, Uses};

pub(super) const NAME: &str = "route";

/// Its row in the table.
pub const ROW: Row = Row {
    name: NAME,
    does: "says which topic an event goes to: entries with `when` and `topic`, at last one with \
           `else` (`route` where that is `drop`, `no route` where `reject`)",
};

/// What happens to an event of which no condition is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// It goes to the topic of this number.
    Topic(usize),
    /// It is dropped (`route`).
    Drop,
    /// It is rejected (`no route`).
    Reject,
}

/// A compiled route. Topics are numbers: whoever compiled it knows their names.
#[derive(Clone, Debug)]
pub struct Router {
    /// Conditions in their order, each with the number of its topic.
    pub when: Vec<(Arc<Program>, usize)>,
    /// What happens to the others.
    pub otherwise: Otherwise,
}

impl Router {
    /// The topic of an event.
    ///
    /// # Errors
    /// A drop or a rejection where no condition is true; a fault where one cannot be answered.
    pub fn pick(&self, scope: &Scope<'_>) -> Result<usize, End> {
        for (rule, topic) in &self.when {
            match rule.eval_bool(scope) {
                Ok(true) => return Ok(*topic),
                Ok(false) => {}
                Err(error) => {
                    let reason = format!("route, `{}`: {error}", rule.text());
                    return Err(End::Fault(Fault::poison("expression", reason)));
                }
            }
        }
        match self.otherwise {
            Otherwise::Topic(topic) => Ok(topic),
            Otherwise::Drop => Err(End::Drop(NAME.into())),
            Otherwise::Reject => Err(End::Reject("no route".into())),
        }
    }

    /// What of the event it asks for.
    pub fn uses(&self) -> Uses {
        let all = self.when.iter().map(|(rule, _)| rule.uses().clone());
        all.fold(Uses::nothing(), Uses::union)
    }

    /// The names besides fields that it asks for.
    pub fn names(&self) -> BTreeSet<Name> {
        self.when.iter().flat_map(|(rule, _)| rule.names().iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use bumpalo::Bump;

    use super::*;
    use crate::expr::{self, Env};
    use crate::record::{Field, Shape, Type, Value};

    fn router(rules: &[&str], otherwise: Otherwise) -> Router {
        let fields = vec![Field { name: "n".into(), ty: Type::Int }];
        let env = Env::new(Arc::new(Shape { name: "E".into(), fields }), Type::Str);
        let when = rules.iter().zip(0..);
        let when = when.map(|(rule, i)| (Arc::new(expr::compile(rule, &env).unwrap()), i));
        Router { when: when.collect(), otherwise }
    }

    fn pick(router: &Router, n: i64) -> Result<usize, End> {
        let bump = Bump::new();
        router.pick(&Scope::of(&[Value::Int(n)], &bump))
    }

    #[test]
    fn the_first_condition_that_is_true_decides_and_the_rest_ends_as_the_file_says() {
        let rules = ["event.n > 10", "event.n > 5"];
        let topic = router(&rules, Otherwise::Topic(2));
        assert_eq!([11, 6, 1].map(|n| pick(&topic, n)), [Ok(0), Ok(1), Ok(2)]);
        assert_eq!(pick(&router(&rules, Otherwise::Drop), 1), Err(End::Drop("route".into())));
        let reject = router(&rules, Otherwise::Reject);
        assert_eq!(pick(&reject, 1), Err(End::Reject("no route".into())));
    }
}
