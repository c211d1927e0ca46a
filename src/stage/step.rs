//! What a stage is: one step of an event's way.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::expr::{EvalError, Problem, Program};
use crate::record::{End, Fault, Name, Scope, Shape, Uses, Value};

/// One step of an event's way. One per partition task: it may keep state within a generation.
pub trait Stage: Send + Sync + fmt::Debug {
    /// Takes the event one step further: changes the scope in place, or splits it into children.
    ///
    /// # Errors
    /// The event ends here.
    fn apply<'a>(&mut self, scope: &mut Scope<'a>) -> Result<Flow<'a>, End>;

    /// The shape of the events that leave it.
    fn output(&self) -> &Arc<Shape>;

    /// What it needs of the event that comes in when `of_output` is used of the event that leaves.
    fn uses(&self, of_output: &Uses) -> Uses;

    /// The names that its expressions say.
    fn names(&self) -> BTreeSet<Name>;

    /// The same stage without what it has seen: for another partition or generation.
    fn fresh(&self) -> Box<dyn Stage>;
}

/// How an event goes on.
#[derive(Clone, Copy, Debug)]
pub enum Flow<'a> {
    /// As one event, in the scope as it is now.
    On,
    /// As these, in their order; never empty.
    Split(&'a [Child<'a>]),
}

/// One event of a split one.
#[derive(Clone, Copy, Debug)]
pub struct Child<'a> {
    /// Its fields.
    pub event: &'a [Value<'a>],
    /// Its id: the parent's, `/`, its number from 0; null where nobody uses ids.
    pub id: Value<'a>,
}

/// Which stage of a pipeline: for the reasons of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// From 1.
    pub(super) number: usize,
    /// The word in the pipeline file.
    pub(super) name: &'static str,
}

impl Place {
    /// The end of a record on which an expression failed.
    #[cold]
    pub(super) fn failed(self, program: &Program, error: EvalError) -> End {
        let Place { number, name } = self;
        let text = shortened(program.text());
        let reason = format!("stage {number} ({name}), `{text}`, {error}");
        End::Fault(match error.problem {
            // No record's fault: dead-lettering them would lose good ones.
            Problem::Shape => Fault::fatal("expression_shape", reason),
            _ => Fault::poison("expression", reason),
        })
    }

    /// The end of a record whose fields are not those that the stage was built for.
    #[cold]
    pub(super) fn misshapen(self) -> End {
        let Place { number, name } = self;
        End::Fault(Fault::fatal(
            "stage_shape",
            format!("stage {number} ({name}): the event is not of the shape that it was built for"),
        ))
    }

    /// The field in that slot.
    pub(super) fn slot<'a>(self, event: &[Value<'a>], slot: usize) -> Result<Value<'a>, End> {
        event.get(slot).copied().ok_or_else(|| self.misshapen())
    }
}

/// The first line of an expression, at most 80 characters of it.
fn shortened(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    if line.len() == text.trim().len() && line.chars().count() <= 80 {
        return line.to_owned();
    }
    let cut: String = line.chars().take(80).collect();
    format!("{cut}…")
}

/// What is used of each field, where the uses of a whole event mean all fields of its shape.
pub(super) fn by_field<'u>(
    of: &'u Uses,
    shape: &'u Shape,
) -> impl Iterator<Item = (&'u str, &'u Uses)> {
    let (all, some) = match of {
        Uses::All => (Some(&shape.fields), None),
        Uses::Fields(fields) => (None, Some(fields)),
    };
    let all = all.into_iter().flatten().map(|field| (field.name.as_str(), &Uses::All));
    let some = some.into_iter().flatten().map(|(name, uses)| (name.as_str(), uses));
    all.chain(some)
}

#[cfg(test)]
pub(super) mod testing {
    //! What the stages' tests share: an order with lines, and a chain run on it.

    use bumpalo::Bump;
    use rust_decimal::Decimal;

    use super::*;
    use crate::record::{Field, Type};
    use crate::stage::{Options, build};

    fn shape(name: &str, fields: &[(&str, Type)]) -> Arc<Shape> {
        let field = |(name, ty): &(&str, Type)| Field { name: (*name).to_owned(), ty: ty.clone() };
        Arc::new(Shape { name: name.to_owned(), fields: fields.iter().map(field).collect() })
    }

    /// `order { number, status, note?, lines: [line { sku, quantity, price }] }`.
    pub(in crate::stage) fn order() -> Arc<Shape> {
        let line = shape(
            "line",
            &[
                ("sku", Type::Str),
                ("quantity", Type::Int),
                ("price", Type::Decimal { precision: 9, scale: 2 }),
            ],
        );
        shape(
            "order",
            &[
                ("number", Type::Int),
                ("status", Type::Enum(["open".to_owned(), "paid".to_owned()].into())),
                ("note", Type::Optional(Box::new(Type::Str))),
                ("lines", Type::List(Box::new(Type::Record(line)))),
            ],
        )
    }

    /// An order whose lines have these quantities.
    pub(in crate::stage) fn event<'a>(
        bump: &'a Bump,
        number: i64,
        quantities: &[i64],
    ) -> &'a [Value<'a>] {
        let lines = bump.alloc_slice_fill_iter(quantities.iter().map(|quantity| {
            let line =
                [Value::Str("lamp"), Value::Int(*quantity), Value::Decimal(Decimal::new(1999, 2))];
            Value::Record(bump.alloc_slice_copy(&line))
        }));
        bump.alloc_slice_copy(&[
            Value::Int(number),
            Value::Str("open"),
            Value::Null,
            Value::List(lines),
        ])
    }

    /// Runs one event through these stages: what came out (fields and id, as text), and how it ended.
    pub(in crate::stage) fn run(
        stages: &[Options],
        number: i64,
        quantities: &[i64],
    ) -> (Vec<String>, Result<usize, End>) {
        let mut chain = build(stages, &order(), &Type::Str).unwrap();
        let bump = Bump::new();
        let scope =
            Scope { id: Value::Str("e1"), ..Scope::of(event(&bump, number, quantities), &bump) };
        let mut seen = Vec::new();
        let end = chain.run(scope, &mut |scope| {
            let fields: Vec<String> = scope.event.iter().map(text).collect();
            seen.push(format!("{}: {}", text(&scope.id), fields.join(" ")));
            Ok(())
        });
        (seen, end)
    }

    fn text(value: &Value<'_>) -> String {
        match value {
            Value::Null => "null".to_owned(),
            Value::Int(n) => n.to_string(),
            Value::Decimal(n) => n.to_string(),
            Value::Str(text) => (*text).to_owned(),
            Value::Record(fields) | Value::List(fields) => {
                let fields: Vec<String> = fields.iter().map(text).collect();
                format!("({})", fields.join(" "))
            }
            other => format!("{other:?}"),
        }
    }

    /// The mistakes of these stages, as `line:column stage: text`.
    pub(in crate::stage) fn mistakes(stages: &[Options]) -> Vec<String> {
        match build(stages, &order(), &Type::Str) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(|e| format!("{}:{} {e}", e.line, e.column)).collect(),
        }
    }
}
