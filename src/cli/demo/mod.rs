//! `demo`: the order system in one process. TPC-H order lines go over an embedded bus through the four reference
//! pipelines; at the end everything is counted from outside, and must balance.

mod count;
mod feed;
mod ledger;
mod orders;
mod shop;
mod show;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use tokio_util::sync::CancellationToken;

use self::feed::feed;
use self::orders::{Lines, Products};
use self::shop::{Folder, Shop};
use self::show::Table;
use super::args::{Common, Output};
use super::{Failure, output, run, stop};
use crate::kafka::NOISE;
use crate::observe::logs;

/// `demo`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What it shows: inventory takes stock by SQL, email writes .eml files, audit
keeps Avro files, validated-orders writes a topic. At the end rows, files and
ends of topics are counted, and for each pipeline
  records in = effects + dropped + dead letters
must hold; exit code 1 if it does not.

Example: more orders, and a look at what came of them
  ordermill demo --orders 50000 --keep")]
pub(super) struct Demo {
    /// How many orders, up to 1,500,000
    #[arg(long, value_name = "N", default_value_t = 3_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_500_000))]
    orders: u64,
    /// How the result is printed
    #[arg(long, short, default_value = "table", value_name = "table|json")]
    #[arg(hide_possible_values = true)]
    output: Output,
    /// Keep the database, mails and archive
    #[arg(long)]
    keep: bool,
}

/// Runs the demo.
///
/// # Errors
/// Exit code 1 when the ledger does not balance, or something needed cannot be had.
pub(super) async fn demo(common: &Common, command: &Demo) -> Result<(), Failure> {
    // The terminal belongs to the table: only what a person must see.
    logs::start(logs::Form::Text, common.log_level.as_deref().unwrap_or("error"), &[NOISE])
        .map_err(|e| Failure::Configuration(e.to_string()))?;
    let stop = stop::on_signal().map_err(anyhow::Error::new)?;
    let products = Products::new(command.orders);
    let shop = Shop::open(Folder::new(command.keep)?, &products).await?;
    show::introduce(&shop, command.orders);
    let world = Arc::clone(&shop.embedded.world);
    let (pipelines, ending) = (shop.pipelines()?, CancellationToken::new());
    let lines = Lines::new(&products, shop.schema_id)?;
    let produced = Arc::new(AtomicU64::new(0));
    let mut table = Table::new(Arc::clone(&world.board), command.orders, Arc::clone(&produced));
    let began = Instant::now();
    let running = {
        let ending = ending.clone();
        tokio::spawn(async move { run::all(pipelines, &world, &ending).await })
    };
    let fed = tokio::select! {
        () = stop.cancelled() => Err(anyhow!("stopped before the end")),
        () = table.keep_drawing() => Err(anyhow!("the table ended")),
        fed = feed(&shop, lines, command.orders, &produced) => fed,
    };
    let seconds = began.elapsed().as_secs_f64();
    table.end();
    ending.cancel();
    run::verdict(&running.await.context("the pipelines ended early")??)?;
    let ledger = count::ledger(&shop, &fed?, &products).await?;
    match command.output {
        Output::Json => output::line(ledger.json(seconds)),
        Output::Table => {
            show::ledger(&ledger, seconds);
            show::reasons(&shop.embedded.world.board);
            show::what_next(&shop);
        }
    }
    if ledger.balances() {
        return Ok(());
    }
    Err(Failure::Refused(format!("the ledger does not balance:\n{}", ledger.wrong().join("\n"))))
}
