//! A way to a service that can be shut: the service stays up, the process under test cannot reach it.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// A loopback address that refuses connections until it is opened, and leads to a service from then on. The port is held
/// all the time, so that nobody else answers on it.
#[derive(Debug)]
pub(crate) struct Closed {
    address: SocketAddr,
    target: String,
    shut: Mutex<Option<TcpSocket>>,
    runtime: Runtime,
}

impl Closed {
    /// A closed way to `target` (`host:port`).
    pub(crate) fn before(target: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // bound and not listening: the system itself refuses connections
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        Self { address, target: target.to_owned(), shut: Mutex::new(Some(socket)), runtime }
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Lets connections through from now on.
    pub(crate) fn open(&self) {
        let socket = self.shut.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap();
        let _entered = self.runtime.enter();
        let listener = socket.listen(64).unwrap();
        self.runtime.spawn(serve(listener, self.target.clone()));
    }
}

async fn serve(listener: TcpListener, target: String) {
    while let Ok((mut from, _)) = listener.accept().await {
        let target = target.clone();
        tokio::spawn(async move {
            if let Ok(mut to) = TcpStream::connect(target).await {
                // either side may go whenever it likes
                let _ = copy_bidirectional(&mut from, &mut to).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_closed_way_refuses_until_it_is_opened() {
        let service = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Closed::before(&service.local_addr().unwrap().to_string());
        TcpStream::connect(gate.address()).unwrap_err();
        gate.open();
        let mut client = TcpStream::connect(gate.address()).unwrap();
        client.write_all(b"?").unwrap();
        let (mut served, _) = service.accept().unwrap();
        let mut byte = [0];
        served.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"?");
    }
}
