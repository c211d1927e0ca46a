//! `dedup`: drops an event whose `by` was seen at an earlier position of the partition, among the last
//! `window` different ones, with the reason `duplicate`. Best effort: it forgets with the generation; the
//! inbox is the exact one. A record that is run again (a batch in halves, a roll-back) is never its own
//! duplicate, and children of one record are none of each other. A null `by` is never a duplicate.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::Row;
use super::chain::Site;
use super::error::Mistake;
use super::step::{Flow, Place, Stage};
use crate::expr::{Program, Source};
use crate::record::{End, Name, Scope, Shape, Type, Uses, Value};

pub(super) const NAME: &str = "dedup";

/// Its row in the table.
pub const ROW: Row = Row {
    name: NAME,
    does: "drops events seen lately in the partition (`duplicate`): best effort, forgotten on a \
           rebalance",
};

/// Remembered events, at most: about 100 bytes each, per partition.
pub const WINDOW_MAX: usize = 1_000_000;

/// The window where the file says nothing.
pub const WINDOW: usize = 10_000;

/// `dedup: { by: CEL = id, window = 10000 }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What makes two events the same; `None`: their id.
    pub by: Option<Source>,
    /// How many different ones are remembered, per partition.
    pub window: usize,
}

impl Options {
    pub(super) fn build(&self, site: &mut Site<'_>) -> Option<Dedup> {
        let by = self.by.clone().unwrap_or_else(|| Source::from("id"));
        let program = site.program(&by)?;
        if !is_scalar(program.ty()) {
            return site.wrong(&by, Mistake::By(program.ty().clone()));
        }
        if !(1..=WINDOW_MAX).contains(&self.window) {
            return site.wrong(&by, Mistake::Window(self.window));
        }
        let seen = Seen::new(self.window);
        Some(Dedup { by: program, seen, place: site.place, shape: Arc::clone(site.env.event()) })
    }
}

fn is_scalar(ty: &Type) -> bool {
    match ty {
        Type::Optional(some) => is_scalar(some),
        Type::Union(of) => of.iter().all(is_scalar),
        Type::List(_) | Type::Map(_) | Type::Record(_) | Type::Null => false,
        _ => true,
    }
}

/// The stage.
#[derive(Clone, Debug)]
pub(super) struct Dedup {
    by: Arc<Program>,
    seen: Seen,
    place: Place,
    shape: Arc<Shape>,
}

impl Stage for Dedup {
    fn apply<'a>(&mut self, scope: &mut Scope<'a>) -> Result<Flow<'a>, End> {
        let by = self.by.eval(scope).map_err(|error| self.place.failed(&self.by, error))?;
        let Value::Int(offset) = scope.offset else {
            return Err(self.place.misshapen());
        };
        if !by.is_null() && self.seen.before(hash(&by), offset) {
            return Err(End::Drop("duplicate".into()));
        }
        Ok(Flow::On)
    }

    fn output(&self) -> &Arc<Shape> {
        &self.shape
    }

    fn uses(&self, of_output: &Uses) -> Uses {
        of_output.clone().union(self.by.uses().clone())
    }

    fn names(&self) -> BTreeSet<Name> {
        let mut names = self.by.names().clone();
        names.insert(Name::Offset);
        names
    }

    fn fresh(&self) -> Box<dyn Stage> {
        let seen = Seen::new(self.seen.window);
        Box::new(Dedup { seen, ..self.clone() })
    }
}

/// What was seen, and at which offset first; the oldest is forgotten first.
#[derive(Clone, Debug)]
struct Seen {
    first: HashMap<u128, i64>,
    order: VecDeque<u128>,
    window: usize,
}

impl Seen {
    fn new(window: usize) -> Self {
        Self { first: HashMap::new(), order: VecDeque::new(), window }
    }

    /// Was it seen at an earlier offset? Remembers it.
    fn before(&mut self, what: u128, offset: i64) -> bool {
        if let Some(first) = self.first.get_mut(&what) {
            // Run again from further back, the earlier one is the original.
            let before = *first < offset;
            *first = offset.min(*first);
            return before;
        }
        if self.order.len() == self.window
            && let Some(oldest) = self.order.pop_front()
        {
            self.first.remove(&oldest);
        }
        self.order.push_back(what);
        self.first.insert(what, offset);
        false
    }
}

