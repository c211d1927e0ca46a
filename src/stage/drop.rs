//! `drop`: leaves these fields out and keeps the others.

use super::Row;
use super::chain::Site;
use super::keep::Keep;
use crate::expr::Source;

pub(super) const NAME: &str = "drop";

/// Its row in the table.
pub const ROW: Row = Row { name: NAME, does: "leaves these fields out" };

/// `drop: [field]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The fields that go.
    pub fields: Vec<Source>,
}

impl Options {
    /// The stage that keeps all other fields.
    pub(super) fn build(&self, site: &mut Site<'_>) -> Option<Keep> {
        let named = site.once(self.fields.iter());
        let gone: Vec<Option<usize>> = self.fields.iter().map(|field| site.slot(field)).collect();
        named?;
        if !site.narrow && gone.contains(&None) {
            return None;
        }
        let slots = 0..site.env.event().fields.len();
        Some(Keep::of(slots.filter(|slot| !gone.contains(&Some(*slot))).collect(), site))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::record::{Shape, Type, Uses};
    use crate::stage::step::testing::{mistakes, order, run};
    use crate::stage::{Options as Stages, build};

    fn drop(fields: &[&str]) -> Stages {
        Stages::Drop(Options { fields: fields.iter().map(|f| Source::from(*f)).collect() })
    }

    #[test]
    fn the_other_fields_stay() {
        assert_eq!(run(&[drop(&["lines", "note"])], 4, &[]).0, ["e1: 4 open"]);
        assert_eq!(
            mistakes(&[drop(&["lines", "lines"])]),
            ["1:1 stage 1 (drop): `lines` stands here twice"]
        );
    }

    #[test]
    fn what_is_dropped_is_not_decoded() {
        let chain = build(&[drop(&["lines"])], &order(), &Type::Str).unwrap();
        let Uses::Fields(fields) = chain.uses(&Uses::All) else { panic!("all is used") };
        assert!(!fields.contains_key("lines"));
        let decoded = Shape { name: "order".to_owned(), fields: order().fields[..3].to_vec() };
        assert_eq!(chain.narrow(&Arc::new(decoded)).unwrap().output().fields.len(), 3);
    }
}
