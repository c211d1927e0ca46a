//! The API: one request in, one response out.

use serde::Deserialize;
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::store::{Registry, Sent, Shown, Which};
use crate::registry::compat::Level;
use crate::registry::limits::REPLY_BYTES_MAX;
use crate::registry::references::Pointer;

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A request, as it came over HTTP.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// In capital letters.
    pub method: &'a str,
    /// The path, still percent-encoded, below wherever the registry is served.
    pub path: &'a str,
    /// What stands after `?`, still percent-encoded; may be empty.
    pub query: &'a str,
    /// The body; at most 1 MiB is looked at.
    pub body: &'a [u8],
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The header `content-type`.
    pub content_type: &'static str,
    /// The body: JSON.
    pub body: String,
}

impl Registry {
    /// Answers a request of Confluent's API. Whatever comes in, an answer comes out.
    pub fn answer(&mut self, request: &Request<'_>) -> Response {
        let answered = match segments(request.path) {
            _ if request.body.len() > REPLY_BYTES_MAX => Err(Refusal::too_large(REPLY_BYTES_MAX)),
            None => Err(Refusal::no_path()),
            Some(path) => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                self.route(&path, request)
            }
        };
        let (status, body) = match answered {
            Ok(body) => (200, body),
            Err(refusal) => (refusal.status, refusal.json()),
        };
        Response { status, content_type: CONTENT_TYPE, body }
    }

    fn route(&mut self, path: &[&str], request: &Request<'_>) -> Result<String, Refusal> {
        let query = Query(request.query);
        match path {
            [] => get(request, || Ok(json!({}))),
            ["schemas", "types"] => get(request, || Ok(json!(["AVRO"]))),
            ["schemas", "ids", id] => get(request, || self.show_id(id)),
            ["schemas", "ids", id, "schema"] => {
                get(request, || Ok(()))?;
                Ok(self.known_id(id)?.0.to_owned())
            }
            ["schemas", "ids", id, "subjects"] => get(request, || self.id_subjects(id, query)),
            ["schemas", "ids", id, "versions"] => get(request, || self.id_versions(id, query)),
            ["contexts"] => get(request, || Ok(json!(["."]))),
            ["mode"] | ["mode", _] => get(request, || Ok(json!({"mode": "READWRITE"}))),
            ["subjects"] => get(request, || {
                let prefix = query.get("subjectPrefix").unwrap_or_default();
                let prefix = prefix.strip_prefix(":*:").unwrap_or(&prefix);
                Ok(json!(self.subjects(prefix, query.is("deleted"))))
            }),
            ["subjects", subject, rest @ ..] => self.subject(subject, rest, request),
            ["config"] => self.config(None, request),
            ["config", subject] => self.config(Some(subject), request),
            ["compatibility", "subjects", subject, "versions"] => {
                self.compatibility(subject, None, request)
            }
            ["compatibility", "subjects", subject, "versions", version] => {
                let which = Which::parse(version)?;
                self.compatibility(subject, Some(which), request)
            }
            _ => Err(Refusal::no_path()),
        }
    }

    fn subject(
        &mut self,
        subject: &str,
        rest: &[&str],
        request: &Request<'_>,
    ) -> Result<String, Refusal> {
        let query = Query(request.query);
        let deleted = query.is("deleted");
        match (request.method, rest) {
            ("POST", ["versions"]) => {
                let sent = self.posted(request.body)?;
                let id = self.register(subject, sent)?;
                Ok(json!({"id": id}).to_string())
            }
            ("POST", []) => {
                self.versions(subject, deleted)?;
                let sent = self.posted(request.body)?;
                let found = self.find(subject, &sent, deleted);
                let found = found.ok_or_else(|| Refusal::no_schema("sent"))?;
                Ok(version_json(found).to_string())
            }
            ("DELETE", []) => {
                let gone = self.delete_subject(subject, query.is("permanent"))?;
                Ok(json!(gone).to_string())
            }
            ("GET", ["versions"]) => Ok(json!(self.versions(subject, deleted)?).to_string()),
            ("GET", ["versions", version]) => {
                let found = self.version(subject, Which::parse(version)?, deleted)?;
                Ok(version_json(found).to_string())
            }
            ("DELETE", ["versions", version]) => {
                let which = Which::parse(version)?;
                let gone = self.delete_version(subject, which, query.is("permanent"))?;
                Ok(json!(gone).to_string())
            }
            ("GET", ["versions", version, "schema"]) => {
                let found = self.version(subject, Which::parse(version)?, deleted)?;
                Ok(found.text.to_owned())
            }
            ("GET", ["versions", version, "referencedby"]) => {
                let found = self.version(subject, Which::parse(version)?, true)?;
                let ids = self.referenced_by(subject, found.version, deleted);
                Ok(json!(ids).to_string())
            }
            (
                _,
                [] | ["versions"] | ["versions", _] | ["versions", _, "schema" | "referencedby"],
            ) => Err(Refusal::no_method()),
            _ => Err(Refusal::no_path()),
        }
    }

    fn config(&mut self, subject: Option<&str>, request: &Request<'_>) -> Result<String, Refusal> {
        #[derive(Deserialize)]
        struct Wanted {
            compatibility: String,
        }
        let answer = match (request.method, subject) {
            ("GET", _) => {
                let level = match self.level(subject) {
                    None if Query(request.query).is("defaultToGlobal") => self.level(None),
                    level => level,
                };
                let level =
                    level.ok_or_else(|| Refusal::no_level_of(subject.unwrap_or_default()))?;
                json!({"compatibilityLevel": level.as_str()})
            }
            ("PUT", _) => {
                let wanted: Wanted = serde_json::from_slice(request.body)
                    .map_err(|why| Refusal::no_json(&why.to_string()))?;
                let name = wanted.compatibility.to_uppercase();
                let level = Level::parse(&name);
                let level = level.ok_or_else(|| Refusal::bad_level(&wanted.compatibility))?;
                self.set_level(subject, level)?;
                json!({"compatibility": level.as_str()})
            }
            ("DELETE", Some(subject)) => {
                json!({"compatibilityLevel": self.unset_level(subject)?.as_str()})
            }
            _ => return Err(Refusal::no_method()),
        };
        Ok(answer.to_string())
    }

    fn compatibility(
        &self,
        subject: &str,
        which: Option<Which>,
        request: &Request<'_>,
    ) -> Result<String, Refusal> {
        if request.method != "POST" {
            return Err(Refusal::no_method());
        }
        let sent = self.posted(request.body)?;
        let beside = match which.map(|which| (which, self.version(subject, which, false))) {
            None => None,
            Some((_, Ok(found))) => Some(found.version),
            // Nothing is there yet that it could be incompatible with.
            Some((Which::Latest, Err(_))) => None,
            Some((Which::Number(_), Err(refusal))) => return Err(refusal),
        };
        let wrong = self.wrong(subject, beside, &sent);
        let mut answer = json!({"is_compatible": wrong.is_empty()});
        if Query(request.query).is("verbose") {
            answer["messages"] = json!(wrong);
        }
        Ok(answer.to_string())
    }

    fn posted(&self, body: &[u8]) -> Result<Sent, Refusal> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Posted {
            schema: Option<String>,
            schema_type: Option<String>,
            references: Option<Vec<PostedReference>>,
        }
        #[derive(Deserialize)]
        struct PostedReference {
            name: String,
            subject: String,
            version: u32,
        }
        let posted: Posted =
            serde_json::from_slice(body).map_err(|why| Refusal::no_json(&why.to_string()))?;
        match posted.schema_type.as_deref() {
            None | Some("AVRO") => {}
            Some(other) => {
                return Err(Refusal::no_avro(&format!(
                    "the embedded registry knows AVRO only, not {other}"
                )));
            }
        }
        let text = posted.schema.unwrap_or_default();
        if text.is_empty() {
            return Err(Refusal::no_avro("Empty schema"));
        }
        let pointer = |of: PostedReference| Pointer {
            name: of.name,
            subject: of.subject,
            version: of.version,
        };
        let references = posted.references.unwrap_or_default();
        self.sent(text, references.into_iter().map(pointer).collect())
    }

    fn known_id(&self, id: &str) -> Result<(&str, &[Pointer]), Refusal> {
        let number: Option<u32> = id.parse().ok();
        let known = number.and_then(|id| self.by_id(id));
        known.ok_or_else(|| Refusal::no_schema(id))
    }

    fn show_id(&self, id: &str) -> Result<Value, Refusal> {
        let (text, references) = self.known_id(id)?;
        let mut shown = json!({"schema": text});
        if !references.is_empty() {
            shown["references"] = references_json(references);
        }
        Ok(shown)
    }

    fn id_subjects(&self, id: &str, query: Query<'_>) -> Result<Value, Refusal> {
        let mut subjects: Vec<&str> = self.id_users(id, query)?.map(|(s, _)| s).collect();
        subjects.dedup();
        Ok(json!(subjects))
    }

    fn id_versions(&self, id: &str, query: Query<'_>) -> Result<Value, Refusal> {
        let users = self.id_users(id, query)?;
        let shown = users.map(|(subject, version)| json!({"subject": subject, "version": version}));
        Ok(Value::Array(shown.collect()))
    }

    fn id_users(
        &self,
        id: &str,
        query: Query<'_>,
    ) -> Result<impl Iterator<Item = (&str, u32)>, Refusal> {
        self.known_id(id)?;
        let deleted = query.is("deleted");
        Ok(self.users(id.parse().unwrap_or_default(), deleted))
    }
}

