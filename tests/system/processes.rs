//! The harness's own laws: what it says of a process is so.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::{Ordermill, Process, wait_until};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn the_binary_runs_in_a_directory_of_its_own() {
    let mut mill = Ordermill::new(["--version"])
        .env("ORDERMILL_TEST_NOTHING", "1")
        .file("pipelines/orders.yaml", "name: orders\n")
        .start();
    assert_eq!(mill.wait_exit(LIMIT), Some(0), "{}", mill.stderr());
    assert!(mill.dir().join("pipelines/orders.yaml").exists());
}

#[test]
fn a_process_is_frozen_woken_and_asked_to_stop() {
    let mut process =
        shell("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.02; done");
    process.wait_until(LIMIT, "it is ready", |process| process.stdout() == "ready\n");
    process.sigstop();
    process.sigterm();
    assert!(process.exit().is_none());
    process.sigcont();
    assert_eq!(process.wait_exit(LIMIT), Some(3));
    assert_eq!(process.stdout(), "ready\nbye\n");
}

#[test]
fn a_killed_process_has_no_exit_code() {
    let mut process = shell("while :; do sleep 0.02; done");
    process.kill9();
    assert_eq!(process.wait_exit(LIMIT), None);
}

#[test]
#[should_panic(expected = "before pigs fly")]
fn nobody_waits_for_a_process_that_has_ended() {
    shell("exit 1").wait_until(LIMIT, "pigs fly", |_| false);
}

#[test]
fn a_process_is_scraped_where_it_says_it_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = String::new();
        while !asked.ends_with("\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            asked.push(byte[0].into());
        }
        let body = "lag{partition=\"0\"} 1\nlag{partition=\"1\"} 2\n";
        write!(stream, "HTTP/1.1 200 OK\r\n\r\n{body}").unwrap();
        asked
    });
    let mut process = shell(&format!(
        "echo 'INFO http listening address={address}' >&2; while :; do sleep 0.02; done"
    ));
    let metrics = process.scrape();
    assert_eq!(metrics.value("lag", &[("partition", "1")]), Some(2.0));
    assert_eq!(metrics.sum("lag", &[]), 3.0);
    wait_until(LIMIT, "the server has answered", || server.is_finished());
    let asked = server.join().unwrap();
    assert!(asked.starts_with("GET /metrics HTTP/1"), "{asked}");
}

fn shell(text: &str) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", text]);
    Process::spawn("sh", command)
}
