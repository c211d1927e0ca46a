//! Where mails go: opened once from the operator's settings, shared by all pipelines.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::smtp::Server;
use crate::config;

/// The way that mails leave.
pub struct Transport {
    /// The Message-ID's domain; nothing: the sender's.
    pub(super) domain: Option<Arc<str>>,
    pub(super) way: Way,
}

/// The two ways.
pub(super) enum Way {
    Smtp(Arc<Server>),
    Folder(PathBuf),
}

impl Transport {
    /// Reads the settings and the certificates they name; connects to nothing.
    ///
    /// # Errors
    /// Settings that cannot work: what is wrong, and with which file.
    pub fn open(settings: &config::Mail) -> Result<Self, String> {
        let domain = settings.domain.as_deref();
        let way = match &settings.way {
            config::MailWay::Smtp(smtp) => Way::Smtp(Arc::new(Server::new(smtp, domain)?)),
            config::MailWay::Folder(folder) => Way::Folder(folder.clone()),
        };
        Ok(Self { domain: domain.map(Arc::from), way })
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::Smtp(server) => write!(f, "Transport({server})"),
            Way::Folder(folder) => write!(f, "Transport({})", folder.display()),
        }
    }
}
