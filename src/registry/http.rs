//! The way to the registry: one request, its whole answer within limits, judged once.
//!
//! The questions that `schema_registry_converter` can ask go through its functions (they build the URLs,
//! try one base URL after the other and read the replies' fields). It reads bodies without a limit and
//! tells statuses apart by text only, so every request passes [`Guard`] first, as a middleware: it cuts
//! the body at 1 MiB, counts, refuses redirects, and turns each answer that is no success into an
//! [`Error`] of ours, which [`from_converter`] takes out again unchanged. Two questions go past the
//! converter's functions, through the same guard: *register*, because the converter would register every
//! reference anew under its subject, and *compatibility*, because it drops the registry's messages.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Request, Response, Url};
use reqwest_middleware::{ClientWithMiddleware, Middleware, Next};
use schema_registry_converter::async_impl::schema_registry::SrSettings;
use schema_registry_converter::error::SRCError;
use serde::Deserialize;

use super::limits::{REPLY_BYTES_MAX, excerpt};
use super::settings::{Credentials, Settings, is_loopback, without_slash};
use super::{Error, Stats};

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// The registry, reachable through the converter's functions and by our own requests.
pub(super) struct Http {
    /// For the converter's functions.
    pub(super) converter: SrSettings,
    client: ClientWithMiddleware,
    urls: Vec<String>,
    credentials: Credentials,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("urls", &self.urls).finish()
    }
}

impl Http {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// `Settings`: a URL, or the file of certificate authorities.
    pub(super) fn new(settings: &Settings, stats: &Arc<Stats>) -> Result<Self, Error> {
        let parsed = settings.base_urls()?;
        let urls: Vec<String> = parsed.iter().map(without_slash).collect();
        warn_of_plain_credentials(settings, &parsed);
        let guard = Guard { stats: Arc::clone(stats), timeout: settings.timeout };
        let client = client_builder(settings, &parsed)?
            .timeout(settings.timeout)
            .build()
            .map_err(|why| Error::Settings(format!("the HTTP client cannot be built: {why}")))?;
        let client = reqwest_middleware::ClientBuilder::new(client).with(guard.clone()).build();
        let Some((first, others)) = urls.split_first() else {
            return Err(Error::Settings("no registry URL is given".to_owned()));
        };
        let mut builder = SrSettings::new_builder(first.clone());
        for url in others {
            builder.add_url(url.clone());
        }
        match &settings.credentials {
            Credentials::None => {}
            Credentials::Basic { user, password } => {
                builder.set_basic_authorization(user, Some(password.reveal()));
            }
            Credentials::Bearer(token) => {
                builder.set_token_authorization(token.reveal());
            }
        }
        let converter = builder
            .set_timeout(settings.timeout)
            .with_middleware(guard)
            .build_with(client_builder(settings, &parsed)?)
            .map_err(|why| Error::Settings(format!("the HTTP client cannot be built: {why}")))?;
        Ok(Self { converter, client, urls, credentials: settings.credentials.clone() })
    }

    /// The base URL that is named in messages: the first.
    pub(super) fn url(&self) -> &str {
        self.urls.first().map_or("?", String::as_str)
    }

    /// The base URLs, as they are asked.
    pub(super) fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Posts JSON to a path below the base URL, trying one base URL after the other while they are away.
    ///
    /// # Errors
    /// What the last one answered.
    pub(super) async fn post<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, Error> {
        let mut last = Error::Settings("no registry URL is given".to_owned());
        for url in &self.urls {
            match self.post_to(url, path, body).await {
                Err(error) if error.is_passing() => last = error,
                answer => return answer,
            }
        }
        Err(last)
    }

