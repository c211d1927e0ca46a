//! Mails to a server: connections that are lent for one mail at a time, and closed when anything about them
//! is in doubt.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};
use lettre::address::Envelope;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;

use super::form::Form;
use super::reply::{Stage, When, classify};
use crate::config::{Smtp, SmtpTls};
use crate::record::Fault;

/// A mail server and how we come in.
pub(super) struct Server {
    host: String,
    port: u16,
    tls: SmtpTls,
    certificates: Option<TlsParameters>,
    login: Option<Credentials>,
    hello: ClientId,
}

/// The ways to log in that we know, the better one first; both only in TLS or on this machine.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];
/// Servers close what is idle, after minutes; we do so before them.
const IDLE_MAX: Duration = Duration::from_secs(30);

impl Server {
    /// Reads the settings and the certificates.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn new(smtp: &Smtp, domain: Option<&str>) -> Result<Self, String> {
        let certificates = match smtp.tls {
            SmtpTls::None => None,
            SmtpTls::Starttls | SmtpTls::Implicit => Some(certificates(smtp)?),
        };
        let login = smtp.login.as_ref();
        Ok(Self {
            host: smtp.host.clone(),
            port: smtp.port,
            tls: smtp.tls,
            certificates,
            login: login.map(|(name, password)| {
                Credentials::new(name.clone(), password.reveal().to_owned())
            }),
            hello: domain.map_or_else(ClientId::default, |d| ClientId::Domain(d.to_owned())),
        })
    }

    /// A connection that is let in.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Closed> {
        let at = |stage| move |error| Closed::Answer(stage, error);
        let implicit = self.certificates.clone().filter(|_| self.tls == SmtpTls::Implicit);
        let address = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, None, &self.hello, implicit, None)
                .await
                .map_err(at(Stage::Connect))?;
        if let Some(certificates) =
            self.certificates.clone().filter(|_| self.tls == SmtpTls::Starttls)
        {
            if !connection.can_starttls() {
                return Err(Closed::Plain);
            }
            connection.starttls(certificates, &self.hello).await.map_err(at(Stage::Encrypt))?;
        }
        if let Some(login) = &self.login {
            connection.auth(&MECHANISMS, login).await.map_err(at(Stage::Login))?;
        }
        Ok(connection)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

