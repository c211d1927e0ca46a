//! The table of everything that `ordermill.yaml` may say.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::grammar::{self, Fields, Is, Key, Scalar, When, Word};

const PATH: Is = Is::One(Scalar::Path);

/// The file.
pub(super) static KEYS: Fields = Fields::of(&[
    Key::new("kafka", Is::Fields(&KAFKA), "the brokers"),
    Key::new("registry", Is::Fields(&REGISTRY), "the schema registry"),
    Key::new(
        "databases",
        Is::Entries(Scalar::Name, &Is::Tag(DATABASES)),
        "databases by the names that pipeline files use",
    ),
    Key::new(
        "state",
        Is::One(Scalar::Name),
        "which of `databases` keeps where pipelines stand whose sink is no database, and what is done ahead of it: then a restart repeats little",
    )
    .otherwise("none: Kafka's committed offset is all they have"),
    Key::new("mail", Is::Fields(&MAIL), "how mails leave: by `smtp`, or as files in a `folder`"),
    Key::new("http", Is::Fields(&HTTP), "what Ordermill serves: metrics and health"),
    Key::new("avro", PATH, "the folder of contracts, `SUBJECT/VERSION.avsc`").default("avro"),
    Key::new("telemetry", Is::Fields(&TELEMETRY), "how it logs"),
    Key::later("keys", "keys that sign and encrypt"),
]);

/// `kafka`.
static KAFKA: Fields = Fields::of(&[
    Key::new("bootstrap", Is::One(Scalar::Brokers), "brokers to begin with").otherwise("none: commands that need brokers are refused"),
    Key::new("security", Is::Fields(&SECURITY), "how they are reached"),
    Key::new("session_timeout", Is::One(Scalar::Duration(6000, 1_800_000)), "after so long without a sign of life a member loses its partitions; longer than each pipeline's `limits.drain`").default("45s"),
    Key::new("properties", Is::Entries(Scalar::Property, &Is::Either(&[Is::Secret, Is::One(Scalar::Value)])), "librdkafka's own properties, for what has no key here"),
]);

/// `kafka.security`.
static SECURITY: Fields = Fields::of(&[
    Key::new(
        "protocol",
        Is::Word(&[
            Word::now("plaintext"),
            Word::now("ssl"),
            Word::now("sasl_plaintext"),
            Word::now("sasl_ssl"),
        ]),
        "how brokers are spoken to",
    )
    .default("plaintext"),
    Key::new("sasl", Is::Fields(&SASL), "who we are, with a `sasl_…` protocol"),
    Key::new("tls", Is::Fields(&TLS), "certificates, with an `…ssl` protocol"),
]);

/// `kafka.security.sasl`.
static SASL: Fields = Fields::of(&[
    Key::new(
        "mechanism",
        Is::Word(&[Word::now("PLAIN"), Word::now("SCRAM-SHA-256"), Word::now("SCRAM-SHA-512")]),
        "how we show it",
    )
    .default("SCRAM-SHA-512"),
    Key::new("username", Is::One(Scalar::Text), "the name"),
    Key::new("password", Is::Secret, "the password"),
]);

/// `kafka.security.tls`.
static TLS: Fields = Fields::of(&[
    Key::new("ca", PATH, "the authorities that brokers' certificates must come from")
        .otherwise("the system's"),
    Key::new("certificate", PATH, "our certificate, with `key`"),
    Key::new("key", PATH, "its key"),
]);

/// `registry`.
static REGISTRY: Fields = Fields::of(&[
    Key::new("url", Is::One(Scalar::Url), "its address")
        .otherwise("none: commands that need it are refused"),
    Key::new("auth", Is::Fields(&AUTH), "name and password; or `token`"),
    Key::new("token", Is::Secret, "a bearer token; or `auth`"),
    Key::new("ca", PATH, "the authorities that its certificate must come from")
        .otherwise("the system's"),
    Key::new(
        "cache",
        PATH,
        "a folder that keeps schemas over restarts, so that a start without the registry decodes what is known",
    ),
]);

/// `registry.auth`.
static AUTH: Fields = Fields::of(&[
    Key::new("username", Is::One(Scalar::Text), "the name"),
    Key::new("password", Is::Secret, "the password"),
]);

/// One entry of `databases`.
static DATABASES: &[Key] = &[
    Key::new("postgres", Is::Fields(&POSTGRES), "PostgreSQL 14 or later"),
    Key::new("sqlite", Is::Fields(&SQLITE), "SQLite, one file"),
];

/// `postgres`.
pub(super) static POSTGRES: Fields = Fields::of(&[
    Key::new(
        "url",
        Is::Either(&[Is::Secret, Is::One(Scalar::Postgres)]),
        "its address; one with a password is a secret",
    )
    .required(),
    Key::new("connections", Is::One(Scalar::Count(1, 1000)), "connections at most, per process")
        .default("8"),
    Key::new("ca", PATH, "the authorities that its certificate must come from")
        .otherwise("the system's"),
]);