/// 128 bits, so that two different events are never taken for one: two hashes with different beginnings.
fn hash(value: &Value<'_>) -> u128 {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        feed(value, &mut hasher);
        u128::from(hasher.finish())
    };
    half(1) << 64 | half(2)
}

fn feed(value: &Value<'_>, hasher: &mut DefaultHasher) {
    match value {
        // Equal numbers are one, whatever their scale or type.
        Value::Int(n) => (1, rust_decimal::Decimal::from(*n).normalize()).hash(hasher),
        Value::Decimal(n) => (1, n.normalize()).hash(hasher),
        Value::Bool(truth) => (2, truth).hash(hasher),
        Value::Double(n) => (3, n.to_bits()).hash(hasher),
        Value::Str(text) => (4, text).hash(hasher),
        Value::Bytes(bytes) => (5, bytes).hash(hasher),
        Value::Uuid(id) => (6, id).hash(hasher),
        Value::Date(day) => (7, day).hash(hasher),
        Value::Time(micros) => (8, micros).hash(hasher),
        Value::Timestamp(micros) => (9, micros).hash(hasher),
        Value::Duration(micros) => (10, micros).hash(hasher),
        Value::Null | Value::List(_) | Value::Map(_) | Value::Record(_) => 0.hash(hasher),
    }
}

#[cfg(test)]
mod tests {
    use bumpalo::Bump;
    use proptest::prelude::*;

    use super::*;
    use crate::stage::step::testing::{event, mistakes, order};
    use crate::stage::{Options as Stages, build};

    fn dedup(by: &str, window: usize) -> Stages {
        Stages::Dedup(Options { by: Some(by.into()), window })
    }

    /// Runs (offset, number) pairs; gives the offsets that passed.
    fn passed(window: usize, records: &[(i64, i64)]) -> Vec<i64> {
        let mut chain = build(&[dedup("event.number", window)], &order(), &Type::Str).unwrap();
        let mut passed = Vec::new();
        for (offset, number) in records {
            let bump = Bump::new();
            let offset = Value::Int(*offset);
            let scope = Scope { offset, ..Scope::of(event(&bump, *number, &[]), &bump) };
            let end = chain.run(scope, &mut |scope| {
                passed.extend(match scope.offset {
                    Value::Int(n) => Some(n),
                    _ => None,
                });
                Ok(())
            });
            assert!(matches!(end, Ok(1) | Err(End::Drop(_))), "{end:?}");
        }
        passed
    }

    #[test]
    fn the_second_is_dropped_until_the_first_is_forgotten() {
        assert_eq!(passed(2, &[(0, 7), (1, 7), (2, 8), (3, 9), (4, 7)]), [0, 2, 3, 4]);
    }

    #[test]
    fn a_record_that_is_run_again_is_no_duplicate_of_itself_but_the_repeat_still_is() {
        assert_eq!(passed(9, &[(5, 7), (9, 7), (5, 7), (9, 7)]), [5, 5]);
    }

    #[test]
    fn after_a_way_back_the_earlier_record_is_the_original() {
        assert_eq!(
            passed(1, &[(5, 7), (6, 8), (9, 7), (5, 7), (6, 8), (9, 7)]),
            [5, 6, 9, 5, 6, 9]
        );
        assert_eq!(passed(9, &[(9, 7), (5, 7), (9, 7)]), [9, 5]);
    }

    #[test]
    fn a_list_or_a_window_of_nothing_is_refused() {
        assert!(mistakes(&[dedup("event.lines", 1)])[0].contains("`by` must be one value"));
        assert!(mistakes(&[dedup("event.number", 0)])[0].contains("allowed are 1 to 1000000"));
        let default = Stages::Dedup(Options { by: None, window: WINDOW });
        assert_eq!(mistakes(&[default]), [""; 0]);
    }

    proptest! {
        #[test]
        fn forward_it_drops_exactly_what_the_last_different_ones_hold(
            numbers in proptest::collection::vec(0_i64..8, 0..60),
            window in 1_usize..6,
        ) {
            let mut remembered: VecDeque<i64> = VecDeque::new();
            let mut expect = Vec::new();
            for (offset, number) in (0..).zip(&numbers) {
                if remembered.contains(number) {
                    continue;
                }
                expect.push(offset);
                remembered.push_back(*number);
                if remembered.len() > window {
                    remembered.pop_front();
                }
            }
            let records: Vec<_> = (0..).zip(numbers).collect();
            prop_assert_eq!(passed(window, &records), expect);
        }
    }
}
