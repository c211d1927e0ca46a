//! `unnest`: makes one event of each item of a list. The child has the parent's fields but the list, then
//! the field `as` with the item: `event.item.quantity`. Its id is the parent's, `/`, its number from 0.
//! A record whose list is empty or null is dropped with the reason `unnest`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Row;
use super::chain::Site;
use super::error::Mistake;
use super::step::{Child, Flow, Place, Stage, by_field};
use crate::expr::Source;
use crate::record::{End, Fault, Field, Name, Scope, Shape, Type, Uses, Value};

pub(super) const NAME: &str = "unnest";

/// Its row in the table.
pub const ROW: Row = Row {
    name: NAME,
    does: "makes one event of each item of a list, with the id `parent/i` from 0; the record's \
           end waits for all of them, one that is rejected rejects it, and an empty list drops \
           it (`unnest`)",
};

/// Items of a list that is unnested, at most; a record with more is poison.
pub const ITEMS_MAX: usize = 65_536;

/// `unnest: { field, as = item }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The list.
    pub field: Source,
    /// The field that holds the item: `item` where the file says nothing.
    pub item: String,
}

impl Options {
    pub(super) fn build(&self, site: &mut Site<'_>) -> Option<Unnest> {
        site.name(&Source::new(&self.item, self.field.line, self.field.column))?;
        let event = Arc::clone(site.env.event());
        let slot = site.slot(&self.field)?;
        let (list, field) = (&event.fields[slot], self.field.text.clone());
        let ty = match &list.ty {
            Type::Optional(some) => some,
            ty => ty,
        };
        let Type::List(item) = ty else {
            return site.wrong(&self.field, Mistake::NotAList { field, ty: list.ty.clone() });
        };
        let mut fields = event.fields.clone();
        fields.remove(slot);
        if fields.iter().any(|field| field.name == self.item) {
            return site.wrong(&self.field, Mistake::Taken(self.item.clone()));
        }
        fields.push(Field { name: self.item.clone(), ty: (**item).clone() });
        let shape = Arc::new(Shape { name: event.name.clone(), fields });
        Some(Unnest { slot, field: field.into(), place: site.place, shape })
    }
}

/// The stage.
#[derive(Clone, Debug)]
pub(super) struct Unnest {
    slot: usize,
    field: Arc<str>,
    place: Place,
    /// Of the children; the item is the last field.
    shape: Arc<Shape>,
}

impl Unnest {
    fn child<'a>(&self, scope: &Scope<'a>, number: usize, item: Value<'a>) -> Child<'a> {
        let width = self.shape.fields.len();
        let mut event = bumpalo::collections::Vec::with_capacity_in(width, scope.bump);
        let others = scope.event.iter().enumerate().filter(|(slot, _)| *slot != self.slot);
        event.extend(others.map(|(_, value)| *value));
        event.push(item);
        Child { event: event.into_bump_slice(), id: id(scope, number) }
    }
}

fn id<'a>(scope: &Scope<'a>, number: usize) -> Value<'a> {
    use bumpalo::format;
    match scope.id {
        Value::Str(parent) => {
            Value::Str(format!(in scope.bump, "{}/{}", parent, number).into_bump_str())
        }
        Value::Uuid(parent) => {
            Value::Str(format!(in scope.bump, "{}/{}", parent, number).into_bump_str())
        }
        // Nobody uses ids.
        other => other,
    }
}

