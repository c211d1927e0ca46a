//! Functions and arithmetic: which overloads take these types.

use cel::common::ast::IdedExpr;
use rust_decimal::Decimal;

use super::relation::hint;
use super::{Checked, Checker, at};
use crate::expr::LIST_FUNCTIONS;
use crate::expr::constant::Const;
use crate::expr::each::How;
use crate::expr::error::Mistake;
use crate::expr::function::{self, Row, Style};
use crate::expr::kinds::{self, Kinds};
use crate::expr::nearest::nearest;
use crate::expr::node::Node;
use crate::expr::program;
use crate::record::Type;

/// Combinations of a call's argument types, at most, over the alternatives of unions.
const COMBINATIONS_MAX: usize = 64;

impl Checker<'_> {
    /// `name(args)`, `target.name(args)` or an arithmetic operator.
    pub(super) fn function(
        &mut self,
        e: &IdedExpr,
        name: &str,
        target: Option<&IdedExpr>,
        args: &[IdedExpr],
    ) -> Option<Checked> {
        let place = self.place(e);
        if let (Some(how), Some(target)) = (How::of(name), target) {
            return self.over(place, how, target, args);
        }
        let method = target.is_some();
        if function::rows(name, method).next().is_none() {
            return self.unknown_function(place, name, method);
        }
        let start = self.start(e);
        let args: Vec<Option<Checked>> =
            target.into_iter().chain(args).map(|arg| self.value(arg)).collect();
        let args: Vec<Checked> = args.into_iter().collect::<Option<_>>()?;
        self.overload(place, start, name, method, args)
    }

    fn unknown_function(&mut self, place: usize, name: &str, method: bool) -> Option<Checked> {
        let place = self.word_before(place, name);
        let left_out = match name {
            "matches" => {
                "there are no regular expressions: use startsWith(), endsWith(), contains()"
            }
            "uint" => "there are no unsigned ints: use int()",
            "dyn" | "type" => {
                "every type is known when the file is read: there is no such function"
            }
            "now" => {
                "there is no clock, so that a replay decides as the first run did: use timestamp"
            }
            _ if function::rows(name, !method).next().is_some() && method => {
                "it is written as a function: f(x)"
            }
            _ if function::rows(name, !method).next().is_some() => {
                "it is written behind a value: x.f()"
            }
            _ if LIST_FUNCTIONS.contains(&name) => "it is written behind a list: list.f(x, …)",
            _ => {
                let near = nearest(name, function::names()).map(str::to_owned);
                let name = name.to_owned();
                return self.wrong(place, Mistake::UnknownFunction { name, near });
            }
        };
        self.wrong(place, Mistake::NotHere(format!("`{name}`: {left_out}")))
    }

    fn overload(
        &mut self,
        place: usize,
        start: usize,
        name: &str,
        method: bool,
        args: Vec<Checked>,
    ) -> Option<Checked> {
        let types: Vec<&Type> = args.iter().map(|arg| &arg.ty).collect();
        let (mut rows, mut makes, mut certain) = (Vec::new(), Vec::new(), false);
        for row in function::rows(name, method) {
            let Some(results) = results(row, &types) else {
                continue;
            };
            makes.extend(results);
            rows.push(row);
            certain = types.iter().zip(row.takes).all(|(ty, takes)| Kinds::of(ty).within(*takes));
            let covers =
                |(ty, takes): (&&Type, &Kinds)| Kinds::of(ty).without(Kinds::NULL).within(*takes);
            if types.iter().zip(row.takes).all(covers) {
                break;
            }
        }
        let Some(ty) = one_of(makes) else {
            return self.no_overload(place, start, name, method, &args);
        };
        let nodes: Box<[Node]> = args.into_iter().map(|arg| arg.node).collect();
        let constant = nodes.iter().all(|node| matches!(node, Node::Const(_)));
        let folds = rows.iter().all(|row| row.style == Style::Global || row.name == "-_");
        let node = match rows.as_slice() {
            [row] if certain => Node::Call { row, args: nodes, at: at(place) },
            _ => Node::Choose { rows: rows.into(), args: nodes, at: at(place) },
        };
        if constant && folds {
            return self.folded(&node, ty, start);
        }
        Some(Checked::new(node, ty, start))
    }

    /// A conversion of a constant is a constant: `decimal("1.20")`. It is wrong now or never.
    fn folded(&mut self, node: &Node, ty: Type, start: usize) -> Option<Checked> {
        match program::constant(node, |value| Const::of(&value)) {
            Ok(Some(Const::Decimal(n))) => {
                let ty = decimal_of(n);
                Some(Checked::new(Node::Const(Const::Decimal(n)), ty, start))
            }
            Ok(Some(constant)) => Some(Checked::new(Node::Const(constant), ty, start)),
            Ok(None) => None,
            Err(problem) => self.wrong(start, Mistake::Constant(problem)),
        }
    }

    fn no_overload(
        &mut self,
        place: usize,
        start: usize,
        name: &str,
        method: bool,
        args: &[Checked],
    ) -> Option<Checked> {
        let rows: Vec<&Row> = function::rows(name, method).collect();
        let sign = rows.first().map_or(name, |row| row.sign);
        let operator = rows.iter().any(|row| row.style == Style::Operator);
        let hint = match args {
            [left, right] if operator => hint(&left.ty, &right.ty).to_owned(),
            _ if operator => String::new(),
            _ => format!("it takes {}", takes(&rows)),
        };
        let types: Vec<String> = args.iter().map(|arg| arg.ty.to_string()).collect();
        let mistake = Mistake::Operands {
            what: sign.to_owned(),
            got: if types.is_empty() {
                "nothing".to_owned()
            } else {
                types.join(if operator { " and " } else { ", " })
            },
            hint,
        };
        self.wrong(if operator { place } else { start }, mistake)
    }
}

