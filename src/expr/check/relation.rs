//! `== != < <= > >= in`: which types compare, and the nodes for the common cases.

use cel::common::ast::{Expr, IdedExpr, operators};

use super::select::is_null;
use super::{Checked, Checker, at};
use crate::expr::compare::Order;
use crate::expr::constant::Const;
use crate::expr::error::Mistake;
use crate::expr::function::uuid_of;
use crate::expr::kinds::{self, Kinds};
use crate::expr::nearest::nearest;
use crate::expr::node::{Node, Test};
use crate::record::Type;

/// The order that an operator tests.
pub(super) fn order(name: &str) -> Option<Order> {
    match name {
        operators::LESS => Some(Order::Less),
        operators::LESS_EQUALS => Some(Order::LessOrEqual),
        operators::GREATER => Some(Order::Greater),
        operators::GREATER_EQUALS => Some(Order::GreaterOrEqual),
        _ => None,
    }
}

impl Checker<'_> {
    pub(super) fn equal(
        &mut self,
        place: usize,
        negated: bool,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Option<Checked> {
        // Asking twice whether a value is null is no mistake: a guard around here does not count.
        let asks = is_null(left) || is_null(right);
        let known = if asks { std::mem::take(&mut self.present) } else { Vec::new() };
        let (left, right) = (self.value(left), self.value(right));
        if asks {
            self.present = known;
        }
        let (mut left, mut right) = (left?, right?);
        let start = left.start;
        self.meet(&left.ty.clone(), &mut right)?;
        self.meet(&right.ty.clone(), &mut left)?;
        self.equatable(if negated { "!=" } else { "==" }, place, &left, &right)?;
        let (test, at) = (if negated { Test::NotEqual } else { Test::Equal }, at(place));
        let node = match (left.node, right.node) {
            (Node::Slot(slot), Node::Const(with)) | (Node::Const(with), Node::Slot(slot)) => {
                Node::SlotTest { slot, test, with, at }
            }
            (left, right) => Node::Equal { sides: Box::new([left, right]), negated, at },
        };
        Some(Checked::new(node, Type::Bool, start))
    }

    /// Refuses an equality that can only be false.
    fn equatable(
        &mut self,
        sign: &str,
        place: usize,
        left: &Checked,
        right: &Checked,
    ) -> Option<()> {
        for (one, other) in [(left, right), (right, left)] {
            let nullable = Kinds::of(&other.ty).has(crate::record::ValueKind::Null);
            if one.ty == Type::Null && !nullable && other.ty != kinds::unknown() {
                return self.wrong(place, Mistake::NeverNull(other.ty.clone()));
            }
        }
        if kinds::equatable(&left.ty, &right.ty) {
            return Some(());
        }
        self.unlike(sign, place, left, right)
    }

    fn unlike<T>(
        &mut self,
        sign: &str,
        place: usize,
        left: &Checked,
        right: &Checked,
    ) -> Option<T> {
        let mistake = Mistake::Operands {
            what: sign.to_owned(),
            got: format!("{} and {}", left.ty, right.ty),
            hint: hint(&left.ty, &right.ty).to_owned(),
        };
        self.wrong(place, mistake)
    }

    pub(super) fn ordered(
        &mut self,
        place: usize,
        order: Order,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Option<Checked> {
        let (left, right) = (self.value(left), self.value(right));
        let (mut left, mut right) = (left?, right?);
        let start = left.start;
        self.meet(&left.ty.clone(), &mut right)?;
        self.meet(&right.ty.clone(), &mut left)?;
        if !kinds::orderable(&left.ty, &right.ty) {
            return self.unlike(order.sign(), place, &left, &right);
        }
        let node = match (left.node, right.node) {
            (Node::Slot(slot), Node::Const(with)) => {
                Node::SlotTest { slot, test: Test::Ordered(order), with, at: at(place) }
            }
            (Node::Const(with), Node::Slot(slot)) => {
                Node::SlotTest { slot, test: Test::Ordered(order.flipped()), with, at: at(place) }
            }
            (left, right) => Node::Ordered { order, sides: Box::new([left, right]), at: at(place) },
        };
        Some(Checked::new(node, Type::Bool, start))
    }

    /// `value in list` or `key in map`.
    pub(super) fn among(
        &mut self,
        place: usize,
        value: &IdedExpr,
        of: &IdedExpr,
    ) -> Option<Checked> {
        if let Expr::List(list) = &of.expr {
            let constants =
                list.elements.iter().all(|e| matches!(e.expr, Expr::Literal(_) | Expr::Call(_)));
            if constants && !list.elements.is_empty() {
                return self.among_items(place, value, &list.elements, of);
            }
        }
        let (value, of) = (self.value(value), self.value(of));
        let (value, of) = (value?, of?);
        let fits = match kinds::pick(&of.ty, Kinds::LIST.or(Kinds::MAP)) {
            Some(Type::List(item)) => kinds::equatable(&value.ty, item),
            Some(Type::Map(_)) => !Kinds::of(&value.ty).and(Kinds::STR).is_none(),
            _ => false,
        };
        if !fits {
            return self.unlike("in", place, &value, &of);
        }
        let start = value.start;
        let node = Node::In { sides: Box::new([value.node, of.node]), at: at(place) };
        Some(Checked::new(node, Type::Bool, start))
    }

    /// `value in [a, b]`: each item is checked against the value by itself; if all are constants, the set
    /// is kept in the program.
    fn among_items(
        &mut self,
        place: usize,
        value: &IdedExpr,
        items: &[IdedExpr],
        list: &IdedExpr,
    ) -> Option<Checked> {
        let value = self.value(value);
        let items: Vec<Option<Checked>> = items.iter().map(|e| self.value(e)).collect();
        let value = value?;
        let mut nodes = Vec::new();
        for mut item in items.into_iter().collect::<Option<Vec<_>>>()? {
            let met = self.meet(&value.ty, &mut item);
            let place = item.start;
            let fits = met.and_then(|()| self.equatable("in", place, &value, &item));
            nodes.push(fits.map(|()| item.node));
        }
        let nodes: Vec<Node> = nodes.into_iter().collect::<Option<_>>()?;
        let start = value.start;
        let constant = |node: &Node| match node {
            Node::Const(constant) => Some(constant.clone()),
            _ => None,
        };
        let node = match nodes.iter().map(constant).collect::<Option<Vec<_>>>() {
            Some(set) => Node::Among { of: Box::new(value.node), set: set.into(), at: at(place) },
            None => {
                let items = Node::List { items: nodes.into(), at: at(self.place(list)) };
                Node::In { sides: Box::new([value.node, items]), at: at(place) }
            }
        };
        Some(Checked::new(node, Type::Bool, start))
    }

    /// A constant text that is compared with a uuid becomes one; with an enum, it must be a symbol.
    fn meet(&mut self, with: &Type, side: &mut Checked) -> Option<()> {
        let Some(text) = side.text().map(str::to_owned) else {
            return Some(());
        };
        match kinds::some(with).0 {
            Type::Uuid => match uuid_of(&text) {
                Some(id) => {
                    side.node = Node::Const(Const::Uuid(id));
                    side.ty = Type::Uuid;
                    Some(())
                }
                None => {
                    let text = format!("`{text}` is no uuid");
                    self.wrong(side.start, Mistake::NotHere(text))
                }
            },
            Type::Enum(symbols) if !symbols.contains(&text) => {
                let mistake = Mistake::Symbol {
                    near: nearest(&text, symbols.iter().map(String::as_str)).map(str::to_owned),
                    symbols: symbols.join(", "),
                    text,
                };
                self.wrong(side.start, mistake)
            }
            _ => Some(()),
        }
    }
}

/// What to write instead.
pub(super) fn hint(left: &Type, right: &Type) -> &'static str {
    let (left, right) = (kinds::some(left).0, kinds::some(right).0);
    match (left, right) {
        (Type::Decimal { .. }, Type::Double) | (Type::Double, Type::Decimal { .. }) => {
            "a double is not exact: write the constant as decimal(\"1.23\"), or convert with double()"
        }
        (Type::Int, Type::Double) | (Type::Double, Type::Int) => {
            "write the constant with a point (1.0), or convert with double() or int()"
        }
        (Type::Timestamp, Type::Str) | (Type::Str, Type::Timestamp) => {
            "write timestamp(\"2026-01-31T10:00:00Z\")"
        }
        (Type::Date, Type::Str) | (Type::Str, Type::Date) => "write date(\"2026-01-31\")",
        (Type::Time, Type::Str) | (Type::Str, Type::Time) => "write time(\"10:00:00\")",
        (Type::Duration, Type::Str) | (Type::Str, Type::Duration) => "write duration(\"1h30m\")",
        (Type::Decimal { .. }, Type::Str) | (Type::Str, Type::Decimal { .. }) => {
            "write decimal(\"1.23\")"
        }
        (Type::Date, Type::Timestamp) | (Type::Timestamp, Type::Date) => {
            "convert with date() or timestamp()"
        }
        (Type::Str, _) | (_, Type::Str) => "convert with string()",
        _ => "",
    }
}