impl Stage for Unnest {
    fn apply<'a>(&mut self, scope: &mut Scope<'a>) -> Result<Flow<'a>, End> {
        let items = match self.place.slot(scope.event, self.slot)? {
            Value::List(items) => items,
            Value::Null => &[],
            _ => return Err(self.place.misshapen()),
        };
        if items.is_empty() {
            return Err(End::Drop(NAME.into()));
        }
        if items.len() > ITEMS_MAX {
            let (number, field, count) = (self.place.number, &self.field, items.len());
            let reason = format!(
                "stage {number} ({NAME}): `{field}` has {count} items; at most {ITEMS_MAX} are allowed"
            );
            return Err(End::Fault(Fault::poison("unnest_items", reason)));
        }
        let mut children = bumpalo::collections::Vec::with_capacity_in(items.len(), scope.bump);
        for (number, item) in items.iter().enumerate() {
            children.push(self.child(scope, number, *item));
        }
        Ok(Flow::Split(children.into_bump_slice()))
    }

    fn output(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// The list is read in any case: it says how many children there are.
    fn uses(&self, of_output: &Uses) -> Uses {
        let item = self.shape.fields.last().map_or("", |field| field.name.as_str());
        let mut passed = Uses::nothing();
        let mut list = None;
        for (name, uses) in by_field(of_output, &self.shape) {
            if name == item {
                list = Some(uses.clone()).filter(|uses| *uses != Uses::nothing());
            } else {
                passed = passed.union(Uses::Fields([(name.to_owned(), uses.clone())].into()));
            }
        }
        let list = list.unwrap_or(Uses::All);
        passed.union(Uses::Fields([(self.field.to_string(), list)].into()))
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
    use crate::stage::step::testing::{mistakes, order, run};
    use crate::stage::{Options as Stages, build, check, filter, keep};

    fn unnest(field: &str, item: &str) -> Stages {
        Stages::Unnest(Options { field: field.into(), item: item.to_owned() })
    }

    fn filter(rule: &str) -> Stages {
        Stages::Filter(filter::Options { rule: rule.into() })
    }

    #[test]
    fn a_child_has_the_parents_fields_but_the_list_then_the_item_and_its_own_id() {
        let (seen, end) = run(&[unnest("lines", "item")], 4, &[1, 2]);
        assert_eq!(seen, ["e1/0: 4 open null (lamp 1 19.99)", "e1/1: 4 open null (lamp 2 19.99)"]);
        assert_eq!(end, Ok(2));
    }

    #[test]
    fn no_items_is_a_drop() {
        assert_eq!(run(&[unnest("lines", "item")], 4, &[]).1, Err(End::Drop("unnest".into())));
    }

    #[test]
    fn a_dropped_child_is_left_out_and_the_record_is_dropped_only_if_none_remains() {
        let stages = [unnest("lines", "item"), filter("event.item.quantity > 1")];
        let (seen, end) = run(&stages, 4, &[1, 2, 3]);
        assert_eq!((seen.len(), end), (2, Ok(2)));
        assert_eq!(run(&stages, 4, &[1, 1]).1, Err(End::Drop("filter".into())));
    }

    #[test]
    fn one_rejected_child_rejects_the_record() {
        let rule = "event.item.quantity < 9".into();
        let check = Stages::Check(check::Options { rule, reason: "too many".to_owned() });
        let (seen, end) = run(&[unnest("lines", "item"), check], 4, &[1, 9, 2]);
        assert_eq!((seen.len(), end), (1, Err(End::Reject("too many".into()))));
    }

    #[test]
    fn what_is_used_of_the_item_is_what_is_used_of_the_list() {
        let stages = [unnest("lines", "line"), filter("event.line.quantity > 1")];
        let chain = build(&stages, &order(), &Type::Str).unwrap();
        let mut of_output = Uses::nothing();
        of_output.add(&["number"]);
        of_output.add(&["line", "sku"]);
        let mut expect = Uses::nothing();
        expect.add(&["number"]);
        expect.add(&["lines", "quantity"]);
        expect.add(&["lines", "sku"]);
        assert_eq!(chain.uses(&of_output), expect);
    }

    #[test]
    fn the_item_may_take_the_lists_name_but_no_other() {
        let fields = vec![Source::from("lines")];
        let keep = Stages::Keep(keep::Options { fields });
        let (seen, _) = run(&[keep, unnest("lines", "lines")], 4, &[1]);
        assert_eq!(seen, ["e1/0: (lamp 1 19.99)"]);
        assert_eq!(
            mistakes(&[unnest("lines", "number")]),
            [
                "1:1 stage 1 (unnest): the event has a field `number` already: choose another name by `as`"
            ]
        );
        assert_eq!(
            mistakes(&[unnest("number", "item")]),
            ["1:1 stage 1 (unnest): `number` must be a list, but it is int"]
        );
    }
}
