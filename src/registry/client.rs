//! The registry's client: what is known of an id, for how long, and who asks when nobody knows.
//!
//! - In memory: a schema that the registry gave stays; one from the disk, and a denial, expire soon.
//!   Errors are not kept at all. Who asks for an id that somebody is asking for waits for that answer.
//! - The registry is asked before the disk: the disk serves only while the registry cannot answer or
//!   denies the id, and what it serves is asked for again after 30 s.
//! - An id is pinned to the first schema seen for it, in memory and on disk. Another one later is
//!   [`Error::Changed`]: nothing is decoded with either.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use moka::future::Cache;
use schema_registry_converter::async_impl::schema_registry as converter;
use schema_registry_converter::schema_registry_common::{
    RegisteredReference, RegisteredSchema, SchemaType,
};
use serde::Deserialize;
use tokio::time::Instant;

use super::disk::Disk;
use super::http::{Http, from_converter};
use super::memory::{Denials, Held, Pins, cache};
use super::references::{Fetched, Pointer, direct, resolve};
use super::settings::Settings;
use super::subjects::path_of;
use super::{Error, Stats};
use crate::port::{Future, Registered, SchemaText, Schemas};
use crate::record::Fault;

/// Tries of one question beyond the first.
const RETRIES: usize = 2;
/// Registries count in 32 bits with a sign. One that is asked for more answers with whatever its web server says
/// to nonsense, which looks like an outage.
const ID_MAX: u32 = i32::MAX.cast_unsigned();
/// A question with all its references may take this many times the limit of one request.
const QUESTION_REQUESTS: u32 = 4;

/// A client of a Confluent-compatible registry. Share it in an `Arc`.
#[derive(Debug)]
pub struct Client {
    pub(super) http: Http,
    stats: Arc<Stats>,
    held: Cache<u32, Held>,
    pins: Pins,
    denials: Denials,
    disk: Option<Disk>,
    timeout: Duration,
    grace: Duration,
}

