//! An archive of the orders: judged by fastavro, which reads every file, and by the generator.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tpchgen::generators::{Order, OrderGenerator};

use super::feed;
use super::ground::{Line, PARTITIONS};
use super::member::Member;
use crate::support::{Disk, output, repository};

const LIMIT: Duration = Duration::from_secs(120);
/// Of what there is at once, where nothing is fed.
const SCALE: f64 = 0.01;

/// A folder for an archive, and what it must hold in the end.
#[derive(Debug)]
struct Shelf {
    line: Line<'static>,
    folder: TempDir,
}

impl Shelf {
    fn new() -> Self {
        Self { line: Line::new(), folder: tempfile::tempdir().unwrap() }
    }

    fn to(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    /// A member whose files end at this age, and whose windows hold so many records.
    fn member(&self, every: &str, records: usize) -> Member {
        let to = self.to();
        let sink = format!(
            "{{ archive: {{ to: {}, roll: {{ size: 1MiB, every: {every} }}, timeout: 3s }} }}",
            to.display()
        );
        self.line.member_into(&sink, &format!("{{ drain: 5s, window: {{ records: {records} }} }}"))
    }

    fn wait_until_all_is_kept(&self, member: &mut Member) {
        member.wait_until(LIMIT, "nothing is left to keep", |member| {
            member.lag(PARTITIONS) == Some(0) && member.in_flight() == 0
        });
    }

    /// Every order that was made is there, once and as it was made, in the order of the log; the chains are sound and reach
    /// its end; nothing else lies there.
    #[track_caller]
    fn assert_exact<'a>(&self, made: impl Iterator<Item = Order<'a>>) {
        let made: BTreeMap<i64, String> =
            made.map(|order| (order.o_orderkey, order.o_totalprice.to_string())).collect();
        let ends = self.line.ends();
        self.line.assert_settled(made.len() as u64);
        let (entries, chains) = read(&self.to());
        let mut offsets: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        let mut kept: BTreeMap<i64, String> = BTreeMap::new();
        for entry in &entries {
            let of = |name: &str| entry[name].as_i64().unwrap();
            offsets.entry(of("partition")).or_default().push(of("offset"));
            let event = &entry["event"];
            let price = event["o_totalprice"].as_str().unwrap().to_owned();
            let twice = kept.insert(event["o_orderkey"].as_i64().unwrap(), price);
            assert!(twice.is_none(), "twice: {entry}");
        }
        for (partition, end) in ends {
            let all: Vec<i64> = (0..end).collect();
            let there = offsets.remove(&partition.into()).unwrap_or_default();
            assert_eq!(there, all, "partition {partition}");
            let reaches = chains.iter().find(|chain| chain["partition"] == partition);
            assert_eq!(reaches.map_or(0, |chain| chain["next"].as_i64().unwrap()), end);
        }
        assert_eq!(kept, made);
    }

    /// How many files there are.
    fn files(&self) -> usize {
        read(&self.to()).1.iter().map(|chain| chain["objects"].as_u64().unwrap() as usize).sum()
    }
}

fn all() -> impl Iterator<Item = Order<'static>> {
    OrderGenerator::new(SCALE, 1, 1).into_iter()
}

/// Every entry that fastavro finds in an archive, and what it says of each chain.
#[track_caller]
fn read(folder: &Path) -> (Vec<Value>, Vec<Value>) {
    let python = std::env::var_os("ORDERMILL_TEST_PYTHON").expect("scripts/with-services sets it");
    let oracle = repository().join("scripts/oracle/archive_oracle.py");
    let said = output(Command::new(python).arg(oracle).arg(folder));
    let mut lines: Vec<Value> = said.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let totals = lines.pop().unwrap();
    (lines, totals["chains"].as_array().unwrap().clone())
}

#[test]
fn a_full_window_and_a_stop_end_files_and_a_group_moved_back_keeps_nothing_twice() {
    let shelf = Shelf::new();
    shelf.line.produce(SCALE);
    // No file is ever old enough: only the window ends one, and the stop the last.
    let mut member = shelf.member("1h", 300);
    member.wait_until(LIMIT, "it has all and holds but the last window", |member| {
        member.consumed() == all().count() as u64
            && member.in_flight() < u64::from(PARTITIONS) * 300
    });
    assert!(member.effected() > 0);
    assert_eq!(member.given_back(), 0);
    member.leave();
    shelf.assert_exact(all());
    let files = shelf.files();
    assert!(files > usize::try_from(PARTITIONS).unwrap(), "{files} files");

    shelf.line.move_back();
    let mut member = shelf.member("1s", 10_000);
    shelf.wait_until_all_is_kept(&mut member);
    assert_eq!(member.consumed(), 0, "the chain says that all of it is there");
    member.leave();
    shelf.assert_exact(all());
    assert_eq!(shelf.files(), files);
}

#[test]
fn three_kills_leave_an_archive_exact_and_whole() {
    kill(3);
}

/// Two members keep what comes in; again and again one of them is killed with work in its hands, and another comes.
///
/// Counts only if records were delivered again because of them.
pub(super) fn kill(kills: usize) {
    let shelf = Shelf::new();
    let feed = feed::start(&shelf.line);
    let mut consumed = 0;
    let mut old = shelf.member("1s", 500);
    old.wait_for_work();
    for _ in 0..kills {
        let mut new = shelf.member("1s", 500);
        new.wait_for_work();
        old.wait_for_work();
        consumed += old.kill();
        old = new;
    }
    let orders = feed.enough(0, LIMIT);
    shelf.wait_until_all_is_kept(&mut old);
    consumed += old.consumed();
    assert!(consumed > orders as u64, "{consumed} of {orders}: nothing came twice");
    old.leave();
    shelf.assert_exact(feed::orders().take(orders));
}

#[test]
fn a_full_disk_is_waited_for_and_nothing_is_lost() {
    let shelf = Shelf::new();
    let to = shelf.to();
    let Some(disk) = Disk::mount(&to, "256k") else { return };
    shelf.line.produce(SCALE);
    let mut member = shelf.member("1s", 10_000);
    member.wait_until(LIMIT, "it says that the disk is full", |member| {
        let (ready, state) = member.ready();
        !ready && state.starts_with("waiting: ") && state.contains("is full")
    });
    assert!(member.in_flight() > 0, "it holds what it cannot write");
    disk.grow("64m");
    shelf.wait_until_all_is_kept(&mut member);
    member.wait_until(LIMIT, "it runs", |member| member.ready() == (true, "running".to_owned()));
    member.leave();
    shelf.assert_exact(all());
}
