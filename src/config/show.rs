//! The effective settings for people: what holds, without secrets.

use serde_json::{Map, Value as Json, json};

use super::settings::{Auth, Config, Database, LogForm, Mail, MailWay};
use super::units::show_duration;
use super::yaml;

impl Config {
    /// The effective settings, in the form of the file: a secret is shown as the place where it is.
    pub fn show(&self) -> Json {
        let security = &self.kafka.security;
        let sasl = security.sasl.as_ref().map(|sasl| {
            json!({
                "mechanism": sasl.mechanism,
                "username": sasl.username,
                "password": sasl.password.show(),
            })
        });
        let properties =
            self.kafka.properties.iter().map(|(name, value)| (name.clone(), value.show()));
        let (auth, token) = match &self.registry.auth {
            Some(Auth::Basic { username, password }) => {
                (json!({ "username": username, "password": password.show() }), Json::Null)
            }
            Some(Auth::Token(token)) => (Json::Null, token.show()),
            None => (Json::Null, Json::Null),
        };
        let databases =
            self.databases.iter().map(|(name, database)| (name.clone(), show_database(database)));
        let mut shown = json!({
            "kafka": {
                "bootstrap": self.kafka.bootstrap,
                "security": {
                    "protocol": security.protocol.as_str(),
                    "sasl": sasl,
                    "tls": {
                        "ca": security.tls.ca,
                        "certificate": security.tls.certificate,
                        "key": security.tls.key,
                    },
                },
                "session_timeout": show_duration(self.kafka.session_timeout),
                "properties": properties.collect::<Map<_, _>>(),
            },
            "registry": {
                "url": self.registry.url,
                "auth": auth,
                "token": token,
                "ca": self.registry.ca,
                "cache": self.registry.cache,
            },
            "databases": databases.collect::<Map<_, _>>(),
            "state": self.state,
            "mail": self.mail.as_ref().map(show_mail),
            "http": { "listen": self.http.listen.to_string() },
            "avro": self.avro,
            "telemetry": {
                "log": match self.telemetry.log {
                    LogForm::Text => "text",
                    LogForm::Json => "json",
                },
                "level": self.telemetry.level,
            },
        });
        prune(&mut shown);
        shown
    }

    /// The same as YAML.
    pub fn show_yaml(&self) -> String {
        yaml::write(&self.show())
    }
}

fn show_database(database: &Database) -> Json {
    match database {
        Database::Postgres(postgres) => json!({ "postgres": {
            "url": postgres.url.show(),
            "connections": postgres.connections,
            "ca": postgres.ca,
        } }),
        Database::Sqlite(sqlite) => json!({ "sqlite": { "path": sqlite.path } }),
    }
}

fn show_mail(mail: &Mail) -> Json {
    match &mail.way {
        MailWay::Folder(folder) => json!({ "folder": folder, "domain": mail.domain }),
        MailWay::Smtp(smtp) => json!({
            "smtp": {
                "host": smtp.host,
                "port": smtp.port,
                "tls": smtp.tls.as_str(),
                "ca": smtp.ca,
                "username": smtp.login.as_ref().map(|(username, _)| username),
                "password": smtp.login.as_ref().map(|(_, password)| password.show()),
            },
            "domain": mail.domain,
        }),
    }
}

/// Leaves out what is not set.
fn prune(value: &mut Json) {
    if let Json::Object(map) = value {
        map.values_mut().for_each(prune);
        map.retain(|_, value| {
            !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty())
        });
    }
}
