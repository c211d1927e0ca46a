//! Sets of value kinds: what a type may turn out to be when a record comes, null included.

use std::fmt;

use crate::record::{Type, ValueKind};

/// A set of [`ValueKind`]s.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Kinds(u16);

impl Kinds {
    pub(super) const NONE: Kinds = Kinds(0);
    pub(super) const NULL: Kinds = Kinds::only(ValueKind::Null);
    pub(super) const BOOL: Kinds = Kinds::only(ValueKind::Bool);
    pub(super) const INT: Kinds = Kinds::only(ValueKind::Int);
    pub(super) const DOUBLE: Kinds = Kinds::only(ValueKind::Double);
    pub(super) const DECIMAL: Kinds = Kinds::only(ValueKind::Decimal);
    pub(super) const STR: Kinds = Kinds::only(ValueKind::Str);
    pub(super) const BYTES: Kinds = Kinds::only(ValueKind::Bytes);
    pub(super) const UUID: Kinds = Kinds::only(ValueKind::Uuid);
    pub(super) const DATE: Kinds = Kinds::only(ValueKind::Date);
    pub(super) const TIME: Kinds = Kinds::only(ValueKind::Time);
    pub(super) const TIMESTAMP: Kinds = Kinds::only(ValueKind::Timestamp);
    pub(super) const DURATION: Kinds = Kinds::only(ValueKind::Duration);
    pub(super) const LIST: Kinds = Kinds::only(ValueKind::List);
    pub(super) const MAP: Kinds = Kinds::only(ValueKind::Map);

    /// Just this kind.
    pub(super) const fn only(kind: ValueKind) -> Kinds {
        Kinds(1 << kind as u16)
    }

    /// Either of the two.
    pub(super) const fn or(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    /// What is in both.
    pub(super) const fn and(self, other: Kinds) -> Kinds {
        Kinds(self.0 & other.0)
    }

    /// Without what is in `other`.
    pub(super) const fn without(self, other: Kinds) -> Kinds {
        Kinds(self.0 & !other.0)
    }

    /// Is this kind in it?
    pub(super) const fn has(self, kind: ValueKind) -> bool {
        self.0 & Kinds::only(kind).0 != 0
    }

    /// Nothing in it?
    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Is everything in it also in `other`?
    pub(super) const fn within(self, other: Kinds) -> bool {
        self.without(other).is_none()
    }

    /// What a value of this type may turn out to be.
    pub(super) fn of(ty: &Type) -> Kinds {
        match ty {
            Type::Null => Kinds::NULL,
            Type::Bool => Kinds::BOOL,
            Type::Int => Kinds::INT,
            Type::Double => Kinds::DOUBLE,
            Type::Decimal { .. } => Kinds::DECIMAL,
            Type::Str | Type::Enum(_) => Kinds::STR,
            Type::Bytes => Kinds::BYTES,
            Type::Uuid => Kinds::UUID,
            Type::Date => Kinds::DATE,
            Type::Time => Kinds::TIME,
            Type::Timestamp => Kinds::TIMESTAMP,
            Type::Duration => Kinds::DURATION,
            Type::List(_) => Kinds::LIST,
            Type::Map(_) => Kinds::MAP,
            Type::Record(_) => Kinds::only(ValueKind::Record),
            Type::Optional(some) => Kinds::NULL.or(Kinds::of(some)),
            Type::Union(of) => of.iter().fold(Kinds::NONE, |kinds, ty| kinds.or(Kinds::of(ty))),
        }
    }
}

/// The kinds in words: `int|decimal`.
impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for kind in ALL.into_iter().filter(|kind| self.has(*kind)) {
            write!(f, "{separator}{}", word(kind))?;
            separator = "|";
        }
        Ok(())
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const ALL: [ValueKind; 15] = [
    ValueKind::Null,
    ValueKind::Bool,
    ValueKind::Int,
    ValueKind::Double,
    ValueKind::Decimal,
    ValueKind::Str,
    ValueKind::Bytes,
    ValueKind::Uuid,
    ValueKind::Date,
    ValueKind::Time,
    ValueKind::Timestamp,
    ValueKind::Duration,
    ValueKind::List,
    ValueKind::Map,
    ValueKind::Record,
];

/// The word for a kind in messages, the same as for its type.
pub(super) fn word(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Null => "null",
        ValueKind::Bool => "bool",
        ValueKind::Int => "int",
        ValueKind::Double => "double",
        ValueKind::Decimal => "decimal",
        ValueKind::Str => "string",
        ValueKind::Bytes => "bytes",
        ValueKind::Uuid => "uuid",
        ValueKind::Date => "date",
        ValueKind::Time => "time",
        ValueKind::Timestamp => "timestamp",
        ValueKind::Duration => "duration",
        ValueKind::List => "list",
        ValueKind::Map => "map",
        ValueKind::Record => "record",
    }
}

