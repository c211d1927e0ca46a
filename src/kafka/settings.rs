//! How a client is set up: what the operator says, and the settings that this house insists on.
//!
//! The library's defaults lose and repeat records (`auto.offset.reset=latest`, offsets stored on
//! delivery, no checksums). Every one that could is set here, cannot be overridden, and is read back
//! from the effective configuration before a client is made.
//!
//! `enable.auto.commit` is **false**: each of our commits names its offsets and carries Ordermill's marker
//! in its metadata. The automatic commit writes *stored* offsets without metadata, so one of those after
//! ours would look like another tool's reset. There is one way to commit: explicitly.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;

use super::error::Error;
use crate::config::{Protocol, Secret};

/// A login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sasl {
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: String,
    /// The user.
    pub username: String,
    /// Its password.
    pub password: Secret,
}

/// Files for TLS; what is absent is the system's default, or none.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tls {
    /// The certificates to trust (PEM).
    pub ca: Option<PathBuf>,
    /// Our certificate (PEM), when the broker asks for one.
    pub certificate: Option<PathBuf>,
    /// Its key (PEM).
    pub key: Option<PathBuf>,
    /// The key's password.
    pub key_password: Option<Secret>,
}

/// How to reach a cluster, and how much a client may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `host:port`, several with commas.
    pub bootstrap: String,
    /// How the connection is made.
    pub protocol: Protocol,
    /// The login; needed with a `Sasl…` protocol.
    pub sasl: Option<Sasl>,
    /// TLS files.
    pub tls: Tls,
    /// The name under which the broker knows this client in its logs and quotas.
    pub client_id: String,
    /// How long the group waits for a silent member before it gives its partitions away.
    pub session_timeout: Duration,
    /// How long a record may stay unsent or unacknowledged before its answer is `Unavailable`; 0: for ever.
    pub delivery_timeout: Duration,
    /// Anything else by the library's own names; none of those that this house insists on.
    pub properties: BTreeMap<String, String>,
}

impl Settings {
    /// The defaults for a cluster at `bootstrap`, in the clear.
    pub fn at(bootstrap: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            protocol: Protocol::Plaintext,
            sasl: None,
            tls: Tls::default(),
            client_id: "ordermill".to_owned(),
            session_timeout: Duration::from_secs(45),
            delivery_timeout: Duration::from_secs(30),
            properties: BTreeMap::new(),
        }
    }
}

/// What a client is for; each has its own settings that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A member of a group.
    Consumer,
    /// A producer.
    Producer,
    /// Reads partitions without being a member of a group.
    Tail,
    /// Questions only.
    Admin,
}

/// Must hold for every client.
const SAFE_ALL: &[(&str, &str)] = &[
    ("log.connection.close", "false"),
    ("socket.keepalive.enable", "true"),
    ("allow.auto.create.topics", "false"),
];

/// Must hold for a consumer.
const SAFE_CONSUMER: &[(&str, &str)] = &[
    // A record is done when we say so, not when it was handed over.
    ("enable.auto.offset.store", "false"),
    ("enable.auto.commit", "false"),
    // Never skip and never replay in silence: an offset that is gone is a fault that a person sees.
    ("auto.offset.reset", "error"),
    // Others flow while one partition moves.
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("group.protocol", "classic"),
    ("check.crcs", "true"),
    // An end of partition moves the library's position one too far.
    ("enable.partition.eof", "false"),
    ("isolation.level", "read_committed"),
    // An outage is over when the statistics show a broker that is up.
    ("statistics.interval.ms", "5000"),
];

/// Must hold for who reads without a group: nothing is ever committed, a gap is never jumped over in silence.
const SAFE_TAIL: &[(&str, &str)] = &[
    ("enable.auto.offset.store", "false"),
    ("enable.auto.commit", "false"),
    ("auto.offset.reset", "error"),
    ("check.crcs", "true"),
    ("isolation.level", "read_committed"),
    // Who reads to the end must be told that it is there.
    ("enable.partition.eof", "true"),
];

