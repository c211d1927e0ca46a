//! `/livez`, `/readyz` and `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::observe::{Board, metrics};

#[derive(Clone)]
struct Shown {
    board: Arc<Board>,
    rdkafka: &'static str,
}

/// The routes over a board. `rdkafka` is the client library's version, for `build_info`.
pub fn routes(board: Arc<Board>, rdkafka: &'static str) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .with_state(Shown { board, rdkafka })
}

/// 503 only when a poll loop has stood still past `max.poll.interval.ms`: a broker outage is not death.
async fn live(State(shown): State<Shown>) -> Response {
    if shown.board.alive() {
        (StatusCode::OK, "alive\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "a poll loop stands still\n").into_response()
    }
}

/// 200 when every pipeline runs; else 503 with what each waits for.
async fn ready(State(shown): State<Shown>) -> Response {
    let (ready, states) = shown.board.ready();
    let pipelines: serde_json::Map<_, _> =
        states.into_iter().map(|(name, state)| (name, json!(state.to_string()))).collect();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready, "pipelines": pipelines }))).into_response()
}

async fn scrape(State(shown): State<Shown>) -> Response {
    match metrics::scrape(&shown.board, shown.rdkafka) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
