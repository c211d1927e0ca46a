//! How large what a registry answers may be, and how deep.

/// One reply, in bytes.
pub(super) const REPLY_BYTES_MAX: usize = 1024 * 1024;
/// A schema with everything that it refers to, in bytes.
pub(super) const SCHEMA_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Nesting of brackets in a schema's JSON.
pub(super) const DEPTH_MAX: usize = 64;
/// Schemas that one schema refers to, transitively.
pub(super) const REFERENCES_MAX: usize = 32;
/// A subject's name, in bytes.
pub(super) const SUBJECT_BYTES_MAX: usize = 512;

/// Is the JSON nested no deeper than `max`? Counts brackets outside strings: needs neither a stack nor
/// well-formed text.
pub(super) fn within_depth(json: &str, max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > max {
                    return false;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// The start of a text from outside, for a message: one line, at most 300 characters, nothing that a
/// terminal would obey.
pub(super) fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 300;
    let mut line: String =
        text.chars().take(CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings_only() {
        for (json, max, within) in [
            (r#"{"a":[1]}"#, 2, true),
            (r#"{"a":[1]}"#, 1, false),
            (r#""[[[[""#, 0, true),
            (r#"["\"[[["]"#, 1, true),
            (r#"["\\",[]]"#, 1, false),
            ("[][][]", 1, true),
        ] {
            assert_eq!(within_depth(json, max), within, "{json} in {max}");
        }
    }

    #[test]
    fn an_excerpt_is_one_bounded_line() {
        let text = format!("a\r\n\u{1b}[31m{}", "x".repeat(10_000));
        let cut = excerpt(&text);
        assert!(cut.chars().all(|c| !c.is_control()), "{cut}");
        assert_eq!(cut.chars().count(), 301);
    }
}