/// Must hold for a producer. The order of a key hangs on the partitioner and on idempotence.
const SAFE_PRODUCER: &[(&str, &str)] =
    &[("enable.idempotence", "true"), ("acks", "-1"), ("partitioner", "murmur2_random")];

/// Good values that the operator may replace.
const TUNED_CONSUMER: &[(&str, &str)] = &[
    ("fetch.queue.backoff.ms", "20"),
    ("queued.min.messages", "20000"),
    // Fetched and not yet taken, per consumer.
    ("queued.max.messages.kbytes", "32768"),
    // So soon a member notices that a topic has more partitions, or was deleted and made again; the library's five
    // minutes are a long lag.
    ("topic.metadata.refresh.interval.ms", "10000"),
    ("max.poll.interval.ms", "300000"),
];

/// As above, for producers.
const TUNED_PRODUCER: &[(&str, &str)] = &[
    ("compression.type", "lz4"),
    ("linger.ms", "5"),
    ("queue.buffering.max.messages", "100000"),
    ("queue.buffering.max.kbytes", "65536"),
];

/// Keys with a setting of their own, and other names of keys that this house insists on.
const OWN_KEYS: &[&str] = &[
    "bootstrap.servers",
    "metadata.broker.list",
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "client.id",
    "group.id",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "auto.commit.enable",
    "request.required.acks",
    "test.mock.num.brokers",
];

impl Role {
    fn safe(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let own = match self {
            Self::Consumer => SAFE_CONSUMER,
            Self::Producer => SAFE_PRODUCER,
            Self::Tail => SAFE_TAIL,
            Self::Admin => &[],
        };
        SAFE_ALL.iter().chain(own).copied()
    }

    fn tuned(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Consumer => TUNED_CONSUMER,
            Self::Producer => TUNED_PRODUCER,
            Self::Tail | Self::Admin => &[],
        }
    }
}

impl Settings {
    /// Checks everything that can be checked without a cluster.
    ///
    /// # Errors
    /// A property that this house insists on, or that the library does not know or take; names the key.
    pub fn check(&self) -> Result<(), Error> {
        self.consumer("check")?;
        self.producer()?;
        self.admin().map(|_| ())
    }

    /// For a member of `group`.
    pub(super) fn consumer(&self, group: &str) -> Result<ClientConfig, Error> {
        let mut config = self.base(Role::Consumer)?;
        let session_ms = self.session_timeout.as_millis();
        // Several heartbeats fit in a session; a rebalance is noticed by the next one.
        let heartbeat_ms = (session_ms / 15).clamp(100, 3_000);
        config
            .set("group.id", group)
            .set("session.timeout.ms", session_ms.to_string())
            .set("heartbeat.interval.ms", heartbeat_ms.to_string());
        assert_safe(&config, Role::Consumer)?;
        Ok(config)
    }

    /// The same for a producer that never gives a record up: those behind it would overtake it.
    #[must_use]
    pub fn patient(mut self) -> Self {
        self.delivery_timeout = Duration::ZERO;
        self
    }

    /// For a producer.
    pub(super) fn producer(&self) -> Result<ClientConfig, Error> {
        let mut config = self.base(Role::Producer)?;
        config.set("message.timeout.ms", self.delivery_timeout.as_millis().to_string());
        assert_safe(&config, Role::Producer)?;
        Ok(config)
    }

    /// For reading without a group. The library wants a name of one all the same; nobody joins it.
    pub(super) fn tail(&self) -> Result<ClientConfig, Error> {
        let mut config = self.base(Role::Tail)?;
        config.set("group.id", format!("{}-tail", self.client_id));
        assert_safe(&config, Role::Tail)?;
        Ok(config)
    }

