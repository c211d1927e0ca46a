//! SQLite's result codes to fault class: the one table.

use rusqlite::ErrorCode;
use rusqlite::ffi;

use super::super::Error;
use crate::record::Class;

/// What a failed call means.
pub(in crate::database) fn error(doing: &'static str, error: &rusqlite::Error) -> Error {
    let (failure, text) = match error {
        rusqlite::Error::SqliteFailure(failure, text) => (failure, text.as_deref()),
        rusqlite::Error::SqlInputError { error, msg, .. } => (error, Some(msg.as_str())),
        other => {
            return Error::Answer {
                doing,
                state: "driver".to_owned(),
                message: other.to_string(),
                class: Class::Fatal,
                code: "statement",
            };
        }
    };
    let (class, code) = classify(failure);
    // A trigger's own text may hold values; everything else names tables, columns and constraints.
    let message = match (code, text) {
        ("trigger", _) => "the table's trigger refused the row".to_owned(),
        (_, Some(text)) => text.to_owned(),
        (_, None) => ffi::code_to_str(failure.extended_code).to_owned(),
    };
    Error::Answer { doing, state: failure.extended_code.to_string(), message, class, code }
}

/// Class and word of a result code.
fn classify(failure: &ffi::Error) -> (Class, &'static str) {
    use Class::{Conflict, Fatal, Poison, Unavailable};
    match failure.extended_code {
        ffi::SQLITE_CONSTRAINT_UNIQUE
        | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
        | ffi::SQLITE_CONSTRAINT_ROWID => return (Poison, "unique_violation"),
        ffi::SQLITE_CONSTRAINT_NOTNULL => return (Poison, "not_null_violation"),
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => return (Poison, "foreign_key_violation"),
        ffi::SQLITE_CONSTRAINT_CHECK => return (Poison, "check_violation"),
        ffi::SQLITE_CONSTRAINT_TRIGGER => return (Poison, "trigger"),
        _ => {}
    }
    match failure.code {
        // The row breaks a rule of the table, or is too large, and always will be.
        ErrorCode::ConstraintViolation => (Poison, "constraint"),
        ErrorCode::TypeMismatch => (Poison, "data"),
        ErrorCode::TooBig => (Poison, "too_large"),
        // Another program has the file for a moment.
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => (Conflict, "busy"),
        ErrorCode::FileLockingProtocolFailed => (Conflict, "busy"),
        // The disk is full, broken or read-only for now; memory is short.
        ErrorCode::DiskFull => (Unavailable, "disk_full"),
        ErrorCode::SystemIoFailure => (Unavailable, "disk"),
        ErrorCode::CannotOpen => (Unavailable, "file"),
        ErrorCode::ReadOnly => (Unavailable, "read_only"),
        ErrorCode::OutOfMemory => (Unavailable, "memory"),
        ErrorCode::OperationInterrupted | ErrorCode::OperationAborted => {
            (Unavailable, "interrupted")
        }
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            (Fatal, "grant")
        }
        ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => (Fatal, "corrupt"),
        // The statement is wrong for this file, or the code is one that nobody thought of.
        _ => (Fatal, "statement"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_fault_table_has_its_class() {
        let table = [
            (ffi::SQLITE_BUSY, Class::Conflict),
            (ffi::SQLITE_LOCKED, Class::Conflict),
            (ffi::SQLITE_BUSY_SNAPSHOT, Class::Conflict),
            (ffi::SQLITE_FULL, Class::Unavailable),
            (ffi::SQLITE_IOERR, Class::Unavailable),
            (ffi::SQLITE_IOERR_FSYNC, Class::Unavailable),
            (ffi::SQLITE_READONLY, Class::Unavailable),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, Class::Poison),
            (ffi::SQLITE_CONSTRAINT_DATATYPE, Class::Poison),
            (ffi::SQLITE_TOOBIG, Class::Poison),
            (ffi::SQLITE_CORRUPT, Class::Fatal),
            (ffi::SQLITE_ERROR, Class::Fatal),
        ];
        for (code, class) in table {
            assert_eq!(classify(&ffi::Error::new(code)).0, class, "{code}");
        }
    }
}
