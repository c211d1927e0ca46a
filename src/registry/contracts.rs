//! The contracts that lie beside the pipelines: `<folder>/<subject>/<n>.avsc`.
//!
//! Versions count from 1 without a gap and are never edited. A schema that names types of another
//! contract says where they lie in `<n>.references.json`, a list of `{ "name", "subject", "version" }` as
//! the registry has it; they are found in the same folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt;
use serde::Deserialize;

use super::Error;
use super::compat::{Level, Parsed, check};
use super::limits::REPLY_BYTES_MAX;
use super::references::{Fetched, Pointer, resolve};
use super::subjects::path_of;
use crate::port::SchemaText;

/// Subjects in a folder.
const SUBJECTS_MAX: usize = 10_000;

/// A version of a subject, as it lies in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// The subject: the name of the folder that the file lies in.
    pub subject: String,
    /// The version: the name of the file.
    pub version: u32,
    /// The file.
    pub file: PathBuf,
    /// What it says, with what it refers to.
    pub schema: Arc<SchemaText>,
}

/// What is wrong with a file of the folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", file.display())]
pub struct Wrong {
    /// The file or folder.
    pub file: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// All contracts of a folder.
#[derive(Clone, Debug, Default)]
pub struct Contracts {
    subjects: BTreeMap<String, Vec<Contract>>,
}

impl Contracts {
    /// Reads the folder whole.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn read(folder: &Path) -> Result<Self, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let files = files(folder, &mut wrong);
        let mut contracts = Self::default();
        for (subject, versions) in &files {
            for (version, found) in versions {
                match found.complete(&files) {
                    Ok(schema) => {
                        let all = contracts.subjects.entry(subject.clone()).or_default();
                        all.push(Contract {
                            subject: subject.clone(),
                            version: *version,
                            file: found.file.clone(),
                            schema: Arc::new(schema),
                        });
                    }
                    Err(why) => {
                        wrong.push(Wrong { file: found.file.clone(), why: why.to_string() })
                    }
                }
            }
        }
        if wrong.is_empty() { Ok(contracts) } else { Err(wrong) }
    }

    /// The highest version of a subject.
    pub fn latest(&self, subject: &str) -> Option<&Contract> {
        self.subjects.get(subject)?.last()
    }

    /// All versions of all subjects, by subject and then by version.
    pub fn all(&self) -> impl Iterator<Item = &Contract> {
        self.subjects.values().flatten()
    }

    /// The subjects.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.subjects.keys().map(String::as_str)
    }

    /// The highest version of each subject.
    pub fn newest(&self) -> impl Iterator<Item = &Contract> {
        self.subjects.values().filter_map(|versions| versions.last())
    }

    /// Judges each version against all earlier ones of its subject. Nothing wrong: everybody can read
    /// everything that was ever written under any version (with `Level::FullTransitive`).
    pub fn judge(&self, level: Level) -> Vec<Wrong> {
        self.subjects().flat_map(|subject| self.judge_subject(level, subject)).collect()
    }

    /// The same for one subject.
    pub fn judge_subject(&self, level: Level, subject: &str) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        let mut earlier: Vec<(u32, Parsed)> = Vec::new();
        for contract in self.subjects.get(subject).into_iter().flatten() {
            let at = |why: String| Wrong { file: contract.file.clone(), why };
            match Parsed::parse(&contract.schema) {
                Ok(parsed) => {
                    let known: Vec<_> = earlier.iter().map(|(v, p)| (*v, p)).collect();
                    wrong.extend(check(level, &parsed, &known).into_iter().map(at));
                    earlier.push((contract.version, parsed));
                }
                Err(why) => wrong.push(at(why.to_string())),
            }
        }
        wrong
    }
}

/// A version's files as they lie there.
struct Found {
    file: PathBuf,
    text: String,
    references: Vec<Pointer>,
}

type Files = BTreeMap<String, BTreeMap<u32, Found>>;

impl Found {
    /// The schema with its references, all out of `files`; parsed once, so that what is wrong shows here.
    fn complete(&self, files: &Files) -> Result<SchemaText, Error> {
        let fetch = |pointer: Pointer| {
            let found =
                files.get(&pointer.subject).and_then(|versions| versions.get(&pointer.version));
            let fetched = match found {
                Some(found) => Ok(found.fetched()),
                None => Err(Error::Unusable(format!(
                    "it refers to version {} of {}, which is not in the folder",
                    pointer.version, pointer.subject
                ))),
            };
            std::future::ready(fetched)
        };
        // Everything is at hand, so the first poll is the last.
        let resolved = resolve(self.fetched(), fetch).now_or_never();
        let schema = resolved
            .unwrap_or_else(|| Err(Error::Unusable("its references were not found".to_owned())))?;
        Parsed::parse(&schema)?;
        Ok(schema)
    }