/// The type without null, and whether null was in it.
pub(super) fn some(ty: &Type) -> (&Type, bool) {
    match ty {
        Type::Optional(of) => (some(of).0, true),
        Type::Null => (ty, true),
        _ => (ty, false),
    }
}

/// The one alternative of a type (through optional and union) that can be of these kinds.
pub(super) fn pick(ty: &Type, kinds: Kinds) -> Option<&Type> {
    match ty {
        Type::Optional(of) => pick(of, kinds),
        Type::Union(of) => of.iter().find_map(|ty| pick(ty, kinds)),
        _ => (!Kinds::of(ty).and(kinds).is_none()).then_some(ty),
    }
}

/// The type or null.
pub(super) fn optional(ty: Type) -> Type {
    match ty {
        Type::Optional(_) | Type::Null => ty,
        ty => Type::Optional(Box::new(ty)),
    }
}

/// The type of "one or the other", where there is one: the arms of `?:`, the items of a list.
pub(super) fn either(a: &Type, b: &Type) -> Option<Type> {
    if a == b || is_unknown(b) {
        return Some(a.clone());
    }
    if is_unknown(a) {
        return Some(b.clone());
    }
    match (a, b) {
        (Type::Null, ty) | (ty, Type::Null) => Some(optional(ty.clone())),
        (Type::Optional(a), Type::Optional(b)) => either(a, b).map(optional),
        (Type::Optional(a), b) | (b, Type::Optional(a)) => either(a, b).map(optional),
        (Type::Str | Type::Enum(_), Type::Str | Type::Enum(_)) => Some(Type::Str),
        (
            Type::Decimal { precision: p1, scale: s1 },
            Type::Decimal { precision: p2, scale: s2 },
        ) => {
            let scale = *s1.max(s2);
            let whole = p1.saturating_sub(*s1).max(p2.saturating_sub(*s2));
            Some(decimal(whole + scale, scale))
        }
        (Type::List(a), Type::List(b)) => either(a, b).map(|ty| Type::List(Box::new(ty))),
        (Type::Map(a), Type::Map(b)) => either(a, b).map(|ty| Type::Map(Box::new(ty))),
        _ => None,
    }
}

/// The item type of `[]`: it fits every other.
pub(super) fn unknown() -> Type {
    Type::Union(Box::default())
}

fn is_unknown(ty: &Type) -> bool {
    matches!(ty, Type::Union(of) if of.is_empty())
}

/// A decimal type, held within the 28 digits that a value has.
pub(super) fn decimal(precision: u32, scale: u32) -> Type {
    Type::Decimal { precision: precision.min(28), scale: scale.min(28) }
}

/// May `==` say anything but false about values of these types? Int and decimal are numbers of one kind;
/// int and double, decimal and double are not.
pub(super) fn equatable(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Optional(a), b) => equatable(a, b),
        (a, Type::Optional(b)) => equatable(a, b),
        (Type::Union(of), other) | (other, Type::Union(of)) => {
            of.is_empty() || of.iter().any(|ty| equatable(ty, other))
        }
        (Type::List(a), Type::List(b)) | (Type::Map(a), Type::Map(b)) => equatable(a, b),
        (Type::Record(a), Type::Record(b)) => a == b,
        (Type::Null, _) | (_, Type::Null) => true,
        _ => {
            let (a, b) = (Kinds::of(a), Kinds::of(b));
            a == b || a.or(b) == Kinds::INT.or(Kinds::DECIMAL)
        }
    }
}

/// May `<` order values of these types?
pub(super) fn orderable(a: &Type, b: &Type) -> bool {
    let (a, b) = (Kinds::of(a).without(Kinds::NULL), Kinds::of(b).without(Kinds::NULL));
    let numbers = Kinds::INT.or(Kinds::DECIMAL);
    !a.and(b).and(ORDERED).is_none() || (!a.and(numbers).is_none() && !b.and(numbers).is_none())
}

const ORDERED: Kinds = Kinds::BOOL
    .or(Kinds::INT)
    .or(Kinds::DOUBLE)
    .or(Kinds::DECIMAL)
    .or(Kinds::STR)
    .or(Kinds::BYTES)
    .or(Kinds::UUID)
    .or(Kinds::DATE)
    .or(Kinds::TIME)
    .or(Kinds::TIMESTAMP)
    .or(Kinds::DURATION);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_arm_with_null_makes_the_whole_optional() {
        assert_eq!(either(&Type::Int, &Type::Null), Some(Type::Optional(Box::new(Type::Int))));
        assert_eq!(either(&optional(Type::Int), &Type::Int), Some(optional(Type::Int)));
        assert_eq!(either(&Type::Int, &Type::Double), None);
    }

    #[test]
    fn ints_and_decimals_are_numbers_of_one_kind_and_doubles_of_another() {
        assert!(equatable(&Type::Int, &decimal(9, 2)));
        assert!(orderable(&decimal(9, 2), &optional(Type::Int)));
        assert!(!equatable(&Type::Int, &Type::Double));
        assert!(!orderable(&decimal(9, 2), &Type::Double));
    }
}
