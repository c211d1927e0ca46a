//! On a real folder: what lies there, what is refused, and what is said.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use object_store::local::LocalFileSystem;

use super::store::{Fate, Faulty};
use super::*;
use crate::record::Class;

struct Ground {
    dir: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A folder that is not there yet.
    fn to(&self) -> PathBuf {
        self.dir.path().join("some/archive")
    }

    async fn objects(&self) -> Objects {
        Objects::at(self.to().to_str().unwrap()).await.unwrap()
    }

    async fn archive(&self) -> Archive {
        archive(self.objects().await)
    }

    /// The files of partition 0, in order.
    fn files(&self) -> Vec<PathBuf> {
        let folder = self.to().join(TOPIC.to_string()).join("0");
        let mut files: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn unfinished(&self) -> usize {
        fs::read_dir(self.to().join(".unfinished")).map_or(0, Iterator::count)
    }

    async fn offsets(&self) -> Vec<i64> {
        offsets(&Arc::new(LocalFileSystem::new_with_prefix(self.to()).unwrap()), 0).await
    }
}

fn all(range: Range<i64>) -> Vec<i64> {
    range.collect()
}

const NONE: fn(i64) -> bool = |_| false;

#[tokio::test]
async fn objects_lie_by_topic_partition_and_first_offset_and_nothing_else_is_left() {
    let ground = Ground::new();
    let archive = ground.archive().await;
    archive.bind().await.unwrap();
    let claim = claim(&archive, 0).await.unwrap();
    for step in [(0, 10), (10, 11), (11, 40)] {
        apply(&archive, &claim, step, NONE).await.unwrap();
    }
    let names: Vec<_> = ground
        .files()
        .iter()
        .map(|file| file.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        names,
        ["00000000000000000000.avro", "00000000000000000010.avro", "00000000000000000011.avro"]
    );
    assert_eq!(ground.unfinished(), 0);
    assert_eq!(ground.offsets().await, all(0..40));
}

#[tokio::test]
async fn a_range_of_drops_moves_the_chain_and_a_step_asked_twice_is_done_once() {
    let ground = Ground::new();
    let archive = ground.archive().await;
    let owned = claim(&archive, 0).await.unwrap();
    apply(&archive, &owned, (0, 5), |_| true).await.unwrap();
    apply(&archive, &owned, (0, 5), |_| true).await.unwrap();
    apply(&archive, &owned, (5, 9), NONE).await.unwrap();
    assert_eq!(ground.files().len(), 2);
    assert_eq!(ground.offsets().await, all(5..9));
    let next = claim(&ground.archive().await, 0).await.unwrap();
    assert_eq!(next.next, NextOffset(9));
}

#[tokio::test]
async fn of_two_owners_that_want_one_object_one_gets_it() {
    let ground = Ground::new();
    for round in 0..20 {
        let (one, two) = (ground.archive().await, ground.archive().await);
        let (mine, yours) = (claim(&one, 0).await.unwrap(), claim(&two, 0).await.unwrap());
        assert_eq!(mine.next, yours.next);
        let from = mine.next.0;
        let (mine, yours) = tokio::join!(
            apply(&one, &mine, (from, from + 3), NONE),
            apply(&two, &yours, (from, from + 4), NONE),
        );
        assert_eq!([&mine, &yours].into_iter().filter(|done| done.is_ok()).count(), 1, "{round}");
        assert!([mine, yours].contains(&Err(Refusal::Fenced)));
    }
    let end = claim(&ground.archive().await, 0).await.unwrap().next.0;
    assert_eq!(ground.offsets().await, all(0..end));
}

#[tokio::test]
async fn a_file_that_was_cut_altered_or_taken_away_stops_the_claim_with_its_name() {
    for (spoil, says) in [
        (Spoil::Cut, "it is damaged"),
        (Spoil::Altered, "another hash"),
        (Spoil::Gone, "what lay between them is missing"),
    ] {
        let ground = Ground::new();
        let archive = ground.archive().await;
        let owned = claim(&archive, 0).await.unwrap();
        for step in [(0, 10), (10, 20), (20, 30)] {
            apply(&archive, &owned, step, NONE).await.unwrap();
        }
        let files = ground.files();
        match spoil {
            Spoil::Cut => {
                let bytes = fs::read(&files[2]).unwrap();
                fs::write(&files[2], &bytes[..bytes.len() - 1]).unwrap();
            }
            Spoil::Altered => {
                let mut bytes = fs::read(&files[1]).unwrap();
                // A byte of the schema's text: the form stays whole.
                let at = bytes.windows(6).position(|w| w == b"shop.O").unwrap();
                bytes[at] = b'S';
                fs::write(&files[1], &bytes).unwrap();
            }
            Spoil::Gone => fs::remove_file(&files[1]).unwrap(),
        }
        let fault = claim(&ground.archive().await, 0).await.unwrap_err();
        assert_eq!((fault.class, &*fault.code), (Class::Fatal, "chain_broken"), "{fault}");
        assert!(fault.reason.contains(says) && fault.reason.contains("00020.avro"), "{fault}");
        assert!(fault.reason.contains("put back the file"), "{fault}");
    }
}

#[derive(Clone, Copy)]
enum Spoil {
    Cut,
    Altered,
    Gone,
}

#[tokio::test]
async fn an_archive_of_another_pipeline_is_not_taken_over() {
    let ground = Ground::new();
    let archive = ground.archive().await;
    let owned = claim(&archive, 0).await.unwrap();
    apply(&archive, &owned, (0, 5), NONE).await.unwrap();
    let other = Archive::over(ground.objects().await, "other", Entries::of(&event()).unwrap());
    let fault = claim(&other, 0).await.unwrap_err();
    assert_eq!((fault.class, &*fault.code), (Class::Fatal, "archive_owner"), "{fault}");
    assert!(fault.reason.contains("give each archive its own folder"), "{fault}");
}

#[tokio::test]
async fn an_archive_behind_what_was_committed_waits_instead_of_beginning_anew() {
    let ground = Ground::new();
    let archive = ground.archive().await;
    let group: Arc<str> = "g".into();
    let committed = |next| Wanted { committed: Some(NextOffset(next)), ..wanted(0) };
    let fault = archive.claim(&group, &[committed(5)]).await.unwrap_err();
    assert_eq!((fault.class, &*fault.code), (Class::Unavailable, "archive_behind"), "{fault}");
    assert!(fault.reason.contains("is the disk mounted"), "{fault}");
    let owned = claim(&archive, 0).await.unwrap();
    apply(&archive, &owned, (0, 5), NONE).await.unwrap();
    assert_eq!(archive.claim(&group, &[committed(5)]).await.unwrap()[0].next, NextOffset(5));
    // Moved back by another tool: the chain is the truth all the same.
    let back = Wanted { start: NextOffset(2), ..wanted(0) };
    assert_eq!(archive.claim(&group, &[back]).await.unwrap()[0].next, NextOffset(5));
}

#[tokio::test]
async fn what_a_killed_writer_left_is_cleared_away_once_it_is_old() {
    let ground = Ground::new();
    let archive = ground.archive().await;
    let folder = ground.to().join(".unfinished");
    fs::create_dir_all(&folder).unwrap();
    let (old, new) = (folder.join("a#1"), folder.join("b"));
    for file in [&old, &new] {
        fs::write(file, "half").unwrap();
    }
    let then = SystemTime::now() - Duration::from_secs(3600);
    File::options().write(true).open(&old).unwrap().set_modified(then).unwrap();
    claim(&archive, 0).await.unwrap();
    assert!(!old.exists() && new.exists());
}

#[tokio::test]
async fn a_place_that_can_never_be_written_says_what_to_do() {
    let ground = Ground::new();
    let file = ground.dir.path().join("file");
    fs::write(&file, "").unwrap();
    let fault = Objects::at(file.join("archive").to_str().unwrap()).await.unwrap_err();
    assert_eq!((fault.class, &*fault.code), (Class::Fatal, "archive_folder"), "{fault}");
    let fault = Objects::at("s3://bucket/folder").await.unwrap_err();
    assert_eq!((fault.class, &*fault.code), (Class::Fatal, "archive_address"), "{fault}");
    assert!(check("s3://bucket/folder", &event()).unwrap_err().contains("s3 is not built in"));
}

#[tokio::test]
async fn a_full_disk_is_said_and_waited_for() {
    let store = Arc::new(Faulty::default());
    let archive = over(&store);
    for _ in 0..3 {
        store.fates.lock().unwrap().push_back(Fate::Lost(ErrorKind::StorageFull));
    }
    let fault = archive.bind().await.unwrap_err();
    assert_eq!((fault.class, &*fault.code), (Class::Unavailable, "disk_full"), "{fault}");
    assert!(fault.reason.contains("free space there, and it goes on"), "{fault}");
    let owned = claim(&archive, 0).await.unwrap();
    for _ in 0..2 {
        let Err(Refusal::Fault(fault)) = apply(&archive, &owned, (0, 5), NONE).await else {
            panic!("it was full");
        };
        assert_eq!((fault.class, &*fault.code), (Class::Unavailable, "disk_full"), "{fault}");
    }
    apply(&archive, &owned, (0, 5), NONE).await.unwrap();
    assert_eq!(offsets(&store.inner, 0).await, all(0..5));
}