    fn fetched(&self) -> Fetched {
        Fetched { text: self.text.clone(), references: self.references.clone() }
    }
}

/// What lies in a subject's folder by its name.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Schema(u32),
    References(u32),
    /// Hidden files and notes.
    Ignored,
    Unknown,
}

fn part(name: &str) -> Part {
    // Only one way to write a number: 01.avsc beside 1.avsc would be two files for one version.
    let number = |text: &str| -> Option<u32> {
        let number: u32 = text.parse().ok()?;
        (number > 0 && number.to_string() == text).then_some(number)
    };
    if name.starts_with('.') || Path::new(name).extension().is_some_and(|e| e == "md") {
        return Part::Ignored;
    }
    if let Some(version) = name.strip_suffix(".avsc").and_then(number) {
        return Part::Schema(version);
    }
    match name.strip_suffix(".references.json").and_then(number) {
        Some(version) => Part::References(version),
        None => Part::Unknown,
    }
}

fn files(folder: &Path, wrong: &mut Vec<Wrong>) -> Files {
    let mut files = Files::new();
    for (subject, path) in entries(folder, wrong) {
        if subject.starts_with('.') || !path.is_dir() {
            continue;
        }
        if path_of(&subject).is_err() || files.len() == SUBJECTS_MAX {
            wrong.push(Wrong {
                file: path,
                why: format!("not a subject's name, or more than {SUBJECTS_MAX} subjects"),
            });
            continue;
        }
        let versions = versions(&path, wrong);
        for (expected, version) in (1..).zip(versions.keys()) {
            if expected != *version {
                wrong.push(Wrong {
                    file: path.join(format!("{expected}.avsc")),
                    why: format!("is missing, but there is version {version}"),
                });
                break;
            }
        }
        files.insert(subject, versions);
    }
    files
}

fn versions(folder: &Path, wrong: &mut Vec<Wrong>) -> BTreeMap<u32, Found> {
    let mut schemas = BTreeMap::new();
    let mut references = BTreeMap::new();
    for (name, file) in entries(folder, wrong) {
        let read = match part(&name) {
            Part::Ignored => Ok(()),
            Part::Unknown => Err("not <version>.avsc or <version>.references.json".to_owned()),
            Part::Schema(version) => text(&file).map(|text| {
                schemas.insert(version, (file.clone(), text));
            }),
            Part::References(version) => pointers(&file).map(|of| {
                references.insert(version, (file.clone(), of));
            }),
        };
        if let Err(why) = read {
            wrong.push(Wrong { file, why });
        }
    }
    let found = schemas.into_iter().map(|(version, (file, text))| {
        let references = references.remove(&version).map(|(_, of)| of);
        let found = Found { file, text, references: references.unwrap_or_default() };
        (version, found)
    });
    let found = found.collect();
    wrong.extend(
        references
            .into_values()
            .map(|(file, _)| Wrong { file, why: "belongs to no schema".to_owned() }),
    );
    found
}

/// The names in a folder with their paths, sorted.
fn entries(folder: &Path, wrong: &mut Vec<Wrong>) -> Vec<(String, PathBuf)> {
    let listed = fs::read_dir(folder).and_then(|entries| {
        let paths: Result<Vec<_>, _> = entries.map(|entry| Ok(entry?.path())).collect();
        paths
    });
    let mut paths = match listed {
        Ok(paths) => paths,
        Err(why) => {
            wrong.push(Wrong { file: folder.to_owned(), why: format!("cannot be listed: {why}") });
            Vec::new()
        }
    };
    paths.sort();
    let mut named = Vec::new();
    for path in paths {
        match path.file_name().and_then(|name| name.to_str()) {
            Some(name) => named.push((name.to_owned(), path)),
            None => wrong.push(Wrong { file: path, why: "its name is no UTF-8".to_owned() }),
        }
    }
    named
}

fn text(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = fs::File::open(file)
        .and_then(|open| open.take(REPLY_BYTES_MAX as u64 + 1).read_to_string(&mut text));
    match read {
        Ok(bytes) if bytes <= REPLY_BYTES_MAX => Ok(text),
        Ok(_) => Err(format!("is larger than {REPLY_BYTES_MAX} bytes")),
        Err(why) => Err(format!("cannot be read: {why}")),
    }
}

