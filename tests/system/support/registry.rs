//! A schema registry, asked over plain HTTP.

use super::gate::Gate;
use super::http;
use super::service::Service;

/// A running registry.
#[derive(Debug)]
pub(crate) struct Registry {
    url: String,
}

impl Registry {
    pub(crate) fn new(url: String) -> Self {
        Self { url }
    }

    /// The base URL of its Confluent-compatible API.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn address(&self) -> &str {
        self.parts().0
    }

    /// The same registry through a gate.
    pub(crate) fn through(&self, gate: &Gate) -> Self {
        Self { url: format!("http://{}/{}", gate.address(), self.parts().1) }
    }

    /// The same registry by another `host:port`.
    pub(crate) fn url_by(&self, address: &str) -> String {
        self.url.replace(self.address(), address)
    }

    /// Registers an Avro schema; its id.
    #[track_caller]
    pub(crate) fn register(&self, subject: &str, schema: &str) -> u32 {
        let asked = serde_json::json!({ "schema": schema }).to_string();
        let path = self.url.split_once(self.address()).unwrap().1;
        let path = format!("{path}/subjects/{subject}/versions");
        let answer = http::post(self.address(), &path, &asked).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        let said: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        u32::try_from(said["id"].as_u64().unwrap()).unwrap()
    }

    /// Address and base path.
    fn parts(&self) -> (&str, &str) {
        self.url.strip_prefix("http://").unwrap().split_once('/').unwrap()
    }

    /// The body of a GET below the base URL; the reason when it is no 200.
    pub(crate) fn get(&self, path: &str) -> Result<String, String> {
        let (address, base) = self.parts();
        let answer =
            http::get(address, &format!("/{base}{path}")).map_err(|cause| cause.to_string())?;
        if answer.status == 200 {
            Ok(answer.body)
        } else {
            Err(format!("status {}: {}", answer.status, answer.body))
        }
    }
}

impl Service for Registry {
    const NAME: &'static str = "registry";

    fn at(address: String) -> Self {
        Self::new(address)
    }
}