/// `sqlite`.
pub(super) static SQLITE: Fields = Fields::of(&[Key::new("path", PATH, "the file").required()]);

/// `mail`.
pub(super) static MAIL: Fields = Fields {
    keys: &[
        Key::new("smtp", Is::Fields(&SMTP), "a mail server"),
        Key::new("folder", PATH, "a folder that gets each mail as a `.eml` file; made if it is missing"),
        Key::new("domain", Is::One(Scalar::Domain), "what follows the `@` of each Message-ID, and how we greet the server; with another domain a repeated mail is taken for a new one")
            .otherwise("the domain of the mail's sender"),
    ],
    one_of: &["smtp", "folder"],
};

/// `mail.smtp`.
static SMTP: Fields = Fields::of(&[
    Key::new("host", Is::One(Scalar::Domain), "its name, which its certificate must have; needed"),
    Key::new("port", Is::One(Scalar::Count(1, 65_535)), "its port")
        .otherwise("587 with `starttls`, 465 with `implicit`, 25 with `none`"),
    Key::new(
        "tls",
        Is::Word(&[Word::now("starttls"), Word::now("implicit"), Word::now("none")]),
        "how it is encrypted: `starttls` is insisted on, `implicit` encrypts from the first byte",
    )
    .default("starttls"),
    Key::new("ca", PATH, "the authorities that its certificate may also come from")
        .otherwise("the system's"),
    Key::new("username", Is::One(Scalar::Text), "who we are there, with `password`")
        .otherwise("nobody: the server lets us send as we are"),
    Key::new("password", Is::Secret, "the password"),
]);

/// `http`.
static HTTP: Fields = Fields::of(&[Key::new(
    "listen",
    Is::One(Scalar::Address),
    "where `/metrics`, `/livez` and `/readyz` are",
)
.default("127.0.0.1:9400")]);

/// `telemetry`.
static TELEMETRY: Fields = Fields::of(&[
    Key::new("log", Is::Word(&[Word::now("text"), Word::now("json")]), "the form of log lines")
        .default("text"),
    Key::new(
        "level",
        Is::One(Scalar::Levels),
        "what is logged: error, warn, info, debug or trace, also by module",
    )
    .default("info"),
]);

/// What an environment variable or a flag may set: a key that holds one value, by its path.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The path, such as `kafka.bootstrap`.
    pub path: String,
    /// The variable, such as `ORDERMILL_KAFKA_BOOTSTRAP`.
    pub variable: String,
    /// Does it hold a secret? Then no flag sets it: the whole machine can see flags.
    pub secret: bool,
    pub(super) key: &'static Key,
}

/// All settings, in the order of the table.
pub fn settings() -> Vec<Setting> {
    let mut all = Vec::new();
    below(KEYS.keys, "", &mut all);
    all
}

fn below(keys: &'static [Key], path: &str, all: &mut Vec<Setting>) {
    for key in keys.iter().filter(|key| key.when == When::Now) {
        let path =
            if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        match key.is {
            Is::Fields(fields) => below(fields.keys, &path, all),
            Is::One(_) | Is::Word(_) | Is::Secret => {
                let variable = format!("ORDERMILL_{}", path.to_ascii_uppercase().replace('.', "_"));
                all.push(Setting { path, variable, secret: matches!(key.is, Is::Secret), key });
            }
            _ => {}
        }
    }
}

/// The page `docs/configuration.md`.
pub fn page() -> String {
    let mut page = grammar::page(INTRODUCTION, "`ordermill.yaml`", &KEYS);
    page.push_str("\n## Environment variables\n\n| variable | key |\n|---|---|\n");
    for Setting { path, variable, .. } in settings() {
        let _ = writeln!(page, "| `{variable}` | `{path}` |");
    }
    page
}

/// The table as JSON Schema, for editors.
pub fn json_schema() -> Json {
    grammar::json_schema("ordermill.yaml", &KEYS)
}

const INTRODUCTION: &str = "\
# Configuration

What the operator sets stands in `ordermill.yaml`. A flag goes before an environment variable, a variable
before the file. Secrets never stand in the file: it says where they are, `{ env: NAME }` or `{ file: PATH }`.
Relative paths start at the folder of the file; those of variables and flags where the command runs. This
page is made from the table that the file is checked against.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_a_variable_of_its_own() {
        let mut variables: Vec<_> =
            settings().into_iter().map(|setting| setting.variable).collect();
        for wanted in [
            "ORDERMILL_KAFKA_BOOTSTRAP",
            "ORDERMILL_REGISTRY_URL",
            "ORDERMILL_HTTP_LISTEN",
            "ORDERMILL_AVRO",
        ] {
            assert!(variables.iter().any(|variable| variable == wanted), "{wanted}");
        }
        let all = variables.len();
        variables.sort();
        variables.dedup();
        assert_eq!(variables.len(), all);
    }

    #[test]
    fn the_page_is_the_table() {
        super::super::grammar::same_page("docs/configuration.md", &page());
    }
}
