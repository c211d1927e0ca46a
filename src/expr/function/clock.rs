//! The calendar and the clock face: dates, times, timestamps and durations to and from text. Gregorian, UTC,
//! whole microseconds; years 1 to 9999 are read, all are written.

use crate::expr::arithmetic::DAY;

const SECOND: i64 = 1_000_000;

/// Year, month (1–12) and day (1–31) of a day counted from 1970-01-01, in the Gregorian calendar.
pub(super) fn civil(days: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that the leap day is the last of its year; eras have 400 years.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let of_month = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, of_month)
}

/// The day counted from 1970-01-01.
pub(super) fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// `2026-01-31`.
pub(super) fn date_text(day: i64) -> String {
    let (year, month, day) = civil(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `10:00:00` or `10:00:00.25`.
pub(super) fn time_text(micros: i64) -> String {
    let (seconds, rest) = (micros.div_euclid(SECOND), micros.rem_euclid(SECOND));
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}{}", fraction(rest.unsigned_abs()))
}

/// RFC 3339: `2026-01-31T10:00:00.25Z`.
pub(super) fn timestamp_text(micros: i64) -> String {
    format!("{}T{}Z", date_text(micros.div_euclid(DAY)), time_text(micros.rem_euclid(DAY)))
}

/// Microseconds as `.25`, nothing where there are none.
fn fraction(micros: u64) -> String {
    if micros == 0 {
        return String::new();
    }
    format!(".{micros:06}").trim_end_matches('0').to_owned()
}

/// Reads `2026-01-31`.
pub(super) fn date_of(text: &str) -> Option<i64> {
    let parts = [text.get(..4)?, text.get(5..7)?, text.get(8..)?];
    let [year, month, day] = [number(parts[0], 4)?, number(parts[1], 2)?, number(parts[2], 2)?];
    let right = text.get(4..5) == Some("-") && text.get(7..8) == Some("-") && year > 0;
    let count = days(year, month, day);
    (right && (1..=12).contains(&month) && civil(count) == (year, month, day)).then_some(count)
}

/// Reads `10:00:00` with up to nine digits after a point; digits beyond microseconds are cut.
pub(super) fn time_of(text: &str) -> Option<i64> {
    let parts = [text.get(..2)?, text.get(3..5)?, text.get(6..8)?];
    let [hours, minutes, seconds] =
        [number(parts[0], 2)?, number(parts[1], 2)?, number(parts[2], 2)?];
    let right = text.get(2..3) == Some(":") && text.get(5..6) == Some(":");
    if !right || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let micros = match text.get(8..)? {
        "" => 0,
        rest => {
            let digits = rest.strip_prefix('.').filter(|digits| (1..=9).contains(&digits.len()))?;
            number(digits, digits.len())?;
            format!("{digits:0<6}").get(..6)?.parse().ok()?
        }
    };
    Some(((hours * 60 + minutes) * 60 + seconds) * SECOND + micros)
}

/// Reads RFC 3339: date, `T`, time, and `Z` or an offset such as `+02:00`.
pub(super) fn timestamp_of(text: &str) -> Option<i64> {
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (time, offset) = match rest.strip_suffix(['Z', 'z']) {
        Some(time) => (time, 0),
        None => {
            let at = rest.rfind(['+', '-'])?;
            let (time, offset) = rest.split_at(at);
            let minutes = time_of(&format!("{}:00", offset.get(1..)?))? / (60 * SECOND);
            (time, if offset.starts_with('-') { -minutes } else { minutes })
        }
    };
    Some(date_of(date)? * DAY + time_of(time)? - offset * 60 * SECOND)
}

/// A number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    let right = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    right.then(|| text.parse().ok())?
}

/// The text of a duration: seconds with up to six digits after the point, as in `1.5s`.
pub(super) fn duration_text(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    format!("{sign}{}{}s", micros / 1_000_000, fraction(micros % 1_000_000))
}

/// Reads a duration such as `1h30m`, `-1.5s`, `100ms`, `20us`, `0`; `None`: it is none, is finer than a
/// microsecond, or does not fit.
pub(super) fn duration_of(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        nanos = nanos.checked_add(nanos_of(number, unit)?)?;
        rest = after;
    }
    if nanos % 1_000 != 0 {
        return None;
    }
    i64::try_from(if negative { -nanos / 1_000 } else { nanos / 1_000 }).ok()
}

