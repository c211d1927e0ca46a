//! `demo`: the order system in one process, run from a folder that has nothing, judged by what it leaves.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::Value;

use super::end;
use crate::plain::SOON;
use crate::support::Ordermill;

#[test]
fn the_order_system_balances_and_what_it_counted_is_there() {
    let args = ["demo", "--orders", "2000", "--keep", "-o", "json"];
    let (code, out, error) = end(Ordermill::new(args));
    assert_eq!(code, Some(0), "{error}");
    assert!(!error.contains('\u{1b}'), "no terminal, and yet: {error}");
    let folder = Kept(folder(&error));
    let ledger: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!((&ledger["orders"], &ledger["balanced"]), (&2000.into(), &true.into()), "{out}");
    let count = |index: usize, key: &str| ledger["pipelines"][index][key].as_u64().unwrap();
    for index in 0..4 {
        let ends = ["effects", "dropped", "dead_letters"].map(|key| count(index, key));
        assert_eq!(count(index, "in"), ends.iter().sum::<u64>(), "{out}");
        assert!(ends[0] > 0 && ends[2] > 0, "nothing was spoilt: {out}");
    }
    let stock = Connection::open(folder.0.join("orders.sqlite")).unwrap();
    let moves: u32 = stock.query_row("SELECT count(*) FROM moves", [], |row| row.get(0)).unwrap();
    assert_eq!(u64::from(moves), count(0, "effects"));
    assert_eq!(files(&folder.0.join("mails"), "eml") as u64, count(1, "effects"));
    assert!(files(&folder.0.join("archive"), "avro") > 0);
}

#[test]
fn a_demo_that_is_stopped_leaves_nothing_and_says_that_it_did_not_end() {
    let mut demo = Ordermill::new(["demo", "--orders", "1000000"]).start();
    demo.wait_until(SOON, "it produces", |demo| demo.stderr().contains("done: "));
    demo.sigterm();
    assert_eq!(demo.wait_exit(SOON), Some(1), "{}", demo.stderr());
    let error = demo.stderr();
    assert!(error.contains("stopped before the end"), "{error}");
    assert!(!folder(&error).exists(), "{error}");
}

/// Gone with this.
struct Kept(PathBuf);

impl Drop for Kept {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Where it says that its files lie.
fn folder(said: &str) -> PathBuf {
    let line = said.lines().find(|line| line.contains("ordermill-demo-")).expect(said);
    PathBuf::from(line.split_whitespace().last().unwrap())
}

fn files(folder: &Path, extension: &str) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let count = |path: PathBuf| match path.is_dir() {
        true => files(&path, extension),
        false => usize::from(path.extension().is_some_and(|e| e == extension)),
    };
    entries.map(count).sum()
}
