//! Text without what a terminal, a mail server or a header would take for more than text.

/// Stands where a character stood that nobody can see.
const UNSEEN: char = '\u{fffd}';

/// Text on one line: line breaks and tabs become spaces, other control characters (NUL, escapes, delete) a
/// visible mark, the ends are trimmed.
pub(super) fn line(text: &str) -> String {
    let cleaned: String = characters(text, ' ', ' ').collect();
    cleaned.trim().to_owned()
}

/// Text on lines that end with `\n`: other line breaks become one, tabs stay, other control characters
/// become a visible mark, empty lines at the end go.
pub(super) fn body(text: &str) -> String {
    let mut cleaned: String = characters(text, '\n', '\t').collect();
    cleaned.truncate(cleaned.trim_end_matches('\n').len());
    cleaned
}

fn characters(text: &str, line_break: char, tab: char) -> impl Iterator<Item = char> {
    let mut before = None;
    text.chars().filter_map(move |character| {
        let after_return = before.replace(character) == Some('\r');
        match character {
            '\n' if after_return => None,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                Some(line_break)
            }
            '\t' => Some(tab),
            other if other.is_control() => Some(UNSEEN),
            other => Some(other),
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn line_breaks_are_kept_in_bodies_and_spaces_in_lines() {
        for (text, one_line, lines) in [
            ("lamp\r\nBcc: x@y", "lamp Bcc: x@y", "lamp\nBcc: x@y"),
            ("a\rb\nc\u{85}d\u{2028}e", "a b c d e", "a\nb\nc\nd\ne"),
            (
                "\u{1b}[31mred\0\u{7f}",
                "\u{fffd}[31mred\u{fffd}\u{fffd}",
                "\u{fffd}[31mred\u{fffd}\u{fffd}",
            ),
            ("a\tb", "a b", "a\tb"),
            (" x \n\n", "x", " x "),
            ("\r\n.\r\n", ".", "\n."),
        ] {
            assert_eq!((line(text).as_str(), body(text).as_str()), (one_line, lines), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_unseen_is_left(text in "\\PC*|[\\x00-\\x9f\u{2028}a]*") {
            prop_assert!(!line(&text).contains(char::is_control));
            let unseen = |c: char| c.is_control() && c != '\n' && c != '\t';
            prop_assert!(!body(&text).contains(unseen));
        }
    }
}
