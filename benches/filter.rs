//! A filter of four comparisons against the `cel` crate's evaluator: `cargo bench --bench filter`.
//!
//! The crate gets its variables already bound, one context an event, so that only its evaluation is timed.
//! Ours runs on decoded values, once as a bare expression and once as the stage of a chain. Every round
//! runs all contestants over the same events, one after the other, so that what slows the machine slows
//! them all; a ratio is of one round, and the median and the spread are over the rounds. All truths are
//! compared with those of plain Rust before and while the race is timed: a wrong result has no score.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench is its own reader"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bumpalo::Bump;
use ordermill::expr::{Env, Source, compile};
use ordermill::record::{End, Field, Scope, Shape, Type, Value};
use ordermill::stage::{self, Options, filter};

/// Timed rounds, after one that is not counted.
const ROUNDS: usize = 11;
/// How often all events are taken in a round; the best of the tries counts.
const TRIES: usize = 7;
const EVENTS: usize = 500;

const OURS: &str =
    "event.quantity > 10 && event.price < 900.0 && event.status == 'open' && event.country != 'DE'";
const THEIRS: &str = "quantity > 10 && price < 900.0 && status == 'open' && country != 'DE'";

struct Order {
    quantity: i64,
    price: f64,
    status: &'static str,
    country: &'static str,
}

impl Order {
    /// Most pass most comparisons: the whole filter runs on three of four.
    fn number(n: usize) -> Order {
        Order {
            quantity: if n % 16 == 3 { 5 } else { 11 + n as i64 },
            price: if n % 16 == 7 { 950.0 } else { 100.5 },
            status: if n % 16 == 11 { "paid" } else { "open" },
            country: if n.is_multiple_of(5) { "DE" } else { "FR" },
        }
    }

    fn passes(&self) -> bool {
        self.quantity > 10 && self.price < 900.0 && self.status == "open" && self.country != "DE"
    }
}

fn shape() -> Arc<Shape> {
    let field = |(name, ty): (&str, Type)| Field { name: name.to_owned(), ty };
    let fields = [
        ("quantity", Type::Int),
        ("price", Type::Double),
        ("status", Type::Str),
        ("country", Type::Str),
    ];
    Arc::new(Shape { name: "order".to_owned(), fields: fields.map(field).to_vec() })
}

/// Nanoseconds an event: the best of the tries. Every try must find as many passing events as there are.
fn time(expect: usize, mut passing: impl FnMut() -> usize) -> f64 {
    let once = |passing: &mut dyn FnMut() -> usize| {
        let start = Instant::now();
        let found = black_box(passing());
        let nanos = start.elapsed().as_nanos() as f64 / EVENTS as f64;
        assert_eq!(found, expect, "a wrong result has no score");
        nanos
    };
    (0..TRIES).map(|_| once(&mut passing)).fold(f64::INFINITY, f64::min)
}

fn report(name: &str, mut of: Vec<f64>, unit: &str) {
    of.sort_by(f64::total_cmp);
    let (median, low, high) = (of[of.len() / 2], of[0], of[of.len() - 1]);
    println!("{name:<44} {median:>8.1} {unit}  ({low:.1} to {high:.1}, {ROUNDS} rounds)");
}

fn main() {
    let orders: Vec<Order> = (0..EVENTS).map(Order::number).collect();
    let expect = orders.iter().filter(|order| order.passes()).count();
    let bump = Bump::new();
    let scopes: Vec<Scope<'_>> = orders
        .iter()
        .map(|order| {
            let fields = [
                Value::Int(order.quantity),
                Value::Double(order.price),
                Value::Str(order.status),
                Value::Str(order.country),
            ];
            Scope::of(bump.alloc_slice_copy(&fields), &bump)
        })
        .collect();
    let program = compile(OURS, &Env::new(shape(), Type::Str)).unwrap();
    let options = Options::Filter(filter::Options { rule: Source::from(OURS) });
    let mut chain = stage::build(&[options], &shape(), &Type::Str).unwrap();

    let theirs = cel::Program::compile(THEIRS).unwrap();
    let contexts: Vec<cel::Context<'_, '_>> = orders
        .iter()
        .map(|order| {
            let mut context = cel::Context::default();
            context.add_variable_from_value("quantity", order.quantity);
            context.add_variable_from_value("price", order.price);
            context.add_variable_from_value("status", order.status);
            context.add_variable_from_value("country", order.country);
            context
        })
        .collect();
    for ((order, scope), context) in orders.iter().zip(&scopes).zip(&contexts) {
        assert_eq!(program.eval_bool(scope), Ok(order.passes()));
        assert_eq!(theirs.execute(context), Ok(cel::Value::Bool(order.passes())));
    }

    let (mut ours, mut staged, mut crates) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let bare = time(expect, || {
            scopes.iter().filter(|scope| program.eval_bool(black_box(scope)) == Ok(true)).count()
        });
        let stage = time(expect, || {
            let mut passed = 0;
            for scope in &scopes {
                let end = chain.run(*black_box(scope), &mut |scope| {
                    black_box(scope);
                    Ok(())
                });
                assert!(matches!(end, Ok(1) | Err(End::Drop(_))));
                passed += usize::from(end.is_ok());
            }
            passed
        });
        let cel = time(expect, || {
            let truth = |context: &&cel::Context<'_, '_>| {
                theirs.execute(black_box(context)) == Ok(cel::Value::Bool(true))
            };
            contexts.iter().filter(truth).count()
        });
        if round > 0 {
            ours.push(bare);
            staged.push(stage);
            crates.push(cel);
        }
    }
    let ratio = |of: &[f64]| crates.iter().zip(of).map(|(cel, ours)| cel / ours).collect();
    let (bare, stage) = (ratio(&ours), ratio(&staged));
    report("filter of four comparisons, expression", ours, "ns");
    report("the same as the stage of a chain", staged, "ns");
    report("the cel crate, variables bound", crates, "ns");
    report("times as fast as the cel crate (goal: 5)", bare, "x ");
    report("the stage, times as fast as the cel crate", stage, "x ");
}