/// Answers GET only.
fn get<T: serde::Serialize>(
    request: &Request<'_>,
    answer: impl FnOnce() -> Result<T, Refusal>,
) -> Result<String, Refusal> {
    if request.method != "GET" {
        return Err(Refusal::no_method());
    }
    // Plain JSON values always have a text.
    answer().map(|value| serde_json::to_string(&value).unwrap_or_default())
}

fn version_json(shown: Shown<'_>) -> Value {
    let mut json = json!({
        "subject": shown.subject,
        "version": shown.version,
        "id": shown.id,
        "schema": shown.text,
    });
    if !shown.references.is_empty() {
        json["references"] = references_json(shown.references);
    }
    json
}

fn references_json(references: &[Pointer]) -> Value {
    let json =
        |of: &Pointer| json!({"name": of.name, "subject": of.subject, "version": of.version});
    Value::Array(references.iter().map(json).collect())
}

/// The path's segments, decoded; `None`: not a path.
fn segments(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Some(Vec::new());
    }
    path.split('/').map(decoded).collect()
}

/// What stands after `?`.
#[derive(Clone, Copy)]
struct Query<'a>(&'a str);

impl Query<'_> {
    fn get(self, key: &str) -> Option<String> {
        let mut pairs = self.0.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let (_, value) = pairs.find(|(name, _)| *name == key)?;
        decoded(&value.replace('+', " "))
    }

    fn is(self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value == "true")
    }
}

