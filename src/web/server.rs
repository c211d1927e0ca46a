//! A listening server that ends when it is told to.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {address}: {cause}; give another address with --http HOST:PORT")]
pub struct Error {
    address: String,
    cause: std::io::Error,
}

/// A server that listens; dropped, it stops.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
}

impl Server {
    /// Listens on `address` (`HOST:PORT`; port 0: any free one) and serves until it is dropped.
    ///
    /// # Errors
    /// The address is not one, or is taken.
    pub async fn start(address: &str, routes: Router) -> Result<Self, Error> {
        let failed = |cause| Error { address: address.to_owned(), cause };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let stop = CancellationToken::new();
        let ended = stop.clone();
        tokio::spawn(async move {
            let serving =
                axum::serve(listener, routes).with_graceful_shutdown(ended.cancelled_owned());
            if let Err(error) = serving.await {
                tracing::error!(%error, address = %bound, "http server ended");
            }
        });
        Ok(Self { address: bound, stop })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
