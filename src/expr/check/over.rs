//! `all exists exists_one map filter`: the list functions that have a variable.

use cel::common::ast::{Expr, IdedExpr};

use super::{Checked, Checker, Variable, at};
use crate::expr::each::{Each, How};
use crate::expr::env::NAMES;
use crate::expr::error::Mistake;
use crate::expr::kinds::{self, Kinds};
use crate::expr::node::Node;
use crate::record::{Type, Uses};

/// List functions within list functions, at most.
const WITHIN_MAX: usize = 8;

impl Checker<'_> {
    /// `range.how(variable, body)` or `range.map(variable, only, body)`.
    pub(super) fn over(
        &mut self,
        place: usize,
        how: How,
        range: &IdedExpr,
        args: &[IdedExpr],
    ) -> Option<Checked> {
        let (variable, only, body) = match (args, how) {
            ([variable, body], _) => (variable, None, body),
            ([variable, only, body], How::Map) => (variable, Some(only), body),
            _ => {
                let text =
                    format!("`{0}` is written as list.{0}(variable, expression)", how.word());
                return self.wrong(place, Mistake::NotHere(text));
            }
        };
        let name = self.variable(variable);
        let range = self.part(range)?;
        let name = name?;
        let (ty, keys) = match kinds::pick(&range.ty, Kinds::LIST.or(Kinds::MAP)) {
            Some(Type::List(item)) => ((**item).clone(), false),
            Some(Type::Map(_)) => (Type::Str, true),
            _ => return self.wrong_type("the value before it", "a list or a map", range, ""),
        };
        self.locals.push(Variable { name, ty, path: range.path.clone().filter(|_| !keys) });
        let before = self.nodes;
        let condition = match (how, only) {
            (How::Map, None) => None,
            (How::Map, Some(only)) => Some(self.boolean("the condition", only)),
            _ => Some(self.boolean("the expression", body)),
        };
        let body = match (how, only) {
            (How::Map, Some(only)) => self.given(only, true, |checker| checker.value(body)),
            (How::Map, None) => self.value(body),
            _ => None,
        };
        let steps = 1 + self.nodes - before;
        self.locals.pop();
        if let Some(path) = &range.path {
            self.range_is_read(path);
        }
        let (only, body) = match (how, condition, body) {
            (How::Map, only, body) => {
                let only = match only {
                    Some(only) => Some(only?.node),
                    None => None,
                };
                (only, body?)
            }
            (_, condition, _) => (None, condition??),
        };
        let (ty, path) = result(how, &range, body.ty);
        let start = range.start;
        let each = Each { how, range: range.node, only, body: body.node, steps, at: at(place) };
        Some(Checked { path, ..Checked::new(Node::Each(Box::new(each)), ty, start) })
    }

    /// The variable's name: new here, so that nobody reads the wrong one.
    fn variable(&mut self, e: &IdedExpr) -> Option<String> {
        let start = self.start(e);
        let Expr::Ident(name) = &e.expr else {
            let text = "the first argument is a name for the item".to_owned();
            return self.wrong(start, Mistake::NotHere(text));
        };
        let taken = NAMES.iter().any(|(known, _)| known == name)
            || self.locals.iter().any(|local| local.name == *name);
        if taken {
            let text = format!("`{name}` is a name already: call the item otherwise");
            return self.wrong(start, Mistake::NotHere(text));
        }
        if self.locals.len() == WITHIN_MAX {
            let text = format!("at most {WITHIN_MAX} list functions within one another");
            return self.wrong(start, Mistake::NotHere(text));
        }
        Some(name.clone())
    }

    /// A list whose items nobody looks into is read all the same: it has a length.
    fn range_is_read(&mut self, path: &[String]) {
        let read = path
            .iter()
            .try_fold(&self.uses, |uses: &Uses, field| uses.below(field))
            .is_some_and(|uses| *uses != Uses::nothing());
        if !read {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            self.uses.add(&path);
        }
    }
}

/// The type of the result, and its path where its items are still those of the event.
fn result(how: How, range: &Checked, body: Type) -> (Type, Option<Vec<String>>) {
    match how {
        How::Map => (Type::List(Box::new(body)), None),
        How::Filter => match kinds::pick(&range.ty, Kinds::LIST.or(Kinds::MAP)) {
            Some(list @ Type::List(_)) => (list.clone(), range.path.clone()),
            _ => (Type::List(Box::new(Type::Str)), None),
        },
        _ => (Type::Bool, None),
    }
}