fn nanos_of(number: &str, unit: &str) -> Option<i128> {
    let unit: i128 = match unit {
        "h" => 3_600_000_000_000,
        "m" => 60_000_000_000,
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" | "µs" | "μs" => 1_000,
        "ns" => 1,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || whole.len() > 18 || fraction.len() > 18 {
        return None;
    }
    let digits: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanos = digits.checked_mul(unit)?;
    if !fraction.is_empty() {
        let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let part = fraction.parse::<i128>().ok()?.checked_mul(unit)?;
        if part % scale != 0 {
            return None;
        }
        nanos = nanos.checked_add(part / scale)?;
    }
    Some(nanos)
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_day_has_the_date_that_the_calendar_library_gives_it(day in -719_162_i64..2_932_896) {
            let (year, month, of_month) = civil(day);
            let epoch = Date::constant(1970, 1, 1);
            let expect = epoch.checked_add(jiff::Span::new().days(day)).unwrap();
            prop_assert_eq!(
                (year, month, of_month),
                (i64::from(expect.year()), i64::from(expect.month()), i64::from(expect.day()))
            );
            prop_assert_eq!(days(year, month, of_month), day);
        }

        #[test]
        fn a_timestamp_is_written_and_read_as_the_calendar_library_does(
            micros in -62_135_596_800_000_000_i64..253_402_207_200_000_000,
            minutes in -1_439_i64..1_440,
        ) {
            let text = timestamp_text(micros);
            prop_assert_eq!(timestamp_of(&text), Some(micros));
            let at = jiff::Timestamp::from_microsecond(micros).unwrap();
            prop_assert_eq!(&at.to_string(), &text);
            let offset = jiff::tz::Offset::from_seconds((minutes * 60) as i32).unwrap();
            let elsewhere = at.display_with_offset(offset).to_string();
            if (0..9_999).contains(&offset.to_datetime(at).year()) {
                let expect = Some(micros).filter(|_| offset.to_datetime(at).year() > 0);
                prop_assert_eq!(timestamp_of(&elsewhere), expect, "{}", elsewhere);
            }
        }

        #[test]
        fn what_is_read_the_calendar_library_reads_the_same(
            text in "[0-2][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-][0-2][0-9]:[0-6][0-9])",
        ) {
            let micros = |at: jiff::Timestamp| at.as_nanosecond().div_euclid(1_000) as i64;
            if let Some(read) = timestamp_of(&text) {
                prop_assert_eq!(text.parse::<jiff::Timestamp>().map(micros).ok(), Some(read));
            }
        }

        #[test]
        fn a_duration_reads_back_from_its_text(micros: i64) {
            prop_assert_eq!(duration_of(&duration_text(micros)), Some(micros));
        }
    }

    #[test]
    fn a_text_that_is_no_date_or_time_is_refused() {
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "0000-01-01",
            "2026-1-1",
            "2026-01-1x",
            "2026-01-01 ",
        ] {
            assert_eq!(date_of(text), None, "{text}");
        }
        for text in [
            "24:00:00",
            "10:00",
            "10:60:00",
            "10:00:00.",
            "10:00:00.0000000001",
            "10-00-00",
            "1ä:00:00",
        ] {
            assert_eq!(time_of(text), None, "{text}");
        }
        for text in
            ["2026-01-01", "2026-01-01T10:00:00", "2026-01-01T10:00:00+2", "ä026-01-01T10:00:00Z"]
        {
            assert_eq!(timestamp_of(text), None, "{text}");
        }
        assert_eq!(timestamp_of("9999-12-31T23:59:59.999999Z"), Some(253_402_300_799_999_999));
    }

    #[test]
    fn a_duration_that_is_none_or_too_fine_is_refused() {
        for (text, expect) in [
            ("1h30m", Some(5_400_000_000)),
            ("-1.5s", Some(-1_500_000)),
            ("100ms", Some(100_000)),
            ("0", Some(0)),
            (".5s", Some(500_000)),
            ("1", None),
            ("", None),
            ("-", None),
            ("1d", None),
            ("1ns", None),
            ("1000ns", Some(1)),
            (".s", None),
            ("99999999999999999h", None),
        ] {
            assert_eq!(duration_of(text), expect, "{text}");
        }
    }
}