fn certificates(smtp: &Smtp) -> Result<TlsParameters, String> {
    let wrong = |error: &dyn fmt::Display| format!("mail.smtp: {error}");
    let mut builder = TlsParameters::builder(smtp.host.clone());
    if let Some(path) = &smtp.ca {
        let wrong = |error: &dyn fmt::Display| format!("mail.smtp.ca: {}: {error}", path.display());
        let pem = std::fs::read(path).map_err(|e| wrong(&e))?;
        builder = builder.add_root_certificate(Certificate::from_pem(&pem).map_err(|e| wrong(&e))?);
    }
    builder.build().map_err(|e| wrong(&e))
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Closed {
    /// The server does not encrypt, and we insist on it.
    Plain,
    /// It says no, or nothing.
    Answer(Stage, smtp::Error),
}

/// The connections of one sink.
pub(super) struct Pool {
    pool: managed::Pool<Door>,
    patience: Duration,
}

/// Opens connections and judges those that come back.
struct Door(Arc<Server>);

impl managed::Manager for Door {
    type Type = AsyncSmtpConnection;
    type Error = Closed;

    async fn create(&self) -> Result<AsyncSmtpConnection, Closed> {
        self.0.connect().await
    }

    async fn recycle(
        &self,
        open: &mut AsyncSmtpConnection,
        past: &Metrics,
    ) -> RecycleResult<Closed> {
        match open.has_broken() || past.last_used() > IDLE_MAX {
            true => Err(RecycleError::message("idle for too long")),
            false => Ok(()),
        }
    }
}

/// A connection in use. Goes back to the pool only by [`Lease::give_back`]: dropped in the middle of a mail
/// (time-out, error, cancelled future) it is closed at once, and the server forgets what it has of the mail.
struct Lease {
    object: Option<Object<Door>>,
}

impl Lease {
    /// Was it lent before? The server may have closed it since.
    fn is_used(&self) -> bool {
        self.object.as_ref().is_some_and(|object| Object::metrics(object).recycle_count > 0)
    }

    async fn say(&mut self, command: impl fmt::Display) -> Result<(), smtp::Error> {
        match &mut self.object {
            Some(open) => open.command(command).await.map(|_| ()),
            None => Ok(()),
        }
    }

    fn give_back(mut self) {
        drop(self.object.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.object.take().map(Object::take));
    }
}

impl Pool {
    /// So many connections at most, each of which must stand within `patience`.
    ///
    /// # Errors
    /// `Fatal`: none are allowed.
    pub(super) fn new(
        server: Arc<Server>,
        connections: usize,
        patience: Duration,
    ) -> Result<Self, Fault> {
        let pool = managed::Pool::builder(Door(server))
            .max_size(connections)
            .runtime(Runtime::Tokio1)
            .create_timeout(Some(patience))
            .build();
        match pool {
            Ok(pool) if connections > 0 => Ok(Self { pool, patience }),
            _ => Err(Fault::fatal("mail_in_flight", "the mail sink needs at least one connection")),
        }
    }

    /// Connects, encrypts and logs in, once.
    ///
    /// # Errors
    /// `Fatal`: the server does not take us as the settings are. `Unavailable`: it is not there now.
    pub(super) async fn try_out(&self) -> Result<(), Fault> {
        self.lease(When::Bind).await.map(Lease::give_back)
    }

    /// Sends a mail; returns when the server has taken it.
    ///
    /// # Errors
    /// See [`classify`]. After a connection that broke while the mail was under way nobody knows whether
    /// it was taken: sent again it has the same Message-ID.
    pub(super) async fn send(&self, form: &Form<'_>) -> Result<(), Fault> {
        let envelope = form.envelope()?;
        let mut lease = self.begin(&envelope).await?;
        let said = self.hand_over(&mut lease, &envelope, form).await;
        let sound = match &said {
            Ok(()) => true,
            Err((_, error)) => !is_closing(error) && lease.say(Rset).await.is_ok(),
        };
        if sound {
            lease.give_back();
        }
        said.map_err(|(stage, error)| self.fault(stage, &error))
    }

    /// Up to the sender. A connection that the server has closed while it lay in the pool is no news: the
    /// next one is taken.
    async fn begin(&self, envelope: &Envelope) -> Result<Lease, Fault> {
        loop {
            let mut lease = self.lease(When::Later).await?;
            let said = lease.say(Mail::new(envelope.from().cloned(), Vec::new())).await;
            let Err(error) = said else { return Ok(lease) };
            if !(is_closing(&error) && lease.is_used()) {
                return Err(self.fault(Stage::Sender, &error));
            }
        }
    }

    async fn hand_over(
        &self,
        lease: &mut Lease,
        envelope: &Envelope,
        form: &Form<'_>,
    ) -> Result<(), (Stage, smtp::Error)> {
        for recipient in envelope.to() {
            let said = lease.say(Rcpt::new(recipient.clone(), Vec::new())).await;
            said.map_err(|error| (Stage::Recipient, error))?;
        }
        let at = |error| (Stage::Content, error);
        lease.say(Data).await.map_err(at)?;
        lease.say(Content(form.mail)).await.map_err(at)
    }

    async fn lease(&self, when: When) -> Result<Lease, Fault> {
        let server = &self.pool.manager().0;
        let object = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(Closed::Plain) => Fault::fatal(
                "smtp_starttls",
                format!(
                    "{server} does not offer STARTTLS: write `tls: implicit`, or `tls: none` for a server \
                     that mails may reach unencrypted, in `mail.smtp`"
                ),
            ),
            PoolError::Backend(Closed::Answer(stage, error)) => {
                classify(&server.to_string(), stage, when, &error)
            }
            PoolError::Timeout(_) => Fault::unavailable(
                "smtp_connection",
                format!("{server}: no connection within {:?}", self.patience),
            ),
            other => Fault::unavailable("smtp_connection", format!("{server}: {other:?}")),
        })?;
        Ok(Lease { object: Some(object) })
    }

    fn fault(&self, stage: Stage, error: &smtp::Error) -> Fault {
        classify(&self.pool.manager().0.to_string(), stage, When::Later, error)
    }
}

/// Is the connection gone, or about to go?
fn is_closing(error: &smtp::Error) -> bool {
    error.status().is_none_or(|code| u16::from(code) == 421)
}

/// A mail as SMTP carries it: lines that begin with a dot get one more, a dot alone ends it. In one piece,
/// so that no small packet waits for the answer to another.
struct Content<'a>(&'a str);

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mail = self.0.strip_suffix("\r\n").unwrap_or(self.0);
        for line in mail.split("\r\n") {
            let dot = if line.starts_with('.') { "." } else { "" };
            write!(f, "{dot}{line}\r\n")?;
        }
        f.write_str(".\r\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_mail_ends_it() {
        for (mail, carried) in [
            ("a\r\n", "a\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            (".\r\n.a\r\n..\r\n", "..\r\n..a\r\n...\r\n.\r\n"),
            ("a\r\n.\r\nQUIT\r\n", "a\r\n..\r\nQUIT\r\n.\r\n"),
        ] {
            assert_eq!(Content(mail).to_string(), carried);
        }
    }
}
