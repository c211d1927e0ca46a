//! Producing, never so far ahead of the slowest group that the embedded broker trims what was not read; and
//! waiting until everything has settled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;

use super::count;
use super::orders::{Lines, Made};
use super::shop::{PIPELINES, Shop, TOPIC};
use crate::kafka::{BulkSender, Producer};
use crate::observe::{PipelineView, State};
use crate::port::Outgoing;

/// The embedded broker keeps 5 MB or 100,000 batches a partition. The producer stays so few records ahead (about
/// 130 bytes each) of the slowest group that all of them would find room in one.
const AHEAD_MAX: u64 = 10_000;
/// How many are made at a time.
const STRIDE: u64 = 500;
/// Sent and not yet acknowledged.
const IN_FLIGHT: usize = 5_000;
/// Without any progress for so long the demo has failed.
const STALLED: Duration = Duration::from_secs(60);
/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Produces so many orders and waits until each pipeline is done with them and its dead letters have left.
pub(super) async fn feed(
    shop: &Shop,
    mut lines: Lines,
    orders: u64,
    produced: &AtomicU64,
) -> anyhow::Result<Made> {
    let mut sender = Producer::new(&shop.embedded.bus.settings())?.bulk(IN_FLIGHT);
    let mut watch = Watch::new();
    let mut made = 0;
    while made < orders {
        let settled = slowest(shop);
        let room = (AHEAD_MAX + settled).saturating_sub(made);
        let more = (orders - made).min(STRIDE).min(room);
        if more == 0 {
            watch.wait(shop, settled).await?;
            continue;
        }
        (lines, sender) = tokio::task::spawn_blocking(move || push(lines, sender, more)).await??;
        made = lines.made().records;
        produced.store(made, Ordering::Relaxed);
    }
    let sent = tokio::task::spawn_blocking(move || sender.finish(STALLED)).await?;
    if let Some(fault) = sent.first_fault {
        bail!("{} orders could not be produced; the first: {fault}", sent.failed);
    }
    while slowest(shop) < made {
        watch.wait(shop, slowest(shop)).await?;
    }
    loop {
        match count::letters_waiting(shop)? {
            0 => return Ok(lines.made().clone()),
            waiting => watch.wait(shop, waiting).await?,
        }
    }
}

fn push(
    mut lines: Lines,
    mut sender: BulkSender,
    count: u64,
) -> anyhow::Result<(Lines, BulkSender)> {
    let topic: Arc<str> = Arc::from(TOPIC);
    for _ in 0..count {
        let record = lines.next_record()?;
        sender.push(&Outgoing { topic: Arc::clone(&topic), partition: None, record });
    }
    Ok((lines, sender))
}

/// How many records the slowest pipeline has settled.
fn slowest(shop: &Shop) -> u64 {
    let views = shop.embedded.world.board.pipelines();
    if views.len() < PIPELINES.len() {
        return 0;
    }
    views.iter().map(|view| settled(view)).min().unwrap_or_default()
}

/// How many records a pipeline has settled.
pub(super) fn settled(view: &PipelineView) -> u64 {
    view.topics().iter().map(|(_, topic)| topic.ledger.counts().settled.records()).sum()
}

/// Gives up when nothing moves any more.
struct Watch {
    last: u64,
    since: Instant,
}

impl Watch {
    fn new() -> Self {
        Self { last: 0, since: Instant::now() }
    }

    async fn wait(&mut self, shop: &Shop, now: u64) -> anyhow::Result<()> {
        for view in shop.embedded.world.board.pipelines() {
            if let State::Halted(why) = view.health.state() {
                bail!("{} halted: {why}", view.name);
            }
        }
        if now != self.last {
            *self = Self { last: now, since: Instant::now() };
        }
        if self.since.elapsed() > STALLED {
            bail!("nothing has moved for {} s", STALLED.as_secs());
        }
        tokio::time::sleep(LOOK).await;
        Ok(())
    }
}
