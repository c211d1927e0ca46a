//! SQLSTATE to fault class: the one table.

use tokio_postgres::error::{DbError, SqlState};

use super::super::Error;
use crate::record::Class;

/// What a failed call to the server means.
pub(super) fn error(doing: &'static str, error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(answer) => {
            let (class, code) = classify(answer.code());
            Error::Answer {
                doing,
                state: answer.code().code().to_owned(),
                message: message(answer, class),
                class,
                code,
            }
        }
        None => Error::Connection { doing, cause: chain(error) },
    }
}

/// Class and word of a SQLSTATE.
fn classify(state: &SqlState) -> (Class, &'static str) {
    use Class::{Conflict, Fatal, Poison, Unavailable};
    match state.code() {
        // The row breaks a rule of the table, and always will.
        "23505" => (Poison, "unique_violation"),
        "23502" => (Poison, "not_null_violation"),
        "23503" => (Poison, "foreign_key_violation"),
        "23514" | "44000" => (Poison, "check_violation"),
        "23P01" => (Poison, "exclusion_violation"),
        // The value does not fit its column, and never will.
        "22001" => (Poison, "too_long"),
        "22003" | "22008" => (Poison, "out_of_range"),
        "22021" | "22P05" => (Poison, "bad_character"),
        // The row is too large for a page or an index entry.
        "54000" => (Poison, "too_large"),
        // A trigger of the user's table said no.
        "P0001" | "P0004" => (Poison, "trigger"),
        // Concurrent work; nobody's fault, the same again will do.
        "40001" => (Conflict, "serialization"),
        "40P01" => (Conflict, "deadlock"),
        "55P03" => (Conflict, "lock_timeout"),
        // The commit's fate is not known: look.
        "40003" => (Unavailable, "connection"),
        // The server is slow, stopping, full, read-only, or not let in just now.
        "57014" => (Unavailable, "statement_timeout"),
        "25006" => (Unavailable, "read_only"),
        "25P03" => (Unavailable, "idle_in_transaction"),
        "53100" => (Unavailable, "disk_full"),
        "53300" => (Unavailable, "too_many_connections"),
        // A password is rotated now and then: wait for the right one instead of ending.
        "28000" | "28P01" => (Unavailable, "login"),
        // A person must act.
        "42501" => (Fatal, "grant"),
        "42P01" => (Fatal, "no_table"),
        "42703" => (Fatal, "no_column"),
        "3D000" => (Fatal, "no_database"),
        "3F000" => (Fatal, "no_schema"),
        other => match other.get(..2) {
            Some("23") => (Poison, "constraint"),
            Some("22" | "21") => (Poison, "data"),
            // What a trigger's own code raises.
            Some("38" | "39" | "P0") => (Poison, "trigger"),
            Some("40" | "55") => (Conflict, "conflict"),
            Some("08") => (Unavailable, "connection"),
            Some("53") => (Unavailable, "resources"),
            Some("57") => (Unavailable, "shutdown"),
            Some("58" | "XX" | "25") => (Unavailable, "server"),
            // The statement itself is wrong for this database, or the code is one that nobody thought of:
            // neither waiting nor dead-lettering everything would be right.
            _ => (Fatal, "statement"),
        },
    }
}

/// The answer in words that hold no value of the row. The server puts values into `DETAIL`, `HINT` and `WHERE`
/// always, and into the message itself for data errors and for what a trigger raises.
fn message(answer: &DbError, class: Class) -> String {
    let state = answer.code().code();
    let mut text = match (class, state) {
        (Class::Poison, "22001") => "a text is longer than its column".to_owned(),
        (Class::Poison, "22003") => "a number is out of its column's range".to_owned(),
        (Class::Poison, "22008") => "a date or time is out of range".to_owned(),
        (Class::Poison, "22P02" | "22007") => "a text is not of its column's type".to_owned(),
        (Class::Poison, _) if state.starts_with("23") => answer.message().to_owned(),
        (Class::Poison, "44000" | "54000") => answer.message().to_owned(),
        (Class::Poison, _) if state.starts_with("22") => "a value is refused".to_owned(),
        (Class::Poison, _) => "the table's trigger refused the row".to_owned(),
        _ => answer.message().to_owned(),
    };
    let places = [
        ("table", answer.table()),
        ("column", answer.column()),
        ("type", answer.datatype()),
        ("constraint", answer.constraint()),
    ];
    for (what, name) in places {
        if let Some(name) = name.filter(|name| !text.contains(*name)) {
            text.push_str(&format!(", {what} {name}"));
        }
    }
    text
}

/// An error with its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_of_the_fault_table_has_its_class() {
        let table = [
            (Class::Conflict, &["40001", "40P01", "55P03", "55006"][..]),
            (
                Class::Unavailable,
                &[
                    "57014", "53100", "53200", "53300", "57P01", "57P02", "57P03", "08000",
                    "08006", "25006", "25P03", "58030", "28P01", "28000", "40003", "XX000",
                ],
            ),
            (
                Class::Poison,
                &[
                    "22001", "22003", "22P02", "22021", "23502", "23503", "23505", "23514",
                    "23P01", "44000", "P0001", "54000",
                ],
            ),
            (
                Class::Fatal,
                &["42501", "42P01", "42703", "42804", "42P10", "3D000", "0A000", "99999"],
            ),
        ];
        for (class, states) in table {
            for state in states {
                assert_eq!(classify(&SqlState::from_code(state)).0, class, "{state}");
            }
        }
    }
}
