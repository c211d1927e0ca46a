//! A compiled expression.

use std::collections::BTreeSet;

use super::check::Checker;
use super::env::Env;
use super::error::Error;
use super::frame::{Frame, Limits};
use super::node::Node;
use super::{EvalError, Problem, parse};
use crate::record::{Name, Scope, Type, Uses, Value};

/// An expression that was checked against an environment and runs on scopes of its shape.
#[derive(Debug)]
pub struct Program {
    root: Node,
    ty: Type,
    text: Box<str>,
    uses: Uses,
    names: BTreeSet<Name>,
    path: Option<Vec<String>>,
}

/// Checks a text against an environment and compiles it.
///
/// # Errors
/// Every mistake at once, in the order of the text.
pub fn compile(text: &str, env: &Env) -> Result<Program, Vec<Error>> {
    let (tree, places) = parse::parse(text)?;
    let mut checker = Checker::new(text, env, &places);
    let root = checker.root(&tree);
    match root {
        Some(checked) if checker.errors.is_empty() => Ok(Program {
            root: checked.node,
            ty: checked.ty,
            text: text.into(),
            uses: checker.uses,
            names: checker.names,
            path: checked.path,
        }),
        _ => {
            let mut errors = checker.errors;
            errors.sort_by_key(|error| error.offset);
            errors.dedup();
            Err(errors)
        }
    }
}

impl Program {
    /// The type of its values. A decimal's precision and scale are upper bounds.
    pub fn ty(&self) -> &Type {
        &self.ty
    }

    /// The text that it was compiled from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The fields of the event that it reads.
    pub fn uses(&self) -> &Uses {
        &self.uses
    }

    /// The names that it says; `Event` is among them where it reads a field.
    pub fn names(&self) -> &BTreeSet<Name> {
        &self.names
    }

    /// The path of field names, where the whole expression is one field of the event (`event.a.b`) or the
    /// event itself (the empty path).
    pub fn path(&self) -> Option<&[String]> {
        self.path.as_deref()
    }

    /// The fields of the event that it reads when only `of` its value is wanted: less than
    /// [`Program::uses`] where the expression is a mere field.
    pub fn uses_for(&self, of: &Uses) -> Uses {
        match &self.path {
            Some(path) => path
                .iter()
                .rev()
                .fold(of.clone(), |below, field| Uses::Fields([(field.clone(), below)].into())),
            None => self.uses.clone(),
        }
    }

    /// Its value on this event.
    ///
    /// # Errors
    /// The expression failed on this event, or spent its budget: see [`Problem`].
    pub fn eval<'a>(&self, scope: &Scope<'a>) -> Result<Value<'a>, EvalError> {
        let limits = Limits::new();
        self.root.eval(&Frame { scope, limits: &limits, local: None })
    }

    /// Its truth on this event; for programs of type bool.
    ///
    /// # Errors
    /// As [`Program::eval`]; a value that is no truth value is one, too.
    pub fn eval_bool(&self, scope: &Scope<'_>) -> Result<bool, EvalError> {
        let limits = Limits::new();
        self.root.test(&Frame { scope, limits: &limits, local: None })
    }
}

