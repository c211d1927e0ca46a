//! What a running expression sees: the event's scope, the variables of the list functions, and its
//! budget.

use std::cell::Cell;

use bumpalo::collections::Vec as BumpVec;

use super::Problem;
use crate::record::{Scope, Value};

/// Steps of one evaluation, at most: an item of a list function, a compared list item, 64 bytes of
/// looked-at text are a step each.
pub const STEPS_MAX: u32 = 1_000_000;

/// Bytes of text and bytes that one evaluation may make, all intermediate ones together.
pub const MADE_BYTES_MAX: u32 = 64 * 1024;

/// Items of lists and maps that one evaluation may make, all intermediate ones together.
pub const MADE_ITEMS_MAX: u32 = 64 * 1024;

/// What is left of the budget of one evaluation.
#[derive(Debug)]
pub(super) struct Limits {
    steps: Cell<u32>,
    bytes: Cell<u32>,
    items: Cell<u32>,
}

impl Limits {
    pub(super) fn new() -> Self {
        Self {
            steps: Cell::new(STEPS_MAX),
            bytes: Cell::new(MADE_BYTES_MAX),
            items: Cell::new(MADE_ITEMS_MAX),
        }
    }

    /// Takes that many steps.
    pub(super) fn step(&self, steps: usize) -> Result<(), Problem> {
        take(&self.steps, steps, Problem::Steps)
    }

    /// Takes the steps of looking at that many bytes.
    pub(super) fn look(&self, bytes: usize) -> Result<(), Problem> {
        self.step(1 + bytes / 64)
    }
}

fn take(left: &Cell<u32>, wanted: usize, or: Problem) -> Result<(), Problem> {
    let rest =
        u32::try_from(wanted).ok().and_then(|wanted| left.get().checked_sub(wanted)).ok_or(or)?;
    left.set(rest);
    Ok(())
}

/// A variable of a list function, and those around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local<'f, 'a> {
    pub(super) value: Value<'a>,
    pub(super) up: Option<&'f Local<'f, 'a>>,
}

/// Where a node runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'f, 'a> {
    pub(super) scope: &'f Scope<'a>,
    pub(super) limits: &'f Limits,
    pub(super) local: Option<&'f Local<'f, 'a>>,
}

impl<'a> Frame<'_, 'a> {
    /// The variable that many list functions further out.
    pub(super) fn local(&self, mut up: usize) -> Option<Value<'a>> {
        let mut local = self.local;
        while up > 0 {
            local = local.and_then(|local| local.up);
            up -= 1;
        }
        local.map(|local| local.value)
    }

    /// Keeps text that was made.
    pub(super) fn text(&self, text: &str) -> Result<Value<'a>, Problem> {
        self.charge(text.len())?;
        Ok(Value::Str(self.scope.bump.alloc_str(text)))
    }

    /// Keeps the texts one after another.
    pub(super) fn join(&self, parts: &[&str]) -> Result<Value<'a>, Problem> {
        self.charge(parts.iter().map(|part| part.len()).sum())?;
        let mut text =
            bumpalo::collections::String::with_capacity_in(total(parts), self.scope.bump);
        for part in parts {
            text.push_str(part);
        }
        Ok(Value::Str(text.into_bump_str()))
    }

    /// Keeps bytes that were made.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Result<Value<'a>, Problem> {
        self.charge(bytes.len())?;
        Ok(Value::Bytes(self.scope.bump.alloc_slice_copy(bytes)))
    }

    /// Takes that many made bytes and the steps of making them.
    pub(super) fn charge(&self, bytes: usize) -> Result<(), Problem> {
        self.limits.look(bytes)?;
        take(&self.limits.bytes, bytes, Problem::Output)
    }

    /// A list to be filled through [`Frame::push`].
    pub(super) fn list(&self) -> BumpVec<'a, Value<'a>> {
        BumpVec::new_in(self.scope.bump)
    }

    /// Adds an item to a list that is being made.
    pub(super) fn push(
        &self,
        list: &mut BumpVec<'a, Value<'a>>,
        value: Value<'a>,
    ) -> Result<(), Problem> {
        self.item()?;
        list.push(value);
        Ok(())
    }

    /// Takes one made item.
    pub(super) fn item(&self) -> Result<(), Problem> {
        self.limits.step(1)?;
        take(&self.limits.items, 1, Problem::Output)
    }
}

fn total(parts: &[&str]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}
