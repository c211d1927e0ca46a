//! Puts a member out of its group behind its back: the broker hears that it leaves, and the member does not know.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::kafka::Kafka;

/// `LeaveGroup`, version 1.
const LEAVE_GROUP: [u8; 4] = [0, 13, 0, 1];
const CORRELATION: [u8; 4] = *b"evic";

impl Kafka {
    /// Leaves the group in the name of this member, as [`Kafka::group`] names it.
    #[track_caller]
    pub(crate) fn evict(&self, group: &str, member: &str) {
        let mut stream = TcpStream::connect(self.bootstrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let body = [&LEAVE_GROUP[..], &CORRELATION, &text("tests"), &text(group), &text(member)];
        let body = body.concat();
        let size = u32::try_from(body.len()).unwrap().to_be_bytes();
        stream.write_all(&[&size[..], &body].concat()).unwrap();
        // size, correlation, throttle time, error code
        let mut answer = [0; 4 + 4 + 4 + 2];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[4..8], CORRELATION);
        assert_eq!(answer[12..], [0, 0], "the error code for {member} of {group}");
    }
}

/// With its length before it.
fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    [&length[..], text.as_bytes()].concat()
}
