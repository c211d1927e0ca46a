//! Our check and evaluation against the `cel` crate's own evaluator: random well-typed expressions of the
//! language that both have in common, on random events. What compiles here gives the value that it gives
//! there, and fails where it fails.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bumpalo::Bump;
use proptest::prelude::*;

use super::{Env, Problem, compile};
use crate::record::{Field, Scope, Shape, Type, Value};

/// A small generator of choices, so that an expression is a function of its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.roll(of.len() as u64) as usize]
    }
}

/// Writes expressions of a type; `x` names are the variables of list functions around.
struct Writer {
    dice: Dice,
    numbers: Vec<String>,
    variables: usize,
}

impl Writer {
    fn boolean(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self.dice.pick(&["true", "false", "event.b", "event.r.b"]).to_owned();
        }
        let d = depth - 1;
        match self.dice.roll(15) {
            0 | 1 => format!("({} && {})", self.boolean(d), self.boolean(d)),
            2 | 3 => format!("({} || {})", self.boolean(d), self.boolean(d)),
            4 => format!("!{}", self.boolean(d)),
            5 => format!("({} ? {} : {})", self.boolean(d), self.boolean(d), self.boolean(d)),
            6 => format!("({} {} {})", self.int(d), self.relation(), self.int(d)),
            7 => format!("({} {} {})", self.double(d), self.relation(), self.double(d)),
            8 => format!("({} {} {})", self.text(d), self.relation(), self.text(d)),
            9 => format!("({} in {})", self.int(d), self.list(d)),
            10 => format!(
                "({} in {})",
                self.text(d),
                self.dice.pick(&["event.ls", "event.m", "['a', 'bc']"])
            ),
            11 => {
                let test = self.dice.pick(&["startsWith", "endsWith", "contains"]);
                format!("{}.{test}({})", self.text(d), self.text(d))
            }
            12 => {
                let how = self.dice.pick(&["all", "exists", "exists_one"]);
                let list = self.list(d);
                let (x, body) = self.within(|writer| writer.boolean(d));
                format!("{list}.{how}({x}, {body})")
            }
            13 => format!("({} {} {})", self.list(d), self.dice.pick(&["==", "!="]), self.list(d)),
            _ => self
                .dice
                .pick(&[
                    "(event.o == null)",
                    "(null != event.o)",
                    "(event.o == 3)",
                    "(event.o > 3)",
                    "has(event.m.a)",
                    "has(event.r.i)",
                ])
                .to_owned(),
        }
    }

    fn int(&mut self, depth: u32) -> String {
        if depth == 0 {
            if let Some(x) = self.numbers.last().filter(|_| self.numbers.len() % 2 == 1).cloned() {
                return x;
            }
            return self
                .dice
                .pick(&[
                    "0",
                    "1",
                    "(-1)",
                    "7",
                    "9223372036854775807",
                    "event.i",
                    "event.j",
                    "event.r.i",
                    "event.m.a",
                    "event.m['b']",
                ])
                .to_owned();
        }
        let d = depth - 1;
        match self.dice.roll(8) {
            0..=2 => {
                let sign = self.dice.pick(&["+", "-", "*", "/", "%"]);
                format!("({} {sign} {})", self.int(d), self.int(d))
            }
            3 => format!("(-({}))", self.int(d)),
            4 => format!("size({})", self.text(d)),
            5 => format!("{}[{}]", self.list(d), self.int(0)),
            6 => format!("({} ? {} : {})", self.boolean(d), self.int(d), self.int(d)),
            _ => format!("{}.indexOf({})", self.text(d), self.text(d)),
        }
    }

    /// Finite ones: of NaN the crate has no order at all, where CEL and we say "false".
    fn double(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self.dice.pick(&["0.0", "1.5", "(-2.25)", "1e10", "event.d"]).to_owned();
        }
        let d = depth - 1;
        match self.dice.roll(4) {
            0 => format!("double({})", self.int(d)),
            1 => format!("({} / 2.5)", self.double(d)),
            _ => {
                let sign = self.dice.pick(&["+", "-", "*"]);
                format!("({} {sign} {})", self.double(d), self.double(d))
            }
        }
    }

    fn text(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self
                .dice
                .pick(&[
                    "''",
                    "'a'",
                    "'ß lamp'",
                    "r'\\d'",
                    "\"it's\"",
                    "event.s",
                    "event.t",
                    "event.r.s",
                ])
                .to_owned();
        }
        let d = depth - 1;
        match self.dice.roll(7) {
            0 => format!("({} + {})", self.text(d), self.text(d)),
            1 => format!("({} ? {} : {})", self.boolean(d), self.text(d), self.text(d)),
            2 => {
                let how = self.dice.pick(&["lowerAscii", "upperAscii", "trim"]);
                format!("{}.{how}()", self.text(d))
            }
            3 => format!("{}.replace({}, {})", self.text(d), self.text(0), self.text(0)),
            4 => format!("{}.substring({})", self.text(d), self.int(0)),
            5 => format!("string({})", self.int(d)),
            _ => format!("{}.split({}).join({})", self.text(d), self.text(0), self.text(0)),
        }
    }

    fn list(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self.dice.pick(&["event.l", "[1, 2]", "[7]", "event.r.l"]).to_owned();
        }
        let d = depth - 1;
        match self.dice.roll(5) {
            0 => format!("({} + {})", self.list(d), self.list(d)),
            1 => format!("[{}, {}]", self.int(d), self.int(d)),
            2 => {
                let list = self.list(d);
                let (x, body) = self.within(|writer| writer.int(d));
                format!("{list}.map({x}, {body})")
            }
            3 => {
                let list = self.list(d);
                let (x, body) = self.within(|writer| writer.boolean(d));
                format!("{list}.filter({x}, {body})")
            }
            _ => format!("({} ? {} : {})", self.boolean(d), self.list(d), self.list(d)),
        }
    }

    fn relation(&mut self) -> &'static str {
        self.dice.pick(&["==", "!=", "<", "<=", ">", ">="])
    }

    fn within(&mut self, body: impl FnOnce(&mut Self) -> String) -> (String, String) {
        self.variables += 1;
        let x = format!("x{}", self.variables);
        self.numbers.push(x.clone());
        let body = body(self);
        self.numbers.pop();
        (x, body)
    }
}

