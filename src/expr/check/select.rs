//! Fields, indexes and `has`.

use std::sync::Arc;

use cel::common::ast::{CallExpr, Expr, IdedExpr, SelectExpr, operators};

use super::{Checked, Checker, at};
use crate::expr::error::Mistake;
use crate::expr::kinds::{self, Kinds};
use crate::expr::nearest::nearest;
use crate::expr::node::Node;
use crate::record::{Name, Shape, Type, ValueKind};

const RECORD: Kinds = Kinds::only(ValueKind::Record);

/// What `.` finds in a type.
enum Fields {
    Record(Arc<Shape>),
    Map(Type),
    /// Several records: which one a value is cannot be told from it.
    Many,
    None,
}

fn fields(ty: &Type) -> Fields {
    match ty {
        Type::Record(shape) => Fields::Record(Arc::clone(shape)),
        Type::Map(value) => Fields::Map((**value).clone()),
        Type::Optional(of) => fields(of),
        Type::Union(of) => {
            let mut found =
                of.iter().filter(|ty| !Kinds::of(ty).and(RECORD.or(Kinds::MAP)).is_none());
            match (found.next(), found.next()) {
                (Some(only), None) => fields(only),
                (Some(_), Some(_)) => Fields::Many,
                (None, _) => Fields::None,
            }
        }
        _ => Fields::None,
    }
}

impl Checker<'_> {
    /// `of.field`: of a record by its slot, of a map by its key.
    pub(super) fn select(&mut self, e: &IdedExpr, select: &SelectExpr) -> Option<Checked> {
        let of = self.part(&select.operand)?;
        let point = self.place(e);
        let checked = match fields(&of.ty) {
            Fields::Record(shape) => self.field(of, &shape, &select.field, point)?,
            Fields::Map(value) => {
                let key = select.field.as_str().into();
                let node = Node::Key { of: Box::new(of.node), key, at: at(point) };
                Checked { path: of.path, ..Checked::new(node, value, of.start) }
            }
            Fields::Many => {
                let text = "a union of several records has no fields of its own".to_owned();
                return self.wrong(point, Mistake::NotHere(text));
            }
            Fields::None => {
                let hint = match kinds::some(&of.ty).0 {
                    Type::List(_) => "take an item by [0], or use all(), exists(), map(), filter()",
                    _ => "",
                };
                return self.wrong_type("the value before `.`", "a record or a map", of, hint);
            }
        };
        Some(self.narrowed(e, checked))
    }

    fn field(&mut self, of: Checked, shape: &Shape, field: &str, point: usize) -> Option<Checked> {
        let Some((slot, ty)) = shape.field(field) else {
            let near = nearest(field, shape.fields.iter().map(|f| f.name.as_str()));
            let mistake = Mistake::UnknownField {
                field: field.to_owned(),
                of: shape.name.clone(),
                near: near.map(str::to_owned),
            };
            let rest = self.text.get(point + 1..).unwrap_or_default();
            let blanks = rest.len() - rest.trim_start().len();
            return self.wrong(point + 1 + blanks, mistake);
        };
        let node = match of.node {
            Node::Name(Name::Event) => Node::Slot(slot),
            node => Node::Field { of: Box::new(node), slot, at: at(point) },
        };
        let path = of.path.map(|mut path| {
            path.push(field.to_owned());
            path
        });
        Some(Checked { path, ..Checked::new(node, ty.clone(), of.start) })
    }

    /// `of[index]`: of a list by a number from 0, of a map by its key.
    pub(super) fn index(
        &mut self,
        place: usize,
        of: &IdedExpr,
        index: &IdedExpr,
    ) -> Option<Checked> {
        let (of, index) = (self.part(of), self.value(index));
        let (of, index) = (of?, index?);
        let (want, item) = match kinds::pick(&of.ty, Kinds::LIST.or(Kinds::MAP)) {
            Some(Type::List(item)) => (Kinds::INT, (**item).clone()),
            Some(Type::Map(value)) => (Kinds::STR, (**value).clone()),
            _ => return self.wrong_type("the value before `[`", "a list or a map", of, ""),
        };
        if Kinds::of(&index.ty).and(want).is_none() {
            let want = if want == Kinds::INT { "int" } else { "string" };
            return self.wrong_type("the index", want, index, "");
        }
        let node = match index.text() {
            Some(key) => Node::Key { key: key.into(), of: Box::new(of.node), at: at(place) },
            None => {
                Node::Index { of: Box::new(of.node), index: Box::new(index.node), at: at(place) }
            }
        };
        Some(Checked { path: of.path, ..Checked::new(node, item, of.start) })
    }

    /// `has(a.b)`: is the field there and not null? Null on the way there is "no".
    pub(super) fn has(&mut self, of: &IdedExpr) -> Option<Checked> {
        let start = self.start(of);
        let Expr::Select(_) = &of.expr else {
            let text = "has() takes a field: has(event.field)".to_owned();
            return self.wrong(start, Mistake::NotHere(text));
        };
        let checked = self.value(of)?;
        let node = Node::Has(Box::new(checked.node));
        Some(Checked::new(node, Type::Bool, start))
    }

    /// Without null, where a condition around here has shown that it is not.
    fn narrowed(&self, e: &IdedExpr, checked: Checked) -> Checked {
        let Type::Optional(some) = &checked.ty else {
            return checked;
        };
        let known = chain(e).is_some_and(|chain| self.present.contains(&chain));
        if known {
            let ty = (**some).clone();
            return Checked { ty, ..checked };
        }
        checked
    }

    /// Checks a part where the condition is known to have come out `truth`.
    pub(super) fn given<T>(
        &mut self,
        condition: &IdedExpr,
        truth: bool,
        check: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let before = self.present.len();
        shown(condition, truth, &mut self.present);
        let checked = check(self);
        self.present.truncate(before);
        checked
    }
}

/// A chain of selections as text: `event.a.b`.
fn chain(e: &IdedExpr) -> Option<String> {
    match &e.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) => chain(&select.operand).map(|of| format!("{of}.{}", select.field)),
        _ => None,
    }
}

/// The chains that are not null when the condition has come out `truth`, with all that they begin with.
fn shown(condition: &IdedExpr, truth: bool, found: &mut Vec<String>) {
    let Expr::Call(CallExpr { func_name, args, .. }) = &condition.expr else {
        return;
    };
    match (func_name.as_str(), args.as_slice(), truth) {
        (operators::LOGICAL_AND, [left, right], true)
        | (operators::LOGICAL_OR, [left, right], false) => {
            shown(left, truth, found);
            shown(right, truth, found);
        }
        (operators::LOGICAL_NOT, [of], truth) => shown(of, !truth, found),
        ("has", [of], true) => not_null(of, found),
        (operators::NOT_EQUALS, [left, right], true)
        | (operators::EQUALS, [left, right], false) => {
            if is_null(right) {
                not_null(left, found);
            } else if is_null(left) {
                not_null(right, found);
            }
        }
        _ => {}
    }
}

fn not_null(e: &IdedExpr, found: &mut Vec<String>) {
    let mut e = e;
    while let Expr::Select(select) = &e.expr {
        found.extend(chain(e));
        e = &select.operand;
    }
    found.extend(chain(e));
}

pub(super) fn is_null(e: &IdedExpr) -> bool {
    matches!(e.expr, Expr::Literal(cel::common::ast::LiteralValue::Null))
}
