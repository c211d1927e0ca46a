//! `health`: what a container's check is told by its exit code.

use super::end;
use crate::plain::{Line, wait_state};
use crate::support::{Closed, Ordermill, Services};

#[test]
fn a_process_that_runs_is_ready_and_one_that_waits_only_lives() {
    let line = Line::new(1);
    let mut mill = line.run();
    wait_state(&mut mill, "running");
    let address = mill.http_address();
    assert_eq!(health(&address, &[]), (Some(0), "alive\n".to_owned(), String::new()));
    let (code, out, error) = health(&address, &["--ready"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains("\"ready\":true"), "{out}");

    let closed = Closed::before("nobody:1");
    let mut waits = line.set(Services::get().kafka.bootstrap(), &closed.address()).run();
    let address = waits.http_address();
    assert_eq!(health(&address, &[]).0, Some(0));
    let (code, out, error) = health(&address, &["--ready"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(error.contains("\"ready\":false"), "{error}");
}

#[test]
fn nobody_there_is_no_life_and_the_address_is_said() {
    let closed = Closed::before("nobody:1").address();
    let (code, out, error) = health(&closed, &[]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(error.contains(&closed), "{error}");
}

/// Exit code, standard output, standard error. It listens nowhere itself: the address is asked.
fn health(address: &str, args: &[&str]) -> (Option<i32>, String, String) {
    end(Ordermill::new(["health", "--http", address].iter().chain(args)))
}
