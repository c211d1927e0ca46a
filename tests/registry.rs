//! Our client and our embedded registry against others' work: a real registry, and Confluent's own Python
//! client.
//!
//! `ORDERMILL_TEST_REGISTRY` is the base URL of a Confluent-compatible registry at BACKWARD;
//! `ORDERMILL_TEST_PYTHON` a Python with `confluent-kafka[avro,schemaregistry]`.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode, Uri};
use axum::response::IntoResponse;
use ordermill::port::{Reference, SchemaText, Schemas};
use ordermill::record::Class;
use ordermill::registry::contracts::Contracts;
use ordermill::registry::{Client, Error, Registry, Settings, embedded};
use uuid::Uuid;

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run make test"))
}

fn real() -> String {
    env("ORDERMILL_TEST_REGISTRY")
}

/// The embedded registry over HTTP, until the runtime ends.
async fn served() -> String {
    async fn answer(
        State(registry): State<Arc<Mutex<Registry>>>,
        method: Method,
        uri: Uri,
        body: Bytes,
    ) -> impl IntoResponse {
        let answer = registry.lock().unwrap().answer(&embedded::Request {
            method: method.as_str(),
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            body: &body,
        });
        let status = StatusCode::from_u16(answer.status).unwrap();
        (status, [(CONTENT_TYPE, answer.content_type)], answer.body)
    }
    let registry = Arc::new(Mutex::new(Registry::new()));
    let app = Router::new().fallback(answer).with_state(registry);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

fn client(url: &str) -> Client {
    Client::new(&Settings::new(url)).unwrap()
}

fn schema(text: impl Into<String>) -> SchemaText {
    SchemaText { text: text.into(), references: Vec::new() }
}

/// A subject that nobody had before: the registry may outlive the tests.
fn fresh(name: &str) -> String {
    format!("{name}-{}", Uuid::new_v4())
}

/// A record with these fields.
fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","namespace":"test","fields":[{fields}]}}"#)
}

