//! The functions and arithmetic operators of the language: one table row an overload.
//!
//! A row says what it takes, what it makes and what runs. Comparisons, `&& || !`, `?:`, `in`, `has` and
//! the list functions with a variable are no rows: they do not evaluate all their parts.

mod clock;
mod convert;
mod text;
mod time;

pub(super) use convert::uuid_of;

use std::fmt;

use super::Problem;
use super::arithmetic;
use super::frame::Frame;
use super::kinds::{self, Kinds};
use crate::record::{Type, Value};

/// Runs an overload on its arguments; they are of the kinds that the row says.
pub(super) type Run = for<'a> fn(&Frame<'_, 'a>, &[Value<'a>]) -> Result<Value<'a>, Problem>;

/// An overload.
pub(super) struct Row {
    /// The name as it is written (`size`), or the parser's name of the operator (`_+_`).
    pub(super) name: &'static str,
    /// How it is written, for messages.
    pub(super) sign: &'static str,
    /// How it may be called.
    pub(super) style: Style,
    /// The kinds of its arguments, the receiver first.
    pub(super) takes: &'static [Kinds],
    /// The type it makes of these types; `None`: they do not fit each other.
    pub(super) makes: fn(&[Type]) -> Option<Type>,
    /// What runs.
    pub(super) run: Run,
}

/// How a function may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `a + b`.
    Operator,
    /// `f(a)`.
    Global,
    /// `a.f()`.
    Method,
    /// Either of the last two.
    Both,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.name, self.takes)
    }
}

/// The overloads of that name that may be called so.
pub(super) fn rows(name: &str, method: bool) -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(move |row| {
        row.name == name
            && match row.style {
                Style::Operator | Style::Global => !method,
                Style::Method => method,
                Style::Both => true,
            }
    })
}

/// The names of all functions, as they may be written; each once.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = TABLE
        .iter()
        .filter(|row| row.style != Style::Operator)
        .map(|row| row.name)
        .chain(super::LIST_FUNCTIONS)
        .chain(["has"])
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

const ANY_TEXT: Kinds = Kinds::STR
    .or(Kinds::BYTES)
    .or(Kinds::BOOL)
    .or(Kinds::INT)
    .or(Kinds::DOUBLE)
    .or(Kinds::DECIMAL)
    .or(Kinds::UUID)
    .or(Kinds::DATE)
    .or(Kinds::TIME)
    .or(Kinds::TIMESTAMP)
    .or(Kinds::DURATION);
const SIZED: Kinds = Kinds::STR.or(Kinds::BYTES).or(Kinds::LIST).or(Kinds::MAP);
const NUMBER: Kinds = Kinds::INT.or(Kinds::DOUBLE).or(Kinds::DECIMAL);
const DAYS: Kinds = Kinds::DATE.or(Kinds::TIMESTAMP);
const CLOCK: Kinds = Kinds::TIME.or(Kinds::TIMESTAMP).or(Kinds::DURATION);
const BOOL: Kinds = Kinds::BOOL;
const INT: Kinds = Kinds::INT;
const DOUBLE: Kinds = Kinds::DOUBLE;
const DECIMAL: Kinds = Kinds::DECIMAL;
const STR: Kinds = Kinds::STR;
const BYTES: Kinds = Kinds::BYTES;
const UUID: Kinds = Kinds::UUID;
const DATE: Kinds = Kinds::DATE;
const TIME: Kinds = Kinds::TIME;
const TIMESTAMP: Kinds = Kinds::TIMESTAMP;
const DURATION: Kinds = Kinds::DURATION;
const LIST: Kinds = Kinds::LIST;

macro_rules! row {
    ($style:ident $name:literal $sign:literal ($($takes:expr),*) => $makes:expr, $run:path) => {
        Row {
            name: $name,
            sign: $sign,
            style: Style::$style,
            takes: &[$($takes),*],
            makes: $makes,
            run: $run,
        }
    };
    ($style:ident $name:literal ($($takes:expr),*) => $makes:expr, $run:path) => {
        row!($style $name $name ($($takes),*) => $makes, $run)
    };
}

