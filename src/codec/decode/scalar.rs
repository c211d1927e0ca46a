//! Scalars that are more than their bytes: text, decimals, UUIDs, dates and times.

use rust_decimal::Decimal;
use uuid::Uuid;

use super::input::{Input, Read};
use crate::codec::Flaw;
use crate::codec::schema::Unit;

/// 0001-01-01 and 9999-12-31 in days since 1970: what every database and ISO 8601's four digits can say.
pub(in crate::codec) const DAY_MIN: i32 = -719_162;
pub(in crate::codec) const DAY_MAX: i32 = 2_932_896;
/// The microseconds of a day.
pub(in crate::codec) const MICROS_OF_DAY: i64 = 86_400_000_000;
/// The first and last microsecond of the same years.
pub(in crate::codec) const MICROS_MIN: i64 = DAY_MIN as i64 * MICROS_OF_DAY;
pub(in crate::codec) const MICROS_MAX: i64 = (DAY_MAX as i64 + 1) * MICROS_OF_DAY - 1;
/// The most digits of a decimal value, all together, and after the point.
pub(in crate::codec) const DIGITS_MAX: u32 = 28;

/// How the bytes of a decimal are to be understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digits {
    /// Digits after the point; at most 28.
    scale: u32,
    /// The unscaled value lies below it on both sides of 0.
    bound: u128,
    /// The same for values of 64 bits.
    bound_small: u64,
}

impl Digits {
    /// `None`: more digits after the point than a decimal value has.
    pub(super) fn new(precision: u32, scale: u32) -> Option<Self> {
        if scale > DIGITS_MAX {
            return None;
        }
        let bound = 10u128.pow(precision.min(DIGITS_MAX));
        Some(Self { scale, bound, bound_small: u64::try_from(bound).unwrap_or(u64::MAX) })
    }

    /// The decimal in these bytes: an integer in two's complement, most significant byte first.
    #[inline]
    pub(super) fn decimal(self, bytes: &[u8], input: &Input<'_>) -> Read<Decimal> {
        let unscaled = match *bytes {
            [] => return input.stop(Flaw::Decimal),
            [a] => i64::from(a.cast_signed()),
            [a, b] => i64::from(i16::from_be_bytes([a, b])),
            [a, b, c] => i64::from(i32::from_be_bytes([a, b, c, 0]) >> 8),
            [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
            [a, b, c, d, e] => i64::from_be_bytes([a, b, c, d, e, 0, 0, 0]) >> 24,
            [a, b, c, d, e, f] => i64::from_be_bytes([a, b, c, d, e, f, 0, 0]) >> 16,
            [a, b, c, d, e, f, g] => i64::from_be_bytes([a, b, c, d, e, f, g, 0]) >> 8,
            [a, b, c, d, e, f, g, h] => i64::from_be_bytes([a, b, c, d, e, f, g, h]),
            _ => return self.large(bytes, input),
        };
        let magnitude = unscaled.unsigned_abs();
        if magnitude >= self.bound_small {
            return input.stop(Flaw::Decimal);
        }
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of 64 bits")]
        let (low, high) = (magnitude as u32, (magnitude >> 32) as u32);
        Ok(Decimal::from_parts(low, high, 0, unscaled < 0, self.scale))
    }

    fn large(self, bytes: &[u8], input: &Input<'_>) -> Read<Decimal> {
        let sign = if bytes.first().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
        let spare = bytes.len().saturating_sub(16);
        let (padding, low) = bytes.split_at(spare);
        if padding.iter().any(|b| *b != sign) {
            return input.stop(Flaw::Decimal);
        }
        let mut wide = [sign; 16];
        wide[16 - low.len()..].copy_from_slice(low);
        let unscaled = i128::from_be_bytes(wide);
        // With padding, the sign of what is left must still be the sign of the whole.
        if unscaled.unsigned_abs() >= self.bound || (unscaled < 0) != (sign == 0xff) {
            return input.stop(Flaw::Decimal);
        }
        Decimal::try_from_i128_with_scale(unscaled, self.scale)
            .or_else(|_| input.stop(Flaw::Decimal))
    }
}

/// Text, or the flaw that it is none.
#[inline]
pub(super) fn text<'a>(bytes: &'a [u8], input: &Input<'a>) -> Read<&'a str> {
    std::str::from_utf8(bytes).or_else(|_| input.stop(Flaw::Utf8))
}

/// The UUID that text of the canonical form says, in capitals or not.
#[inline]
pub(super) fn uuid(text: &[u8], input: &Input<'_>) -> Read<Uuid> {
    if text.len() != 36 {
        return input.stop(Flaw::Uuid);
    }
    Uuid::try_parse_ascii(text).or_else(|_| input.stop(Flaw::Uuid))
}

/// Days since 1970, in the years that dates have here.
#[inline]
pub(super) fn date(days: i32, input: &Input<'_>) -> Read<i32> {
    if (DAY_MIN..=DAY_MAX).contains(&days) { Ok(days) } else { input.stop(Flaw::Date) }
}

/// A time of day in microseconds.
#[inline]
pub(super) fn time(raw: i64, unit: Unit, input: &Input<'_>) -> Read<i64> {
    let micros = micros(raw, unit);
    if (0..MICROS_OF_DAY).contains(&micros) { Ok(micros) } else { input.stop(Flaw::Time) }
}

/// A timestamp in microseconds; nanoseconds are rounded towards the past.
#[inline]
pub(super) fn timestamp(raw: i64, unit: Unit, input: &Input<'_>) -> Read<i64> {
    let micros = micros(raw, unit);
    if (MICROS_MIN..=MICROS_MAX).contains(&micros) {
        Ok(micros)
    } else {
        input.stop(Flaw::Timestamp)
    }
}

#[inline]
fn micros(raw: i64, unit: Unit) -> i64 {
    match unit {
        // What overflows is out of every range.
        Unit::Millis => raw.saturating_mul(1_000),
        Unit::Micros => raw,
        Unit::Nanos => raw.div_euclid(1_000),
    }
}

#[cfg(test)]
mod tests {
    use bumpalo::Bump;
    use proptest::prelude::*;