impl Client {
    /// Reads the settings; connects to nothing yet.
    ///
    /// # Errors
    /// `Settings`.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let stats = Arc::new(Stats::default());
        let http = Http::new(settings, &stats)?;
        let disk = settings.cache_folder.as_ref().map(|folder| Disk::new(folder, http.urls()));
        Ok(Self {
            http,
            stats,
            held: cache(settings),
            pins: Pins::default(),
            denials: Denials::default(),
            disk,
            timeout: settings.timeout,
            grace: settings.grace,
        })
    }

    /// What was counted so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The schema of an id, from wherever it is known.
    async fn schema(&self, id: u32) -> Result<Arc<SchemaText>, Error> {
        if id > ID_MAX {
            return Err(Error::Unusable(format!(
                "no registry gives ids above {ID_MAX}, and the record's is {id}: it is not of our kind"
            )));
        }
        let held = self.held.try_get_with(id, self.look_up(id)).await;
        match held.map_err(|error| Error::clone(&error))? {
            Held::Given(schema) | Held::FromDisk(schema) => Ok(schema),
            Held::Denied(error) => Err(error),
        }
    }

    async fn look_up(&self, id: u32) -> Result<Held, Error> {
        self.stats.count_miss();
        let kept = self.kept(id).await;
        // With the disk to fall back on, one try is enough.
        let retries = if kept.is_some() { 0 } else { RETRIES };
        let asked = self.question(retries, || self.fetch(id)).await;
        match (asked, kept) {
            (Ok(schema), kept) => {
                self.denials.forget(id);
                self.pin(id, &schema, kept.as_ref())?;
                let schema = Arc::new(schema);
                if kept.is_none() {
                    self.keep(id, &schema).await;
                }
                Ok(Held::Given(schema))
            }
            (Err(error), Some(kept)) if is_away(&error) || is_denial(&error) => {
                self.pin(id, &kept, None)?;
                self.stats.count_from_disk();
                tracing::debug!(id, why = %error, "a schema is taken from the disk");
                Ok(Held::FromDisk(Arc::new(kept)))
            }
            (Err(error), None) if is_denial(&error) => {
                let now = Instant::now();
                Ok(Held::Denied(self.denials.denied(id, now, self.grace)))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Asks until there is an answer, it makes no sense, or the time is up.
    pub(super) async fn question<T, F>(
        &self,
        retries: usize,
        ask: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: std::future::Future<Output = Result<T, Error>>,
    {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_factor(4.0)
            .with_max_times(retries)
            .with_jitter();
        let asked = ask.retry(backoff).when(Error::is_passing);
        let limit = self.timeout * QUESTION_REQUESTS;
        match tokio::time::timeout(limit, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout { url: self.http.url().to_owned(), limit }),
        }
    }

    async fn fetch(&self, id: u32) -> Result<SchemaText, Error> {
        let root = converter::get_schema_by_id(id, &self.http.converter).await;
        // A refusal makes no sense as an answer to this; so whoever gave it was not the registry.
        let root = self.reply(root).map_err(|error| match error {
            Error::Refused { message, .. } => {
                Error::BadReply { url: self.http.url().to_owned(), what: message }
            }
            error => error,
        })?;
        self.complete(root).await
    }

    /// The schema with everything that it refers to.
    pub(super) async fn complete(&self, root: RegisteredSchema) -> Result<SchemaText, Error> {
        resolve(fetched(root)?, |pointer| self.referred(pointer)).await
    }

    async fn referred(&self, pointer: Pointer) -> Result<Fetched, Error> {
        // What the registry says is no setting of ours.
        let subject = path_of(&pointer.subject).map_err(|why| Error::Unusable(why.to_string()))?;
        let version = Some(pointer.version);
        let answer =
            converter::get_schema_by_subject_and_version(&self.http.converter, &subject, version);
        fetched(self.reply(answer.await)?)
    }

    /// An answer of the converter's functions, with our own error in it.
    pub(super) fn reply<T>(
        &self,
        answer: Result<T, schema_registry_converter::error::SRCError>,
    ) -> Result<T, Error> {
        answer.map_err(|error| from_converter(self.http.url(), &error))
    }

    fn pin(&self, id: u32, now: &SchemaText, kept: Option<&SchemaText>) -> Result<(), Error> {
        if let (Some(kept), Some(disk)) = (kept, &self.disk)
            && kept != now
        {
            return Err(Error::Changed {
                id,
                before: "from the cache folder",
                remedy: format!("delete {} and start again", disk.path(id).display()),
            });
        }
        self.pins.hold(id, now)
    }

    async fn kept(&self, id: u32) -> Option<SchemaText> {
        let disk = self.disk.clone()?;
        let read = tokio::task::spawn_blocking(move || disk.read(id));
        // The task ends early only when the runtime stops: then nobody reads the answer.
        read.await.ok().flatten()
    }

    async fn keep(&self, id: u32, schema: &Arc<SchemaText>) {
        let Some(disk) = self.disk.clone() else {
            return;
        };
        let schema = Arc::clone(schema);
        let written = tokio::task::spawn_blocking(move || {
            let written = disk.write(id, &schema);
            (disk, written)
        });
        if let Ok((disk, Err(why))) = written.await {
            // The schema itself is fine: only the next outage will miss it.
            let file = disk.path(id);
            tracing::warn!(file = %file.display(), %why, "a schema cannot be kept on disk");
        }
    }

    async fn newest(&self, subject: &str) -> Result<Option<Registered>, Error> {
        match self.version(subject, None).await {
            Err(error) if is_denial(&error) => Ok(None),
            answer => answer.map(Some),
        }
    }

    async fn add(&self, subject: &str, schema: &SchemaText) -> Result<u32, Error> {
        #[derive(Deserialize)]
        struct Added {
            id: u32,
        }
        let path = format!("/subjects/{}/versions", path_of(subject)?);
        let body = posted(schema);
        let added: Added = self.question(RETRIES, || self.http.post(&path, &body)).await?;
        Ok(added.id)
    }
}

impl Schemas for Client {
    fn by_id(&self, id: u32) -> Future<'_, Result<Arc<SchemaText>, Fault>> {
        Box::pin(async move { self.schema(id).await.map_err(Fault::from) })
    }

    fn latest<'a>(&'a self, subject: &'a str) -> Future<'a, Result<Option<Registered>, Fault>> {
        Box::pin(async move { self.newest(subject).await.map_err(Fault::from) })
    }

    fn register<'a>(
        &'a self,
        subject: &'a str,
        schema: &'a SchemaText,
    ) -> Future<'a, Result<u32, Fault>> {
        Box::pin(async move { self.add(subject, schema).await.map_err(Fault::from) })
    }
}

