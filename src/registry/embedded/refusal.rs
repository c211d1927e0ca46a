//! What the registry refuses, with the codes that its clients know.

use serde_json::json;

/// An answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// HTTP.
    pub(super) status: u16,
    /// The registry's own code.
    pub(super) code: u32,
    /// For a person.
    pub(super) message: String,
}

impl Refusal {
    fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// No such path. Its code is not one of those that say "no such schema".
    pub(super) fn no_path() -> Self {
        Self::new(404, 404, "HTTP 404 Not Found")
    }

    pub(super) fn no_method() -> Self {
        Self::new(405, 405, "HTTP 405 Method Not Allowed")
    }

    pub(super) fn no_json(why: &str) -> Self {
        Self::new(400, 400, format!("Unable to process JSON: {why}"))
    }

    pub(super) fn too_large(limit: usize) -> Self {
        Self::new(413, 413, format!("The body is larger than {limit} bytes"))
    }

    pub(super) fn full(what: &str) -> Self {
        Self::new(507, 50_701, format!("The embedded registry holds no more {what}"))
    }

    pub(super) fn no_subject(subject: &str) -> Self {
        Self::new(404, 40_401, format!("Subject '{subject}' not found."))
    }

    pub(super) fn no_version(version: &str) -> Self {
        Self::new(404, 40_402, format!("Version {version} not found."))
    }

    pub(super) fn no_schema(what: &str) -> Self {
        Self::new(404, 40_403, format!("Schema {what} not found"))
    }

    pub(super) fn subject_was_deleted(subject: &str) -> Self {
        let message = format!(
            "Subject '{subject}' was soft deleted. Set permanent=true to delete permanently"
        );
        Self::new(404, 40_404, message)
    }

    pub(super) fn subject_not_yet_deleted(subject: &str) -> Self {
        let message =
            format!("Subject '{subject}' was not deleted first before being permanently deleted");
        Self::new(404, 40_405, message)
    }

    pub(super) fn version_was_deleted(subject: &str, version: u32) -> Self {
        let message = format!(
            "Subject '{subject}' Version {version} was soft deleted. Set permanent=true to delete \
             permanently"
        );
        Self::new(404, 40_406, message)
    }

    pub(super) fn version_not_yet_deleted(subject: &str, version: u32) -> Self {
        let message = format!(
            "Subject '{subject}' Version {version} was not deleted first before being permanently deleted"
        );
        Self::new(404, 40_407, message)
    }

    pub(super) fn no_level_of(subject: &str) -> Self {
        let message =
            format!("Subject '{subject}' does not have subject-level compatibility configured");
        Self::new(404, 40_408, message)
    }

    pub(super) fn incompatible(subject: &str, wrong: &[String]) -> Self {
        let message = format!(
            "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", \
             details: [{}]",
            wrong.join("; ")
        );
        Self::new(409, 409, message)
    }

    pub(super) fn no_avro(why: &str) -> Self {
        Self::new(422, 42_201, format!("Invalid schema: {why}"))
    }

    pub(super) fn bad_version(version: &str) -> Self {
        let message = format!(
            "The specified version '{version}' is not a valid version id. Allowed values are between \
             [1, 2^31-1] and the string \"latest\""
        );
        Self::new(422, 42_202, message)
    }

    pub(super) fn bad_level(level: &str) -> Self {
        let message = format!(
            "Invalid compatibility level '{level}'. Valid values are none, backward, forward, full, \
             backward_transitive, forward_transitive, and full_transitive"
        );
        Self::new(422, 42_203, message)
    }

    pub(super) fn still_referenced(subject: &str, version: u32) -> Self {
        let message =
            format!("One or more references exist to the schema {{{subject},{version}}}.");
        Self::new(422, 42_206, message)
    }

    pub(super) fn bad_subject(subject: &str) -> Self {
        Self::new(422, 42_208, format!("The specified subject '{subject}' is not a valid subject."))
    }

    pub(super) fn json(&self) -> String {
        json!({"error_code": self.code, "message": self.message}).to_string()
    }
}
