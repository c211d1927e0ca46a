//! The type check, which makes the compiled form as it goes.
//!
//! A part with a mistake gives `None` and has reported it; its neighbours are checked all the same, so
//! that every mistake of an expression shows at once.

mod call;
mod literal;
mod logic;
mod over;
mod relation;
mod select;

use std::collections::BTreeSet;

use cel::common::ast::{CallExpr, Expr, IdedExpr, SourceInfo, operators};

use super::constant::Const;
use super::env::{Env, NAMES};
use super::error::{Error, Mistake};
use super::kinds::{self, Kinds};
use super::nearest::nearest;
use super::node::Node;
use crate::record::{Name, Type, Uses};

/// Checks one expression.
pub(super) struct Checker<'e> {
    text: &'e str,
    env: &'e Env,
    places: &'e SourceInfo,
    pub(super) errors: Vec<Error>,
    pub(super) uses: Uses,
    pub(super) names: BTreeSet<Name>,
    locals: Vec<Variable>,
    /// What a condition around here has shown to be not null: `event.x`.
    present: Vec<String>,
    /// Nodes so far: the cost of a list function's body.
    nodes: usize,
}

/// A variable of a list function.
struct Variable {
    name: String,
    ty: Type,
    /// Where its values lie in the event.
    path: Option<Vec<String>>,
}

/// A part that is right.
pub(super) struct Checked {
    pub(super) node: Node,
    pub(super) ty: Type,
    /// The path of field names, where it is a field of the event (through lists and maps).
    pub(super) path: Option<Vec<String>>,
    /// Where it begins in the text.
    start: usize,
}

impl Checked {
    fn new(node: Node, ty: Type, start: usize) -> Self {
        Self { node, ty, path: None, start }
    }

    /// The constant text that it is.
    fn text(&self) -> Option<&str> {
        match &self.node {
            Node::Const(Const::Text(text)) => Some(text),
            _ => None,
        }
    }
}

impl<'e> Checker<'e> {
    pub(super) fn new(text: &'e str, env: &'e Env, places: &'e SourceInfo) -> Self {
        Self {
            text,
            env,
            places,
            errors: Vec::new(),
            uses: Uses::nothing(),
            names: BTreeSet::new(),
            locals: Vec::new(),
            present: Vec::new(),
            nodes: 0,
        }
    }

    /// The whole expression; its value is used.
    pub(super) fn root(&mut self, tree: &IdedExpr) -> Option<Checked> {
        let checked = self.value(tree)?;
        // An empty list alone has no type that a sink could take.
        match &checked.ty {
            Type::List(item) if **item == kinds::unknown() => {
                let hint = "the items of `[]` have no type here".to_owned();
                self.wrong(checked.start, Mistake::NotHere(hint))
            }
            _ => Some(checked),
        }
    }

    /// A part whose value is used whole: if it is a field, the event must have it.
    fn value(&mut self, e: &IdedExpr) -> Option<Checked> {
        let checked = self.part(e)?;
        if let Some(path) = &checked.path {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            self.uses.add(&path);
        }
        Some(checked)
    }

    /// A part that may be selected from: what is used of it, the caller records.
    fn part(&mut self, e: &IdedExpr) -> Option<Checked> {
        self.nodes += 1;
        let start = self.start(e);
        match &e.expr {
            Expr::Ident(name) => self.name(name, start),
            Expr::Literal(literal) => self.literal(literal, start),
            Expr::List(list) => self.list(list, start),
            Expr::Map(map) => self.map(map, start),
            Expr::Select(select) => self.select(e, select),
            Expr::Call(call) => self.call(e, call),
            Expr::Struct(of) => {
                let text = format!(
                    "`{}{{…}}`: there are no message types; a map is {{\"name\": value}}",
                    of.type_name
                );
                self.wrong(start, Mistake::NotHere(text))
            }
            Expr::Comprehension(_) | Expr::Unspecified => {
                self.wrong(start, Mistake::Syntax("this is no CEL expression".into()))
            }
        }
    }