    async fn post_to<T: for<'de> Deserialize<'de>>(
        &self,
        url: &str,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, Error> {
        let request = self
            .client
            .request(Method::POST, format!("{url}{path}"))
            .header(reqwest::header::CONTENT_TYPE, CONTENT_TYPE)
            .header(reqwest::header::ACCEPT, CONTENT_TYPE)
            .body(body.to_string());
        let request = match &self.credentials {
            Credentials::None => request,
            Credentials::Basic { user, password } => {
                request.basic_auth(user, Some(password.reveal()))
            }
            Credentials::Bearer(token) => request.bearer_auth(token.reveal()),
        };
        let response = request.send().await.map_err(|why| ours(url, &why))?;
        response.json().await.map_err(|why| Error::BadReply {
            url: url.to_owned(),
            what: format!("its JSON has another shape: {}", chain(&why)),
        })
    }
}

fn client_builder(settings: &Settings, urls: &[Url]) -> Result<reqwest::ClientBuilder, Error> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(settings.timeout)
        .user_agent(concat!("ordermill/", env!("CARGO_PKG_VERSION")));
    if urls.iter().all(is_loopback) {
        builder = builder.no_proxy();
    }
    if let Some(file) = &settings.ca_file {
        let read = std::fs::read(file).map_err(|why| why.to_string());
        let authorities = read
            .and_then(|pem| reqwest::Certificate::from_pem_bundle(&pem).map_err(|why| chain(&why)));
        let authorities = authorities.map_err(|why| {
            let file = file.display();
            Error::Settings(format!("the certificate authorities in {file} cannot be read: {why}"))
        })?;
        builder = builder.tls_certs_merge(authorities);
    }
    Ok(builder)
}

fn warn_of_plain_credentials(settings: &Settings, urls: &[Url]) {
    let plain = |url: &&Url| url.scheme() == "http" && !is_loopback(url);
    if settings.credentials == Credentials::None {
        return;
    }
    if let Some(url) = urls.iter().find(plain) {
        tracing::warn!(registry = without_slash(url), "credentials go to the registry without TLS");
    }
}

/// What every request passes on its way out and every answer on its way in.
#[derive(Clone)]
struct Guard {
    stats: Arc<Stats>,
    timeout: Duration,
}

#[async_trait::async_trait]
impl Middleware for Guard {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let url = request.url().origin().ascii_serialization();
        let answer = next.run(request, extensions).await;
        let response = answer.map_err(|why| {
            self.stats.count_unanswered();
            reqwest_middleware::Error::middleware(self.broken(&url, &why))
        })?;
        let status = response.status().as_u16();
        self.stats.count_answer(status);
        let body =
            self.whole(&url, response).await.map_err(reqwest_middleware::Error::middleware)?;
        judge(&url, status, &body).map_err(reqwest_middleware::Error::middleware)?;
        // Built from the bytes alone: no header of the answer decides anything any more.
        Ok(Response::from(http::Response::new(body)))
    }
}