#[derive(Clone, Debug)]
struct Event {
    i: i64,
    j: i64,
    d: f64,
    s: String,
    t: String,
    b: bool,
    l: Vec<i64>,
    ls: Vec<String>,
    o: Option<i64>,
}

fn events() -> impl Strategy<Value = Event> {
    let int = || prop_oneof![-3_i64..9, any::<i64>()];
    let text = || "[abAB ßl]{0,5}";
    let lists = (proptest::collection::vec(int(), 0..4), proptest::collection::vec(text(), 0..3));
    let one = (int(), int(), -1e3_f64..1e3, text(), text());
    (one, any::<bool>(), lists, proptest::option::of(0_i64..6))
        .prop_map(|((i, j, d, s, t), b, (l, ls), o)| Event { i, j, d, s, t, b, l, ls, o })
}

fn shape() -> Arc<Shape> {
    let of = |name: &str, fields: Vec<(&str, Type)>| {
        let field = |(name, ty): (&str, Type)| Field { name: name.to_owned(), ty };
        Arc::new(Shape { name: name.to_owned(), fields: fields.into_iter().map(field).collect() })
    };
    let list = |ty: Type| Type::List(Box::new(ty));
    let inner = of(
        "inner",
        vec![("i", Type::Int), ("s", Type::Str), ("b", Type::Bool), ("l", list(Type::Int))],
    );
    of(
        "outer",
        vec![
            ("i", Type::Int),
            ("j", Type::Int),
            ("d", Type::Double),
            ("s", Type::Str),
            ("t", Type::Str),
            ("b", Type::Bool),
            ("l", list(Type::Int)),
            ("ls", list(Type::Str)),
            ("o", Type::Optional(Box::new(Type::Int))),
            ("m", Type::Map(Box::new(Type::Int))),
            ("r", Type::Record(inner)),
        ],
    )
}

