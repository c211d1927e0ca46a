//! Groups that are moved, by `group reset` and by Kafka's own tool, and where groups begin.

mod from;
mod mail;
mod moved;
mod reset;

use crate::plain::{Line, SOON};
use crate::support::Process;

/// `ordermill ARGS` to its end: exit code, standard output, standard error.
#[track_caller]
fn end(line: &Line, args: &[&str]) -> (Option<i32>, String, String) {
    let mut process = line.command(args).start();
    let code = process.wait_exit(SOON);
    (code, process.stdout(), process.stderr())
}

/// Asks it to stop, and waits until it has.
#[track_caller]
fn stop(mut mill: Process) {
    mill.sigterm();
    assert_eq!(mill.wait_exit(SOON), Some(0), "{}", mill.stderr());
}

/// Waits until everything in the topic is settled and committed.
#[track_caller]
fn wait_committed(line: &Line, mill: &mut Process, records: i64) {
    mill.wait_until(SOON, &format!("{records} are committed"), |_| {
        line.committed().values().sum::<i64>() == records
    });
}

/// The whole table as one value.
fn digest(line: &Line) -> String {
    let sql = "SELECT count(*) || md5(coalesce(string_agg(n || ' ' || note, ',' ORDER BY n), ''))";
    line.database.query(&format!("{sql} FROM {}", line.table))
}

/// What the database keeps of where the line stands.
fn progress(line: &Line) -> String {
    let row = "partition || ':' || next || '/' || replay_mark || '@' || owner_epoch";
    line.database.query(&format!(
        "SELECT string_agg({row}, ' ' ORDER BY partition) FROM ordermill_progress WHERE group_name = '{}'",
        line.group()
    ))
}
