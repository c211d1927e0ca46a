//! Asking another process of ours for its health.

use std::net::SocketAddr;
use std::time::Duration;

/// Longer than a busy process takes, shorter than who checks health waits.
const LIMIT: Duration = Duration::from_secs(3);

/// The answer to a GET of `path`: whether it is a success, and its text.
///
/// # Errors
/// Nobody answers there in time.
pub async fn ask(address: SocketAddr, path: &str) -> Result<(bool, String), reqwest::Error> {
    // It runs beside us: no proxy stands between.
    let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build()?;
    let answer = client.get(format!("http://{address}{path}")).send().await?;
    Ok((answer.status().is_success(), answer.text().await?))
}