fn ours<'a>(event: &'a Event, bump: &'a Bump) -> Scope<'a> {
    let ints = |of: &[i64]| &*bump.alloc_slice_fill_iter(of.iter().map(|n| Value::Int(*n)));
    let inner = [
        Value::Int(event.j),
        Value::Str(&event.t),
        Value::Bool(!event.b),
        Value::List(ints(&[event.i, 1])),
    ];
    let texts = bump.alloc_slice_fill_iter(event.ls.iter().map(|s| Value::Str(s)));
    let fields = [
        Value::Int(event.i),
        Value::Int(event.j),
        Value::Double(event.d),
        Value::Str(&event.s),
        Value::Str(&event.t),
        Value::Bool(event.b),
        Value::List(ints(&event.l)),
        Value::List(texts),
        event.o.map_or(Value::Null, Value::Int),
        Value::Map(bump.alloc_slice_copy(&[("a", Value::Int(event.i)), ("b", Value::Int(2))])),
        Value::Record(bump.alloc_slice_copy(&inner)),
    ];
    Scope::of(bump.alloc_slice_copy(&fields), bump)
}

fn theirs(event: &Event) -> cel::Value {
    let map = HashMap::from([("a", cel::Value::Int(event.i)), ("b", cel::Value::Int(2))]);
    let inner = HashMap::from([
        ("i", cel::Value::Int(event.j)),
        ("s", event.t.clone().into()),
        ("b", cel::Value::Bool(!event.b)),
        ("l", vec![event.i, 1].into()),
    ]);
    let outer: HashMap<&str, cel::Value> = HashMap::from([
        ("i", event.i.into()),
        ("j", event.j.into()),
        ("d", event.d.into()),
        ("s", event.s.clone().into()),
        ("t", event.t.clone().into()),
        ("b", cel::Value::Bool(event.b)),
        ("l", event.l.clone().into()),
        ("ls", event.ls.clone().into()),
        ("o", event.o.map_or(cel::Value::Null, cel::Value::Int)),
        ("m", map.into()),
        ("r", inner.into()),
    ]);
    outer.into()
}

fn same(ours: &Value<'_>, theirs: &cel::Value) -> bool {
    match (ours, theirs) {
        (Value::Bool(a), cel::Value::Bool(b)) => a == b,
        (Value::Int(a), cel::Value::Int(b)) => a == b,
        (Value::Double(a), cel::Value::Float(b)) => {
            a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
        }
        (Value::Str(a), cel::Value::String(b)) => *a == b.as_str(),
        (Value::List(a), cel::Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b))
        }
        (Value::Null, cel::Value::Null) => true,
        _ => false,
    }
}

fn oracle() -> Arc<cel::Env> {
    static ENV: OnceLock<Arc<cel::Env>> = OnceLock::new();
    let make = || {
        let mut env = cel::Env::stdlib();
        env.add_extension(cel::extensions::strings).unwrap();
        Arc::new(env)
    };
    Arc::clone(ENV.get_or_init(make))
}

fn write(seed: u64) -> String {
    let mut writer = Writer { dice: Dice(seed), numbers: Vec::new(), variables: 0 };
    match writer.dice.roll(5) {
        0 => writer.int(3),
        1 => writer.text(3),
        2 => writer.double(3),
        3 => writer.list(2),
        _ => writer.boolean(3),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn what_compiles_here_gives_what_it_gives_there(seed: u64, event in events()) {
        let text = write(seed);
        let program = match compile(&text, &Env::new(shape(), Type::Str)) {
            Ok(program) => program,
            Err(errors) if errors.iter().all(|e| matches!(e.mistake, super::Mistake::TooLong(_))) => {
                return Ok(());
            }
            Err(errors) => panic!("{text}: {errors:?}"),
        };
        let bump = Bump::new();
        let ours = program.eval(&ours(&event, &bump));
        let env = oracle();
        let mut context = cel::Context::with_env(Arc::clone(&env));
        context.add_variable_from_value("event", theirs(&event));
        let theirs = env.compile(&text).unwrap().execute(&context);
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => prop_assert!(same(ours, theirs), "{text}: {ours:?}, {theirs:?}"),
            (Err(_), Err(_)) => {}
            // Bounds are ours alone.
            (Err(error), Ok(_)) if matches!(error.problem, Problem::Steps | Problem::Output) => {}
            _ => prop_assert!(false, "{text}: {ours:?}, {theirs:?}"),
        }
    }
}