/// The value of a constant expression.
pub(super) fn constant<T>(node: &Node, then: impl FnOnce(Value<'_>) -> T) -> Result<T, Problem> {
    let bump = bumpalo::Bump::new();
    let scope = Scope::of(&[], &bump);
    let limits = Limits::new();
    let frame = Frame { scope: &scope, limits: &limits, local: None };
    node.eval(&frame).map(then).map_err(|error| error.problem)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bumpalo::Bump;
    use rust_decimal::Decimal;
    use uuid::Uuid;

    use super::*;
    use crate::expr::arithmetic::DAY;
    use crate::record::{Field, Shape, ValueKind};

    fn shape(name: &str, fields: &[(&str, Type)]) -> Arc<Shape> {
        let field = |(name, ty): &(&str, Type)| Field { name: (*name).to_owned(), ty: ty.clone() };
        Arc::new(Shape { name: name.to_owned(), fields: fields.iter().map(field).collect() })
    }

    fn optional(ty: Type) -> Type {
        Type::Optional(Box::new(ty))
    }

    fn line() -> Arc<Shape> {
        shape(
            "line",
            &[("sku", Type::Str), ("quantity", Type::Int), ("gift", optional(Type::Bool))],
        )
    }

    fn env() -> Env {
        let symbols = ["open", "paid", "shipped"].map(str::to_owned);
        let customer = shape("customer", &[("name", Type::Str), ("tier", optional(Type::Int))]);
        let order = shape(
            "order",
            &[
                ("quantity", Type::Int),
                ("name", Type::Str),
                ("total", Type::Decimal { precision: 12, scale: 2 }),
                ("weight", Type::Double),
                ("express", Type::Bool),
                ("status", Type::Enum(symbols.into())),
                ("number", Type::Uuid),
                ("created", Type::Timestamp),
                ("day", Type::Date),
                ("note", optional(Type::Str)),
                ("discount", optional(Type::Int)),
                ("lines", Type::List(Box::new(Type::Record(line())))),
                ("tags", Type::List(Box::new(Type::Str))),
                ("attributes", Type::Map(Box::new(Type::Int))),
                ("customer", optional(Type::Record(customer))),
                ("amount", Type::Union([Type::Int, Type::Str].into())),
                ("raw", Type::Bytes),
                ("at", Type::Time),
            ],
        );
        Env::new(order, Type::Str)
    }

    fn event<'a>(bump: &'a Bump) -> &'a [Value<'a>] {
        let line = |sku: &'static str, quantity: i64, gift| {
            let fields = [Value::Str(sku), Value::Int(quantity), gift];
            Value::Record(bump.alloc_slice_copy(&fields))
        };
        let lines = [line("lamp", 2, Value::Bool(true)), line("desk", 30, Value::Null)];
        let id = Uuid::from_u128(0x0190_a1b2_0000_7000_8000_0000_0000_0001);
        bump.alloc_slice_copy(&[
            Value::Int(7),
            Value::Str("Größe lamp"),
            Value::Decimal(Decimal::new(1999, 2)),
            Value::Double(1.5),
            Value::Bool(true),
            Value::Str("open"),
            Value::Uuid(id),
            // 2026-01-05T10:00:00.25Z
            Value::Timestamp(1_767_607_200_250_000),
            Value::Date(20_458),
            Value::Null,
            Value::Null,
            Value::List(bump.alloc_slice_copy(&lines)),
            Value::List(bump.alloc_slice_copy(&[Value::Str("a"), Value::Str("b")])),
            Value::Map(bump.alloc_slice_copy(&[("x", Value::Int(1)), ("y", Value::Int(2))])),
            Value::Null,
            Value::Str("12"),
            Value::Bytes(b"\x01abc"),
            Value::Time(36_000_000_000),
        ])
    }

    fn program(text: &str) -> Program {
        compile(text, &env()).unwrap_or_else(|errors| panic!("{text}: {errors:?}"))
    }

    fn with<T>(text: &str, look: impl FnOnce(Result<Value<'_>, EvalError>) -> T) -> T {
        let bump = Bump::new();
        let headers = [("trace", Value::Bytes(b"t1")), ("empty", Value::Null)];
        let scope = Scope {
            key: Value::Str("k1"),
            id: Value::Str("e1"),
            headers: Value::Map(&headers),
            topic: Value::Str("orders"),
            partition: Value::Int(3),
            offset: Value::Int(41),
            ..Scope::of(event(&bump), &bump)
        };
        look(program(text).eval(&scope))
    }

    #[track_caller]
    fn holds(texts: &[&str]) {
        for text in texts {
            with(text, |value| assert_eq!(value, Ok(Value::Bool(true)), "{text}"));
        }
    }

    #[track_caller]
    fn fails(text: &str, problem: Problem, column: u32) {
        with(text, |value| {
            let error = value.unwrap_err();
            assert_eq!((error.problem, error.column()), (problem, column), "{text}");
        });
    }

    #[track_caller]
    fn refused(text: &str, expect: &[&str]) {
        let errors = compile(text, &env()).expect_err(text);
        let found: Vec<String> = errors.iter().map(|e| format!("{}: {e}", e.column)).collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn numbers_compare_and_calculate() {
        holds(&[
            "event.quantity == 7 && event.quantity != 8 && event.quantity > 6 && 7 <= event.quantity",
            "event.quantity * 2 + 1 == 15 && event.quantity / 2 == 3 && event.quantity % 4 == 3",
            "-event.quantity == -7 && event.weight * 2.0 == 3.0 && -event.weight < 0.0",
            "event.total == decimal('19.990') && event.total > 19 && event.total * 3 == decimal('59.97')",
            "event.total + decimal('0.01') == 20 && round(event.total / 3, 2) == decimal('6.66')",
            "event.quantity in [1, 7] && !(event.quantity in [1, 2])",
        ]);
        fails("event.quantity + 9223372036854775807 > 0", Problem::Overflow("+"), 16);
        fails("event.quantity / (event.quantity - 7) > 0", Problem::Zero, 16);
    }

    #[test]
    fn text_is_looked_at_and_made() {
        holds(&[
            "event.name.startsWith('Grö') && event.name.endsWith('lamp') && event.name.contains('ß')",
            "size(event.name) == 10 && event.name.size() == 10 && size(event.raw) == 4",
            "event.name.substring(6) == 'lamp' && event.name.substring(0, 2) == 'Gr'",
            "event.name.indexOf('l') == 6 && event.name.indexOf('x') == -1",
            "' a '.trim() + 'B'.lowerAscii() == 'ab' && 'aXa'.replace('a', 'bb') == 'bbXbb'",
            "'a,b,c'.split(',') == ['a', 'b', 'c'] && 'a,b,c'.split(',', 2)[1] == 'b,c'",
            "event.tags.join('-') == 'a-b' && string(7) == '7' && int('7') == event.quantity",
            "event.status == 'open' && event.status in ['paid', 'open'] && event.status.size() == 4",
            "bytes('abc') == b'abc' && string(b'abc') == 'abc'",
        ]);
        fails("event.name.substring(11) == ''", Problem::Index("substring"), 21);
        fails("int(event.name) > 1", Problem::Convert("int()"), 4);
    }

    #[test]
    fn times_are_utc_and_calculate_with_durations() {
        holds(&[
            "event.created > timestamp('2026-01-05T09:59:59Z')",
            "event.created - timestamp('2026-01-05T10:00:00Z') == duration('250ms')",
            "event.created + duration('24h') > event.created && event.created - duration('1h') < event.created",
            "event.created.getFullYear() == 2026 && event.created.getMonth() == 0 && event.created.getDate() == 5",
            "event.created.getDayOfWeek() == 1 && event.created.getHours() == 10",
            "event.created.getMilliseconds() == 250 && date(event.created) == date('2026-01-05')",
            "event.day.getFullYear() == 2026 && event.day - date('2026-01-05') == duration('0')",
            "string(event.created) == '2026-01-05T10:00:00.25Z' && string(event.day) == '2026-01-05'",
            "event.at == time('10:00:00') && string(event.at) == '10:00:00' && event.at.getHours() == 10",
            "duration('1h30m').getMinutes() == 90 && timestamp(event.day) < event.created",
            "event.number == '0190a1b2-0000-7000-8000-000000000001'",
            "event.number in ['0190A1B2-0000-7000-8000-000000000001'] && event.number == uuid(string(event.number))",
        ]);
        assert_eq!(event(&Bump::new())[8], Value::Date((1_767_607_200_250_000 / DAY) as i32));
        fails(
            "timestamp('9999-12-31T23:00:00Z') + duration('2h') > event.created",
            Problem::Overflow("+"),
            35,
        );
    }

    #[test]
    fn null_equals_null_and_nothing_else_and_has_no_order() {
        holds(&[
            "event.note == null && event.discount != 5 && !(event.discount == 5)",
            "!has(event.note) && has(event.name) && !has(event.customer.tier)",
            "event.discount == null || event.discount > 3",
            "(has(event.discount) ? event.discount : 0) + 1 == 1",
            "(event.customer == null ? 'none' : event.customer.name) == 'none'",
        ]);
        fails("event.discount > 3", Problem::Null(">"), 16);
        fails("event.discount + 3 > 1", Problem::Null("+"), 16);
        fails("event.customer.name == 'x'", Problem::FieldOfNull, 15);
        fails("event.note.size() > 1", Problem::Null("size"), 16);
    }

    #[test]
    fn a_guard_takes_null_out_of_the_type() {
        for (text, ty) in [
            ("event.discount", optional(Type::Int)),
            ("has(event.discount) ? event.discount : 0", Type::Int),
            ("event.discount != null ? event.discount : 0", Type::Int),
            ("event.discount == null ? 0 : event.discount", Type::Int),
            ("!has(event.discount) || event.quantity > 1 ? 0 : event.discount", Type::Int),
            ("event.discount == null || event.discount == null ? 0 : event.discount", Type::Int),
            ("has(event.note) ? event.discount : 0", optional(Type::Int)),
            ("event.quantity > 1 ? event.name : null", optional(Type::Str)),
            ("event.total * event.quantity", Type::Decimal { precision: 28, scale: 2 }),
            ("event.lines.map(l, l.quantity)", Type::List(Box::new(Type::Int))),
        ] {
            assert_eq!(*program(text).ty(), ty, "{text}");
        }
    }

    #[test]
    fn what_decides_decides_even_where_another_part_fails() {
        holds(&[
            "event.discount > 3 || true",
            "true || event.discount > 3",
            "!(event.discount > 3 && false)",
            "event.lines.exists(l, l.gift || l.quantity > 10)",
            "!event.lines.all(l, l.gift && l.quantity > 10)",
        ]);
        fails("event.discount > 3 && true", Problem::Null(">"), 16);
    }

    #[test]
    fn lists_and_maps_are_looked_through() {
        holds(&[
            "event.lines.all(l, l.quantity > 1) && event.lines.exists_one(l, l.quantity > 10)",
            "event.lines.map(l, l.sku) == ['lamp', 'desk'] && event.lines.size() == 2",
            "event.lines.filter(l, l.quantity > 10)[0].sku == 'desk'",
            "event.lines.map(l, l.quantity > 10, l.sku) == ['desk']",
            "event.lines[1].sku == 'desk' && 'a' in event.tags && !('c' in event.tags)",
            "event.attributes['x'] == 1 && event.attributes.y == 2 && 'x' in event.attributes",
            "!has(event.attributes.z) && has(event.attributes.x) && size(event.attributes) == 2",
            "event.attributes.all(k, k in ['x', 'y']) && {'a': 1, 'b': 2}.b == 2",
            "[1] + [2, 3] == [1, 2, 3] && [] == [] && size([]) == 0",
            "event.lines.exists(l, event.tags.exists(t, t == 'b' && l.sku == 'desk'))",
        ]);
        fails("event.lines[2].sku == ''", Problem::Index("[]"), 12);
        fails("event.attributes.z == 1", Problem::NoKey, 17);
    }

    #[test]
    fn names_are_what_the_record_says() {
        holds(&[
            "key == 'k1' && id == 'e1' && topic == 'orders' && partition == 3 && offset == 41",
            "string(headers['trace']) == 't1' && headers.empty == null && !('x' in headers)",
            "timestamp == null && !(timestamp != null && timestamp > timestamp('2026-01-01T00:00:00Z'))",
        ]);
    }

    #[test]
    fn a_union_is_what_its_value_is() {
        holds(&["event.amount == '12' && event.amount != 12 && int(event.amount) == 12"]);
        let kinds = Problem::Kinds { what: "<", left: ValueKind::Str, right: ValueKind::Int };
        fails("event.amount < 13", kinds, 14);
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_place_and_a_way_out() {
        refused(
            "event.quantty > 1 && event.name > 3 && foo",
            &[
                "7: `order` has no field `quantty`; did you mean `quantity`?",
                "33: `>` does not take string and int: convert with string()",
                "40: unknown name `foo`; allowed: event, key, id, headers, topic, partition, offset, timestamp",
            ],
        );
        refused(
            "quantity > 1",
            &[
                "1: unknown name `quantity`; did you mean `event.quantity`?; allowed: event, key, id, \
             headers, topic, partition, offset, timestamp",
            ],
        );
        refused(
            "event.status == 'payd'",
            &["17: `payd` is not one of the symbols (open, paid, shipped); did you mean `paid`?"],
        );
        refused(
            "event.quantity == 1.0",
            &[
                "16: `==` does not take int and double: write the constant with a point (1.0), or convert \
             with double() or int()",
            ],
        );
        refused(
            "event.total > 10.5",
            &[
                "13: `>` does not take decimal(12,2) and double: a double is not exact: write the constant as \
             decimal(\"1.23\"), or convert with double()",
            ],
        );
        refused(
            "event.quantity == null",
            &["16: a value of type int is never null: the comparison says nothing"],
        );
        refused(
            "event.name.beginsWith('a') && event.nmae.trim() == ''",
            &[
                "12: unknown function `beginsWith`",
                "37: `order` has no field `nmae`; did you mean `name`?",
            ],
        );
        refused(
            "event.name.startWith('a')",
            &["12: unknown function `startWith`; did you mean `startsWith`?"],
        );
        refused(
            "event.name.matches('a.*')",
            &[
                "12: `matches`: there are no regular expressions: use startsWith(), endsWith(), contains()",
            ],
        );
        refused(
            "event.quantity + event.name == 1u",
            &[
                "16: `+` does not take int and string: convert with string()",
                "32: there are no unsigned ints: write the number without `u`",
            ],
        );
        refused(
            "event.created > '2026-01-01'",
            &[
                "15: `>` does not take timestamp and string: write timestamp(\"2026-01-31T10:00:00Z\")",
            ],
        );
        refused(
            "event.created > timestamp('tomorrow')",
            &["17: timestamp(): the value cannot be converted"],
        );
        refused("event.number == 'x'", &["17: `x` is no uuid"]);
        refused(
            "event.name.substring('a') == ''",
            &[
                "1: `substring` does not take string, string: it takes (string, int) or (string, int, int)",
            ],
        );
        refused(
            "event.lines.quantity > 1",
            &[
                "1: the value before `.` must be a record or a map, not list(record line): take an item by [0], \
             or use all(), exists(), map(), filter()",
            ],
        );
        refused(
            "event.lines.all(key, key.quantity > 1)",
            &["17: `key` is a name already: call the item otherwise"],
        );
        refused("event.quantity && true", &["1: a part of `&&` must be bool, not int"]);
        refused(
            "event.quantity > 1 ? 1 : 'a'",
            &["26: `?:` does not take int and string: both of one type"],
        );
        refused(
            "now() > timestamp",
            &[
                "1: `now`: there is no clock, so that a replay decides as the first run did: use timestamp",
            ],
        );
    }

    #[test]
    fn only_what_is_said_is_used() {
        let paths = |text: &str| {
            let program = program(text);
            let Uses::Fields(fields) = program.uses() else { return "all".to_owned() };
            let path = |(name, uses): (&String, &Uses)| match uses {
                Uses::All => name.clone(),
                Uses::Fields(below) => {
                    format!("{name}.{}", below.keys().cloned().collect::<Vec<_>>().join("+"))
                }
            };
            fields.iter().map(path).collect::<Vec<_>>().join(" ")
        };
        for (text, expect) in [
            ("event.quantity > 1 && key == 'a'", "quantity"),
            ("event.lines.exists(l, l.quantity > 1)", "lines.quantity"),
            ("event.lines.filter(l, l.quantity > 1).map(l, l.sku)", "lines.quantity+sku"),
            ("event.lines.filter(l, l.quantity > 1)", "lines"),
            ("event.lines[0].sku", "lines.sku"),
            ("event.lines.exists(l, true)", "lines"),
            ("size(event.lines)", "lines"),
            ("has(event.customer.tier)", "customer.tier"),
            ("event", "all"),
            ("'a'", ""),
        ] {
            assert_eq!(paths(text), expect, "{text}");
        }
        let names: Vec<Name> = program("key == id").names().iter().copied().collect();
        assert_eq!(names, [Name::Key, Name::Id]);
        assert_eq!(program("event.customer.name").path().unwrap(), ["customer", "name"]);
        assert_eq!(program("event.customer.name + ''").path(), None);
    }

    #[test]
    fn a_spent_budget_is_an_error_even_where_another_part_decides() {
        let bump = Bump::new();
        let many = bump.alloc_slice_fill_copy(2_000, Value::Str("a"));
        let run = |text: &str| {
            let mut fields = event(&bump).to_vec();
            fields[12] = Value::List(many);
            let fields = bump.alloc_slice_copy(&fields);
            program(text).eval(&Scope::of(fields, &bump)).map_err(|error| error.problem)
        };
        let nested = "event.tags.all(a, event.tags.all(b, a == b)) || true";
        assert_eq!(run(nested), Err(Problem::Steps));
        let long = "event.tags.map(a, event.tags.join('0123456789')).size() > 0";
        assert_eq!(run(long), Err(Problem::Output));
        let items = "event.tags.map(a, event.tags.map(b, b)).size() > 0";
        assert_eq!(run(items), Err(Problem::Output));
        assert_eq!(run("event.tags.all(a, a == 'a')"), Ok(Value::Bool(true)));
        let bomb = "event.tags.join().replace('', event.tags.join('01234567')) == ''";
        assert_eq!(run(bomb), Err(Problem::Output));
    }

    #[test]
    fn an_event_of_another_shape_is_an_error_not_a_panic() {
        let bump = Bump::new();
        for text in ["event.quantity > 1", "event.name == 'a'", "event.name", "event.lines[0].sku"]
        {
            let error = program(text).eval(&Scope::of(&[], &bump)).unwrap_err();
            assert_eq!(error.problem, Problem::Shape, "{text}");
        }
    }

    const WORDS: &[&str] = &[
        "event",
        "event.quantity",
        "event.lines",
        "event.note",
        "event.customer",
        "event.amount",
        "event.total",
        "event.tags",
        ".",
        "name",
        "(",
        "(",
        ")",
        ")",
        "==",
        "<",
        "+",
        "-",
        "*",
        "/",
        "'open'",
        "all",
        "map",
        "filter",
        ",",
        "x",
        "x,",
        "?",
        ":",
        "[",
        "]",
        "[]",
        "{",
        "}",
        "&&",
        "||",
        "has",
        "!",
        "1",
        "1.5",
        "null",
        "in",
        "timestamp",
        "decimal('1')",
        "size",
        "join",
        "b'a'",
        "headers",
        ".all(x,",
        ".map(x,",
        "split",
        "key",
        "`a",
        "'",
        "\\",
        "r'",
        "1u",
        "-9223372036854775808",
        "é",
    ];

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(1_000))]
        #[test]
        fn no_words_in_any_order_make_a_panic(
            words in proptest::collection::vec(proptest::sample::select(WORDS), 0..12),
            spaces: bool,
        ) {
            let text = words.join(if spaces { " " } else { "" });
            if let Ok(program) = compile(&text, &env()) {
                let bump = Bump::new();
                let _ = program.eval(&Scope::of(event(&bump), &bump));
            }
        }
    }

    #[test]
    fn the_deepest_text_is_compiled_and_runs_on_a_common_stack() {
        let texts = [
            format!("{}1{} > 0", "(".repeat(62), ")".repeat(62)),
            format!("event.quantity{} > 0", " + event.quantity".repeat(122)),
            format!("{}true", "event.express ? true : ".repeat(122)),
            format!("{}1{} == 1", "[".repeat(40), "][0]".repeat(40)),
            format!("{}'a'{} == ''", "string(".repeat(62), ")".repeat(62)),
        ];
        let run = move || {
            let bump = Bump::new();
            let scope = Scope::of(event(&bump), &bump);
            for text in &texts {
                assert!(program(text).eval(&scope).is_ok(), "{text}");
            }
        };
        let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
        thread.spawn(run).unwrap().join().unwrap();
    }
}
