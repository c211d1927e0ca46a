//! `&& || ! ?:`.

use cel::common::ast::IdedExpr;

use super::{Checked, Checker, at};
use crate::expr::error::Mistake;
use crate::expr::kinds;
use crate::expr::node::Node;
use crate::record::Type;

impl Checker<'_> {
    /// `left && right` (`and`) or `left || right`. The parser nests long chains; here they lie flat.
    pub(super) fn chain(
        &mut self,
        place: usize,
        and: bool,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Option<Checked> {
        let what = if and { "a part of `&&`" } else { "a part of `||`" };
        let first = self.boolean(what, left);
        let second = self.given(left, and, |checker| checker.boolean(what, right));
        let (first, second) = (first?, second?);
        let start = first.start;
        let mut parts = Vec::new();
        for part in [first.node, second.node] {
            match part {
                Node::And { of, .. } if and => parts.extend(of),
                Node::Or { of, .. } if !and => parts.extend(of),
                part => parts.push(part),
            }
        }
        let (of, at) = (parts.into_boxed_slice(), at(place));
        let node = if and { Node::And { of, at } } else { Node::Or { of, at } };
        Some(Checked::new(node, Type::Bool, start))
    }

    pub(super) fn not(&mut self, place: usize, of: &IdedExpr) -> Option<Checked> {
        let of = self.boolean("the value after `!`", of)?;
        let node = Node::Not { of: Box::new(of.node), at: at(place) };
        Some(Checked::new(node, Type::Bool, place))
    }

    /// `condition ? yes : no`, both of one type.
    pub(super) fn ternary(
        &mut self,
        place: usize,
        condition: &IdedExpr,
        yes: &IdedExpr,
        no: &IdedExpr,
    ) -> Option<Checked> {
        let test = self.boolean("the condition of `?:`", condition);
        let yes = self.given(condition, true, |checker| checker.value(yes));
        let no = self.given(condition, false, |checker| checker.value(no));
        let (test, yes, no) = (test?, yes?, no?);
        let Some(ty) = kinds::either(&yes.ty, &no.ty) else {
            let mistake = Mistake::Operands {
                what: "?:".to_owned(),
                got: format!("{} and {}", yes.ty, no.ty),
                hint: "both of one type".to_owned(),
            };
            return self.wrong(no.start, mistake);
        };
        let node = Node::If { parts: Box::new([test.node, yes.node, no.node]), at: at(place) };
        Some(Checked::new(node, ty, test.start))
    }
}