macro_rules! is {
    ($ty:ident) => {
        |_| Some(Type::$ty)
    };
}

#[rustfmt::skip]
static TABLE: &[Row] = &[
    row!(Operator "_+_" "+" (INT, INT) => is!(Int), arithmetic::add),
    row!(Operator "_+_" "+" (DOUBLE, DOUBLE) => is!(Double), arithmetic::add),
    row!(Operator "_+_" "+" (DECIMAL.or(INT), DECIMAL.or(INT)) => sum, arithmetic::add),
    row!(Operator "_+_" "+" (STR, STR) => is!(Str), arithmetic::add),
    row!(Operator "_+_" "+" (BYTES, BYTES) => is!(Bytes), arithmetic::add),
    row!(Operator "_+_" "+" (LIST, LIST) => |of| kinds::either(&of[0], &of[1]), arithmetic::add),
    row!(Operator "_+_" "+" (TIMESTAMP, DURATION) => is!(Timestamp), arithmetic::add),
    row!(Operator "_+_" "+" (DURATION, TIMESTAMP) => is!(Timestamp), arithmetic::add),
    row!(Operator "_+_" "+" (DURATION, DURATION) => is!(Duration), arithmetic::add),
    row!(Operator "_-_" "-" (INT, INT) => is!(Int), arithmetic::subtract),
    row!(Operator "_-_" "-" (DOUBLE, DOUBLE) => is!(Double), arithmetic::subtract),
    row!(Operator "_-_" "-" (DECIMAL.or(INT), DECIMAL.or(INT)) => sum, arithmetic::subtract),
    row!(Operator "_-_" "-" (TIMESTAMP, DURATION) => is!(Timestamp), arithmetic::subtract),
    row!(Operator "_-_" "-" (TIMESTAMP, TIMESTAMP) => is!(Duration), arithmetic::subtract),
    row!(Operator "_-_" "-" (DATE, DATE) => is!(Duration), arithmetic::subtract),
    row!(Operator "_-_" "-" (TIME, TIME) => is!(Duration), arithmetic::subtract),
    row!(Operator "_-_" "-" (DURATION, DURATION) => is!(Duration), arithmetic::subtract),
    row!(Operator "_*_" "*" (INT, INT) => is!(Int), arithmetic::multiply),
    row!(Operator "_*_" "*" (DOUBLE, DOUBLE) => is!(Double), arithmetic::multiply),
    row!(Operator "_*_" "*" (DECIMAL.or(INT), DECIMAL.or(INT)) => product, arithmetic::multiply),
    row!(Operator "_/_" "/" (INT, INT) => is!(Int), arithmetic::divide),
    row!(Operator "_/_" "/" (DOUBLE, DOUBLE) => is!(Double), arithmetic::divide),
    row!(Operator "_/_" "/" (DECIMAL.or(INT), DECIMAL.or(INT)) => widest, arithmetic::divide),
    row!(Operator "_%_" "%" (INT, INT) => is!(Int), arithmetic::remainder),
    row!(Operator "_%_" "%" (DECIMAL.or(INT), DECIMAL.or(INT)) => sum, arithmetic::remainder),
    row!(Operator "-_" "-" (NUMBER.or(DURATION)) => same, arithmetic::negate),

    row!(Both "size" (SIZED) => is!(Int), text::size),
    row!(Method "startsWith" (STR, STR) => is!(Bool), text::starts_with),
    row!(Method "endsWith" (STR, STR) => is!(Bool), text::ends_with),
    row!(Method "contains" (STR, STR) => is!(Bool), text::contains),
    row!(Method "lowerAscii" (STR) => is!(Str), text::lower),
    row!(Method "upperAscii" (STR) => is!(Str), text::upper),
    row!(Method "trim" (STR) => is!(Str), text::trim),
    row!(Method "replace" (STR, STR, STR) => is!(Str), text::replace),
    row!(Method "replace" (STR, STR, STR, INT) => is!(Str), text::replace),
    row!(Method "split" (STR, STR) => texts, text::split),
    row!(Method "split" (STR, STR, INT) => texts, text::split),
    row!(Method "join" (LIST) => joined, text::join),
    row!(Method "join" (LIST, STR) => joined, text::join),
    row!(Method "substring" (STR, INT) => is!(Str), text::substring),
    row!(Method "substring" (STR, INT, INT) => is!(Str), text::substring),
    row!(Method "indexOf" (STR, STR) => is!(Int), text::index_of),
    row!(Method "indexOf" (STR, STR, INT) => is!(Int), text::index_of),
    row!(Method "lastIndexOf" (STR, STR) => is!(Int), text::last_index_of),

    row!(Global "string" (ANY_TEXT) => is!(Str), convert::string),
    row!(Global "int" (NUMBER.or(STR).or(TIMESTAMP)) => is!(Int), convert::int),
    row!(Global "double" (NUMBER.or(STR)) => is!(Double), convert::double),
    row!(Global "bool" (BOOL.or(STR)) => is!(Bool), convert::boolean),
    row!(Global "bytes" (BYTES.or(STR)) => is!(Bytes), convert::bytes),
    row!(Global "decimal" (DECIMAL) => same, convert::decimal),
    row!(Global "decimal" (INT) => sum, convert::decimal),
    row!(Global "decimal" (STR) => widest, convert::decimal),
    row!(Global "round" (DECIMAL, INT) => |of| Some(of[0].clone()), convert::round),
    row!(Global "uuid" (UUID.or(STR)) => is!(Uuid), convert::uuid),
    row!(Global "date" (DAYS.or(STR)) => is!(Date), convert::date),
    row!(Global "time" (TIME.or(TIMESTAMP).or(STR)) => is!(Time), convert::time),
    row!(Global "timestamp" (DAYS.or(STR).or(INT)) => is!(Timestamp), convert::timestamp),
    row!(Global "duration" (DURATION.or(STR)) => is!(Duration), convert::duration),

    row!(Method "getFullYear" (DAYS) => is!(Int), time::year),
    row!(Method "getMonth" (DAYS) => is!(Int), time::month),
    row!(Method "getDate" (DAYS) => is!(Int), time::date),
    row!(Method "getDayOfMonth" (DAYS) => is!(Int), time::day_of_month),
    row!(Method "getDayOfWeek" (DAYS) => is!(Int), time::day_of_week),
    row!(Method "getDayOfYear" (DAYS) => is!(Int), time::day_of_year),
    row!(Method "getHours" (CLOCK) => is!(Int), time::hours),
    row!(Method "getMinutes" (CLOCK) => is!(Int), time::minutes),
    row!(Method "getSeconds" (CLOCK) => is!(Int), time::seconds),
    row!(Method "getMilliseconds" (CLOCK) => is!(Int), time::milliseconds),
];

