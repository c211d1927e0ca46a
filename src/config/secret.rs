//! What must not be seen: resolved once from where the file says it is, shown as `***`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

/// The most bytes of a secret.
const BYTES_MAX: u64 = 64 << 10;

/// A secret. Printed as `***`, whoever prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    value: String,
    origin: Origin,
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An environment variable.
    Environment(String),
    /// A file.
    File(PathBuf),
    /// The file that was read says it itself: it is not secret, such as an address without a password.
    Written,
}

impl Secret {
    /// A value that is not secret where a secret may stand.
    pub fn written(value: impl Into<String>) -> Self {
        Self { value: value.into(), origin: Origin::Written }
    }

    /// The value; empty if secrets were not looked up.
    pub fn reveal(&self) -> &str {
        &self.value
    }

    /// Where it comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How the file says it: the place of a secret, never the secret.
    pub fn show(&self) -> Json {
        match &self.origin {
            Origin::Environment(name) => json!({ "env": name }),
            Origin::File(path) => json!({ "file": path }),
            Origin::Written => json!(self.value),
        }
    }

    /// Looks it up; `look` is false where nobody will use it.
    ///
    /// # Errors
    /// Why it cannot be had, in a fragment without the value.
    pub(super) fn resolve(
        origin: Origin,
        environment: &BTreeMap<String, String>,
        look: bool,
    ) -> Result<Self, String> {
        let value = match &origin {
            _ if !look => String::new(),
            Origin::Environment(name) => match environment.get(name) {
                Some(value) if value.is_empty() => {
                    return Err(format!("the environment variable {name} is empty"));
                }
                Some(value) => value.clone(),
                None => {
                    return Err(format!(
                        "the environment variable {name} is not set, or not UTF-8"
                    ));
                }
            },
            Origin::File(path) => {
                read(path).map_err(|why| format!("the file {} {why}", path.display()))?
            }
            Origin::Written => String::new(),
        };
        Ok(Self { value, origin })
    }
}

/// The file's text without the line breaks at its end.
fn read(path: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(format!("is larger than {BYTES_MAX} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err("is empty".to_owned()),
        value => Ok(value.to_owned()),
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
