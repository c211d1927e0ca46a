//! Mails and moves: none is sent twice.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{end, stop, wait_committed};
use crate::plain::{Line, SOON, wait_state};
use crate::support::Services;

const RECORDS: i64 = 60;

/// A line whose effect is a mail in a folder.
struct Mails {
    line: Line,
    folder: TempDir,
}

impl Mails {
    fn new(state: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut line = Line::new(3);
        let sink = line.pipeline.find("sink:").unwrap();
        let retry = line.pipeline.find("retry:").unwrap();
        let mail = "sink:\n  mail:\n    from: shop@example.com\n    to: a@example.com\n    \
            subject: Order {{ event.n }}\n    text: '{{ event.note }}'\n    timeout: 3s\n";
        line.pipeline.replace_range(sink..retry, mail);
        let state = if state { "state: orders\n" } else { "" };
        line.settings +=
            &format!("{state}mail: {{ folder: \"{}\" }}\n", folder.path().join("out").display());
        Self { line, folder }
    }

    /// Each mail by its file; written again it would be another file.
    fn sent(&self) -> BTreeMap<PathBuf, u64> {
        let Ok(files) = fs::read_dir(self.folder.path().join("out")) else {
            return BTreeMap::new();
        };
        let paths = files.map(|file| file.unwrap().path());
        let mails = paths.filter(|path| path.extension().is_some_and(|e| e == "eml"));
        mails.filter_map(|path: PathBuf| Some((path.clone(), inode(&path)?))).collect()
    }

    /// Runs until everything is sent.
    fn run(&self, records: i64) {
        let mut mill = self.line.run();
        wait_committed(&self.line, &mut mill, records);
        stop(mill);
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.ino())
}

#[test]
fn with_a_state_database_no_mail_is_sent_twice_by_a_reset() {
    let mails = Mails::new(true);
    let line = &mails.line;
    line.orders(0..RECORDS, 3);
    mails.run(RECORDS);
    let first = mails.sent();
    assert_eq!(first.len(), 60);
    for by_kafkas_tool in [false, true] {
        if by_kafkas_tool {
            Services::get().kafka.reset_group(&line.group(), &line.topic, &["--to-earliest"]);
        } else {
            let reset = ["group", "reset", &line.name, "--to-earliest", "--execute"];
            let (code, out, error) = end(line, &reset);
            assert_eq!(code, Some(0), "{error}");
            let said = "60 records are read again: 60 of them lie below the replay mark";
            assert!(out.contains(said), "{out}");
        }
        let mut mill = line.run();
        wait_committed(line, &mut mill, RECORDS);
        let dropped =
            mill.scrape().sum("ordermill_records_dropped_total", &[("reason", "replayed")]);
        assert_eq!(dropped, 60.0);
        stop(mill);
        assert_eq!(mails.sent(), first);
    }
    line.orders(RECORDS..RECORDS + 3, 3);
    mails.run(RECORDS + 3);
    let mut sent = mails.sent();
    assert_eq!(sent.len(), 63);
    sent.retain(|path, _| first.contains_key(path));
    assert_eq!(sent, first);
}

#[test]
fn without_one_a_reset_is_refused_and_a_move_back_halts_it() {
    let mails = Mails::new(false);
    let line = &mails.line;
    line.orders(0..RECORDS, 3);
    // Set before the first start: nothing can have been sent yet.
    let kafka = &Services::get().kafka;
    kafka.reset_group(&line.group(), &line.topic, &["--to-offset", "10"]);
    mails.run(RECORDS);
    let first = mails.sent();
    assert_eq!(first.len(), 30);
    let reset = ["group", "reset", &line.name, "--to-earliest", "--execute"];
    let (code, out, error) = end(line, &reset);
    assert_eq!(code, Some(1), "{out}");
    assert!(error.contains("without a state database nobody knows which mails"), "{error}");
    assert_eq!(line.committed().values().sum::<i64>(), RECORDS);

    kafka.reset_group(&line.group(), &line.topic, &["--to-offset", "5"]);
    let mut mill = line.run();
    let (status, said) = wait_state(&mut mill, "moved to 5 by another tool");
    assert!(status == 503 && said.contains("set `state`"), "{said}");
    assert_eq!(mill.wait_exit(SOON), Some(1), "{}", mill.stderr());
    assert_eq!(mails.sent(), first);

    // Nothing lies behind the end: no mail could be sent twice from there.
    kafka.reset_group(&line.group(), &line.topic, &["--to-latest"]);
    line.orders(RECORDS..RECORDS + 3, 3);
    kafka.reset_group(&line.group(), &line.topic, &["--to-latest"]);
    mails.run(RECORDS + 3);
    assert_eq!(mails.sent(), first);
}
