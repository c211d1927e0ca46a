//! PostgreSQL's binary numeric: digits to the base 10,000, the point between two of them.

use rust_decimal::Decimal;

const BASE: u64 = 10_000;

/// The most digits: 96 bits and up to three zeros at the end are 32 decimal digits, and one group may be split.
const DIGITS_MAX: usize = 10;

const NEGATIVE: u16 = 0x4000;

/// Appends a decimal's binary form (without its length).
pub(super) fn put(out: &mut Vec<u8>, value: Decimal) {
    let scale = value.scale();
    // The point must lie between two groups of four.
    let pad = (4 - scale % 4) % 4;
    // Below 2^96 * 1000, which is below 2^128.
    let whole = value.mantissa().unsigned_abs() * 10_u128.pow(pad);
    let groups_after_point = (scale + pad) / 4;

    let mut digits = [0_u16; DIGITS_MAX];
    let mut first = DIGITS_MAX;
    let mut rest = whole;
    // A division of 128 bits costs many times that of 64, and few sums need it.
    while rest > u128::from(u64::MAX) {
        first -= 1;
        digits[first] = (rest % u128::from(BASE)) as u16;
        rest /= u128::from(BASE);
    }
    let mut rest = rest as u64;
    while rest > 0 {
        first -= 1;
        digits[first] = (rest % BASE) as u16;
        rest /= BASE;
    }
    let count = DIGITS_MAX - first;
    let digits = &digits[first..];
    let kept = digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1);
    // The place of the first group: 0 is the one just before the point.
    let weight = if kept == 0 { 0 } else { count as i32 - groups_after_point as i32 - 1 };
    let sign = if value.is_sign_negative() && kept > 0 { NEGATIVE } else { 0 };

    out.extend_from_slice(&(kept as u16).to_be_bytes());
    out.extend_from_slice(&(weight as i16).to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&(scale as u16).to_be_bytes());
    for digit in &digits[..kept] {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The text that PostgreSQL would print for a binary numeric, written from its documentation alone.
    fn text(bytes: &[u8]) -> String {
        let word = |i: usize| u16::from_be_bytes([bytes[2 * i], bytes[2 * i + 1]]);
        let count = i32::from(word(0));
        let weight = i32::from(word(1) as i16);
        let scale = i32::from(word(3));
        assert_eq!(bytes.len() as i32, 8 + 2 * count);
        let group = |place: i32| {
            let index = weight - place;
            if (0..count).contains(&index) { word(4 + index as usize) } else { 0 }
        };
        let mut before = String::new();
        for place in (0..=weight.max(0)).rev() {
            before.push_str(&format!("{:04}", group(place)));
        }
        let mut after = String::new();
        for place in 1..=(scale + 3) / 4 {
            after.push_str(&format!("{:04}", group(-place)));
        }
        after.truncate(scale as usize);
        let before = before.trim_start_matches('0');
        let sign = if word(2) == NEGATIVE { "-" } else { "" };
        let before = if before.is_empty() { "0" } else { before };
        if scale > 0 { format!("{sign}{before}.{after}") } else { format!("{sign}{before}") }
    }

    fn check(value: Decimal) {
        let mut out = Vec::new();
        put(&mut out, value);
        let expected = if value.is_zero() { value.abs().to_string() } else { value.to_string() };
        assert_eq!(text(&out), expected);
    }

    #[test]
    fn the_ends_of_the_range_keep_every_digit() {
        for value in
            ["0", "0.00", "-0.00", "1", "10000", "0.0001", "0.00010", "-123456.789", "1e-28"]
        {
            check(Decimal::from_scientific(value).or_else(|_| value.parse()).unwrap());
        }
        for scale in 0..=28 {
            check(Decimal::from_i128_with_scale(79_228_162_514_264_337_593_543_950_335, scale));
            check(Decimal::from_i128_with_scale(-79_228_162_514_264_337_593_543_950_335, scale));
        }
    }

    proptest! {
        #[test]
        fn every_decimal_keeps_every_digit(mantissa in -(1_i128 << 95)..(1_i128 << 95), scale in 0_u32..=28, cut in 0_u32..28) {
            check(Decimal::from_i128_with_scale(mantissa / 10_i128.pow(cut), scale));
        }
    }
}
