//! Durations, sizes, ratios and points in time as people write them: always with their unit.

use std::time::Duration;

use jiff::Timestamp;

/// The units of durations, the largest first.
const DURATIONS: &[(&str, u64)] =
    &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// The units of sizes.
const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// A duration in whole units, larger before smaller: `20ms`, `5s`, `1m30s`, `1d`.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut units = DURATIONS;
    let mut total: u64 = 0;
    while !rest.is_empty() || text.is_empty() {
        let (number, after) = whole(rest)?;
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let place = units.iter().position(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(units[place].1)?)?;
        units = &units[place + 1..];
        rest = after;
    }
    Some(Duration::from_millis(total))
}

/// The duration as [`duration`] reads it.
pub fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, millis) in DURATIONS {
        if rest >= *millis {
            text.push_str(&format!("{}{unit}", rest / millis));
            rest %= millis;
        }
    }
    if text.is_empty() { "0ms".to_owned() } else { text }
}

/// A size in whole units: `500kB`, `4MiB`. Answers bytes.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = whole(text)?;
    let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*bytes)
}

/// The size as [`size`] reads it.
pub fn show_size(bytes: u64) -> String {
    let whole = SIZES.iter().filter(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    match whole.max_by_key(|(_, unit)| *unit) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => "0B".to_owned(),
    }
}

/// A ratio in percent, above 0 and up to 100: `5%`, `0.5%`. Answers a part of one.
pub fn ratio(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let percent: f64 = number.parse().ok().filter(|_| digits && number.len() <= 16)?;
    (percent > 0.0 && percent <= 100.0).then_some(percent / 100.0)
}

/// A point in time by RFC 3339, with its zone: `2026-01-05T10:00:00Z`.
pub fn time(text: &str) -> Option<Timestamp> {
    let shape = text.len() >= "2026-01-05T10:00:00Z".len()
        && text.as_bytes().get(10) == Some(&b'T')
        && !text.contains(['[', ' ']);
    text.parse().ok().filter(|_| shape)
}

/// The decimal number at the beginning, without sign, and what follows it.
fn whole(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_need_units_from_large_to_small() {
        let millis = |text| duration(text).map(|d| d.as_millis());
        for (text, expected) in [
            ("20ms", Some(20)),
            ("5s", Some(5000)),
            ("1m30s", Some(90_000)),
            ("1d2h3m4s5ms", Some(93_784_005)),
            ("0s", Some(0)),
            ("5", None),
            ("", None),
            ("s", None),
            ("5 s", None),
            ("30s1m", None),
            ("1s1s", None),
            ("-5s", None),
            ("1.5s", None),
            ("5S", None),
            ("5µs", None),
            ("99999999999999999999s", None),
            ("9999999999999999d", None),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
    }

    #[test]
    fn sizes_need_units_and_say_whether_they_count_in_thousands() {
        for (text, expected) in [
            ("4MiB", Some(4 << 20)),
            ("500kB", Some(500_000)),
            ("1B", Some(1)),
            ("1GB", Some(1_000_000_000)),
            ("4M", None),
            ("4mb", None),
            ("4", None),
            ("4 MiB", None),
            ("-4MiB", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(size(text), expected, "{text}");
        }
    }

    #[test]
    fn ratios_are_percentages_above_nought_and_up_to_a_hundred() {
        for (text, expected) in [
            ("5%", Some(0.05)),
            ("0.5%", Some(0.005)),
            ("100%", Some(1.0)),
            ("0%", None),
            ("101%", None),
            ("0.05", None),
            ("%", None),
            ("-5%", None),
            ("1e1%", None),
            ("inf%", None),
            ("nan%", None),
        ] {
            assert_eq!(ratio(text), expected, "{text}");
        }
    }

    #[test]
    fn points_in_time_need_their_zone() {
        assert!(time("2026-01-05T10:00:00Z").is_some());
        assert_eq!(time("2026-01-05T10:00:00+01:00"), time("2026-01-05T09:00:00Z"));
        assert!(time("2026-01-05T10:00:00.123456Z").is_some());
        for text in [
            "2026-01-05",
            "2026-01-05T10:00:00",
            "2026-01-05 10:00:00Z",
            "10:00",
            "",
            "now",
            "1767607200",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_the_same(millis in 0_u64..10_000_000_000, bytes in 0_u64..1 << 40) {
            let shown = Duration::from_millis(millis);
            prop_assert_eq!(duration(&show_duration(shown)), Some(shown));
            prop_assert_eq!(size(&show_size(bytes)), Some(bytes));
        }
    }
}