#[tokio::test]
async fn what_is_registered_is_found_by_id_and_by_subject() {
    for url in [real(), served().await] {
        let (client, subject) = (client(&url), fresh("orders"));
        assert_eq!(client.latest(&subject).await, Ok(None));
        assert_eq!(client.versions(&subject).await, Ok(vec![]));
        let v1 = schema(record(r#"{"name":"a","type":"int"}"#));
        let v2 = schema(record(
            r#"{"name":"a","type":"int"},{"name":"b","type":["null","string"],"default":null}"#,
        ));
        let first = client.register(&subject, &v1).await.unwrap();
        assert_eq!(client.register(&subject, &v1).await, Ok(first));
        let second = client.register(&subject, &v2).await.unwrap();
        assert_ne!(first, second);
        // By a client that has not seen them.
        let other = Client::new(&Settings::new(&url)).unwrap();
        assert_eq!(*other.by_id(first).await.unwrap(), v1);
        assert_eq!(*other.by_id(second).await.unwrap(), v2);
        let latest = other.latest(&subject).await.unwrap().unwrap();
        assert_eq!((latest.version, latest.id, &*latest.schema), (2, second, &v2));
        assert_eq!(other.versions(&subject).await, Ok(vec![1, 2]));
        assert_eq!(other.version(&subject, Some(1)).await.unwrap().id, first);
        assert!(other.subjects().await.unwrap().contains(&subject));
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_in_the_registrys_own_words() {
    for url in [real(), served().await] {
        let settings = Settings { grace: Duration::ZERO, ..Settings::new(&url) };
        let client = Client::new(&settings).unwrap();
        let unknown = client.by_id(2_000_000_000).await.expect_err("no such id");
        assert_eq!((unknown.class, &*unknown.code), (Class::Poison, "unknown_schema"), "{url}");
        let subject = fresh("short");
        client.register(&subject, &schema("\"int\"")).await.unwrap();
        let version = client.version(&subject, Some(9)).await.expect_err("no such version");
        assert!(matches!(version, Error::Absent { code: 40402, .. }), "{url}: {version:?}");
        // The way to the registry is wrong: that denies nothing.
        let wrong = Settings { grace: Duration::ZERO, ..Settings::new(format!("{url}/wrong/way")) };
        let lost = Client::new(&wrong).unwrap().by_id(1).await.expect_err("no registry there");
        assert_eq!(lost.class, Class::Unavailable, "{url}: {lost}");
    }
}

#[tokio::test]
async fn references_are_registered_and_come_back_before_those_that_name_them() {
    for url in [real(), served().await] {
        let client = client(&url);
        let run = Uuid::new_v4().simple().to_string();
        let record = |name: &str, field: &str| {
            format!(
                r#"{{"type":"record","name":"{name}","namespace":"n{run}","fields":[{{"name":"f","type":"{field}"}}]}}"#
            )
        };
        let (zip, address) = (record("Zip", "string"), record("Address", &format!("n{run}.Zip")));
        let customer = record("Customer", &format!("n{run}.Address"));
        let reference = |name: &str, text: &str| Reference {
            name: format!("n{run}.{name}"),
            subject: format!("{name}-{run}"),
            version: 1,
            text: text.to_owned(),
        };
        let (zip_reference, address_reference) =
            (reference("Zip", &zip), reference("Address", &address));
        client.register(&zip_reference.subject, &schema(zip)).await.unwrap();
        let middle = SchemaText { text: address, references: vec![zip_reference.clone()] };
        client.register(&address_reference.subject, &middle).await.unwrap();
        let whole =
            SchemaText { text: customer, references: vec![zip_reference, address_reference] };
        let subject = fresh("customer");
        let id = client.register(&subject, &whole).await.unwrap();
        assert_eq!(client.register(&subject, &whole).await, Ok(id), "{url}");
        assert_eq!(*client.by_id(id).await.unwrap(), whole, "{url}");
    }
}

#[tokio::test]
async fn a_schema_that_may_not_follow_is_refused_and_the_registry_says_why() {
    for url in [real(), served().await] {
        let (client, subject) = (client(&url), fresh("refused"));
        let v1 = schema(record(r#"{"name":"a","type":"int"}"#));
        let worse = schema(record(r#"{"name":"must","type":"int"}"#));
        assert!(client.compatibility(&subject, &v1).await.unwrap().compatible, "{url}");
        client.register(&subject, &v1).await.unwrap();
        assert!(client.compatibility(&subject, &v1).await.unwrap().compatible, "{url}");
        let verdict = client.compatibility(&subject, &worse).await.unwrap();
        assert!(!verdict.compatible, "{url}");
        assert!(verdict.messages.concat().contains("must"), "{url}: {verdict:?}");
        let refused = client.register(&subject, &worse).await.expect_err("it may not follow");
        assert_eq!((refused.class, &*refused.code), (Class::Fatal, "schema_refused"), "{url}");
        let nonsense = schema(r#"{"type":"nonsense"}"#);
        let refused = client.register(&subject, &nonsense).await.expect_err("it is no schema");
        assert_eq!(refused.class, Class::Fatal, "{url}: {refused}");
    }
}

#[tokio::test]
async fn the_contracts_can_be_registered_and_come_back_letter_by_letter() {
    let contracts = Contracts::read(&folder("avro")).expect("the contracts are whole");
    for url in [real(), served().await] {
        let client = client(&url);
        for contract in contracts.all() {
            let subject = fresh(&contract.subject);
            let id = client.register(&subject, &contract.schema).await.unwrap();
            assert_eq!(*client.by_id(id).await.unwrap(), *contract.schema);
        }
    }
}

/// Types that follow each other, each pair judged in both directions by both registries.
const TYPES: [&str; 21] = [
    r#""int""#,
    r#""long""#,
    r#""float""#,
    r#""double""#,
    r#""string""#,
    r#""bytes""#,
    r#"["null","int"]"#,
    r#"["int","string"]"#,
    r#"["null","int","string"]"#,
    r#"{"type":"array","items":"int"}"#,
    r#"{"type":"array","items":"long"}"#,
    r#"{"type":"map","values":"int"}"#,
    r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
    r#"{"type":"enum","name":"E","symbols":["A","B","C"]}"#,
    r#"{"type":"enum","name":"E","symbols":["A"],"default":"A"}"#,
    r#"{"type":"fixed","name":"F","size":4}"#,
    r#"{"type":"fixed","name":"F","size":5}"#,
    r#"{"type":"record","name":"I","fields":[{"name":"x","type":"int"}]}"#,
    r#"{"type":"record","name":"I","fields":[{"name":"x","type":"int"},{"name":"y","type":"int"}]}"#,
    r#"{"type":"record","name":"I","fields":[{"name":"x","type":"int"},{"name":"y","type":"int","default":1}]}"#,
    r#"{"type":"record","name":"I","fields":[{"name":"z","aliases":["x"],"type":"int"}]}"#,
];

#[tokio::test]
async fn the_embedded_registry_judges_as_the_real_one_does() {
    let (real, embedded) = (client(&real()), client(&served().await));
    let run = Uuid::new_v4();
    let mut differ = Vec::new();
    let mut compatible = 0;
    for (i, old) in TYPES.iter().enumerate() {
        let old = schema(record(&format!(r#"{{"name":"f","type":{old}}}"#)));
        let subject = format!("judged-{i}-{run}");
        real.register(&subject, &old).await.unwrap();
        embedded.register(&subject, &old).await.unwrap();
        for new in TYPES {
            let new = schema(record(&format!(r#"{{"name":"f","type":{new}}}"#)));
            let theirs = real.compatibility(&subject, &new).await.unwrap();
            let ours = embedded.compatibility(&subject, &new).await.unwrap();
            compatible += usize::from(theirs.compatible);
            if theirs.compatible != ours.compatible {
                differ.push(format!("{} → {}: {theirs:?}, {ours:?}", old.text, new.text));
            }
        }
    }
    assert_eq!(differ, Vec::<String>::new());
    // Neither says the same to everything.
    assert!((TYPES.len()..TYPES.len() * TYPES.len() / 2).contains(&compatible), "{compatible}");
}

/// `ordermill schema ARGS` in a folder: its exit code, what it prints and what it says.
async fn schema_command(folder: &Path, url: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordermill"));
    command.current_dir(folder).arg("schema").args(args).env("ORDERMILL_REGISTRY_URL", url);
    let ran = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ran.status.code(), text(&ran.stdout), text(&ran.stderr))
}

/// A folder with these versions of a subject.
fn history(subject: &str, versions: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let avro = folder.path().join("avro").join(subject);
    std::fs::create_dir_all(&avro).unwrap();
    for (number, text) in (1..).zip(versions) {
        std::fs::write(avro.join(format!("{number}.avsc")), text).unwrap();
    }
    folder
}

#[tokio::test]
async fn the_command_lists_subjects_with_their_versions_and_ids() {
    for url in [real(), served().await] {
        let (client, subject) = (client(&url), fresh("listed"));
        let mut ids = Vec::new();
        for more in ["", r#",{"name":"b","type":"int","default":0}"#] {
            let text = record(&format!(r#"{{"name":"a","type":"int"}}{more}"#));
            ids.push(client.register(&subject, &schema(text)).await.unwrap());
        }
        let here = Path::new(".");
        let (code, out, said) = schema_command(here, &url, &["list", "-o", "json"]).await;
        assert_eq!((code, said.as_str()), (Some(0), ""), "{url}");
        let all: serde_json::Value = serde_json::from_str(&out).unwrap();
        let ours = all.as_array().unwrap().iter().find(|of| of["subject"] == *subject).unwrap();
        let version = |version: u32, id: u32| serde_json::json!({"version": version, "id": id, "type": "AVRO"});
        assert_eq!(ours["versions"], serde_json::json!([version(1, ids[0]), version(2, ids[1])]));
        let (code, out, _) = schema_command(here, &url, &["list", &subject]).await;
        let rows: Vec<Vec<_>> = out.lines().map(|l| l.split_whitespace().collect()).collect();
        let row = |version, id| vec![subject.as_str(), version, id, "AVRO"];
        let [first, second] = [ids[0].to_string(), ids[1].to_string()];
        assert_eq!(code, Some(0), "{url}");
        assert_eq!(rows[1..], [row("1", &first), row("2", &second)], "{url}");
        let (code, out, said) = schema_command(here, &url, &["list", "no-such"]).await;
        assert_eq!((code, out.as_str()), (Some(1), ""), "{url}");
        assert!(said.contains("no subject no-such"), "{url}: {said}");
    }
}

#[tokio::test]
async fn the_command_says_each_way_in_which_contracts_do_not_get_on() {
    let field = |name: &str, rest: &str| format!(r#"{{"name":"{name}","type":"int"{rest}}}"#);
    let first = record(&field("a", ""));
    let wider = record(&[field("a", ""), field("b", r#","default":0"#)].join(","));
    let must = record(&[field("a", ""), field("must", "")].join(","));
    let other = record(r#"{"name":"a","type":"string"}"#);
    for url in [real(), served().await] {
        let subject = fresh("checked");
        client(&url).register(&subject, &schema(&*first)).await.unwrap();
        // what is checked, whether the registry is asked, and what is said of it; nothing: it is right
        let cases: [(&[&str], bool, &[&str]); 6] = [
            (&[&first, &wider], false, &[]),
            (&[&first, &wider], true, &[]),
            (
                &[&first, &wider, &must],
                false,
                &["3.avsc: the new schema cannot read what version 1", "version 2"],
            ),
            (
                &[&first, &must],
                true,
                &["2.avsc: the new schema cannot read", "2.avsc: the registry would refuse it"],
            ),
            (&[&other], false, &[]),
            (&[&other], true, &["1.avsc: the registry would refuse it"]),
        ];
        for (versions, asks, words) in cases {
            let folder = history(&subject, versions);
            let offline: &[&str] = if asks { &[] } else { &["--offline"] };
            for named in [&[][..], &[&*subject]] {
                let args = [&["check"], named, offline].concat();
                // who does not ask needs no registry
                let url = if asks { &*url } else { "http://127.0.0.1:1" };
                let (code, out, said) = schema_command(folder.path(), url, &args).await;
                assert_eq!(code, Some(i32::from(!words.is_empty())), "{url}: {out}{said}");
                for words in words {
                    assert!(out.contains(words), "{url}: {words}: {out}{said}");
                }
                assert_eq!(said.contains("in the contracts"), !words.is_empty(), "{said}");
            }
        }
        let folder = history(&subject, &[&first]);
        let (code, _, said) = schema_command(folder.path(), &url, &["check", "other"]).await;
        assert_eq!(code, Some(1), "{url}: {said}");
        assert!(said.contains("no contract of other"), "{url}: {said}");
    }
}

#[tokio::test]
async fn confluents_python_client_works_with_the_real_registry() {
    python(real()).await;
}

#[tokio::test]
async fn confluents_python_client_works_with_the_embedded_registry() {
    python(served().await).await;
}

/// The script gives up by itself after a minute.
async fn python(url: String) {
    let mut command = Command::new(env("ORDERMILL_TEST_PYTHON"));
    command.arg(folder("scripts/oracle/registry_client.py")).arg(&url).arg(folder("avro"));
    let ran = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let ran = ran.expect("python cannot be started");
    let (said, complained) =
        (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{url}:\n{said}\n{complained}");
    let checks = said.trim().strip_suffix(" checks").and_then(|n| n.parse::<u32>().ok());
    assert!(checks.is_some_and(|checks| checks > 30), "{url}: {said}");
}

/// A certificate for a host that signs itself, and its key.
fn certificate(folder: &Path, host: &str) -> (PathBuf, native_tls::Identity) {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=test"])
        .args(["-addext", &format!("subjectAltName={host}")])
        .args(["-keyout".as_ref(), key.as_os_str(), "-out".as_ref(), certificate.as_os_str()])
        .output()
        .expect("openssl cannot be started");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let read = |file: &Path| std::fs::read(file).unwrap();
    let identity = native_tls::Identity::from_pkcs8(&read(&certificate), &read(&key)).unwrap();
    (certificate, identity)
}

/// Answers every request over TLS with one schema, until the test ends.
fn served_over_tls(identity: native_tls::Identity) -> String {
    let acceptor = native_tls::TlsAcceptor::new(identity).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // Whoever does not trust the certificate hangs up here.
            if let Ok(mut stream) = acceptor.accept(stream.unwrap()) {
                let _ = stream.read(&mut [0; 4096]);
                let body = r#"{"schema":"\"int\""}"#;
                let answer =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes());
                let _ = stream.shutdown();
            }
        }
    });
    url
}

#[tokio::test]
async fn a_certificate_is_trusted_only_with_its_authority_and_for_its_host() {
    for (host, trusted, answers) in [
        ("IP:127.0.0.1", true, true),
        ("IP:127.0.0.1", false, false),
        ("IP:127.0.0.2", true, false),
        ("DNS:localhost", true, false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, identity) = certificate(folder.path(), host);
        let url = served_over_tls(identity);
        let ca_file = trusted.then_some(certificate);
        let client = Client::new(&Settings { ca_file, ..Settings::new(url) }).unwrap();
        match client.by_id(7).await {
            Ok(found) => assert!(answers, "{host} {trusted}: {found:?}"),
            Err(fault) => {
                assert!(!answers, "{host} {trusted}: {fault}");
                assert_eq!(&*fault.code, "registry_unreachable");
                assert!(fault.reason.contains("certificate"), "{fault}");
            }
        }
    }
    let none = Settings { ca_file: Some("/no/such.pem".into()), ..Settings::new("https://r") };
    assert!(
        matches!(Client::new(&none), Err(Error::Settings(why)) if why.contains("/no/such.pem"))
    );
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}
