//! Counting from outside the engine: by SQL, in folders, by the ends of topics.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context as _, bail};
use apache_avro::types::Value as Avro;

use super::ledger::{Ledger, Line, Product};
use super::orders::{Made, Products, Spoilt};
use super::shop::{Effects, PIPELINES, Reference, Shop, TOPIC};
use crate::cli::embedded::Embedded;
use crate::database::Console;
use crate::record::PartitionId;

const LETTERS: &str = "SELECT count(*) FROM ordermill_outbox";
const MOVES: &str = "SELECT count(*) FROM moves";
const STOCK: &str = "SELECT sku, available, coalesce(moved, 0) FROM stock
    LEFT JOIN (SELECT sku, sum(quantity) AS moved FROM moves GROUP BY sku) USING (sku)";

/// Dead letters that stand in the database and have not left for their topic.
pub(super) fn letters_waiting(shop: &Shop) -> anyhow::Result<u64> {
    number(&Console::open(&shop.folder.database())?, LETTERS)
}

/// Counts everything, once nothing moves any more.
pub(super) async fn ledger(
    shop: &Shop,
    made: &Made,
    products: &Products,
) -> anyhow::Result<Ledger> {
    let console = Console::open(&shop.folder.database())?;
    let records = end_of(&shop.embedded, TOPIC).await?;
    let mut lines = Vec::new();
    for reference in &PIPELINES {
        let effects = match reference.effects {
            Effects::Moves => number(&console, MOVES)?,
            Effects::Mails => mails(&shop.folder.mails())?,
            Effects::Archive => archived(&shop.folder.archive())?,
            Effects::Topic(topic) => end_of(&shop.embedded, topic).await?,
        };
        let dead_letters = end_of(&shop.embedded, &reference.dead_letters()).await?;
        lines.push(line(reference, made, (records, effects, dead_letters)));
    }
    Ok(Ledger { made: made.records, lines, products: stock(&console, made, products)? })
}

fn line(reference: &Reference, made: &Made, counted: (u64, u64, u64)) -> Line {
    let (records, effects, dead_letters) = counted;
    let dropped = made.spoilt(reference.drops);
    Line {
        pipeline: reference.name,
        records,
        effects,
        counted: reference.effects.to_string(),
        dropped,
        dead_letters,
        spoilt: made.spoilt(&Spoilt::ALL) - dropped - made.spoilt(reference.takes),
        rejects: reference.effects == Effects::Moves,
    }
}

/// How many records ever stood in a topic: the embedded broker trims them, and keeps the offsets.
async fn end_of(embedded: &Embedded, topic: &str) -> anyhow::Result<u64> {
    let admin = &embedded.world.admin;
    let info = admin.topic(topic).await?.with_context(|| format!("topic {topic} is not there"))?;
    let partitions: Vec<_> = (0..info.partitions).map(|p| PartitionId::new(topic, p)).collect();
    let ends = admin.watermarks(&partitions).await?;
    Ok(ends.iter().map(|w| u64::try_from(w.end.0).unwrap_or_default()).sum())
}

fn number(console: &Console, sql: &str) -> anyhow::Result<u64> {
    let rows = console.rows(sql)?;
    let [row] = rows.as_slice() else { bail!("{sql}: {} rows", rows.len()) };
    let [number] = row.as_slice() else { bail!("{sql}: {} columns", row.len()) };
    Ok(number.parse()?)
}

fn mails(folder: &Path) -> anyhow::Result<u64> {
    let mut mails = 0;
    for entry in fs::read_dir(folder)? {
        mails += u64::from(entry?.path().extension().is_some_and(|e| e == "eml"));
    }
    Ok(mails)
}

/// Different records in the archive, by another Avro library than the one that wrote it.
fn archived(folder: &Path) -> anyhow::Result<u64> {
    let (mut kept, mut entries) = (BTreeSet::new(), 0);
    for file in files(folder)? {
        let open = || anyhow::Ok(apache_avro::Reader::new(BufReader::new(File::open(&file)?))?);
        for entry in open().with_context(|| format!("failed to read {}", file.display()))? {
            let Avro::Record(fields) = entry? else { bail!("{} has no records", file.display()) };
            let at = |name: &str| match fields.iter().find(|(field, _)| field == name) {
                Some((_, Avro::Int(number))) => Some(i64::from(*number)),
                Some((_, Avro::Long(number))) => Some(*number),
                _ => None,
            };
            kept.insert((at("partition"), at("offset")));
            entries += 1;
        }
    }
    if kept.len() as u64 != entries {
        bail!("the archive has {entries} entries of {} records", kept.len());
    }
    Ok(entries)
}

fn files(folder: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "avro") {
            files.push(path);
        }
    }
    Ok(files)
}

fn stock(console: &Console, made: &Made, products: &Products) -> anyhow::Result<Vec<Product>> {
    let mut now = BTreeMap::new();
    for row in console.rows(STOCK)? {
        let [sku, left, moved] = row.as_slice() else { bail!("stock: {} columns", row.len()) };
        now.insert(sku.clone(), (left.parse::<i64>()?, moved.parse::<i64>()?));
    }
    let of = |(sku, stock): (&str, i64)| {
        let (left, moved) = *now.get(sku).with_context(|| format!("{sku} is gone"))?;
        let asked = made.pieces.get(sku).copied().unwrap_or_default();
        Ok(Product { stock, asked, moved, left })
    };
    products.stock().map(of).collect()
}
