//! What is seen while it runs: a table that is redrawn in place on a terminal, a line a second elsewhere; the ledger
//! at the end.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{
    HumanCount, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle,
};

use super::ledger::{Ledger, Product};
use super::shop::{PIPELINES, Shop};
use crate::cli::output::{line, say};
use crate::observe::{Board, PipelineView, Tally};
use crate::record::Reason;

/// How often the table is drawn.
const DRAW: Duration = Duration::from_millis(100);
/// How often a line is written where there is no terminal.
const WRITE: Duration = Duration::from_secs(1);
/// What a rate is measured over.
const RATE: Duration = Duration::from_secs(1);

/// Says what begins here, and where everything is.
pub(super) fn introduce(shop: &Shop, orders: u64) {
    let kept = if shop.folder.is_kept() { "kept" } else { "gone at the end; --keep keeps them" };
    say(format!(
        "{} order lines of TPC-H, one in 200 spoilt, through the four pipelines of an\n\
         order system: each a file of pipelines/, with a consumer group of its own.\n",
        HumanCount(orders)
    ));
    for reference in &PIPELINES {
        say(format!("  {:<18}{}", reference.name, reference.does));
    }
    say(format!(
        "\nAll in this process:\n\
         \x20 bus       {} (embedded: it keeps 5 MB a partition and nothing\n\
         \x20           for good; the producer waits for the slowest group)\n\
         \x20 registry  {}\n\
         \x20 metrics   http://{}/metrics\n\
         \x20 files     {}\n\
         \x20           orders.sqlite, mails/, archive/ ({kept})\n",
        shop.embedded.bus.bootstrap(),
        shop.embedded.registry(),
        shop.embedded.http(),
        shop.folder.path().display(),
    ));
}

/// One line of numbers under a name, 79 columns.
fn row(name: &str, numbers: [&dyn Display; 6]) -> String {
    let [a, b, c, d, e, f] = numbers.map(ToString::to_string);
    format!("{name:<18}{a:>11}{b:>11}{c:>9}{d:>9}{e:>9}{f:>12}")
}

fn heading() -> String {
    row("PIPELINE", [&"IN", &"EFFECTS", &"DROPPED", &"DEAD", &"LAG", &"RECORDS/S"])
}

/// What one pipeline's row is made of.
struct Row {
    bar: ProgressBar,
    /// Settled records at the beginning of the rate's time.
    before: (Instant, u64),
    /// When it was first seen to have settled something, and when it last was.
    first: Option<Instant>,
    last: (Instant, u64),
    rate: u64,
}

/// The table.
pub(super) struct Table {
    board: Arc<Board>,
    orders: u64,
    produced: Arc<AtomicU64>,
    progress: ProgressBar,
    rows: Vec<Row>,
    written: Option<Instant>,
    terminal: bool,
}

impl Table {
    /// A table of these pipelines.
    pub(super) fn new(board: Arc<Board>, orders: u64, produced: Arc<AtomicU64>) -> Self {
        let terminal = io::stderr().is_terminal();
        let bars = MultiProgress::with_draw_target(match terminal {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        });
        let text = || {
            let style = ProgressStyle::with_template("{msg}");
            let bar = ProgressBar::no_length().with_finish(ProgressFinish::Abandon);
            style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
        };
        let progress = bars.add(ProgressBar::new(orders));
        if let Ok(style) =
            ProgressStyle::with_template("{bar:38} {human_pos} of {human_len} produced, {msg}")
        {
            progress.set_style(style.progress_chars("━╸ "));
        }
        let title = bars.add(text());
        title.set_message(heading());
        let now = Instant::now();
        let rows = PIPELINES.map(|_| Row {
            bar: bars.add(text()),
            before: (now, 0),
            first: None,
            last: (now, 0),
            rate: 0,
        });
        Self { board, orders, produced, progress, rows: rows.into(), written: None, terminal }
    }

    /// Draws until it is dropped.
    pub(super) async fn keep_drawing(&mut self) {
        loop {
            self.draw();
            tokio::time::sleep(DRAW).await;
        }
    }

    /// Draws what is so now.
    pub(super) fn draw(&mut self) {
        let produced = self.produced.load(Ordering::Relaxed);
        let views = self.board.pipelines();
        let tallies: Vec<Tally> =
            PIPELINES.iter().map(|reference| tally(&views, reference.name)).collect();
        if !self.terminal {
            return self.write(produced, &tallies);
        }
        let now = Instant::now();
        self.progress.set_position(produced);
        self.progress.set_message(format!("{:.1} s", self.board.now().as_secs_f64()));
        for ((row, tally), reference) in self.rows.iter_mut().zip(&tallies).zip(&PIPELINES) {
            row.measure(now, tally.records(), self.orders);
            row.bar.set_message(self::row(
                reference.name,
                [
                    &HumanCount(tally.records()),
                    &HumanCount(tally.effects),
                    &HumanCount(tally.dropped.values().sum()),
                    &HumanCount(tally.dead_lettered.values().sum()),
                    &HumanCount(produced.saturating_sub(tally.records())),
                    &HumanCount(row.rate),
                ],
            ));
        }
    }

