//! From a URL to a way of connecting: TLS, keepalive, and what each session is told first.

use std::fs;

use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::MakeTlsConnector;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::super::{Error, PostgresSettings, Timeouts};
use super::classify::chain;

/// How a session is opened.
pub(super) struct Way {
    /// The server and who we are.
    pub(super) config: Config,
    /// TLS, where the mode asks for it.
    pub(super) tls: MakeTlsConnector,
}

/// Reads the settings.
pub(super) fn way(settings: &PostgresSettings) -> Result<Way, Error> {
    let (url, mode) = split_mode(settings.url.reveal())?;
    let mut config: Config =
        url.parse().map_err(|error: tokio_postgres::Error| wrong(chain(&error)))?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(wrong("the url names no host".to_owned()));
    }
    config.ssl_mode(match mode {
        Some(mode) => mode,
        None if only_loopback(&config) => SslMode::Disable,
        None => SslMode::Require,
    });
    let limit = settings.timeouts.connect;
    config
        .connect_timeout(limit)
        // A server that vanished without a word is noticed: while idle by keepalive, while it owes us
        // an acknowledgement by the user timeout.
        .keepalives(true)
        .keepalives_idle(limit * 2)
        .keepalives_interval(limit)
        .keepalives_retries(2)
        .tcp_user_timeout(limit * 2);
    if config.get_application_name().is_none() {
        config.application_name("ordermill");
    }
    Ok(Way { config, tls: connector(settings)? })
}

/// Where the server is, for a person: `host:port`, several with commas; no name and no password.
pub(super) fn address(config: &Config) -> String {
    let ports = config.get_ports();
    let port = |i: usize| ports.get(i).or_else(|| ports.last()).copied().unwrap_or(5432);
    let hosts = config.get_hosts().iter().enumerate().map(|(i, host)| match host {
        Host::Tcp(name) => format!("{name}:{}", port(i)),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    });
    let known: Vec<String> = hosts.collect();
    if known.is_empty() {
        let addresses = config.get_hostaddrs().iter().enumerate();
        return addresses.map(|(i, ip)| format!("{ip}:{}", port(i))).collect::<Vec<_>>().join(",");
    }
    known.join(",")
}

/// What a session is told first. Set here, not by start-up options, which poolers refuse.
pub(super) fn session(timeouts: &Timeouts) -> String {
    format!(
        "SET lock_timeout = {}; SET statement_timeout = {}; \
         SET idle_in_transaction_session_timeout = {}; \
         SET plan_cache_mode = force_generic_plan",
        timeouts.lock.as_millis(),
        timeouts.statement.as_millis(),
        timeouts.idle_in_transaction.as_millis(),
    )
}

/// Takes `sslmode` out of a URL, since we know more of them than the client library does.
fn split_mode(url: &str) -> Result<(String, Option<SslMode>), Error> {
    let Some((base, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), None));
    };
    let mut mode = None;
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(ssl_mode(value)?),
            _ => rest.push(pair),
        }
    }
    let url = match rest.as_slice() {
        [] => base.to_owned(),
        rest => format!("{base}?{}", rest.join("&")),
    };
    Ok((url, mode))
}

fn ssl_mode(value: &str) -> Result<SslMode, Error> {
    match value {
        "disable" => Ok(SslMode::Disable),
        "require" | "verify-ca" | "verify-full" => Ok(SslMode::Require),
        "allow" | "prefer" => Err(wrong(format!(
            "sslmode={value} would go in the clear when somebody in between asks for it: \
             say require, or disable where the network is trusted"
        ))),
        other => {
            Err(wrong(format!("sslmode={other} is not known: say require, verify-full or disable")))
        }
    }
}

fn only_loopback(config: &Config) -> bool {
    let named = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    });
    named && config.get_hostaddrs().iter().all(|address| address.is_loopback())
}

fn connector(settings: &PostgresSettings) -> Result<MakeTlsConnector, Error> {
    let mut builder = TlsConnector::builder();
    if let Some(path) = &settings.ca_file {
        let at = |cause: String| wrong(format!("ca_file {}: {cause}", path.display()));
        let pem = fs::read(path).map_err(|error| at(error.to_string()))?;
        let authority = Certificate::from_pem(&pem).map_err(|error| at(error.to_string()))?;
        builder.add_root_certificate(authority);
    }
    postgres_native_tls::set_postgresql_alpn(&mut builder);
    let connector = builder.build().map_err(|error| wrong(format!("tls: {error}")))?;
    Ok(MakeTlsConnector::new(connector))
}

fn wrong(text: String) -> Error {
    Error::Settings(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> Result<SslMode, Error> {
        way(&PostgresSettings::new(crate::config::Secret::written(url)))
            .map(|way| way.config.get_ssl_mode())
    }

    #[test]
    fn tls_is_on_unless_the_url_or_loopback_says_otherwise() {
        let table = [
            ("postgres://u@db.example/x", SslMode::Require),
            ("postgres://u@db.example/x?sslmode=verify-full", SslMode::Require),
            ("postgres://u@db.example/x?sslmode=require&connect_timeout=3", SslMode::Require),
            ("postgres://u@db.example/x?sslmode=disable", SslMode::Disable),
            ("postgres://u@127.0.0.1:5433/x", SslMode::Disable),
            ("postgres://u@localhost/x", SslMode::Disable),
            ("postgres://u@127.0.0.1,db.example/x", SslMode::Require),
            ("postgres://u@localhost/x?sslmode=verify-full", SslMode::Require),
        ];
        for (url, want) in table {
            assert_eq!(mode(url), Ok(want), "{url}");
        }
    }

    #[test]
    fn a_mode_that_may_fall_back_to_clear_text_is_refused() {
        assert!(mode("postgres://u@db/x?sslmode=prefer").is_err());
        assert!(mode("postgres://u@db/x?sslmode=sometimes").is_err());
    }

    #[test]
    fn a_url_that_is_none_is_refused_without_showing_it() {
        let error = mode("postgres://me:hunter2@:notaport/x").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        assert!(mode("postgres:///x").is_err());
    }
}