/// Percent-decoding; `None`: a broken escape, or no UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V1: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
    const V2: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":"int","default":0}]}"#;
    const WORSE: &str = r#"{"type":"record","name":"R","fields":[{"name":"c","type":"int"}]}"#;

    fn ask(registry: &mut Registry, request: &str, body: &Value) -> (u16, Value) {
        let (method, target) = request.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let body = body.as_bytes();
        let answer = registry.answer(&Request { method, path, query, body });
        assert_eq!(answer.content_type, CONTENT_TYPE);
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }

    /// Requests with a schema as their body (or none), each with the status and body that it must get;
    /// for a failure, its code.
    fn check(steps: &[(&str, Value, u16, Value)]) {
        let mut registry = Registry::new();
        for (request, body, status, expected) in steps {
            let (got, mut answer) = ask(&mut registry, request, body);
            if *status != 200 {
                assert!(answer["message"].is_string(), "{request}: {answer}");
                answer = answer["error_code"].clone();
            }
            assert_eq!((got, &answer), (*status, expected), "{request} {body}");
        }
    }

    fn s(text: &str) -> Value {
        json!({ "schema": text })
    }

    #[test]
    fn a_schema_is_registered_once_and_its_id_belongs_to_its_content() {
        let spaced = V1.replace(',', " ,\n");
        let reordered =
            r#"{"name":"R","fields":[{"type":{"type":"int"},"name":"a"}],"type":"record"}"#;
        check(&[
            ("POST /subjects/x/versions", s(V1), 200, json!({"id": 1})),
            ("POST /subjects/x/versions", s(V1), 200, json!({"id": 1})),
            ("POST /subjects/x/versions", s(&spaced), 200, json!({"id": 1})),
            ("POST /subjects/x/versions", s(reordered), 200, json!({"id": 1})),
            ("GET /subjects/x/versions", Value::Null, 200, json!([1])),
            ("POST /subjects/x/versions", s(V2), 200, json!({"id": 2})),
            ("POST /subjects/y/versions", s(V2), 200, json!({"id": 2})),
            ("POST /subjects/y/versions", s(V1), 200, json!({"id": 1})),
            ("GET /subjects/y/versions", Value::Null, 200, json!([1, 2])),
            ("GET /schemas/ids/1", Value::Null, 200, s(V1)),
            ("GET /schemas/ids/1?subject=x&deleted=true", Value::Null, 200, s(V1)),
            ("GET /schemas/ids/2/subjects", Value::Null, 200, json!(["x", "y"])),
            (
                "GET /schemas/ids/2/versions",
                Value::Null,
                200,
                json!([{"subject": "x", "version": 2}, {"subject": "y", "version": 1}]),
            ),
            ("GET /schemas/ids/1/schema", Value::Null, 200, serde_json::from_str(V1).unwrap()),
            (
                "POST /subjects/y",
                s(V1),
                200,
                json!({"subject": "y", "version": 2, "id": 1, "schema": V1}),
            ),
            ("GET /subjects?subjectPrefix=y", Value::Null, 200, json!(["y"])),
            ("GET /subjects", Value::Null, 200, json!(["x", "y"])),
        ]);
    }

    #[test]
    fn what_is_not_there_has_its_own_code() {
        check(&[
            ("GET /subjects/x/versions", Value::Null, 404, json!(40401)),
            ("POST /subjects/x", s(V1), 404, json!(40401)),
            ("GET /schemas/ids/1", Value::Null, 404, json!(40403)),
            ("GET /schemas/ids/many", Value::Null, 404, json!(40403)),
            ("GET /config/x", Value::Null, 404, json!(40408)),
            ("POST /subjects/x/versions", s(V1), 200, json!({"id": 1})),
            ("GET /subjects/x/versions/2", Value::Null, 404, json!(40402)),
            ("GET /subjects/x/versions/0", Value::Null, 422, json!(42202)),
            ("GET /subjects/x/versions/first", Value::Null, 422, json!(42202)),
            ("POST /subjects/x", s(V2), 404, json!(40403)),
            ("GET /nothing", Value::Null, 404, json!(404)),
            ("GET /subjects/x/versions/1/more", Value::Null, 404, json!(404)),
            ("GET /subjects/%zz/versions", Value::Null, 404, json!(404)),
            ("PUT /subjects", Value::Null, 405, json!(405)),
            ("PATCH /subjects/x/versions", Value::Null, 405, json!(405)),
        ]);
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        let typed = |kind: &str| json!({"schema": V1, "schemaType": kind});
        let unknown =
            json!({"schema": V1, "references": [{"name": "x", "subject": "no", "version": 1}]});
        check(&[
            ("POST /subjects/x/versions", s("{"), 422, json!(42201)),
            ("POST /subjects/x/versions", s(""), 422, json!(42201)),
            ("POST /subjects/x/versions", json!({}), 422, json!(42201)),
            ("POST /subjects/x/versions", s("\"nonsense\""), 422, json!(42201)),
            ("POST /subjects/x/versions", typed("PROTOBUF"), 422, json!(42201)),
            ("POST /subjects/x/versions", unknown, 422, json!(42201)),
            ("POST /subjects/x/versions", Value::Null, 400, json!(400)),
            ("POST /subjects/x/versions", json!([]), 400, json!(400)),
            ("GET /subjects", Value::Null, 200, json!([])),
            ("POST /subjects/x/versions", typed("AVRO"), 200, json!({"id": 1})),
        ]);
        let large = "x".repeat(REPLY_BYTES_MAX + 1);
        let request = Request {
            method: "POST",
            path: "/subjects/x/versions",
            query: "",
            body: large.as_bytes(),
        };
        assert_eq!(Registry::new().answer(&request).status, 413);
        let long = format!("POST /subjects/{}/versions", "x".repeat(513));
        assert_eq!(ask(&mut Registry::new(), &long, &s(V1)).0, 422);
    }

    #[test]
    fn a_version_that_breaks_the_level_is_refused() {
        let level = |level: &str| json!({ "compatibility": level });
        let is = |level: &str| json!({ "compatibilityLevel": level });
        check(&[
            ("GET /config", Value::Null, 200, is("BACKWARD")),
            ("POST /subjects/x/versions", s(V1), 200, json!({"id": 1})),
            ("POST /subjects/x/versions", s(WORSE), 409, json!(409)),
            ("PUT /config/x", level("none"), 200, level("NONE")),
            ("GET /config/x", Value::Null, 200, is("NONE")),
            ("GET /config/y?defaultToGlobal=true", Value::Null, 200, is("BACKWARD")),
            ("POST /subjects/x/versions", s(WORSE), 200, json!({"id": 2})),
            ("DELETE /config/x", Value::Null, 200, is("NONE")),
            ("DELETE /config/x", Value::Null, 404, json!(40408)),
            // Backward looks at the newest only, transitive at all.
            ("POST /subjects/x/versions", s(V1), 200, json!({"id": 1})),
            ("PUT /config", level("BACKWARD_TRANSITIVE"), 200, level("BACKWARD_TRANSITIVE")),
            ("POST /subjects/x/versions", s(V2), 409, json!(409)),
            ("PUT /config", level("BACKWARD"), 200, level("BACKWARD")),
            ("POST /subjects/x/versions", s(V2), 409, json!(409)),
            ("PUT /config", level("SIDEWAYS"), 422, json!(42203)),
            ("PUT /config", json!({}), 400, json!(400)),
        ]);
    }

    #[test]
    fn compatibility_is_judged_without_registering() {
        let yes = json!({"is_compatible": true});
        let no = json!({"is_compatible": false});
        let path = "POST /compatibility/subjects/x/versions";
        let step = |at: &str| -> &'static str { format!("{path}{at}").leak() };
        check(&[
            (path, s(WORSE), 200, yes.clone()),
            (step("/latest"), s(WORSE), 200, yes.clone()),
            (step("/1"), s(WORSE), 404, json!(40401)),
            ("POST /subjects/x/versions", s(V1), 200, json!({"id": 1})),
            ("POST /subjects/x/versions", s(V2), 200, json!({"id": 2})),
            (step("/latest"), s(V1), 200, yes.clone()),
            (step("/latest"), s(WORSE), 200, no.clone()),
            (path, s(WORSE), 200, no.clone()),
            (step("/7"), s(WORSE), 404, json!(40402)),
            (step("/latest"), s("{"), 422, json!(42201)),
            (step("/1?verbose=true"), s(V2), 200, json!({"is_compatible": true, "messages": []})),
            (
                step("/1?verbose=true"),
                s(WORSE),
                200,
                json!({"is_compatible": false, "messages": [
                    "the new schema cannot read what version 1 wrote: c: not written, and the reader has no default"
                ]}),
            ),
            ("GET /subjects/x/versions", Value::Null, 200, json!([1, 2])),
        ]);
    }

    #[test]
    fn deleting_is_soft_first_and_ids_stay_readable_until_it_is_permanent() {
        check(&[
            ("POST /subjects/x/versions", s(V1), 200, json!({"id": 1})),
            ("POST /subjects/x/versions", s(V2), 200, json!({"id": 2})),
            ("DELETE /subjects/x/versions/2?permanent=true", Value::Null, 404, json!(40407)),
            ("DELETE /subjects/x/versions/latest", Value::Null, 200, json!(2)),
            ("DELETE /subjects/x/versions/2", Value::Null, 404, json!(40406)),
            ("GET /subjects/x/versions", Value::Null, 200, json!([1])),
            ("GET /subjects/x/versions?deleted=true", Value::Null, 200, json!([1, 2])),
            ("GET /subjects/x/versions/2", Value::Null, 404, json!(40402)),
            ("GET /schemas/ids/2", Value::Null, 200, s(V2)),
            // Registered again: the same id, a new version.
            ("POST /subjects/x/versions", s(V2), 200, json!({"id": 2})),
            ("GET /subjects/x/versions", Value::Null, 200, json!([1, 3])),
            ("DELETE /subjects/x?permanent=true", Value::Null, 404, json!(40405)),
            ("DELETE /subjects/x", Value::Null, 200, json!([1, 3])),
            ("DELETE /subjects/x", Value::Null, 404, json!(40404)),
            ("GET /subjects", Value::Null, 200, json!([])),
            ("GET /subjects?deleted=true", Value::Null, 200, json!(["x"])),
            ("GET /schemas/ids/1", Value::Null, 200, s(V1)),
            ("DELETE /subjects/x?permanent=true", Value::Null, 200, json!([1, 2, 3])),
            ("DELETE /subjects/x", Value::Null, 404, json!(40401)),
            ("GET /schemas/ids/1", Value::Null, 404, json!(40403)),
            ("POST /subjects/y/versions", s(V1), 200, json!({"id": 1})),
        ]);
    }

    #[test]
    fn what_is_referred_to_cannot_be_deleted() {
        let user = json!({
            "schema": r#"{"type":"record","name":"U","fields":[{"name":"r","type":"R"}]}"#,
            "references": [{"name": "R", "subject": "base", "version": 1}],
        });
        let mut shown = user.clone();
        shown["subject"] = json!("user");
        shown["version"] = json!(1);
        shown["id"] = json!(2);
        check(&[
            ("POST /subjects/user/versions", user.clone(), 422, json!(42201)),
            ("POST /subjects/base/versions", s(V1), 200, json!({"id": 1})),
            ("POST /subjects/user/versions", user.clone(), 200, json!({"id": 2})),
            ("GET /schemas/ids/2", Value::Null, 200, user.clone()),
            ("GET /subjects/user/versions/latest", Value::Null, 200, shown),
            ("GET /subjects/base/versions/1/referencedby", Value::Null, 200, json!([2])),
            ("GET /subjects/user/versions/1/referencedby", Value::Null, 200, json!([])),
            ("DELETE /subjects/base/versions/1", Value::Null, 422, json!(42206)),
            ("DELETE /subjects/base", Value::Null, 422, json!(42206)),
            ("DELETE /subjects/user", Value::Null, 200, json!([1])),
            ("DELETE /subjects/base", Value::Null, 200, json!([1])),
            ("DELETE /subjects/base?permanent=true", Value::Null, 422, json!(42206)),
            ("DELETE /subjects/user?permanent=true", Value::Null, 200, json!([1])),
            ("DELETE /subjects/base?permanent=true", Value::Null, 200, json!([1])),
        ]);
    }

    #[test]
    fn the_small_questions_are_answered() {
        let mode = json!({"mode": "READWRITE"});
        check(&[
            ("GET /", Value::Null, 200, json!({})),
            ("GET /mode", Value::Null, 200, mode.clone()),
            ("GET /mode/x", Value::Null, 200, mode),
            ("GET /schemas/types", Value::Null, 200, json!(["AVRO"])),
            ("GET /schemas/types/", Value::Null, 200, json!(["AVRO"])),
            ("GET /contexts", Value::Null, 200, json!(["."])),
        ]);
    }

    proptest! {
        #[test]
        fn whatever_comes_in_an_answer_comes_out(
            method in "GET|POST|PUT|DELETE|[A-Z]{0,3}",
            path in "/(subjects|schemas|config|compatibility|[^?]{0,4})(/[a-z0-9%]{0,4}){0,5}",
            query in "(deleted|permanent|verbose)?=?(true)?[&%+]{0,3}",
            body in prop_oneof![".{0,40}", Just(json!({"schema": V1}).to_string())],
        ) {
            let mut registry = Registry::new();
            ask(&mut registry, "POST /subjects/a/versions", &s(V1));
            let body = body.as_bytes();
            let request = Request { method: &method, path: &path, query: &query, body };
            let answer = registry.answer(&request);
            prop_assert!(serde_json::from_str::<Value>(&answer.body).is_ok());
            prop_assert!((200..600).contains(&answer.status));
        }
    }
}