    /// For questions.
    pub(super) fn admin(&self) -> Result<ClientConfig, Error> {
        let config = self.base(Role::Admin)?;
        assert_safe(&config, Role::Admin)?;
        Ok(config)
    }

    fn base(&self, role: Role) -> Result<ClientConfig, Error> {
        self.refuse_touched()?;
        let mut config = ClientConfig::new();
        for (key, value) in role.tuned() {
            config.set(*key, *value);
        }
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        for (key, value) in role.safe() {
            config.set(key, value);
        }
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", &self.client_id)
            .set("security.protocol", self.protocol.as_str());
        self.login(&mut config)?;
        for (key, file) in [
            ("ssl.ca.location", &self.tls.ca),
            ("ssl.certificate.location", &self.tls.certificate),
            ("ssl.key.location", &self.tls.key),
        ] {
            if let Some(file) = file {
                config.set(key, file.to_string_lossy());
            }
        }
        if let Some(password) = &self.tls.key_password {
            config.set("ssl.key.password", password.reveal());
        }
        Ok(config)
    }

    fn login(&self, config: &mut ClientConfig) -> Result<(), Error> {
        let wanted = matches!(self.protocol, Protocol::SaslPlaintext | Protocol::SaslSsl);
        match &self.sasl {
            Some(sasl) if wanted => {
                config
                    .set("sasl.mechanism", &sasl.mechanism)
                    .set("sasl.username", &sasl.username)
                    .set("sasl.password", sasl.password.reveal());
                Ok(())
            }
            None if !wanted => Ok(()),
            Some(_) => Err(setting(
                "security.protocol",
                format!(
                    "a login is given, and {} has none: use SASL_SSL or take the login out",
                    self.protocol.as_str()
                ),
            )),
            None => {
                Err(setting("sasl.username", format!("{} needs a login", self.protocol.as_str())))
            }
        }
    }

    /// Refuses a property that has a setting of its own or that this house insists on, under any name.
    fn refuse_touched(&self) -> Result<(), Error> {
        if self.properties.is_empty() {
            return Ok(());
        }
        let insisted = || {
            [Role::Consumer, Role::Producer].into_iter().flat_map(Role::safe).map(|(key, _)| key)
        };
        for key in self.properties.keys() {
            if insisted().any(|safe| safe == key) {
                return Err(setting(key, "may not be changed: no promise would hold without it"));
            }
            if OWN_KEYS.contains(&key.as_str()) {
                return Err(setting(key, "has a setting of its own: use that"));
            }
        }
        // The library knows some keys under a second name: look at what the properties do to it.
        let mut theirs = ClientConfig::new();
        for (key, value) in &self.properties {
            theirs.set(key, value);
        }
        let theirs = native(&theirs)?;
        let pristine = native(&ClientConfig::new())?;
        for key in insisted() {
            if theirs.get(key).ok() != pristine.get(key).ok() {
                return Err(setting(
                    key,
                    "is changed by another property: no promise would hold without it",
                ));
            }
        }
        Ok(())
    }
}

/// Reads the effective configuration back: every setting that this house insists on must hold.
pub(super) fn assert_safe(config: &ClientConfig, role: Role) -> Result<(), Error> {
    let native = native(config)?;
    for (key, want) in role.safe() {
        let have = native.get(key).map_err(|e| setting(key, e.to_string()))?;
        if have != want {
            return Err(setting(key, format!("is `{have}` in effect and must be `{want}`")));
        }
    }
    Ok(())
}

fn native(config: &ClientConfig) -> Result<rdkafka::config::NativeClientConfig, Error> {
    use rdkafka::error::KafkaError;
    config.create_native_config().map_err(|e| match e {
        // The value may be a secret: the library's reason names the key and what it takes.
        KafkaError::ClientConfig(_, reason, key, _) => setting(&key, reason),
        other => setting("properties", other.to_string()),
    })
}