    fn write(&mut self, produced: u64, tallies: &[Tally]) {
        let whole = tallies.iter().all(|tally| tally.records() >= self.orders);
        if !whole && self.written.is_some_and(|written| written.elapsed() < WRITE) {
            return;
        }
        self.written = Some(Instant::now());
        let settled = PIPELINES.iter().zip(tallies);
        let settled: Vec<String> =
            settled.map(|(of, tally)| format!("{} {}", of.name, tally.records())).collect();
        say(format!("produced {produced}; done: {}", settled.join(", ")));
    }

    /// The last look, which stays.
    pub(super) fn end(mut self) {
        self.draw();
        for bar in self.rows.iter().map(|row| &row.bar).chain([&self.progress]) {
            bar.abandon();
        }
        if self.terminal {
            // The table's last line has no end yet.
            say("\n");
        }
    }
}

impl Row {
    /// The rate of the last second; once it is done, that of all the time it took.
    fn measure(&mut self, now: Instant, settled: u64, orders: u64) {
        if settled > self.last.1 {
            self.first.get_or_insert(self.last.0);
            self.last = (now, settled);
        } else if self.first.is_none() {
            self.last.0 = now;
        }
        let (since, before) = self.before;
        if settled >= orders {
            let began = self.first.unwrap_or(now);
            self.rate = per_second(settled, self.last.0 - began);
        } else if now - since >= RATE {
            self.rate = per_second(settled - before, now - since);
            self.before = (now, settled);
        }
    }
}

fn per_second(records: u64, time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    records.saturating_mul(1_000) / millis
}

/// What became of the records that a pipeline has settled, by the engine's count.
fn tally(views: &[Arc<PipelineView>], name: &str) -> Tally {
    let mut all = Tally::default();
    for (_, topic) in views.iter().filter(|view| view.name == name).flat_map(|view| view.topics()) {
        all.add(&topic.ledger.counts().settled);
    }
    all
}

/// Why records are dead letters, by the engine's count.
pub(super) fn reasons(board: &Board) {
    let views = board.pipelines();
    let tallies = PIPELINES.map(|reference| tally(&views, reference.name));
    let reasons: BTreeSet<&Reason> =
        tallies.iter().flat_map(|tally| tally.dead_lettered.keys()).collect();
    if reasons.is_empty() {
        return;
    }
    let show = |name: &str, cells: [String; 4]| {
        let [a, b, c, d] = cells;
        line(format!("{name:<29}{a:>11}{b:>9}{c:>9}{d:>18}"));
    };
    line("");
    show("DEAD LETTERS: WHY", PIPELINES.map(|reference| reference.name.to_owned()));
    for reason in reasons {
        let of = |tally: &Tally| tally.dead_lettered.get(reason).map(ToString::to_string);
        let cells = tallies.each_ref().map(|tally| of(tally).unwrap_or_else(|| "-".to_owned()));
        show(reason, cells);
    }
}

/// The ledger for a person.
pub(super) fn ledger(ledger: &Ledger, seconds: f64) {
    let yes = |right| if right { "yes" } else { "NO" };
    let show = |name: &str, cells: [String; 5], counted: &str| {
        let [a, b, c, d, e] = cells;
        line(format!("{name:<18}{a:>9}{b:>9}{c:>8}{d:>7}{e:>10}  {counted}").trim_end());
    };
    let words = ["IN", "EFFECTS", "DROPPED", "DEAD", "BALANCED"].map(str::to_owned);
    show("LEDGER", words, "EFFECTS ARE");
    for of in &ledger.lines {
        let numbers = [of.records, of.effects, of.dropped, of.dead_letters];
        let [a, b, c, d] = numbers.map(|number| HumanCount(number).to_string());
        let counted = of.counted.as_str();
        show(of.pipeline, [a, b, c, d, yes(of.balances()).to_owned()], counted);
    }
    let pieces =
        |of: fn(&Product) -> i64| HumanCount(u64::try_from(ledger.pieces(of)).unwrap_or_default());
    line(format!(
        "\nstock: {} products, {} of {} pieces sold, {} products sold out;\n\
         each as its orders say: {}",
        ledger.products.len(),
        pieces(|p| p.moved),
        pieces(|p| p.asked),
        ledger.sold_out(),
        yes(ledger.products.iter().all(Product::is_right)),
    ));
    line(format!(
        "\nCounted outside the engine: rows by SQL, files in folders, topics by their ends.\n\
         In = effects + dropped + dead letters, {} records in {seconds:.1} s.",
        HumanCount(ledger.made)
    ));
}

/// What somebody may want to do now.
pub(super) fn what_next(shop: &Shop) {
    if shop.folder.is_kept() {
        say(format!("\nIts files stay in {}", shop.folder.path().display()));
    }
    say("\nNext:\n  \
         ordermill demo --keep     look at the rows, mails and Avro files it leaves\n  \
         ordermill dev FILE.yaml   your own pipeline file, on such a bus\n  \
         ordermill test            the cases that pipeline files carry\n  \
         ordermill run             the same on your Kafka");
}
