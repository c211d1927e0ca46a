//! A gate before a TCP service: shut, nobody is answered; open, everything goes through; and those who are through can be
//! held still, as by a network that loses everything.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// A gate, shut at first. Its threads end with it and with those who came through.
#[derive(Debug)]
pub(crate) struct Gate {
    address: SocketAddr,
    inside: Arc<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    /// Where it leads; None: shut.
    target: Mutex<Option<String>>,
    through: Mutex<Vec<Arc<Hold>>>,
    ended: AtomicBool,
}

/// Of one connection.
#[derive(Debug, Default)]
struct Hold {
    held: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    pub(crate) fn shut() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inside = Arc::<Inside>::default();
        let gate = Self { address, inside: Arc::clone(&inside) };
        thread::spawn(move || {
            for from in listener.incoming() {
                if inside.ended.load(Ordering::SeqCst) {
                    return;
                }
                // shut: the connection ends without a word
                let target = inside.target.lock().unwrap().clone();
                if let (Ok(from), Some(target)) = (from, target) {
                    // a failure ends the connection, as the service itself would
                    let _ = inside.connect(from, &target);
                }
            }
        });
        gate
    }

    /// Where it stands.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets everything through to the service at `target` (`host:port`) from now on.
    pub(crate) fn open(&self, target: &str) {
        *self.inside.target.lock().unwrap() = Some(target.to_owned());
    }

    /// From now on nothing passes of those who are through, in either direction. Who comes later passes.
    pub(crate) fn hold(&self) {
        self.inside.set_held(true);
    }

    /// Everything that was held goes on.
    pub(crate) fn release(&self) {
        self.inside.set_held(false);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.inside.ended.store(true, Ordering::SeqCst);
        self.release();
        // one more visitor, so that the thread looks
        drop(TcpStream::connect(self.address));
    }
}

impl Inside {
    fn connect(&self, from: TcpStream, target: &str) -> io::Result<()> {
        let to = TcpStream::connect(target)?;
        let hold = Arc::<Hold>::default();
        self.through.lock().unwrap().push(Arc::clone(&hold));
        pass(from.try_clone()?, to.try_clone()?, Arc::clone(&hold));
        pass(to, from, hold);
        Ok(())
    }

    fn set_held(&self, held: bool) {
        for hold in &*self.through.lock().unwrap() {
            *hold.held.lock().unwrap() = held;
            hold.changed.notify_all();
        }
    }
}

impl Hold {
    fn wait(&self) {
        let held = self.held.lock().unwrap();
        drop(self.changed.wait_while(held, |held| *held).unwrap());
    }
}

/// Hands on what comes until there is nothing more.
fn pass(mut from: TcpStream, mut to: TcpStream, hold: Arc<Hold>) {
    thread::spawn(move || {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut bytes) {
            hold.wait();
            if to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        hold.wait();
        // either may be gone already
        let _ = to.shutdown(Shutdown::Write);
        let _ = from.shutdown(Shutdown::Read);
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn nobody_is_answered_until_it_opens() {
        let service = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Gate::shut();
        let answer = || {
            let mut said = String::new();
            let mut stream = TcpStream::connect(gate.address()).unwrap();
            stream.read_to_string(&mut said).map(|_| said)
        };
        assert_eq!(answer().unwrap_or_default(), "");
        gate.open(&service.local_addr().unwrap().to_string());
        let server = thread::spawn(move || service.accept().unwrap().0.write_all(b"hello"));
        assert_eq!(answer().unwrap(), "hello");
        server.join().unwrap().unwrap();
    }

    #[test]
    fn those_who_are_through_are_held_and_those_who_come_later_pass() {
        let service = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Gate::shut();
        gate.open(&service.local_addr().unwrap().to_string());
        let connect = || {
            let stream = TcpStream::connect(gate.address()).unwrap();
            (stream, service.accept().unwrap().0)
        };
        let (mut held, mut behind) = connect();
        held.write_all(b"a").unwrap();
        behind.read_exact(&mut [0]).unwrap();
        gate.hold();
        held.write_all(b"b").unwrap();
        let (mut later, mut other) = connect();
        later.write_all(b"c").unwrap();
        other.read_exact(&mut [0]).unwrap();
        behind.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        behind.read_exact(&mut [0]).unwrap_err();
        gate.release();
        behind.set_read_timeout(None).unwrap();
        let mut byte = [0];
        behind.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"b");
    }
}
