//! Scalars on their way out: exactly, or not at all.

use rust_decimal::Decimal;

use super::compile::Unfit;
use crate::codec::schema::{Unit, put_bytes, put_long};

/// The digits that a decimal of the schema keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digits {
    precision: u32,
    scale: u32,
}

impl Digits {
    pub(super) fn new(precision: u32, scale: u32) -> Self {
        Self { precision, scale }
    }

    /// Is the value written with as many digits after the point?
    pub(super) fn has_scale_of(self, value: Decimal) -> bool {
        self.scale == value.scale()
    }

    /// The integer that stands for the decimal.
    fn unscaled(self, value: Decimal) -> Result<i128, Box<Unfit>> {
        let value = value.normalize();
        let Some(zeros) = self.scale.checked_sub(value.scale()) else {
            return Err(Unfit::new(format!(
                "the schema's decimal has {} digits after the point, and the value more",
                self.scale
            )));
        };
        10i128
            .checked_pow(zeros)
            .and_then(|factor| value.mantissa().checked_mul(factor))
            .filter(|unscaled| {
                10u128
                    .checked_pow(self.precision)
                    .is_none_or(|bound| unscaled.unsigned_abs() < bound)
            })
            .ok_or_else(|| {
                Unfit::new(format!(
                    "the schema's decimal has {} digits, and the value more",
                    self.precision
                ))
            })
    }

    /// As bytes: the shortest two's complement, most significant byte first.
    pub(super) fn put_bytes(self, value: Decimal, out: &mut Vec<u8>) -> Result<(), Box<Unfit>> {
        let wide = self.unscaled(value)?.to_be_bytes();
        put_bytes(shortest(&wide), out);
        Ok(())
    }

    /// As a fixed: the same, filled up with the sign.
    pub(super) fn put_fixed(
        self,
        value: Decimal,
        size: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Box<Unfit>> {
        let unscaled = self.unscaled(value)?;
        let wide = unscaled.to_be_bytes();
        let short = shortest(&wide);
        let Some(padding) = size.checked_sub(short.len()) else {
            return Err(Unfit::new(format!("the value does not fit the schema's {size} bytes")));
        };
        out.resize(out.len() + padding, if unscaled < 0 { 0xff } else { 0 });
        out.extend_from_slice(short);
        Ok(())
    }
}

fn shortest(wide: &[u8; 16]) -> &[u8] {
    let mut short: &[u8] = wide;
    while let [first, rest @ ..] = short
        && let [second, ..] = rest
        && (*first == 0 && second & 0x80 == 0 || *first == 0xff && second & 0x80 != 0)
    {
        short = rest;
    }
    short
}

/// Microseconds in the schema's unit.
pub(super) fn put_micros(micros: i64, unit: Unit, out: &mut Vec<u8>) -> Result<(), Box<Unfit>> {
    let raw = match unit {
        Unit::Millis if micros % 1_000 != 0 => {
            return Err(Unfit::new(
                "the schema keeps milliseconds, and the value has microseconds",
            ));
        }
        Unit::Millis => micros / 1_000,
        Unit::Micros => micros,
        Unit::Nanos => micros.checked_mul(1_000).ok_or_else(|| {
            Unfit::new("the schema keeps nanoseconds, which end with the years 1677 and 2262")
        })?,
    };
    put_long(raw, out);
    Ok(())
}

/// An int as a double: exactly.
pub(super) fn double_of(int: i64) -> Result<f64, Box<Unfit>> {
    const EXACT_MAX: u64 = 1 << f64::MANTISSA_DIGITS;
    if int.unsigned_abs() > EXACT_MAX {
        return Err(Unfit::new("the integer has more digits than a double"));
    }
    #[expect(clippy::cast_precision_loss, reason = "up to 53 bits a double is exact")]
    Ok(int as f64)
}
