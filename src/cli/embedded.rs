//! What `demo` and `dev` run on: a bus, a registry, `/metrics` and health, all inside this process.
//!
//! Nothing of it lasts: what lasts is where the settings say, in SQLite files and folders.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Failure, world};
use crate::config::Config;
use crate::kafka::{Bus, Producer};
use crate::observe::Board;
use crate::pipeline::world::World;
use crate::port::Schemas as _;
use crate::registry::contracts::{Contract, Contracts};
use crate::registry::{EmbeddedSchemas, Registry};
use crate::web::{Answer, Answering, Server, answers, routes};

/// A world of its own; it ends when this is dropped.
pub(super) struct Embedded {
    /// The bus.
    pub(super) bus: Bus,
    /// What pipelines need, all of it here.
    pub(super) world: Arc<World>,
    http: Server,
    registry: Server,
}

impl Embedded {
    /// Starts everything. Databases, mails and the address of `/metrics` are those of the settings, brokers and
    /// registry are not; all contracts are registered.
    ///
    /// # Errors
    /// An address or a file is taken; a contract is refused by the registry.
    pub(super) async fn start(config: &Config, contracts: Contracts) -> Result<Self, Failure> {
        let bus = Bus::start(1).map_err(anyhow::Error::new)?;
        let registry = Arc::new(Mutex::new(Registry::new()));
        let schemas = Arc::new(EmbeddedSchemas::new(Arc::clone(&registry)));
        register(&schemas, &contracts).await?;
        let databases = world::databases(config)?;
        let board = Board::new().map_err(anyhow::Error::new)?;
        let (listen, routes) =
            (config.http.listen.to_string(), routes(Arc::clone(&board), world::rdkafka()));
        let http = Server::start(&listen, routes).await.map_err(anyhow::Error::new)?;
        let registry = Server::start("127.0.0.1:0", answers(answering(registry)))
            .await
            .map_err(anyhow::Error::new)?;
        let world = World {
            kafka: bus.settings(),
            admin: Arc::new(bus.admin().map_err(anyhow::Error::new)?),
            schemas,
            producer: Arc::new(Producer::new(&bus.settings()).map_err(anyhow::Error::new)?),
            make_topics: true,
            contracts,
            contracts_folder: config.avro.clone(),
            state: config.state.as_ref().and_then(|name| databases.get(name).cloned()),
            databases,
            mail: world::mail(config)?,
            board,
        };
        Ok(Self { bus, world: Arc::new(world), http, registry })
    }

    /// Where `/metrics` and health are.
    pub(super) fn http(&self) -> SocketAddr {
        self.http.address()
    }

    /// Where the registry is.
    pub(super) fn registry(&self) -> String {
        format!("http://{}", self.registry.address())
    }
}

fn answering(registry: Arc<Mutex<Registry>>) -> Answering {
    Arc::new(move |asked| {
        let request = crate::registry::embedded::Request {
            method: asked.method,
            path: asked.path,
            query: asked.query,
            body: asked.body,
        };
        let response = registry.lock().unwrap_or_else(PoisonError::into_inner).answer(&request);
        Answer { status: response.status, content_type: response.content_type, body: response.body }
    })
}

/// Registers every contract: versions of a subject in their order, each behind those that it refers to.
async fn register(schemas: &EmbeddedSchemas, contracts: &Contracts) -> Result<(), Failure> {
    let mut waiting: Vec<&Contract> = contracts.all().collect();
    while !waiting.is_empty() {
        let open: BTreeSet<(&str, u32)> =
            waiting.iter().map(|c| (c.subject.as_str(), c.version)).collect();
        let waits = |contract: &Contract| {
            let mut earlier = open.range(..(contract.subject.as_str(), contract.version));
            earlier.next_back().is_some_and(|(subject, _)| *subject == contract.subject)
                || contract
                    .schema
                    .references
                    .iter()
                    .any(|to| open.contains(&(to.subject.as_str(), to.version)))
        };
        let (later, now): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|c| waits(c));
        if now.is_empty() {
            // The folder was read, so nothing refers to itself: the registry would say the same.
            return Err(Failure::Configuration("contracts refer to each other in a circle".into()));
        }
        for contract in now {
            schemas.register(&contract.subject, &contract.schema).await.map_err(|fault| {
                Failure::Configuration(format!("{}: {}", contract.file.display(), fault.reason))
            })?;
        }
        waiting = later;
    }
    Ok(())
}