    use super::*;

    fn decimal(bytes: &[u8], precision: u32, scale: u32) -> Option<Decimal> {
        let bump = Bump::new();
        let input = Input::new(&[], &bump);
        Digits::new(precision, scale).and_then(|d| d.decimal(bytes, &input).ok())
    }

    proptest! {
        #[test]
        fn a_decimal_of_any_width_is_its_integer(
            value in prop_oneof![any::<i32>().prop_map(i128::from), any::<i64>().prop_map(i128::from), any::<i128>()],
            extra in 0usize..20,
            scale in 0u32..=28,
        ) {
            let mut bytes = vec![if value < 0 { 0xff } else { 0 }; extra];
            bytes.extend_from_slice(&value.to_be_bytes());
            let expected = (value.unsigned_abs() < 10u128.pow(28))
                .then(|| Decimal::from_i128_with_scale(value, scale));
            prop_assert_eq!(decimal(&bytes, 28, scale), expected);
            // The shortest form says the same.
            while bytes.len() > 1 && (i16::from_be_bytes([bytes[0], bytes[1]]) >> 7) == i16::from(bytes[0].cast_signed()) {
                bytes.remove(0);
                prop_assert_eq!(decimal(&bytes, 28, scale), expected);
            }
        }
    }

    #[test]
    fn a_decimal_beyond_its_precision_or_of_no_bytes_is_refused() {
        assert_eq!(decimal(&[0x63], 2, 2), Some(Decimal::new(99, 2)));
        assert_eq!(decimal(&[0x9d], 2, 2), Some(Decimal::new(-99, 2)));
        assert_eq!(decimal(&[0x64], 2, 2), None);
        assert_eq!(decimal(&[0x9c], 2, 2), None);
        assert_eq!(decimal(&[], 2, 2), None);
    }

    #[test]
    fn padding_that_changes_the_sign_is_refused() {
        let mut bytes = vec![0u8];
        bytes.extend_from_slice(&(-1i128).to_be_bytes());
        assert_eq!(decimal(&bytes, 28, 0), None);
    }

    #[test]
    fn dates_end_with_four_digits_of_year() {
        let day = |y, m, d| {
            let epoch = jiff::civil::date(1970, 1, 1);
            epoch.until(jiff::civil::date(y, m, d)).unwrap().get_days()
        };
        assert_eq!(day(1, 1, 1), DAY_MIN);
        assert_eq!(day(9999, 12, 31), DAY_MAX);
    }
}