/// What an overload makes of arguments of these types, over all their alternatives; `None`: it takes none.
fn results(row: &Row, types: &[&Type]) -> Option<Vec<Type>> {
    if row.takes.len() != types.len() {
        return None;
    }
    let mut combinations: Vec<Vec<Type>> = vec![Vec::new()];
    for (ty, takes) in types.iter().zip(row.takes) {
        let mut fitting = Vec::new();
        alternatives(ty, *takes, &mut fitting);
        combinations = combinations
            .iter()
            .flat_map(|before| {
                fitting.iter().map(|ty| {
                    let mut with = before.clone();
                    with.push((*ty).clone());
                    with
                })
            })
            .take(COMBINATIONS_MAX)
            .collect();
    }
    let made: Vec<Type> = combinations.iter().filter_map(|of| (row.makes)(of)).collect();
    (!made.is_empty()).then_some(made)
}

fn alternatives<'t>(ty: &'t Type, kinds: Kinds, found: &mut Vec<&'t Type>) {
    match ty {
        Type::Optional(of) => alternatives(of, kinds, found),
        Type::Union(of) => of.iter().for_each(|ty| alternatives(ty, kinds, found)),
        ty if !Kinds::of(ty).and(kinds).is_none() => found.push(ty),
        _ => {}
    }
}

/// One type for all results: the one they have in common, else their union.
fn one_of(mut makes: Vec<Type>) -> Option<Type> {
    let mut distinct: Vec<Type> = Vec::new();
    for ty in makes.drain(..) {
        if !distinct.contains(&ty) {
            distinct.push(ty);
        }
    }
    let first = distinct.first()?.clone();
    let common = distinct.iter().try_fold(first, |common, ty| kinds::either(&common, ty));
    Some(common.unwrap_or_else(|| Type::Union(distinct.into())))
}

fn decimal_of(n: Decimal) -> Type {
    let digits = n.mantissa().unsigned_abs().checked_ilog10().map_or(1, |log| log + 1);
    kinds::decimal(digits.max(n.scale()), n.scale())
}

/// The overloads in words: `(string, int) or (string, int, int)`.
fn takes(rows: &[&Row]) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|row| {
            let args: Vec<String> = row.takes.iter().map(ToString::to_string).collect();
            format!("({})", args.join(", "))
        })
        .collect();
    rows.join(" or ")
}
