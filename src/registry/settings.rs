//! What the operator sets of the registry.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::Error;
use crate::config::Secret;

/// The longest time for which an answer "no such id" may be believed.
pub(super) const NEGATIVE_MAX: Duration = Duration::from_secs(30);

/// How we show who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// The registry asks nobody.
    #[default]
    None,
    /// HTTP basic: a user, or the key of an API key pair.
    Basic {
        /// The user or key.
        user: String,
        /// The password or the key's secret.
        password: Secret,
    },
    /// A bearer token.
    Bearer(Secret),
}

/// Where the registry is and how long it is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Base URLs of one registry, tried in this order. No user, query or fragment in them.
    pub urls: Vec<String>,
    /// Who we are.
    pub credentials: Credentials,
    /// PEM file of certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// For one request, from connecting to the reply's last byte.
    pub timeout: Duration,
    /// For how long the registry must have denied an id before its records are given up.
    pub grace: Duration,
    /// For how long a denial is believed after the grace time; at most 30 s.
    pub negative: Duration,
    /// Where schemas are kept over restarts; `None`: nowhere.
    pub cache_folder: Option<PathBuf>,
}

impl Settings {
    /// One registry without credentials, 5 s a request, 30 s of grace, nothing kept on disk.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            urls: vec![url.into()],
            credentials: Credentials::None,
            ca_file: None,
            timeout: Duration::from_secs(5),
            grace: Duration::from_secs(30),
            negative: NEGATIVE_MAX,
            cache_folder: None,
        }
    }

    /// The base URLs, checked and without a slash at the end.
    ///
    /// # Errors
    /// `Settings`: none given, not HTTP, or with something in it that belongs elsewhere.
    pub(super) fn base_urls(&self) -> Result<Vec<Url>, Error> {
        if self.urls.is_empty() {
            return Err(Error::Settings("no registry URL is given".to_owned()));
        }
        self.urls.iter().map(|url| base_url(url)).collect()
    }
}

fn base_url(text: &str) -> Result<Url, Error> {
    // The text itself is not repeated: it may carry a password.
    let url = Url::parse(text)
        .map_err(|why| Error::Settings(format!("a registry URL cannot be read: {why}")))?;
    let wrong = if !matches!(url.scheme(), "http" | "https") {
        "is neither http nor https"
    } else if !url.username().is_empty() || url.password().is_some() {
        "carries credentials: set user and password apart from it"
    } else if url.query().is_some() || url.fragment().is_some() {
        "has a query or a fragment"
    } else {
        return Ok(url);
    };
    let host = url.host_str().unwrap_or("?");
    Err(Error::Settings(format!("the registry URL of host {host} {wrong}")))
}

/// How a base URL is written in front of a path and in messages.
pub(super) fn without_slash(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// Is this the machine itself? Then no proxy stands between.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback(),
        Err(_) => host == "localhost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows() {
        let settings = Settings {
            credentials: Credentials::Basic {
                user: "mill".to_owned(),
                password: Secret::written("hunter2"),
            },
            ..Settings::new("http://localhost:8081")
        };
        let shown = format!("{settings:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("mill"), "{shown}");
    }

    #[test]
    fn a_url_with_credentials_or_a_query_is_refused_without_being_repeated() {
        for bad in [
            "http://user:hunter2@host:8081",
            "ftp://host",
            "http://host/?q=hunter2",
            "http://host/#hunter2",
            "hunter2 is no url",
        ] {
            let error = Settings::new(bad).base_urls().expect_err(bad).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(Settings::new("https://host/apis/v7/").base_urls().is_ok());
    }

    #[test]
    fn only_the_machine_itself_counts_as_loopback() {
        for (url, own) in [
            ("http://127.0.0.1:1", true),
            ("http://[::1]:1", true),
            ("http://localhost", true),
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), own, "{url}");
        }
    }
}