fn setting(key: &str, reason: impl Into<String>) -> Error {
    Error::Setting { key: key.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: &str, value: &str) -> Settings {
        let mut settings = Settings::at("localhost:9092");
        settings.properties.insert(key.into(), value.into());
        settings
    }

    #[test]
    fn every_unsafe_default_of_the_library_is_replaced_in_effect() {
        let settings = Settings::at("localhost:9092");
        let consumer = native(&settings.consumer("g").unwrap()).unwrap();
        for (key, want) in [
            ("enable.auto.offset.store", "false"),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "error"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("check.crcs", "true"),
            ("enable.partition.eof", "false"),
            ("isolation.level", "read_committed"),
            ("fetch.queue.backoff.ms", "20"),
            ("queued.max.messages.kbytes", "32768"),
            ("socket.keepalive.enable", "true"),
            ("log.connection.close", "false"),
            ("session.timeout.ms", "45000"),
            ("heartbeat.interval.ms", "3000"),
        ] {
            assert_eq!(consumer.get(key).unwrap(), want, "{key}");
        }
        let producer = native(&settings.producer().unwrap()).unwrap();
        for (key, want) in [
            ("enable.idempotence", "true"),
            ("acks", "-1"),
            ("partitioner", "murmur2_random"),
            ("compression.type", "lz4"),
            ("linger.ms", "5"),
            ("message.timeout.ms", "30000"),
        ] {
            assert_eq!(producer.get(key).unwrap(), want, "{key}");
        }
    }

    #[test]
    fn a_configuration_that_lost_a_safe_setting_is_refused() {
        let mut config = Settings::at("localhost:9092").consumer("g").unwrap();
        config.set("enable.auto.commit", "true");
        let refused = assert_safe(&config, Role::Consumer).unwrap_err().to_string();
        assert!(refused.contains("enable.auto.commit"), "{refused}");
    }

    #[test]
    fn a_property_may_not_touch_what_the_house_insists_on_under_any_name() {
        for (key, value, named) in [
            ("enable.auto.commit", "true", "enable.auto.commit"),
            ("auto.commit.enable", "true", "auto.commit.enable"),
            ("acks", "1", "acks"),
            ("request.required.acks", "1", "request.required.acks"),
            ("auto.offset.reset", "latest", "auto.offset.reset"),
            ("group.id", "another", "group.id"),
            ("partitioner", "random", "partitioner"),
            ("no.such.setting", "1", "no.such.setting"),
            ("linger.ms", "soon", "linger.ms"),
        ] {
            let refused = with(key, value).check().unwrap_err().to_string();
            assert!(refused.contains(named), "{key}: {refused}");
        }
        with("fetch.wait.max.ms", "100").check().unwrap();
        with("queued.max.messages.kbytes", "16384").check().unwrap();
        with("compression.type", "zstd").check().unwrap();
        with("group.instance.id", "ordermill-0").check().unwrap();
    }

    #[test]
    fn a_login_without_a_protocol_for_it_is_refused_and_so_is_the_reverse() {
        let mut settings = Settings::at("localhost:9092");
        settings.protocol = Protocol::SaslSsl;
        assert!(settings.check().is_err());
        settings.sasl = Some(Sasl {
            mechanism: "SCRAM-SHA-512".into(),
            username: "mill".into(),
            password: Secret::written("hunter2"),
        });
        settings.check().unwrap();
        settings.protocol = Protocol::Plaintext;
        assert!(settings.check().is_err());
    }

    #[test]
    fn a_secret_is_not_printed() {
        let mut settings = Settings::at("localhost:9092");
        settings.protocol = Protocol::SaslPlaintext;
        settings.sasl = Some(Sasl {
            mechanism: "PLAIN".into(),
            username: "mill".into(),
            password: Secret::written("hunter2"),
        });
        assert!(!format!("{settings:?}").contains("hunter2"));
        assert!(!format!("{:?}", settings.consumer("g").unwrap()).contains("hunter2"));
    }
}
