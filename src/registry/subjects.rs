//! What the commands ask of a registry: subjects, versions, compatibility. Nothing here is cached.

use std::sync::Arc;

use schema_registry_converter::async_impl::schema_registry as converter;
use schema_registry_converter::schema_registry_common::SchemaType;
use serde::Deserialize;

use super::client::{Client, is_denial, posted};
use super::limits::{SUBJECT_BYTES_MAX, excerpt};
use super::{Error, limits};
use crate::port::{Registered, SchemaText};

/// Tries of one question beyond the first.
const RETRIES: usize = 2;

/// Would the registry take a schema as the next version?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compat {
    /// It would.
    pub compatible: bool,
    /// Why not, in the registry's words; may be empty.
    pub messages: Vec<String>,
}

/// A version of a subject as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The version.
    pub version: u32,
    /// The id of its schema.
    pub id: u32,
    /// `AVRO`, `JSON`, `PROTOBUF` or another word of the registry's.
    pub kind: String,
}

impl Client {
    /// All subjects, in the alphabet's order.
    ///
    /// # Errors
    /// As the registry is away.
    pub async fn subjects(&self) -> Result<Vec<String>, Error> {
        let ask = || async { self.reply(converter::get_all_subjects(&self.http.converter).await) };
        let mut subjects = self.question(RETRIES, ask).await?;
        subjects.sort();
        Ok(subjects)
    }

    /// The versions of a subject, ascending; none: the registry says that there is no such subject.
    ///
    /// # Errors
    /// As the registry is away, or `Settings` for a name that no subject can have.
    pub async fn versions(&self, subject: &str) -> Result<Vec<u32>, Error> {
        let path = path_of(subject)?;
        let ask = || async {
            self.reply(converter::get_all_versions(&self.http.converter, path.clone()).await)
        };
        match self.question(RETRIES, ask).await {
            Err(error) if is_denial(&error) => Ok(Vec::new()),
            Err(error) => Err(error),
            Ok(mut versions) => {
                versions.sort_unstable();
                Ok(versions)
            }
        }
    }

    /// The versions of a subject with their ids, ascending; none: there is no such subject.
    ///
    /// # Errors
    /// As the registry is away, or `Settings` for a name that no subject can have.
    pub async fn entries(&self, subject: &str) -> Result<Vec<Entry>, Error> {
        let path = path_of(subject)?;
        let mut entries = Vec::new();
        for version in self.versions(subject).await? {
            let ask = || async {
                let number = Some(version);
                self.reply(
                    converter::get_schema_by_subject_and_version(
                        &self.http.converter,
                        &path,
                        number,
                    )
                    .await,
                )
            };
            match self.question(RETRIES, ask).await {
                Ok(found) => {
                    entries.push(Entry { version, id: found.id, kind: word(&found.schema_type) });
                }
                // deleted since
                Err(error) if is_denial(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    /// A version of a subject; `None`: the newest.
    ///
    /// # Errors
    /// `Absent` if there is none; `Unusable` if it is no Avro schema; or as the registry is away.
    pub async fn version(&self, subject: &str, version: Option<u32>) -> Result<Registered, Error> {
        let path = path_of(subject)?;
        let ask = || async {
            let answer =
                converter::get_schema_by_subject_and_version(&self.http.converter, &path, version);
            let found = self.reply(answer.await)?;
            let id = found.id;
            let number = found.version.ok_or_else(|| Error::BadReply {
                url: self.http.url().to_owned(),
                what: "it does not say which version it is".to_owned(),
            })?;
            let schema = self.complete(found).await.map_err(|error| match error {
                // The version is there: only “no such version” may say that it is not.
                Error::Absent { message, .. } => {
                    Error::BadReply { url: self.http.url().to_owned(), what: message }
                }
                error => error,
            })?;
            Ok(Registered {
                subject: subject.to_owned(),
                version: number,
                id,
                schema: Arc::new(schema),
            })
        };
        self.question(RETRIES, ask).await
    }

    /// Would the registry take this schema as the subject's next version, under the rule that it has for
    /// it? A subject without versions takes everything.
    ///
    /// # Errors
    /// `Refused` if it is not a schema; or as the registry is away.
    pub async fn compatibility(&self, subject: &str, schema: &SchemaText) -> Result<Compat, Error> {
        #[derive(Deserialize)]
        struct Verdict {
            is_compatible: bool,
            messages: Option<Vec<String>>,
            /// Where Apicurio puts its words.
            reason: Option<String>,
        }
        let subject = path_of(subject)?;
        let path = format!("/compatibility/subjects/{subject}/versions?verbose=true");
        let body = posted(schema);
        let verdict = self.question(RETRIES, || self.http.post::<Verdict>(&path, &body)).await;
        match verdict {
            Err(error) if is_denial(&error) => {
                Ok(Compat { compatible: true, messages: Vec::new() })
            }
            Err(error) => Err(error),
            Ok(verdict) => {
                let messages = verdict.messages.into_iter().flatten().chain(verdict.reason);
                Ok(Compat {
                    compatible: verdict.is_compatible,
                    messages: messages.map(|message| excerpt(&message)).collect(),
                })
            }
        }
    }
}

/// A schema's type as the registry's API has it.
fn word(kind: &SchemaType) -> String {
    match kind {
        SchemaType::Other(word) => word.clone(),
        known => format!("{known:?}").to_uppercase(),
    }
}

/// A subject as one segment of a URL's path: everything but letters, digits, `-`, `_`, `.` and `~`
/// escaped. The converter puts it into the URL as it is.
///
/// # Errors
/// `Settings`: a name that would be another path (`.`, `..`), or none.
pub(super) fn path_of(subject: &str) -> Result<String, Error> {
    use std::fmt::Write as _;
    if subject.is_empty() || subject == "." || subject == ".." || subject.len() > SUBJECT_BYTES_MAX
    {
        return Err(Error::Settings(format!("“{}” cannot be a subject", limits::excerpt(subject))));
    }
    let mut path = String::with_capacity(subject.len());
    for byte in subject.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_stays_one_segment_of_the_path() {
        assert_eq!(path_of("orders.created-value").unwrap(), "orders.created-value");
        assert_eq!(path_of("a/../b?c#d%2F é").unwrap(), "a%2F..%2Fb%3Fc%23d%252F%20%C3%A9");
        for bad in ["", ".", ".."] {
            assert!(path_of(bad).is_err(), "{bad:?}");
        }
        assert!(path_of(&"x".repeat(513)).is_err());
    }
}