fn pointers(file: &Path) -> Result<Vec<Pointer>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        name: String,
        subject: String,
        version: u32,
    }
    let written: Vec<Written> =
        serde_json::from_str(&text(file)?).map_err(|why| why.to_string())?;
    let pointer = |of: Written| Pointer { name: of.name, subject: of.subject, version: of.version };
    Ok(written.into_iter().map(pointer).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;

    /// A folder with these files.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        folder
    }

    fn wrong(files: &[(&str, &str)]) -> Vec<String> {
        let folder = folder(files);
        let wrong = match Contracts::read(folder.path()) {
            Ok(contracts) => contracts.judge(Level::FullTransitive),
            Err(wrong) => wrong,
        };
        let short = |of: &Wrong| {
            let file = of.file.strip_prefix(folder.path()).unwrap();
            format!("{}: {}", file.display(), of.why)
        };
        wrong.iter().map(short).collect()
    }

    #[test]
    fn every_version_in_the_repository_gets_on_with_every_other() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("avro");
        let contracts = Contracts::read(&folder).expect("the contracts are whole");
        assert!(contracts.latest("orders.created-value").is_some());
        assert!(contracts.latest("tpch.orders-value").is_some());
        assert_eq!(contracts.judge(Level::FullTransitive), []);
    }

    #[test]
    fn the_check_fails_on_what_it_must_find() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/avro-fail");
        let contracts = Contracts::read(&folder).expect("the fixtures are whole");
        let wrong = contracts.judge(Level::FullTransitive);
        for subject in contracts.subjects() {
            let found = wrong.iter().any(|of| of.file.starts_with(folder.join(subject)));
            assert!(found, "{subject} was not found");
        }
        assert!(contracts.subjects().count() >= 5);
        // One of them gets on with its predecessor and not with the one before.
        let near = contracts.judge(Level::Full);
        let skipping = folder.join("default-comes-and-goes-fail");
        assert!(!near.iter().any(|of| of.file.starts_with(&skipping)), "{near:?}");
    }

    #[test]
    fn the_highest_version_counts_by_number() {
        let names: Vec<String> = (1..=10).map(|n| format!("s/{n}.avsc")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), V1)).collect();
        let folder = folder(&files);
        let contracts = Contracts::read(folder.path()).unwrap();
        assert_eq!(contracts.latest("s").unwrap().version, 10);
        assert_eq!(contracts.all().count(), 10);
        assert!(contracts.latest("t").is_none());
    }

    #[test]
    fn everything_wrong_is_said_at_once_with_its_file() {
        let found = wrong(&[
            ("a/1.avsc", "{"),
            ("b/2.avsc", V1),
            ("c/01.avsc", V1),
            ("d/1.avsc", V1),
            ("d/2.references.json", "[]"),
            ("d/notes.md", "fine"),
            ("d/.hidden", "fine"),
            ("e/1.avsc", r#"{"type":"record","name":"R","fields":[{"name":"x","type":"y.Z"}]}"#),
        ]);
        let starts = [
            "b/1.avsc: is missing",
            "c/01.avsc: not <version>",
            "d/2.references.json: belongs to no schema",
            "a/1.avsc: the schema cannot be used: it is no JSON",
            "e/1.avsc: the schema cannot be used",
        ];
        assert_eq!(found.len(), starts.len(), "{found:#?}");
        for (found, start) in found.iter().zip(starts) {
            assert!(found.starts_with(start), "{found} is not {start}");
        }
    }

    #[test]
    fn references_are_found_in_the_folder_and_missing_ones_are_said() {
        let user = r#"{"type":"record","name":"U","fields":[{"name":"r","type":"R"}]}"#;
        let points = r#"[{"name":"R","subject":"base","version":1}]"#;
        let whole =
            [("base/1.avsc", V1), ("user/1.avsc", user), ("user/1.references.json", points)];
        let folder = folder(&whole);
        let contracts = Contracts::read(folder.path()).unwrap();
        let schema = &contracts.latest("user").unwrap().schema;
        assert_eq!(schema.references.len(), 1);
        assert_eq!(schema.references[0].text, V1);
        let missing = wrong(&whole[1..]);
        assert!(
            missing[0].contains("version 1 of base, which is not in the folder"),
            "{missing:?}"
        );
        let odd = [whole[0], whole[1], ("user/1.references.json", r#"[{"nam":"R"}]"#)];
        assert!(wrong(&odd)[0].starts_with("user/1.references.json: unknown field"));
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let wrong = Contracts::read(&folder.path().join("no")).expect_err("nothing there");
        assert!(wrong[0].why.starts_with("cannot be listed"));
    }
}
