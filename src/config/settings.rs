//! What the operator set, resolved: defaults applied, secrets looked up, paths made whole.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Place, Problem, Secret};

/// Everything that `ordermill.yaml`, the environment and flags say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file, if there was one.
    pub file: Option<PathBuf>,
    /// The brokers.
    pub kafka: Kafka,
    /// The registry.
    pub registry: Registry,
    /// Databases by name.
    pub databases: BTreeMap<String, Database>,
    /// Which of `databases` is the state database.
    pub state: Option<String>,
    /// How mails leave, if they do.
    pub mail: Option<Mail>,
    /// What is served.
    pub http: Http,
    /// The folder of contracts.
    pub avro: PathBuf,
    /// How it logs.
    pub telemetry: Telemetry,
}

/// `kafka`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kafka {
    /// Brokers to begin with, `host:port` with commas; see [`Config::bootstrap`].
    pub bootstrap: Option<String>,
    /// How they are reached.
    pub security: Security,
    /// After so long without a sign of life a member loses its partitions.
    pub session_timeout: Duration,
    /// librdkafka's own properties.
    pub properties: BTreeMap<String, Secret>,
}

/// `kafka.security`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Security {
    /// How brokers are spoken to.
    pub protocol: Protocol,
    /// Who we are; there with a `Sasl…` protocol, and only then.
    pub sasl: Option<Sasl>,
    /// Certificates; of use with a `…Ssl` protocol.
    pub tls: Tls,
}

/// `kafka.security.protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without TLS.
    SaslPlaintext,
    /// SASL in TLS.
    SaslSsl,
}

/// `kafka.security.sasl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sasl {
    /// Kafka's word: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: String,
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// `kafka.security.tls`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tls {
    /// The authorities; nothing: the system's.
    pub ca: Option<PathBuf>,
    /// Our certificate, always with a key.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// `registry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// Its address; see [`Config::registry_url`].
    pub url: Option<String>,
    /// Who we are there.
    pub auth: Option<Auth>,
    /// The authorities; nothing: the system's.
    pub ca: Option<PathBuf>,
    /// The folder that keeps schemas.
    pub cache: Option<PathBuf>,
}

/// How we authenticate over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Name and password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A bearer token.
    Token(Secret),
}

/// One of `databases`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// PostgreSQL.
    Postgres(Postgres),
    /// SQLite.
    Sqlite(Sqlite),
}

/// `postgres`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postgres {
    /// Its address, `postgres://…` or `host=…`.
    pub url: Secret,
    /// Connections at most.
    pub connections: usize,
    /// The authorities; nothing: the system's.
    pub ca: Option<PathBuf>,
}

/// `sqlite`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sqlite {
    /// The file.
    pub path: PathBuf,
}

/// `mail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// What follows the `@` of each Message-ID; nothing: the domain of the mail's sender.
    pub domain: Option<String>,
    /// Where mails go.
    pub way: MailWay,
}

/// Where mails go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailWay {
    /// To a server.
    Smtp(Smtp),
    /// Into a folder, as files.
    Folder(PathBuf),
}

/// `mail.smtp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is encrypted.
    pub tls: SmtpTls,
    /// Authorities besides the system's.
    pub ca: Option<PathBuf>,
    /// Who we are there: name and password.
    pub login: Option<(String, Secret)>,
}

/// `mail.smtp.tls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// Not at all.
    None,
    /// From the command `STARTTLS` on, which the server must know.
    Starttls,
    /// From the first byte.
    Implicit,
}

/// `http`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http {
    /// Where to listen.
    pub listen: SocketAddr,
}

/// `telemetry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// The form of log lines.
    pub log: LogForm,
    /// What is logged, as `tracing`'s directives.
    pub level: String,
}

/// `telemetry.log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogForm {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Config {
    /// The brokers.
    ///
    /// # Errors
    /// Nobody said any.
    pub fn bootstrap(&self) -> Result<&str, Problem> {
        self.kafka
            .bootstrap
            .as_deref()
            .ok_or_else(|| self.missing("kafka.bootstrap", "ORDERMILL_KAFKA_BOOTSTRAP"))
    }

    /// The registry's address.
    ///
    /// # Errors
    /// Nobody said any.
    pub fn registry_url(&self) -> Result<&str, Problem> {
        self.registry
            .url
            .as_deref()
            .ok_or_else(|| self.missing("registry.url", "ORDERMILL_REGISTRY_URL"))
    }

    fn missing(&self, path: &str, variable: &str) -> Problem {
        let file = self.file.clone().unwrap_or_else(|| super::FILE.into());
        Problem::new(&file, Place::WHOLE, format!("`{path}` is missing"))
            .hint(format!("set it there or by {variable}"))
    }
}

impl Smtp {
    /// Is the server on this machine? Only there may a password go without encryption.
    pub fn is_local(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl SmtpTls {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            SmtpTls::None => "none",
            SmtpTls::Starttls => "starttls",
            SmtpTls::Implicit => "implicit",
        }
    }

    /// The port that such servers have.
    pub fn port(self) -> u16 {
        match self {
            SmtpTls::None => 25,
            SmtpTls::Starttls => 587,
            SmtpTls::Implicit => 465,
        }
    }
}

impl Protocol {
    /// librdkafka's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Plaintext => "plaintext",
            Protocol::Ssl => "ssl",
            Protocol::SaslPlaintext => "sasl_plaintext",
            Protocol::SaslSsl => "sasl_ssl",
        }
    }

    /// Does it authenticate by SASL?
    pub fn sasl(self) -> bool {
        matches!(self, Protocol::SaslPlaintext | Protocol::SaslSsl)
    }

    /// Does it encrypt?
    pub fn tls(self) -> bool {
        matches!(self, Protocol::Ssl | Protocol::SaslSsl)
    }
}
