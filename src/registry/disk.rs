//! Schemas on disk, for a start while the registry is away.
//!
//! One file a schema, in one folder a registry: `<folder>/<hash of the URLs>/<id>.json`. Written to a
//! temporary name, synced and renamed, so that a file is whole or not there; read only if its own hash is
//! right. The folder is a copy of what the registry said: losing it costs nothing but the next outage.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::limits::{DEPTH_MAX, REFERENCES_MAX, SCHEMA_BYTES_MAX, within_depth};
use crate::port::{Reference, SchemaText};

/// A file may be somewhat larger than the schema: names, hash and JSON's escapes.
const FILE_BYTES_MAX: u64 = 2 * SCHEMA_BYTES_MAX as u64 + 65_536;

/// What identifies a schema's content: its text and everything that it refers to.
pub(super) type Fingerprint = [u8; 32];

/// The fingerprint of a schema. Lengths go in too, so that no two schemas share their bytes.
pub(super) fn fingerprint(schema: &SchemaText) -> Fingerprint {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(schema.text.as_bytes());
    for reference in &schema.references {
        part(reference.name.as_bytes());
        part(reference.subject.as_bytes());
        part(&reference.version.to_be_bytes());
        part(reference.text.as_bytes());
    }
    hash.finalize().into()
}

/// The folder of one registry.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: u32,
    fingerprint: String,
    text: String,
    #[serde(default)]
    references: Vec<FileReference>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileReference {
    name: String,
    subject: String,
    version: u32,
    text: String,
}

impl Disk {
    /// The folder for the registry at these URLs. Nothing is created yet.
    pub(super) fn new(folder: &Path, urls: &[String]) -> Self {
        let mut urls = urls.to_vec();
        urls.sort();
        let hash = Sha256::digest(urls.join("\n"));
        Self { folder: folder.join(hex(&hash[..8])) }
    }

    /// The file of an id.
    pub(super) fn path(&self, id: u32) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    /// What was kept of an id; `None` if nothing, or nothing that can be trusted (said in the log).
    /// Blocks on the disk.
    pub(super) fn read(&self, id: u32) -> Option<SchemaText> {
        let path = self.path(id);
        match read(&path, id) {
            Ok(schema) => Some(schema),
            Err(why) if why.kind() == io::ErrorKind::NotFound => None,
            Err(why) => {
                tracing::warn!(file = %path.display(), %why, "a cached schema is not used");
                None
            }
        }
    }

    /// Keeps the schema of an id. Blocks on the disk.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn write(&self, id: u32, schema: &SchemaText) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let file = File {
            id,
            fingerprint: hex(&fingerprint(schema)),
            text: schema.text.clone(),
            references: schema.references.iter().map(FileReference::from).collect(),
        };
        let json = serde_json::to_vec(&file)?;
        // The process's id keeps two processes with one folder apart; within one, an id is written by
        // whoever holds its single flight.
        let new = self.folder.join(format!(".{id}.{}.new", std::process::id()));
        let written = fs::File::create(&new).and_then(|mut file| {
            file.write_all(&json)?;
            file.sync_all()
        });
        let moved = written.and_then(|()| fs::rename(&new, self.path(id)));
        if moved.is_err() {
            // A leftover is harmless: nothing reads this name, and the next write replaces it.
            let _ = fs::remove_file(&new);
        }
        moved
    }
}

fn read(path: &Path, id: u32) -> io::Result<SchemaText> {
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let mut json = Vec::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut json)?;
    if json.len() as u64 > FILE_BYTES_MAX {
        return Err(bad("it is too large"));
    }
    let file: File = serde_json::from_slice(&json)?;
    let schema = SchemaText {
        text: file.text,
        references: file.references.into_iter().map(Reference::from).collect(),
    };
    if file.id != id {
        return Err(bad("it is about another id"));
    }
    if file.fingerprint != hex(&fingerprint(&schema)) {
        return Err(bad("its content does not match its fingerprint"));
    }
    let mut texts = schema.references.iter().map(|r| &r.text);
    let deep = |text: &String| !within_depth(text, DEPTH_MAX);
    if schema.references.len() > REFERENCES_MAX || deep(&schema.text) || texts.any(deep) {
        return Err(bad("its schema is beyond the limits"));
    }
    Ok(schema)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl From<&Reference> for FileReference {
    fn from(of: &Reference) -> Self {
        Self {
            name: of.name.clone(),
            subject: of.subject.clone(),
            version: of.version,
            text: of.text.clone(),
        }
    }
}

impl From<FileReference> for Reference {
    fn from(of: FileReference) -> Self {
        Self { name: of.name, subject: of.subject, version: of.version, text: of.text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> SchemaText {
        SchemaText {
            text: r#"{"type":"record","name":"R","fields":[]}"#.to_owned(),
            references: vec![Reference {
                name: "a.B".to_owned(),
                subject: "b".to_owned(),
                version: 3,
                text: "\"long\"".to_owned(),
            }],
        }
    }

    fn disk(folder: &Path) -> Disk {
        Disk::new(folder, &["http://r".to_owned()])
    }

    #[test]
    fn what_was_written_is_read_and_other_ids_and_registries_have_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(folder.path());
        assert_eq!(disk.read(7), None);
        disk.write(7, &schema()).unwrap();
        assert_eq!(disk.read(7), Some(schema()));
        assert_eq!(disk.read(8), None);
        let other = Disk::new(folder.path(), &["http://other".to_owned()]);
        assert_eq!(other.read(7), None);
    }

    #[test]
    fn the_order_of_the_urls_does_not_matter() {
        let folder = Path::new("f");
        let urls = |of: [&str; 2]| of.map(str::to_owned).to_vec();
        let one = Disk::new(folder, &urls(["http://a", "http://b"]));
        let two = Disk::new(folder, &urls(["http://b", "http://a"]));
        assert_eq!(one.path(1), two.path(1));
    }

    #[test]
    fn every_truncation_and_every_changed_byte_is_refused_or_reads_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(folder.path());
        disk.write(7, &schema()).unwrap();
        let whole = fs::read(disk.path(7)).unwrap();
        for end in 0..whole.len() {
            fs::write(disk.path(7), &whole[..end]).unwrap();
            assert_eq!(disk.read(7), None, "cut at {end}");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(disk.path(7), &changed).unwrap();
            let read = disk.read(7);
            assert!(read.is_none() || read == Some(schema()), "changed at {at}: {read:?}");
        }
    }

    #[test]
    fn a_file_of_another_id_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(folder.path());
        disk.write(7, &schema()).unwrap();
        fs::rename(disk.path(7), disk.path(8)).unwrap();
        assert_eq!(disk.read(8), None);
    }

    #[test]
    fn fingerprints_tell_apart_what_runs_together() {
        let text = |text: &str, name: &str| {
            let mut schema = schema();
            schema.text = text.to_owned();
            schema.references[0].name = name.to_owned();
            fingerprint(&schema)
        };
        assert_ne!(text("ab", "c"), text("a", "bc"));
        assert_eq!(text("ab", "c"), text("ab", "c"));
    }
}
