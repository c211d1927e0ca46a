//! A server of one's own for the tests of this room: it answers as it is told, also badly.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::Settings;

/// A request that came in.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    /// The request line and the headers, as they came.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

/// How it is answered.
pub(super) enum Reply {
    Json(u16, String),
    /// These bytes, then the end.
    Raw(Vec<u8>),
    /// These bytes, then nothing more while the connection stands.
    Stalled(Vec<u8>),
    /// These bytes, then a body without end.
    Endless(Vec<u8>),
    /// No answer: the connection is closed.
    Closed,
}

/// Ends with the test.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    asked: AtomicUsize,
    sent_without_end: AtomicUsize,
}

type Handler = Arc<Mutex<dyn FnMut(&Asked) -> Reply + Send>>;

impl Server {
    /// A server on a free port.
    pub(super) async fn start(handler: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), handler).await
    }

    /// A server on a port that another one had.
    pub(super) async fn start_at(
        address: SocketAddr,
        handler: impl FnMut(&Asked) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let counting = Arc::clone(&counts);
        let handler: Handler = Arc::new(Mutex::new(handler));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&handler), Arc::clone(&counting)));
            }
        });
        Self { address, counts, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests came.
    pub(super) fn asked(&self) -> usize {
        self.counts.asked.load(Ordering::SeqCst)
    }

    /// How many bytes of bodies without end it got rid of.
    pub(super) fn sent_without_end(&self) -> usize {
        self.counts.sent_without_end.load(Ordering::SeqCst)
    }

    /// Stops listening: whoever comes is refused. Answers where it was.
    pub(super) async fn stop(self) -> SocketAddr {
        let address = self.address;
        self.task.abort();
        // The listener is closed once the task is gone.
        let _ = self.task.await;
        address
    }

    /// Settings for a client that asks it, with limits that a test can wait for.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            timeout: Duration::from_millis(500),
            grace: Duration::from_millis(200),
            negative: Duration::from_millis(100),
            ..Settings::new(self.url())
        }
    }
}

async fn serve(mut stream: TcpStream, handler: Handler, counts: Arc<Counts>) {
    let Some(request) = read(&mut stream).await else {
        return;
    };
    counts.asked.fetch_add(1, Ordering::SeqCst);
    let reply = (handler.lock().unwrap())(&request);
    let _ = match reply {
        Reply::Json(status, body) => {
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
                 connection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).await
        }
        Reply::Raw(bytes) => stream.write_all(&bytes).await,
        Reply::Stalled(bytes) => {
            let _ = stream.write_all(&bytes).await;
            // Until the client hangs up.
            stream.read(&mut [0; 1]).await.map(|_| ())
        }
        Reply::Endless(bytes) => {
            let _ = stream.write_all(&bytes).await;
            while stream.write_all(b"1000\r\n").await.is_ok()
                && stream.write_all(&[b' '; 0x1000]).await.is_ok()
                && stream.write_all(b"\r\n").await.is_ok()
            {
                counts.sent_without_end.fetch_add(0x1000, Ordering::SeqCst);
            }
            Ok(())
        }
        Reply::Closed => Ok(()),
    };
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    while bytes.len() < head_end + length.unwrap_or(0) {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let mut words = head.split(' ');
    let method = words.next()?.to_owned();
    let target = words.next()?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Some(Asked {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        body: bytes[head_end..].to_vec(),
        head: head.clone(),
    })
}
