//! The order system of the demo: its files, embedded so that it runs from any folder, and where it stands.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use super::orders::{Products, Spoilt};
use crate::cli::Failure;
use crate::cli::embedded::Embedded;
use crate::config::{self, Config, Database, Mail, MailWay, Overrides, Sqlite};
use crate::database::Console;
use crate::pipeline::spec::{self, Pipeline, Sink};
use crate::port::SchemaText;
use crate::registry::contracts::Contracts;

/// The topic that all of them read.
pub(super) const TOPIC: &str = "orders.created";
/// The topic that `validated-orders` writes.
pub(super) const VALIDATED: &str = "orders.validated";
const PARTITIONS: i32 = 12;
/// How often the archive closes its files here; the file says minutes, and the demo takes seconds.
const ROLL: Duration = Duration::from_secs(1);
const DATABASE: &str = "orders";

macro_rules! contract {
    ($subject:literal) => {
        ($subject, include_str!(concat!("../../../avro/", $subject, "/1.avsc")))
    };
}

/// The contract of the events.
pub(super) const CONTRACT: &str = CONTRACTS[0].1;
const CONTRACTS: [(&str, &str); 2] =
    [contract!("orders.created-value"), contract!("orders.validated-value")];

/// `stock` is what inventory works on. `moves` is what the ledger counts: the database writes it itself, whoever
/// changes the stock.
const TABLES: &str = "
CREATE TABLE stock (sku TEXT PRIMARY KEY, available INTEGER NOT NULL CHECK (available >= 0));
CREATE TABLE moves (sku TEXT NOT NULL, quantity INTEGER NOT NULL);
CREATE TRIGGER moved AFTER UPDATE OF available ON stock BEGIN
    INSERT INTO moves VALUES (new.sku, old.available - new.available);
END;";

/// Where a pipeline's effects can be counted from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effects {
    /// Rows that the database wrote itself.
    Moves,
    /// Files of mails.
    Mails,
    /// Entries of Avro files.
    Archive,
    /// The ends of a topic.
    Topic(&'static str),
}

/// One of the four.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    /// Its name.
    pub(super) name: &'static str,
    /// What it does, in some words.
    pub(super) does: &'static str,
    /// Where its effects are counted.
    pub(super) effects: Effects,
    /// Spoilt orders that it drops.
    pub(super) drops: &'static [Spoilt],
    /// Spoilt orders that can be decoded and that it takes all the same.
    pub(super) takes: &'static [Spoilt],
    text: &'static [u8],
}

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../../../pipelines/", $name, ".yaml"))
    };
}

/// The reference pipelines, in the order of the table.
pub(super) const PIPELINES: [Reference; 4] = [
    Reference {
        name: "inventory",
        does: "takes each order's pieces from the stock, once",
        effects: Effects::Moves,
        drops: &[Spoilt::NoPieces],
        takes: &[],
        text: file!("inventory"),
    },
    Reference {
        name: "email",
        does: "confirms each order by mail",
        effects: Effects::Mails,
        drops: &[Spoilt::NoPieces],
        takes: &[Spoilt::TooMany],
        text: file!("email"),
    },
    Reference {
        name: "audit",
        does: "keeps every event for good, in a chain of Avro files",
        effects: Effects::Archive,
        drops: &[],
        takes: &[Spoilt::NoPieces, Spoilt::TooMany],
        text: file!("audit"),
    },
    Reference {
        name: "validated-orders",
        does: "passes on the orders that keep the shop's rules",
        effects: Effects::Topic(VALIDATED),
        drops: &[],
        takes: &[],
        text: file!("validated-orders"),
    },
];

impl Reference {
    /// Where its bad records go.
    pub(super) fn dead_letters(&self) -> String {
        format!("{TOPIC}.{}.dlq", self.name)
    }
}

impl fmt::Display for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effects::Moves => f.write_str("rows of moves"),
            Effects::Mails => f.write_str(".eml files"),
            Effects::Archive => f.write_str("archived"),
            Effects::Topic(topic) => f.write_str(topic),
        }
    }
}

/// A folder for what is written, gone at the end unless it is kept.
pub(super) struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    pub(super) fn new(keep: bool) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("ordermill-demo-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).with_context(|| format!("failed to make {}", path.display()))?;
        Ok(Self { path, keep })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_kept(&self) -> bool {
        self.keep
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join("orders.sqlite")
    }

    pub(super) fn mails(&self) -> PathBuf {
        self.path.join("mails")
    }

    pub(super) fn archive(&self) -> PathBuf {
        self.path.join("archive")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            // What cannot be removed stays in the system's folder for such things.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// The order system, ready to begin.
pub(super) struct Shop {
    pub(super) embedded: Embedded,
    /// The id of the contract of the events.
    pub(super) schema_id: u32,
    pub(super) folder: Folder,
}

impl Shop {
    /// Fills the stock and starts what pipelines need.
    pub(super) async fn open(folder: Folder, products: &Products) -> Result<Self, Failure> {
        stock(&Console::open(&folder.database()).map_err(anyhow::Error::new)?, products)?;
        let embedded = Embedded::start(&settings(&folder)?, Contracts::default()).await?;
        embedded.bus.create_topic(TOPIC, PARTITIONS).map_err(anyhow::Error::new)?;
        let mut ids = Vec::new();
        for (subject, text) in CONTRACTS {
            let schema = SchemaText { text: text.to_owned(), references: Vec::new() };
            ids.push(embedded.world.schemas.register(subject, &schema).await?);
        }
        Ok(Self { embedded, schema_id: ids[0], folder })
    }

    /// The pipelines as their files say, but for where the archive lies and how often it closes its files.
    pub(super) fn pipelines(&self) -> Result<Vec<Pipeline>, Failure> {
        let mut pipelines = Vec::new();
        for reference in &PIPELINES {
            let file = format!("pipelines/{}.yaml", reference.name);
            let mut pipeline = spec::parse(Path::new(&file), reference.text)?;
            if let Sink::Archive(archive) = &mut pipeline.sink {
                archive.to = self.folder.archive().to_string_lossy().into_owned();
                archive.roll.every = ROLL;
            }
            pipelines.push(pipeline);
        }
        Ok(pipelines)
    }
}

fn settings(folder: &Folder) -> Result<Config, Failure> {
    let mut config = config::load(None, &Overrides::none())?;
    config.http.listen = ([127, 0, 0, 1], 0).into();
    let database = Database::Sqlite(Sqlite { path: folder.database() });
    config.databases.insert(DATABASE.to_owned(), database);
    config.state = Some(DATABASE.to_owned());
    config.mail = Some(Mail { domain: None, way: MailWay::Folder(folder.mails()) });
    Ok(config)
}

fn stock(console: &Console, products: &Products) -> anyhow::Result<()> {
    let rows = products.stock().map(|(sku, available)| {
        let sku = sku.replace('\'', "''");
        format!("INSERT INTO stock VALUES ('{sku}', {available});")
    });
    let rows: String = rows.collect();
    console.run(&format!("PRAGMA journal_mode = WAL; BEGIN;{TABLES}{rows}COMMIT"))?;
    Ok(())
}