/// A schema as it is posted: its text, and where those that it names lie.
pub(super) fn posted(schema: &SchemaText) -> serde_json::Value {
    let references: Vec<serde_json::Value> = direct(schema)
        .into_iter()
        .map(
            |of| serde_json::json!({"name": of.name, "subject": of.subject, "version": of.version}),
        )
        .collect();
    serde_json::json!({"schemaType": "AVRO", "schema": schema.text, "references": references})
}

fn fetched(schema: RegisteredSchema) -> Result<Fetched, Error> {
    if schema.schema_type != SchemaType::Avro {
        let kind = schema.schema_type;
        return Err(Error::Unusable(format!("id {} is no Avro schema but {kind:?}", schema.id)));
    }
    let pointer = |of: RegisteredReference| Pointer {
        name: of.name,
        subject: of.subject,
        version: of.version,
    };
    Ok(Fetched {
        text: schema.schema,
        references: schema.references.into_iter().map(pointer).collect(),
    })
}

fn is_away(error: &Error) -> bool {
    error.classify() == crate::record::Class::Unavailable
}

pub(super) fn is_denial(error: &Error) -> bool {
    matches!(error, Error::Absent { .. })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;

    use serde_json::{Value, json};

    use super::*;
    use crate::config::Secret;
    use crate::port::Reference;
    use crate::record::Class;
    use crate::registry::testing::{Asked, Reply, Server};
    use crate::registry::{Credentials, Registry, embedded};

    const TEXT: &str = r#"{"type":"record","name":"R","fields":[]}"#;

    fn given(text: &str) -> Reply {
        Reply::Json(200, json!({ "schema": text }).to_string())
    }

    fn absent() -> Reply {
        Reply::Json(404, json!({"error_code": 40403, "message": "Schema not found"}).to_string())
    }

    fn client(server: &Server) -> Client {
        Client::new(&server.settings()).unwrap()
    }

    fn schema(text: &str) -> SchemaText {
        SchemaText { text: text.to_owned(), references: Vec::new() }
    }

    /// The fault of an answer that must be one.
    fn fault(answer: Result<Arc<SchemaText>, Fault>) -> (Class, String) {
        let fault = answer.expect_err("no schema");
        (fault.class, fault.code.into_owned())
    }

    fn unavailable(code: &str) -> (Class, String) {
        (Class::Unavailable, code.to_owned())
    }

    #[tokio::test]
    async fn an_outage_is_unavailable_and_its_end_is_seen_at_the_next_ask() {
        let server = Server::start(|_| given(TEXT)).await;
        let client = client(&server);
        let address = server.stop().await;
        assert_eq!(fault(client.by_id(7).await), unavailable("registry_unreachable"));
        let _server = Server::start_at(address, |_| given(TEXT)).await;
        assert_eq!(*client.by_id(7).await.unwrap(), schema(TEXT));
    }

    #[tokio::test]
    async fn no_failure_is_kept_whatever_its_status() {
        for (status, code, retried) in [
            (301, "registry_redirected", false),
            (401, "registry_unauthorized", false),
            (403, "registry_unauthorized", false),
            (404, "registry_bad_reply", true),
            (408, "registry_busy", true),
            (409, "registry_bad_reply", true),
            (422, "registry_bad_reply", true),
            (429, "registry_busy", true),
            (500, "registry_busy", true),
            (502, "registry_busy", true),
            (503, "registry_busy", true),
            (504, "registry_busy", true),
        ] {
            let tries = if retried { 3 } else { 1 };
            let mut asked = 0;
            let server = Server::start(move |_| {
                asked += 1;
                if asked > tries {
                    return given(TEXT);
                }
                // A refusal with a code of its own must not be taken for the registry's word either.
                let code = u32::from(status);
                Reply::Json(status, json!({"error_code": code, "message": "no"}).to_string())
            });
            let server = server.await;
            let client = client(&server);
            assert_eq!(fault(client.by_id(7).await), unavailable(code), "HTTP {status}");
            assert_eq!(server.asked(), tries, "HTTP {status}");
            assert!(client.by_id(7).await.is_ok(), "HTTP {status} was kept");
        }
    }

    #[tokio::test]
    async fn a_failure_that_passes_within_the_retries_is_not_seen() {
        let mut asked = 0;
        let server = Server::start(move |_| {
            asked += 1;
            match asked {
                1 => Reply::Closed,
                2 => Reply::Json(503, "down".to_owned()),
                _ => given(TEXT),
            }
        });
        let server = server.await;
        let client = client(&server);
        assert!(client.by_id(7).await.is_ok());
        assert_eq!(server.asked(), 3);
        let counted: HashMap<_, _> = client.stats().requests().into_iter().collect();
        assert_eq!((counted["none"], counted["5xx"], counted["2xx"]), (1, 1, 1));
        assert_eq!(client.stats().cache_misses(), 1);
    }

    #[tokio::test]
    async fn an_id_that_no_registry_gives_is_the_records_fault_at_once() {
        let server = Server::start(|_| Reply::Json(404, "<html>".to_owned())).await;
        let (class, _) = fault(client(&server).by_id(ID_MAX + 1).await);
        assert_eq!(class, Class::Poison);
        assert_eq!(fault(client(&server).by_id(ID_MAX).await).0, Class::Unavailable);
    }

    #[tokio::test]
    async fn an_unknown_id_waits_out_its_grace_and_may_still_appear_later() {
        let known = Arc::new(Mutex::new(false));
        let knows = Arc::clone(&known);
        let server =
            Server::start(move |_| if *knows.lock().unwrap() { given(TEXT) } else { absent() });
        let server = server.await;
        let client = client(&server);
        let start = Instant::now();
        let waits = unavailable("schema_not_yet_known");
        assert_eq!(fault(client.by_id(7).await), waits);
        let ended = loop {
            let answer = fault(client.by_id(7).await);
            if answer != waits {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert!(start.elapsed() < Duration::from_secs(30), "it never ends");
        };
        assert_eq!(ended, (Class::Poison, "unknown_schema".to_owned()));
        assert!(start.elapsed() >= Duration::from_millis(200));
        // Another id starts with a grace time of its own.
        assert_eq!(fault(client.by_id(8).await), waits);
        *known.lock().unwrap() = true;
        while client.by_id(7).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert!(start.elapsed() < Duration::from_secs(60), "the denial is kept for ever");
        }
    }

    #[tokio::test]
    async fn an_unknown_id_asks_the_registry_seldom() {
        let server = Server::start(|_| absent()).await;
        let mut settings = server.settings();
        settings.grace = Duration::from_secs(3600);
        let client = Client::new(&settings).unwrap();
        for _ in 0..100 {
            assert_eq!(fault(client.by_id(7).await), unavailable("schema_not_yet_known"));
        }
        assert!(server.asked() < 10, "{} requests", server.asked());
    }

    #[tokio::test]
    async fn a_404_that_is_not_the_registrys_own_word_never_denies_an_id() {
        let server = Server::start(|_| Reply::Json(404, "<html>no such page</html>".to_owned()));
        let server = server.await;
        let mut settings = server.settings();
        settings.grace = Duration::ZERO;
        let client = Client::new(&settings).unwrap();
        assert_eq!(fault(client.by_id(7).await), unavailable("registry_bad_reply"));
    }

    #[tokio::test]
    async fn a_hundred_who_ask_at_once_make_one_request() {
        let server = Server::start(|_| given(TEXT)).await;
        let client = client(&server);
        let all = futures::future::join_all((0..100).map(|_| client.by_id(7))).await;
        assert!(all.iter().all(|answer| answer.as_deref() == Ok(&schema(TEXT))));
        assert_eq!(server.asked(), 1);
        assert!(client.by_id(7).await.is_ok());
        assert_eq!(server.asked(), 1);
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_the_question_to_the_others() {
        let mut asked = 0;
        let server = Server::start(move |_| {
            asked += 1;
            if asked == 1 { Reply::Stalled(Vec::new()) } else { given(TEXT) }
        });
        let server = server.await;
        let client = client(&server);
        let mut first = client.by_id(7);
        // It has asked, and hangs.
        while server.asked() == 0 {
            assert!(futures::poll!(&mut first).is_pending());
            tokio::task::yield_now().await;
        }
        let second = client.by_id(7);
        drop(first);
        assert!(second.await.is_ok());
    }

    #[tokio::test]
    async fn a_reply_without_bounds_is_cut_off() {
        let announced = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{".to_vec();
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        let failing = b"HTTP/1.1 500 X\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for head in [announced, chunked, failing] {
            let server = Server::start(move |_| Reply::Endless(head.clone())).await;
            let mut settings = server.settings();
            // The size ends it, not the time.
            settings.timeout = Duration::from_secs(60);
            let client = Client::new(&settings).unwrap();
            let answer = client.by_id(7).await.expect_err("no schema");
            assert_eq!(answer.code, "registry_bad_reply");
            assert!(answer.reason.contains("larger than 1048576 bytes"), "{answer}");
            // Three tries, each at most the limit and what lies in the sockets' buffers.
            let sent = server.sent_without_end();
            assert!(sent < 3 * 16 * 1024 * 1024, "{sent} bytes");
        }
    }

    #[tokio::test]
    async fn a_slow_registry_is_unavailable_after_the_limit() {
        let half = b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"schema\"".to_vec();
        for begun in [Vec::new(), half] {
            let server = Server::start(move |_| Reply::Stalled(begun.clone())).await;
            let mut settings = server.settings();
            settings.timeout = Duration::from_millis(50);
            let client = Client::new(&settings).unwrap();
            let start = Instant::now();
            assert_eq!(fault(client.by_id(7).await), unavailable("registry_timeout"));
            // Four times the limit of one request, and what the machine needs beside it.
            assert!(start.elapsed() < Duration::from_secs(20));
        }
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let elsewhere = Server::start(|_| given(TEXT)).await;
        let to = elsewhere.url();
        let server = Server::start(move |_| {
            let answer = format!("HTTP/1.1 302 X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
            Reply::Raw(answer.into_bytes())
        });
        let server = server.await;
        let client = client(&server);
        assert_eq!(fault(client.by_id(7).await), unavailable("registry_redirected"));
        assert_eq!(elsewhere.asked(), 0);
    }

    #[tokio::test]
    async fn garbage_is_an_outage() {
        for body in ["<html>welcome</html>", "{}", "[]", "", r#"{"schema":7}"#, r#"{"schema":"#] {
            let server = Server::start(move |_| Reply::Json(200, body.to_owned())).await;
            let client = client(&server);
            assert_eq!(fault(client.by_id(7).await), unavailable("registry_bad_reply"), "{body}");
        }
        let server = Server::start(|_| Reply::Raw(b"SSH-2.0-OpenSSH\r\n".to_vec())).await;
        assert_eq!(fault(client(&server).by_id(7).await), unavailable("registry_unreachable"));
    }

    #[tokio::test]
    async fn a_known_id_decodes_after_a_start_with_the_registry_away() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(|_| given(TEXT)).await;
        let mut settings = server.settings();
        settings.cache_folder = Some(folder.path().to_owned());
        assert!(Client::new(&settings).unwrap().by_id(7).await.is_ok());
        let address = server.stop().await;
        let client = Client::new(&settings).unwrap();
        assert_eq!(*client.by_id(7).await.unwrap(), schema(TEXT));
        assert_eq!(client.stats().from_disk(), 1);
        assert_eq!(fault(client.by_id(8).await), unavailable("registry_unreachable"));
        // And the registry that forgot it does not take it away.
        let _server = Server::start_at(address, |_| absent()).await;
        assert!(Client::new(&settings).unwrap().by_id(7).await.is_ok());
    }

    #[tokio::test]
    async fn another_schema_for_a_known_id_stops_everything() {
        let folder = tempfile::tempdir().unwrap();
        let mut asked = 0;
        let server = Server::start(move |_| {
            asked += 1;
            given(if asked == 1 { TEXT } else { "\"long\"" })
        });
        let server = server.await;
        let mut settings = server.settings();
        let changed = (Class::Fatal, "schema_changed".to_owned());
        settings.cache_folder = Some(folder.path().to_owned());
        let client = Client::new(&settings).unwrap();
        assert!(client.by_id(7).await.is_ok());
        // Pushed out of memory, asked again: the pin is still there, and so is the file.
        client.held.invalidate(&7).await;
        assert_eq!(fault(client.by_id(7).await), changed);
        assert_eq!(fault(client.by_id(7).await), changed);
        let restarted = Client::new(&settings).unwrap().by_id(7).await.expect_err("changed");
        assert_eq!(restarted.class, Class::Fatal);
        assert!(restarted.reason.contains("7.json"), "{restarted}");
        // Without a folder the pin alone holds.
        let server = Server::start({
            let mut asked = 0;
            move |_| {
                asked += 1;
                given(if asked == 1 { TEXT } else { "\"long\"" })
            }
        });
        let server = server.await;
        let client = Client::new(&server.settings()).unwrap();
        assert!(client.by_id(7).await.is_ok());
        client.held.invalidate(&7).await;
        assert_eq!(fault(client.by_id(7).await), changed);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_costs_only_the_copy() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a file, no folder");
        std::fs::write(&file, "").unwrap();
        let server = Server::start(|_| given(TEXT)).await;
        let mut settings = server.settings();
        settings.cache_folder = Some(file);
        assert!(Client::new(&settings).unwrap().by_id(7).await.is_ok());
    }

    #[tokio::test]
    async fn a_schema_that_can_never_decode_anything_is_poison() {
        let protobuf = json!({"schema": "message M {}", "schemaType": "PROTOBUF"});
        let deep = json!({"schema": "[".repeat(65)});
        let cycle = json!({"schema": TEXT, "subject": "s", "version": 1, "id": 7,
            "references": [{"name": "R", "subject": "s", "version": 1}]});
        let outside =
            json!({"schema": TEXT, "references": [{"name": "R", "subject": "..", "version": 1}]});
        for answer in [protobuf, deep, cycle, outside] {
            let body = answer.to_string();
            let server = Server::start(move |_| Reply::Json(200, body.clone())).await;
            let poison = (Class::Poison, "unusable_schema".to_owned());
            assert_eq!(fault(client(&server).by_id(7).await), poison, "{answer}");
        }
    }

    #[tokio::test]
    async fn the_second_url_is_asked_while_the_first_is_away() {
        let first = Server::start(|_| given(TEXT)).await;
        let second = Server::start(embedded_server()).await;
        let mut settings = first.settings();
        settings.urls.push(second.url());
        first.stop().await;
        let client = Client::new(&settings).unwrap();
        let id = client.register("s", &schema(TEXT)).await.unwrap();
        assert_eq!(*client.by_id(id).await.unwrap(), schema(TEXT));
    }

    #[tokio::test]
    async fn credentials_go_with_every_request_and_into_no_message() {
        let basic =
            Credentials::Basic { user: "mill".to_owned(), password: Secret::written("hunter2") };
        let bearer = Credentials::Bearer(Secret::written("hunter2"));
        for (credentials, header) in [
            (basic, "authorization: Basic bWlsbDpodW50ZXIy"),
            (bearer, "authorization: Bearer hunter2"),
        ] {
            let heads = Arc::new(Mutex::new(Vec::new()));
            let seen = Arc::clone(&heads);
            let server = Server::start(move |asked: &Asked| {
                seen.lock().unwrap().push(asked.head.clone());
                Reply::Json(401, "who are you".to_owned())
            });
            let server = server.await;
            let mut settings = server.settings();
            settings.credentials = credentials;
            let client = Client::new(&settings).unwrap();
            let said = [
                client.by_id(7).await.expect_err("refused"),
                client.register("s", &schema(TEXT)).await.expect_err("refused"),
            ];
            for fault in said {
                assert_eq!(fault.class, Class::Unavailable);
                assert!(!fault.to_string().contains("hunter2"), "{fault}");
            }
            let shown = format!("{client:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVy"), "{shown}");
            let heads = heads.lock().unwrap();
            assert_eq!(heads.len(), 2);
            let has = |head: &String| head.lines().any(|line| line.eq_ignore_ascii_case(header));
            assert!(heads.iter().all(has), "{heads:?}");
        }
    }

    /// Answers as the embedded registry does.
    fn embedded_server() -> impl FnMut(&Asked) -> Reply + Send {
        let mut registry = Registry::new();
        move |asked: &Asked| {
            let answer = registry.answer(&embedded::Request {
                method: &asked.method,
                path: &asked.path,
                query: &asked.query,
                body: &asked.body,
            });
            Reply::Json(answer.status, answer.body)
        }
    }

    #[tokio::test]
    async fn it_speaks_with_the_embedded_registry() {
        let server = Server::start(embedded_server()).await;
        let client = client(&server);
        let odd = "a/b c%?#é";
        for subject in ["orders-value", odd] {
            assert_eq!(client.latest(subject).await, Ok(None));
            assert_eq!(client.versions(subject).await, Ok(vec![]));
            assert!(client.compatibility(subject, &schema(TEXT)).await.unwrap().compatible);
            let id = client.register(subject, &schema(TEXT)).await.unwrap();
            assert_eq!(client.register(subject, &schema(TEXT)).await, Ok(id));
            assert_eq!(*client.by_id(id).await.unwrap(), schema(TEXT));
            let latest = client.latest(subject).await.unwrap().unwrap();
            assert_eq!((latest.id, latest.version, latest.subject.as_str()), (id, 1, subject));
            assert_eq!(client.versions(subject).await, Ok(vec![1]));
        }
        assert_eq!(client.subjects().await, Ok(vec![odd.to_owned(), "orders-value".to_owned()]));
        let worse =
            schema(r#"{"type":"record","name":"R","fields":[{"name":"must","type":"int"}]}"#);
        let verdict = client.compatibility("orders-value", &worse).await.unwrap();
        assert!(!verdict.compatible);
        assert!(verdict.messages[0].contains("must"), "{verdict:?}");
        let refused = client.register("orders-value", &worse).await.expect_err("incompatible");
        assert_eq!((refused.class, &*refused.code), (Class::Fatal, "schema_refused"));
        assert!(refused.reason.contains("must"), "{refused}");
        let none = client.version("orders-value", Some(2)).await.expect_err("no such version");
        assert!(matches!(none, Error::Absent { code: 40402, .. }), "{none:?}");
    }

    #[tokio::test]
    async fn references_come_with_their_schema_and_only_its_own_are_registered() {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&bodies);
        let mut answer = embedded_server();
        let server = Server::start(move |asked: &Asked| {
            if asked.method == "POST" {
                seen.lock().unwrap().push(asked.body.clone());
            }
            answer(asked)
        });
        let server = server.await;
        let client = client(&server);
        let zip = r#"{"type":"record","name":"Zip","namespace":"a","fields":[{"name":"z","type":"string"}]}"#;
        let address = r#"{"type":"record","name":"Address","namespace":"a","fields":[{"name":"zip","type":"Zip"}]}"#;
        let customer = r#"{"type":"record","name":"Customer","namespace":"b","fields":[{"name":"at","type":"a.Address"}]}"#;
        let reference = |name: &str, text: &str| Reference {
            name: name.to_owned(),
            subject: name.to_owned(),
            version: 1,
            text: text.to_owned(),
        };
        let whole = SchemaText {
            text: customer.to_owned(),
            references: vec![reference("a.Zip", zip), reference("a.Address", address)],
        };
        client.register("a.Zip", &schema(zip)).await.unwrap();
        let middle =
            SchemaText { text: address.to_owned(), references: vec![reference("a.Zip", zip)] };
        client.register("a.Address", &middle).await.unwrap();
        let id = client.register("customer", &whole).await.unwrap();
        assert_eq!(*client.by_id(id).await.unwrap(), whole);
        assert_eq!(*client.latest("customer").await.unwrap().unwrap().schema, whole);
        let bodies = bodies.lock().unwrap();
        let last: Value = serde_json::from_slice(bodies.last().unwrap()).unwrap();
        let own = json!([{"name": "a.Address", "subject": "a.Address", "version": 1}]);
        assert_eq!(last["references"], own);
    }

    #[tokio::test]
    async fn a_version_whose_reference_is_gone_is_not_said_to_be_absent() {
        let server = Server::start(|asked: &Asked| {
            if !asked.path.starts_with("/subjects/whole/") {
                return absent();
            }
            let body = json!({"schema": TEXT, "subject": "whole", "version": 3, "id": 7,
                "references": [{"name": "X", "subject": "gone", "version": 1}]});
            Reply::Json(200, body.to_string())
        });
        let server = server.await;
        let fault = client(&server).latest("whole").await.expect_err("not None");
        assert_eq!(fault.class, Class::Unavailable);
    }
}
