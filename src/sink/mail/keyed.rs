//! The sink `mail`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::encoder::Encoder;
use super::folder::Folder;
use super::form::Form;
use super::smtp::Pool;
use super::template::Templates;
use super::transport::{Transport, Way};
use crate::port::{Encode, Future, KeyedSink};
use crate::record::Fault;

/// What a pipeline says of its mails.
#[derive(Debug)]
pub struct Options {
    /// What they say.
    pub templates: Arc<Templates>,
    /// The consumer group: with the event's id it makes the Message-ID.
    pub group: Arc<str>,
    /// How many are sent at once: so many connections at most.
    pub in_flight: usize,
    /// How long one try may take; a connection must stand within half of it.
    pub timeout: Duration,
}

/// Sends a mail for each event.
pub struct Mail {
    templates: Arc<Templates>,
    group: Arc<str>,
    domain: Option<Arc<str>>,
    post: Post,
}

enum Post {
    Smtp(Pool),
    Folder(Folder),
}

impl Mail {
    /// A sink over a transport that several may share; connections are its own.
    ///
    /// # Errors
    /// `Fatal`: `in_flight` is 0.
    pub fn new(options: Options, transport: &Transport) -> Result<Self, Fault> {
        let post = match &transport.way {
            Way::Smtp(server) => {
                Post::Smtp(Pool::new(Arc::clone(server), options.in_flight, options.timeout / 2)?)
            }
            Way::Folder(folder) => Post::Folder(Folder::new(folder)),
        };
        let Options { templates, group, .. } = options;
        Ok(Self { templates, group, domain: transport.domain.clone(), post })
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("group", &self.group).finish_non_exhaustive()
    }
}

impl KeyedSink for Mail {
    /// A server must greet us, encrypt and let us in as the settings say; a folder must let us write.
    fn bind(&self) -> Future<'_, Result<(), Fault>> {
        Box::pin(async move {
            match &self.post {
                Post::Smtp(pool) => pool.try_out().await,
                Post::Folder(folder) => folder.try_out().await,
            }
        })
    }

    fn encoder(&self) -> Result<Box<dyn Encode>, Fault> {
        Ok(Box::new(Encoder {
            templates: Arc::clone(&self.templates),
            group: Arc::clone(&self.group),
            domain: self.domain.clone(),
        }))
    }

    fn effect<'a>(&'a self, effect: &'a [u8]) -> Future<'a, Result<(), Fault>> {
        Box::pin(async move {
            let form = Form::read(effect)?;
            match &self.post {
                Post::Smtp(pool) => pool.send(&form).await,
                Post::Folder(folder) => folder.write(&form).await,
            }
        })
    }
}
