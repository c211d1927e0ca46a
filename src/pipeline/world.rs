//! What pipelines need of the world, made once from the operator's settings.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::spec;
use crate::database::Database;
use crate::kafka;
use crate::observe::Board;
use crate::port::{Admin, Producer, Schemas};
use crate::record::Fault;
use crate::registry::contracts::Contracts;
use crate::sink::mail;

/// Clients and settings that all pipelines of a process share.
pub struct World {
    /// How members reach the brokers.
    pub kafka: kafka::Settings,
    /// Questions to the cluster.
    pub admin: Arc<dyn Admin>,
    /// The registry.
    pub schemas: Arc<dyn Schemas>,
    /// Sends dead letters.
    pub producer: Arc<dyn Producer>,
    /// May topics that are missing be made? On the embedded bus they are; elsewhere an operator makes them.
    pub make_topics: bool,
    /// The contracts in the repository.
    pub contracts: Contracts,
    /// Where they lie, for messages.
    pub contracts_folder: PathBuf,
    /// Databases by the name that pipeline files use.
    pub databases: BTreeMap<String, Arc<Database>>,
    /// Where pipelines stand whose sink is no database.
    pub state: Option<Arc<Database>>,
    /// How mails leave, if that is set.
    pub mail: Option<mail::Transport>,
    /// What is seen from outside.
    pub board: Arc<Board>,
}

impl World {
    /// Makes the dead-letter topic of a source topic, where that may be; else says who must.
    ///
    /// # Errors
    /// `Fatal`: it is missing and may not be made here.
    pub async fn make_dead_letter_topic(
        &self,
        letters: &str,
        source: &str,
        pipeline: &spec::Pipeline,
    ) -> Result<(), Fault> {
        let partitions = self.admin.topic(source).await?.map_or(1, |info| info.partitions);
        if self.make_topics {
            return self.admin.create_topic(letters, partitions, 1).await;
        }
        Err(Fault::fatal(
            "unknown_topic",
            format!(
                "dead-letter topic {letters} does not exist; create it with {partitions} partitions, as \
                 {source} has (`ordermill topic apply` does), or name another by dead_letter.topic in {}",
                pipeline.file.display()
            ),
        ))
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("kafka", &self.kafka).finish_non_exhaustive()
    }
}
