//! The list functions with a variable: `all exists exists_one map filter`. Over a map they go through its
//! keys.

use super::frame::{Frame, Local};
use super::node::Node;
use super::{EvalError, Problem};
use crate::record::Value;

/// `range.function(variable, body)`.
#[derive(Debug)]
pub(super) struct Each {
    pub(super) how: How,
    pub(super) range: Node,
    /// The condition of the three-part `map`.
    pub(super) only: Option<Node>,
    pub(super) body: Node,
    /// The steps of one item: the nodes of condition and body.
    pub(super) steps: usize,
    pub(super) at: u32,
}

/// Which of the functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
}

impl How {
    /// The function's name.
    pub(super) fn word(self) -> &'static str {
        match self {
            How::All => "all",
            How::Exists => "exists",
            How::ExistsOne => "exists_one",
            How::Map => "map",
            How::Filter => "filter",
        }
    }

    /// By the name.
    pub(super) fn of(name: &str) -> Option<How> {
        [How::All, How::Exists, How::ExistsOne, How::Map, How::Filter]
            .into_iter()
            .find(|how| how.word() == name || (*how == How::ExistsOne && name == "existsOne"))
    }
}

type Evaluated<T> = Result<T, EvalError>;

impl Each {
    /// The truth of `all`, `exists` and `exists_one`.
    pub(super) fn test(&self, frame: &Frame<'_, '_>) -> Evaluated<bool> {
        match self.eval(frame)? {
            Value::Bool(truth) => Ok(truth),
            other => Err(Problem::kind(self.how.word(), other.kind()).at(self.at)),
        }
    }

    /// Runs through the list or the map's keys.
    pub(super) fn eval<'a>(&self, frame: &Frame<'_, 'a>) -> Evaluated<Value<'a>> {
        match self.range.eval(frame)? {
            Value::List(items) => self.over(items.iter().copied(), frame),
            Value::Map(entries) => self.over(entries.iter().map(|(k, _)| Value::Str(k)), frame),
            other => Err(Problem::kind(self.how.word(), other.kind()).at(self.at)),
        }
    }

    fn over<'a>(
        &self,
        items: impl Iterator<Item = Value<'a>>,
        frame: &Frame<'_, 'a>,
    ) -> Evaluated<Value<'a>> {
        match self.how {
            How::All => self.decide(items, frame, true),
            How::Exists => self.decide(items, frame, false),
            How::ExistsOne => self.one(items, frame),
            How::Map | How::Filter => self.list(items, frame),
        }
    }

    /// As `&&` and `||` do: one deciding item decides, even where others fail.
    fn decide<'a>(
        &self,
        items: impl Iterator<Item = Value<'a>>,
        frame: &Frame<'_, 'a>,
        want: bool,
    ) -> Evaluated<Value<'a>> {
        let mut failed = None;
        for value in items {
            let local = Local { value, up: frame.local };
            match self.holds(&self.body, &within(frame, &local)) {
                Ok(truth) if truth != want => return Ok(Value::Bool(truth)),
                Ok(_) => {}
                Err(error) if error.problem == Problem::Steps => return Err(error),
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(Value::Bool(want)), Err)
    }

    fn one<'a>(
        &self,
        items: impl Iterator<Item = Value<'a>>,
        frame: &Frame<'_, 'a>,
    ) -> Evaluated<Value<'a>> {
        let mut found = 0_usize;
        for value in items {
            let local = Local { value, up: frame.local };
            if self.holds(&self.body, &within(frame, &local))? {
                found += 1;
            }
        }
        Ok(Value::Bool(found == 1))
    }

    fn list<'a>(
        &self,
        items: impl Iterator<Item = Value<'a>>,
        frame: &Frame<'_, 'a>,
    ) -> Evaluated<Value<'a>> {
        let mut list = frame.list();
        for value in items {
            let local = Local { value, up: frame.local };
            let inner = within(frame, &local);
            let made = match (self.how, &self.only) {
                (How::Filter, _) if !self.holds(&self.body, &inner)? => continue,
                (How::Filter, _) => value,
                (_, Some(only)) if !self.holds(only, &inner)? => continue,
                _ => {
                    self.step(&inner)?;
                    self.body.eval(&inner)?
                }
            };
            frame.push(&mut list, made).map_err(|p| p.at(self.at))?;
        }
        Ok(Value::List(list.into_bump_slice()))
    }

    fn holds(&self, condition: &Node, inner: &Frame<'_, '_>) -> Evaluated<bool> {
        self.step(inner)?;
        condition.test(inner)
    }

    fn step(&self, frame: &Frame<'_, '_>) -> Evaluated<()> {
        frame.limits.step(self.steps).map_err(|p| p.at(self.at))
    }
}

fn within<'f, 'a>(frame: &Frame<'f, 'a>, local: &'f Local<'f, 'a>) -> Frame<'f, 'a> {
    Frame { local: Some(local), ..*frame }
}
