//! One HTTP request, plain and blocking.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Asks `address` (`host:port`) for `path`. Speaks HTTP/1.0, so that the body ends with the connection.
pub(crate) fn get(address: &str, path: &str) -> io::Result<Answer> {
    ask(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: */*\r\n\r\n"))
}

/// Sends JSON to `path` at `address`.
pub(crate) fn post(address: &str, path: &str, json: &str) -> io::Result<Answer> {
    let (head, length) = ("Content-Type: application/json\r\nContent-Length", json.len());
    ask(
        address,
        &format!("POST {path} HTTP/1.0\r\nHost: {address}\r\n{head}: {length}\r\n\r\n{json}"),
    )
}

fn ask(address: &str, request: &str) -> io::Result<Answer> {
    let unusable = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let socket = address.to_socket_addrs()?.next();
    let socket = socket.ok_or_else(|| unusable("the address names no socket"))?;
    let mut stream = TcpStream::connect_timeout(&socket, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) =
        text.split_once("\r\n\r\n").ok_or_else(|| unusable("the answer has no end of its head"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(Answer {
        status: status.ok_or_else(|| unusable("the answer has no status"))?,
        body: body.to_owned(),
    })
}
