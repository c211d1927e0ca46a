//! Serves whatever answers requests as plain values, such as the embedded registry.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

/// A request as plain values.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// The path, still percent-encoded.
    pub path: &'a str,
    /// What stands behind `?`, or nothing.
    pub query: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// An answer as plain values.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The content type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// Who answers.
pub type Answering = Arc<dyn Fn(Asked<'_>) -> Answer + Send + Sync>;

/// Routes every request to `answering`. Bodies above axum's own limit (2 MB) are refused.
pub fn answers(answering: Answering) -> Router {
    Router::new().fallback(ask).with_state(answering)
}

async fn ask(
    State(answering): State<Answering>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let asked = Asked {
        method: method.as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        body: &body,
    };
    let answer = answering(asked);
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, answer.content_type)], answer.body).into_response()
}
