//! Constants, lists and maps.

use cel::common::ast::{EntryExpr, ListExpr, LiteralValue, MapExpr};

use super::{Checked, Checker, at};
use crate::expr::constant::Const;
use crate::expr::error::Mistake;
use crate::expr::kinds;
use crate::expr::node::Node;
use crate::record::Type;

impl Checker<'_> {
    pub(super) fn literal(&mut self, literal: &LiteralValue, start: usize) -> Option<Checked> {
        let (constant, ty) = match literal {
            LiteralValue::Boolean(truth) => (Const::Bool(*truth.inner()), Type::Bool),
            LiteralValue::Int(n) => (Const::Int(*n.inner()), Type::Int),
            LiteralValue::Double(n) => (Const::Double(*n.inner()), Type::Double),
            LiteralValue::String(text) => (Const::Text(text.inner().into()), Type::Str),
            LiteralValue::Bytes(bytes) => (Const::Bytes(bytes.inner().into()), Type::Bytes),
            LiteralValue::Null => (Const::Null, Type::Null),
            LiteralValue::UInt(_) => {
                let text = "there are no unsigned ints: write the number without `u`".to_owned();
                return self.wrong(start, Mistake::NotHere(text));
            }
        };
        Some(Checked::new(Node::Const(constant), ty, start))
    }

    /// `[a, b]`: items of one type.
    pub(super) fn list(&mut self, list: &ListExpr, start: usize) -> Option<Checked> {
        let items: Vec<Option<Checked>> = list.elements.iter().map(|e| self.value(e)).collect();
        let items: Vec<Checked> = items.into_iter().collect::<Option<_>>()?;
        let ty = self.one_type("[]", &items)?;
        let node =
            Node::List { items: items.into_iter().map(|item| item.node).collect(), at: at(start) };
        Some(Checked::new(node, Type::List(Box::new(ty)), start))
    }

    /// `{"a": b}`: string keys, values of one type.
    pub(super) fn map(&mut self, map: &MapExpr, start: usize) -> Option<Checked> {
        let mut keys = Vec::new();
        let mut values = Vec::new();
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return self.wrong(start, Mistake::Syntax("this is no map".into()));
            };
            keys.push(self.value(&entry.key));
            values.push(self.value(&entry.value));
        }
        let keys: Vec<Checked> = keys.into_iter().collect::<Option<_>>()?;
        let values: Vec<Checked> = values.into_iter().collect::<Option<_>>()?;
        for (i, key) in keys.iter().enumerate() {
            if !matches!(key.ty, Type::Str | Type::Enum(_)) {
                let mistake = Mistake::Type {
                    what: "a key of a map",
                    want: "string".into(),
                    got: key.ty.clone(),
                    hint: "",
                };
                return self.wrong(key.start, mistake);
            }
            let said = |other: &Checked| other.text().is_some() && other.text() == key.text();
            if keys[..i].iter().any(said) {
                let text = "this key stands in the map already".to_owned();
                return self.wrong(key.start, Mistake::NotHere(text));
            }
        }
        let ty = self.one_type("{}", &values)?;
        let nodes = |of: Vec<Checked>| of.into_iter().map(|checked| checked.node);
        let node = Node::Map { entries: nodes(keys).zip(nodes(values)).collect(), at: at(start) };
        Some(Checked::new(node, Type::Map(Box::new(ty)), start))
    }

    fn one_type(&mut self, what: &str, items: &[Checked]) -> Option<Type> {
        let mut ty = kinds::unknown();
        for item in items {
            let Some(both) = kinds::either(&ty, &item.ty) else {
                let mistake = Mistake::Operands {
                    what: what.to_owned(),
                    got: format!("{ty} and {}", item.ty),
                    hint: "all of one type".to_owned(),
                };
                return self.wrong(item.start, mistake);
            };
            ty = both;
        }
        Some(ty)
    }
}