    fn call(&mut self, e: &IdedExpr, call: &CallExpr) -> Option<Checked> {
        let at = self.place(e);
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => self.ternary(at, condition, yes, no),
            (operators::LOGICAL_AND, [left, right]) => self.chain(at, true, left, right),
            (operators::LOGICAL_OR, [left, right]) => self.chain(at, false, left, right),
            (operators::LOGICAL_NOT, [of]) => self.not(at, of),
            (operators::EQUALS, [left, right]) => self.equal(at, false, left, right),
            (operators::NOT_EQUALS, [left, right]) => self.equal(at, true, left, right),
            (operators::IN, [left, right]) => self.among(at, left, right),
            (operators::INDEX, [of, index]) => self.index(at, of, index),
            (name, [left, right]) if relation::order(name).is_some() => {
                self.ordered(at, relation::order(name)?, left, right)
            }
            ("has", [of]) if call.target.is_none() => self.has(of),
            (name, args) => self.function(e, name, call.target.as_deref(), args),
        }
    }

    fn name(&mut self, name: &str, start: usize) -> Option<Checked> {
        if let Some(i) = self.locals.iter().rposition(|local| local.name == name) {
            let node = Node::Local(self.locals.len() - 1 - i);
            let local = &self.locals[i];
            return Some(Checked {
                path: local.path.clone(),
                ..Checked::new(node, local.ty.clone(), start)
            });
        }
        let Some((_, known)) = NAMES.iter().find(|(known, _)| *known == name) else {
            return self.unknown_name(name, start);
        };
        self.names.insert(*known);
        let path = (*known == Name::Event).then(Vec::new);
        Some(Checked { path, ..Checked::new(Node::Name(*known), self.env.ty(*known), start) })
    }

    fn unknown_name(&mut self, name: &str, start: usize) -> Option<Checked> {
        let known: Vec<String> = NAMES
            .iter()
            .map(|(known, _)| (*known).to_owned())
            .chain(self.locals.iter().map(|local| local.name.clone()))
            .collect();
        let near = if self.env.event().field(name).is_some() {
            Some(format!("event.{name}"))
        } else {
            nearest(name, known.iter().map(String::as_str)).map(str::to_owned)
        };
        let mistake =
            Mistake::UnknownName { name: name.to_owned(), near, allowed: known.join(", ") };
        self.wrong(start, mistake)
    }

    /// A part that must be able to be true or false.
    fn boolean(&mut self, what: &'static str, e: &IdedExpr) -> Option<Checked> {
        let checked = self.value(e)?;
        if Kinds::of(&checked.ty).and(Kinds::BOOL).is_none() {
            return self.wrong_type(what, "bool", checked, "");
        }
        Some(checked)
    }

    fn wrong_type(
        &mut self,
        what: &'static str,
        want: &str,
        got: Checked,
        hint: &'static str,
    ) -> Option<Checked> {
        let mistake = Mistake::Type { what, want: want.to_owned(), got: got.ty, hint };
        self.wrong(got.start, mistake)
    }

    fn wrong<T>(&mut self, offset: usize, mistake: Mistake) -> Option<T> {
        self.errors.push(Error::at(self.text, offset, mistake));
        None
    }

    /// Where the parser says a node stands: an operator's sign, a call's bracket, a selection's point.
    fn place(&self, e: &IdedExpr) -> usize {
        self.places.offset_for(e.id).map_or(0, |(start, _)| start as usize)
    }

    /// Where a node's text begins.
    fn start(&self, e: &IdedExpr) -> usize {
        match &e.expr {
            Expr::Select(select) => self.start(&select.operand),
            Expr::Call(call) => match (&call.target, call.args.first()) {
                (Some(target), _) => self.start(target),
                (None, Some(left)) if is_infix(&call.func_name) => self.start(left),
                (None, _) if call.func_name.contains(['_', '!']) => self.place(e),
                (None, _) => self.word_before(self.place(e), &call.func_name),
            },
            _ => self.place(e),
        }
    }

    /// Where the word before this place begins: a function's name before its bracket.
    fn word_before(&self, place: usize, word: &str) -> usize {
        self.text.get(..place).and_then(|before| before.rfind(word)).unwrap_or(place)
    }
}

fn is_infix(name: &str) -> bool {
    (name.starts_with('_') && name.ends_with(['_', ']']) && name.len() > 2) || name == operators::IN
}

/// A place in the compiled form; the text is far shorter than 4 GiB.
fn at(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
