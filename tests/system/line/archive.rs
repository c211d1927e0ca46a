//! An archive of the orders: judged by fastavro, which reads every file, and by the generator.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tpchgen::generators::OrderGenerator;

use super::feed;
use super::ground::{Line, PARTITIONS, Truth};
use super::member::Member;
use crate::support::{output, repository};

const LIMIT: Duration = Duration::from_secs(120);

/// A folder for an archive, and what it must hold in the end.
#[derive(Debug)]
struct Shelf {
    line: Line<'static>,
    folder: TempDir,
    scale: f64,
}

impl Shelf {
    fn new(scale: f64) -> Self {
        Self { line: Line::new(), folder: tempfile::tempdir().unwrap(), scale }
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
    fn assert_exact(&self) {
        let ends = self.line.ends();
        let orders: u64 = Truth::of(self.scale).orders;
        self.line.assert_settled(orders);
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
        let made: BTreeMap<i64, String> = OrderGenerator::new(self.scale, 1, 1)
            .into_iter()
            .map(|order| (order.o_orderkey, order.o_totalprice.to_string()))
            .collect();
        assert_eq!(kept, made);
    }

    /// How many files there are.
    fn files(&self) -> usize {
        read(&self.to()).1.iter().map(|chain| chain["objects"].as_u64().unwrap() as usize).sum()
    }
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
    let shelf = Shelf::new(0.01);
    shelf.line.produce(0.01);
    let truth = Truth::of(0.01);
    // No file is ever old enough: only the window ends one, and the stop the last.
    let mut member = shelf.member("1h", 300);
    member.wait_until(LIMIT, "it has all and holds but the last window", |member| {
        member.consumed() == truth.orders && member.in_flight() < u64::from(PARTITIONS) * 300
    });
    assert!(member.effected() > 0);
    assert_eq!(member.given_back(), 0);
    member.leave();
    shelf.assert_exact();
    let files = shelf.files();
    assert!(files > usize::try_from(PARTITIONS).unwrap(), "{files} files");

    shelf.line.move_back();
    let mut member = shelf.member("1s", 10_000);
    shelf.wait_until_all_is_kept(&mut member);
    assert_eq!(member.consumed(), 0, "the chain says that all of it is there");
    member.leave();
    shelf.assert_exact();
    assert_eq!(shelf.files(), files);
}

#[test]
fn three_kills_leave_an_archive_exact_and_whole() {
    kill(0.04, 3);
}

/// Two members keep what comes in; again and again one of them is killed with work in its hands, and another comes.
///
/// Counts only if each kill came under load, and records were delivered again because of them.
pub(super) fn kill(scale: f64, kills: usize) {
    let shelf = Shelf::new(scale);
    let feed = feed::start(&shelf.line, scale);
    let mut consumed = 0;
    let mut old = shelf.member("1s", 500);
    old.wait_for_work();
    for kill in 1..=kills {
        let mut new = shelf.member("1s", 500);
        new.wait_for_work();
        old.wait_for_work();
        consumed += old.kill();
        assert!(feed.runs(), "kill {kill} of {kills} came after the end");
        old = new;
    }
    feed.finish(LIMIT);
    shelf.wait_until_all_is_kept(&mut old);
    consumed += old.consumed();
    let orders = Truth::of(scale).orders;
    assert!(consumed > orders, "{consumed} of {orders}: nothing came twice");
    old.leave();
    shelf.assert_exact();
}

/// A small file system of its own; needs the right to mount one.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(at: &'a Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .status();
        mount.is_ok_and(|status| status.success()).then_some(Self(at))
    }

    fn grow(&self, size: &str) {
        output(Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(self.0));
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_waited_for_and_nothing_is_lost() {
    let shelf = Shelf::new(0.01);
    let to = shelf.to();
    let Some(disk) = Disk::mount(&to, "256k") else {
        let said = "\n*** NOT TESTED: a full disk. It needs the right to mount a tmpfs. ***\n";
        return std::io::stderr().write_all(said.as_bytes()).unwrap();
    };
    shelf.line.produce(0.01);
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
    shelf.assert_exact();
}