impl Guard {
    /// The body, if it stays within the limit.
    async fn whole(&self, url: &str, mut response: Response) -> Result<Vec<u8>, Error> {
        let too_large = || Error::BadReply {
            url: url.to_owned(),
            what: format!("it is larger than {REPLY_BYTES_MAX} bytes"),
        };
        let announced = response.content_length().unwrap_or(0);
        if announced > REPLY_BYTES_MAX as u64 {
            return Err(too_large());
        }
        let mut body = Vec::new();
        loop {
            let chunk = response.chunk().await.map_err(|why| self.broken(url, &why.into()))?;
            let Some(chunk) = chunk else {
                return Ok(body);
            };
            if body.len() + chunk.len() > REPLY_BYTES_MAX {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
    }

    fn broken(&self, url: &str, why: &reqwest_middleware::Error) -> Error {
        let url = url.to_owned();
        if why.is_timeout() {
            return Error::Timeout { url, limit: self.timeout };
        }
        Error::Unreachable { url, cause: chain(why) }
    }
}

/// The registry's own words for a refusal.
#[derive(Deserialize)]
struct Said {
    error_code: u32,
    #[serde(default)]
    message: String,
}

/// Every answer ends here as a success or as one named error.
fn judge(url: &str, status: u16, body: &[u8]) -> Result<(), Error> {
    let said: Option<Said> = serde_json::from_slice(body).ok();
    let url = url.to_owned();
    let message = match &said {
        Some(said) => excerpt(&said.message),
        None => excerpt(&String::from_utf8_lossy(body)),
    };
    let code = said.map(|said| said.error_code);
    Err(match (status, code) {
        (200..=299, _) => return Ok(()),
        (300..=399, _) => Error::Redirected { url, status },
        (401 | 403, _) => Error::Unauthorized { url, status },
        (408 | 425 | 429 | 500..=599, _) => Error::Busy { url, status, message },
        // Only the registry's own code counts as its word: a proxy's page, or a base URL with a wrong
        // path, answers 404 too, and must not turn records into dead letters.
        (404, Some(code @ 40_400..=40_499)) => Error::Absent { code, message },
        (404, _) => Error::BadReply {
            url,
            what: format!(
                "HTTP 404 without a registry's code (is the URL's path right?): {message}"
            ),
        },
        (400 | 409 | 413 | 422, Some(code)) => Error::Refused { status, code, message },
        _ => Error::BadReply { url, what: format!("HTTP {status}: {message}") },
    })
}

/// Our own error out of the converter's, which carries it as its source.
pub(super) fn from_converter(url: &str, error: &SRCError) -> Error {
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref::<reqwest_middleware::Error>()) {
        Some(inner) => ours(url, inner),
        // The guard let it pass, so it was a success whose JSON has another shape.
        None => Error::BadReply {
            url: url.to_owned(),
            what: match &error.cause {
                Some(cause) => format!("{}: {cause}", error.error),
                None => error.error.clone(),
            },
        },
    }
}

fn ours(url: &str, error: &reqwest_middleware::Error) -> Error {
    if let reqwest_middleware::Error::Middleware(inner) = error
        && let Some(ours) = inner.downcast_ref::<Error>()
    {
        return ours.clone();
    }
    Error::Unreachable { url: url.to_owned(), cause: chain(error) }
}

/// An error with its causes in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !line.contains(&words) {
            line.push_str(": ");
            line.push_str(&words);
        }
        next = cause.source();
    }
    excerpt(&line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Class;

    #[test]
    fn every_status_has_one_class_and_only_the_registrys_own_word_denies_an_id() {
        let json = |code: u32| format!(r#"{{"error_code":{code},"message":"no"}}"#);
        for (status, body, expected) in [
            (301, String::new(), "registry_redirected"),
            (308, json(40403), "registry_redirected"),
            (400, json(400), "schema_refused"),
            (400, "<html>".to_owned(), "registry_bad_reply"),
            (401, json(401), "registry_unauthorized"),
            (403, json(40301), "registry_unauthorized"),
            (404, json(40403), "registry_absent"),
            (404, json(40401), "registry_absent"),
            (404, json(404), "registry_bad_reply"),
            (404, "<html>not here</html>".to_owned(), "registry_bad_reply"),
            (408, String::new(), "registry_busy"),
            (409, json(409), "schema_refused"),
            (418, String::new(), "registry_bad_reply"),
            (422, json(42201), "schema_refused"),
            (429, json(42900), "registry_busy"),
            (500, json(50001), "registry_busy"),
            (504, String::new(), "registry_busy"),
        ] {
            let error = judge("http://r", status, body.as_bytes()).expect_err("no success");
            assert_eq!(error.code(), expected, "HTTP {status} {body}");
            let waits = error.classify() == Class::Unavailable;
            let said = matches!(error, Error::Absent { .. } | Error::Refused { .. });
            assert_eq!(waits, !said, "HTTP {status} {body}");
        }
        assert_eq!(judge("http://r", 200, b"anything"), Ok(()));
    }
}