/// Precision and scale; an int is a decimal of 19 digits.
fn digits(ty: &Type) -> (u32, u32) {
    match ty {
        Type::Decimal { precision, scale } => (*precision, *scale),
        _ => (19, 0),
    }
}

/// The digits of a sum, difference or remainder.
fn sum(of: &[Type]) -> Option<Type> {
    let (whole, scale) = of
        .iter()
        .map(digits)
        .fold((0, 0), |(whole, scale), (p, s)| (whole.max(p.saturating_sub(s)), scale.max(s)));
    Some(kinds::decimal(whole + scale + u32::from(of.len() > 1), scale))
}

/// The digits of a product.
fn product(of: &[Type]) -> Option<Type> {
    let ((p1, s1), (p2, s2)) = (digits(&of[0]), digits(&of[1]));
    Some(kinds::decimal(p1 + p2, s1 + s2))
}

/// Any decimal: all 28 digits may stand after the point.
fn widest(_: &[Type]) -> Option<Type> {
    Some(kinds::decimal(28, 28))
}

fn same(of: &[Type]) -> Option<Type> {
    of.first().cloned()
}

fn texts(_: &[Type]) -> Option<Type> {
    Some(Type::List(Box::new(Type::Str)))
}

/// Lists of text only.
fn joined(of: &[Type]) -> Option<Type> {
    match &of[0] {
        Type::List(item) => Kinds::of(item).within(STR).then_some(Type::Str),
        _ => None,
    }
}
