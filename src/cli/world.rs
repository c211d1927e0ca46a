//! From the operator's settings to clients.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use super::Failure;
use super::args::{Common, LogForm};
use crate::config::{self, Config, Overrides, Problem};
use crate::database::{self, Database, PostgresSettings, SqliteSettings};
use crate::kafka;
use crate::observe::{Board, logs};
use crate::pipeline::world::World;
use crate::registry::contracts::Contracts;
use crate::registry::{self, Client, Credentials};
use crate::sink::mail::Transport;

/// Reads the settings: file, environment, flags; and starts logging as they say.
pub(super) fn config(common: &Common, http: Option<&str>) -> Result<Config, Failure> {
    let config = load(common, Overrides::from_environment().flag("http.listen", http))?;
    log(&config)?;
    Ok(config)
}

/// The same for a bus of our own: the secrets of the real world need not be there.
pub(super) fn without_secrets(common: &Common, http: Option<&str>) -> Result<Config, Failure> {
    let overrides = Overrides::from_environment().without_secrets().flag("http.listen", http);
    let config = load(common, overrides)?;
    log(&config)?;
    Ok(config)
}

fn log(config: &Config) -> Result<(), Failure> {
    let form = match config.telemetry.log {
        config::LogForm::Text => logs::Form::Text,
        config::LogForm::Json => logs::Form::Json,
    };
    logs::start(form, &config.telemetry.level, &[kafka::NOISE])
        .map_err(|e| Failure::Configuration(format!("telemetry.level: {e}")))
}

/// The same for commands that connect to nothing: secrets need not be there, nothing is logged.
pub(super) fn offline(common: &Common) -> Result<Config, Failure> {
    load(common, Overrides::from_environment().without_secrets())
}

/// Where a process under these settings answers one that runs beside it.
pub(super) fn own_address(common: &Common, http: Option<&str>) -> Result<SocketAddr, Failure> {
    let overrides = Overrides::from_environment().without_secrets().flag("http.listen", http);
    let mut address = load(common, overrides)?.http.listen;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(address)
}

/// The same, and what goes before the file: the path of each setting, and who sets it.
pub(super) fn effective(common: &Common) -> Result<(Config, Vec<(String, String)>), Failure> {
    let overrides = with_flags(common, Overrides::from_environment().without_secrets());
    let set = overrides.set();
    Ok((load_with(common, &overrides)?, set))
}

fn load(common: &Common, overrides: Overrides) -> Result<Config, Failure> {
    load_with(common, &with_flags(common, overrides))
}

fn with_flags(common: &Common, overrides: Overrides) -> Overrides {
    let log = common.log.map(|form| match form {
        LogForm::Text => "text",
        LogForm::Json => "json",
    });
    overrides
        .flag("kafka.bootstrap", common.kafka.as_deref())
        .flag("registry.url", common.registry.as_deref())
        .flag("telemetry.log", log)
        .flag("telemetry.level", common.log_level.as_deref())
}

fn load_with(common: &Common, overrides: &Overrides) -> Result<Config, Failure> {
    let default = Path::new(config::FILE);
    let file = common.config.as_deref().or_else(|| default.exists().then_some(default));
    Ok(config::load(file, overrides)?)
}

/// How Kafka is reached.
pub(super) fn kafka(config: &Config) -> Result<kafka::Settings, Failure> {
    let said = &config.kafka;
    let mut settings = kafka::Settings::at(config.bootstrap()?);
    settings.session_timeout = said.session_timeout;
    settings.protocol = said.security.protocol;
    settings.sasl = said.security.sasl.as_ref().map(|sasl| kafka::Sasl {
        mechanism: sasl.mechanism.clone(),
        username: sasl.username.clone(),
        password: sasl.password.clone(),
    });
    let tls = &said.security.tls;
    settings.tls = kafka::Tls {
        ca: tls.ca.clone(),
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        key_password: None,
    };
    settings.properties = said
        .properties
        .iter()
        .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
        .collect();
    settings.check().map_err(|e| Failure::Configuration(e.to_string()))?;
    Ok(settings)
}

/// The registry's client.
pub(super) fn registry(config: &Config) -> Result<Client, Failure> {
    let said = &config.registry;
    let mut settings = registry::Settings::new(config.registry_url()?);
    settings.credentials = match &said.auth {
        None => Credentials::None,
        Some(config::Auth::Basic { username, password }) => {
            Credentials::Basic { user: username.clone(), password: password.clone() }
        }
        Some(config::Auth::Token(token)) => Credentials::Bearer(token.clone()),
    };
    settings.ca_file.clone_from(&said.ca);
    settings.cache_folder.clone_from(&said.cache);
    Client::new(&settings).map_err(|e| Failure::Configuration(e.to_string()))
}

/// The contracts in the repository; none where the folder is missing.
pub(super) fn contracts(config: &Config) -> Result<Contracts, Failure> {
    if !config.avro.exists() {
        return Ok(Contracts::default());
    }
    Contracts::read(&config.avro).map_err(|wrong| {
        let lines: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        Failure::Configuration(lines.join("\n"))
    })
}

/// Opens the databases; connects to none that may be away.
pub(super) fn databases(config: &Config) -> Result<BTreeMap<String, Arc<Database>>, Failure> {
    let mut opened = BTreeMap::new();
    for (name, said) in &config.databases {
        let settings = match said {
            config::Database::Postgres(postgres) => {
                database::Settings::Postgres(PostgresSettings {
                    connections: postgres.connections,
                    ca_file: postgres.ca.clone(),
                    ..PostgresSettings::new(postgres.url.clone())
                })
            }
            config::Database::Sqlite(sqlite) => {
                database::Settings::Sqlite(SqliteSettings::new(&sqlite.path))
            }
        };
        let database = Database::open(&settings)
            .map_err(|e| Failure::Configuration(format!("database {name}: {e}")))?;
        opened.insert(name.clone(), Arc::new(database));
    }
    Ok(opened)
}

/// The way that mails leave, if one is set.
pub(super) fn mail(config: &Config) -> Result<Option<Transport>, Failure> {
    let opened = config.mail.as_ref().map(Transport::open).transpose();
    opened.map_err(|e| Failure::Configuration(format!("mail: {e}")))
}

/// Makes every client; connects to nothing that may be away.
pub(super) fn open(config: &Config) -> Result<World, Failure> {
    let kafka = kafka(config)?;
    let databases = databases(config)?;
    let admin = kafka::Admin::new(&kafka).map_err(|e| e.fault())?;
    Ok(World {
        admin: Arc::new(admin),
        schemas: Arc::new(registry(config)?),
        contracts: contracts(config)?,
        contracts_folder: config.avro.clone(),
        producer: Arc::new(
            kafka::Producer::new(&kafka).map_err(|e| Failure::Configuration(e.to_string()))?,
        ),
        make_topics: false,
        state: config.state.as_ref().and_then(|name| databases.get(name).cloned()),
        databases,
        mail: mail(config)?,
        board: Board::new().map_err(anyhow::Error::new)?,
        kafka,
    })
}

/// The version of the client library.
pub(super) fn rdkafka() -> &'static str {
    kafka::version()
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Failure::Configuration(problem.to_string())
    }
}
