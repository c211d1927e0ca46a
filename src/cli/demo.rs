//! `demo`: the whole line in one process. TPC-H orders go through an embedded bus and registry into SQLite;
//! at the end count and sum are read back by SQL and compared with what the generator gave.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::args::{Common, Demo, Output};
use super::produce::{bar, tpch_schema};
use super::tpch::{Orders, Totals};
use super::{Failure, output, stop, world};
use crate::database::{self, Console, Database, SqliteSettings};
use crate::kafka::{BulkSender, Bus, NOISE, Producer};
use crate::observe::{Board, State, logs};
use crate::pipeline::runner::{self, Ended};
use crate::pipeline::spec;
use crate::pipeline::world::World;
use crate::port::{Outgoing, Schemas};
use crate::registry::contracts::Contracts;
use crate::registry::{EmbeddedSchemas, Registry};
use crate::web::{Answer, Answering, Server, answers, routes};

const TOPIC: &str = "tpch.orders";
const PARTITIONS: i32 = 12;
const FILE: &str = "pipelines/tpch-orders.yaml";
const PIPELINE: &[u8] = include_bytes!("../../pipelines/tpch-orders.yaml");
/// The embedded broker keeps 5 MB a partition: the producer stays so few orders ahead (about 700 bytes each)
/// of the pipeline that nothing is trimmed before it was read.
const AHEAD_MAX: u64 = 20_000;
/// Without any progress for so long the demo has failed.
const STALLED: Duration = Duration::from_secs(60);
const TABLE: &str = "CREATE TABLE orders (
    o_orderkey INTEGER PRIMARY KEY, o_custkey INTEGER NOT NULL, o_orderstatus TEXT NOT NULL,
    o_totalprice TEXT NOT NULL, o_orderdate TEXT NOT NULL, o_orderpriority TEXT NOT NULL,
    o_clerk TEXT NOT NULL, o_shippriority INTEGER NOT NULL, o_comment TEXT NOT NULL)";
/// Sums in cents: exact, where SQLite's own arithmetic on decimals would be in floats.
const READ_BACK: &str = "SELECT count(*), coalesce(sum(CAST(replace(o_totalprice, '.', '') AS INTEGER)), 0) FROM orders";

/// Runs the demo.
///
/// # Errors
/// Exit code 1 when count or sum differ, or something needed cannot be had.
pub(super) async fn demo(common: &Common, command: &Demo) -> Result<(), Failure> {
    // The terminal belongs to the progress: only what a person must see.
    logs::start(logs::Form::Text, common.log_level.as_deref().unwrap_or("error"), &[NOISE])
        .map_err(|e| Failure::Configuration(e.to_string()))?;
    let folder = Folder::new(command.keep)?;
    let stop = stop::on_signal().map_err(anyhow::Error::new)?;
    let parts = Parts::start(folder.path()).await?;
    if command.output == Output::Table {
        parts.introduce(command.orders, folder.path());
    }
    let began = Instant::now();
    let pipeline = spec::parse(Path::new(FILE), PIPELINE)?;
    let ending = CancellationToken::new();
    let running =
        tokio::spawn(runner::run(Arc::new(pipeline), Arc::clone(&parts.world), ending.clone()));
    let outcome = tokio::select! {
        () = stop.cancelled() => Err(anyhow::anyhow!("stopped before the end")),
        outcome = feed(&parts, command.orders) => outcome,
    };
    ending.cancel();
    let ended = running.await.context("the pipeline's task ended")?;
    if let Ended::Halted(_, fault) | Ended::Unfit(fault) = ended {
        return Err(Failure::Refused(format!("the pipeline halted: {fault}")));
    }
    let made = outcome?;
    let found = read_back(folder.path())?;
    Verdict { made, found, seconds: began.elapsed().as_secs_f64() }.say(command.output)
}

/// A folder for the database, gone at the end unless it is kept.
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn new(keep: bool) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("ordermill-demo-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).with_context(|| format!("failed to make {}", path.display()))?;
        Ok(Self { path, keep })
    }

    fn path(&self) -> &Path {
        &self.path
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

fn database_file(folder: &Path) -> PathBuf {
    folder.join("orders.sqlite")
}

/// Everything that runs inside the demo.
struct Parts {
    bus: Bus,
    world: Arc<World>,
    schema_id: u32,
    http: Server,
    registry: Server,
}

impl Parts {
    async fn start(folder: &Path) -> anyhow::Result<Self> {
        let bus = Bus::start(1)?;
        bus.create_topic(TOPIC, PARTITIONS)?;
        let registry = Arc::new(Mutex::new(Registry::new()));
        let schemas = Arc::new(EmbeddedSchemas::new(Arc::clone(&registry)));
        let schema = tpch_schema(&*schemas as &dyn Schemas, &format!("{TOPIC}-value")).await?;
        let file = database_file(folder);
        Console::open(&file)?.run(TABLE)?;
        let sqlite = Database::open(&database::Settings::Sqlite(SqliteSettings::new(&file)))?;
        let board = Board::new()?;
        let http =
            Server::start("127.0.0.1:0", routes(Arc::clone(&board), world::rdkafka())).await?;
        let registry = Server::start("127.0.0.1:0", answers(answering(registry))).await?;
        let world = World {
            kafka: bus.settings(),
            admin: Arc::new(bus.admin()?),
            schemas,
            producer: Arc::new(Producer::new(&bus.settings())?),
            make_topics: true,
            contracts: Contracts::default(),
            contracts_folder: PathBuf::from("avro"),
            state: None,
            mail: None,
            databases: BTreeMap::from([("orders".to_owned(), Arc::new(sqlite))]),
            board,
        };
        Ok(Self { bus, world: Arc::new(world), schema_id: schema.id, http, registry })
    }

    fn introduce(&self, orders: u64, folder: &Path) {
        output::say(format!(
            "{orders} TPC-H orders through {FILE} into SQLite, all in this process\n  \
             bus       {} (embedded, keeps nothing)\n  registry  http://{}\n  metrics   http://{}/metrics\n  \
             database  {}",
            self.bus.bootstrap(),
            self.registry.address(),
            self.http.address(),
            database_file(folder).display()
        ));
    }

    /// Orders whose effects have settled.
    fn settled(&self) -> u64 {
        self.world
            .board
            .pipelines()
            .iter()
            .flat_map(|pipeline| pipeline.topics())
            .map(|(_, topic)| topic.ledger.counts().settled.records())
            .sum()
    }

    fn halted(&self) -> Option<String> {
        self.world.board.pipelines().iter().find_map(|pipeline| match pipeline.health.state() {
            State::Halted(why) => Some(why),
            _ => None,
        })
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

/// Produces the orders, never far ahead of the pipeline, and waits until all have settled.
async fn feed(parts: &Parts, orders: u64) -> anyhow::Result<Totals> {
    #[expect(clippy::cast_precision_loss, reason = "at most 1,500,000")]
    let scale = (orders + 1) as f64 / 1_500_000.0;
    let mut source = Orders::new(scale.max(0.001), parts.schema_id)?;
    let mut sender = Producer::new(&parts.bus.settings())?.bulk(5_000);
    let progress = Progress::new(orders);
    let mut watch = Watch::new();
    let topic: Arc<str> = Arc::from(TOPIC);
    while source.totals().orders < orders {
        let settled = parts.settled();
        progress.show(source.totals(), settled);
        if source.totals().orders - settled.min(source.totals().orders) >= AHEAD_MAX {
            watch.wait(parts, settled).await?;
            continue;
        }
        let more = (orders - source.totals().orders).min(2_000);
        let topic = Arc::clone(&topic);
        (source, sender) =
            tokio::task::spawn_blocking(move || push(source, sender, &topic, more)).await??;
    }
    let made = source.totals();
    let sent = tokio::task::spawn_blocking(move || sender.finish(STALLED)).await?;
    if let Some(fault) = sent.first_fault {
        bail!("{} orders could not be produced; the first: {fault}", sent.failed);
    }
    loop {
        let settled = parts.settled();
        progress.show(made, settled);
        if settled >= made.orders {
            progress.end();
            return Ok(made);
        }
        watch.wait(parts, settled).await?;
    }
}

fn push(
    mut source: Orders,
    mut sender: BulkSender,
    topic: &Arc<str>,
    count: u64,
) -> anyhow::Result<(Orders, BulkSender)> {
    for _ in 0..count {
        let Some(record) = source.next_record()? else { bail!("the generator ended early") };
        sender.push(&Outgoing { topic: Arc::clone(topic), partition: None, record });
    }
    Ok((source, sender))
}

/// Gives up when nothing moves any more.
struct Watch {
    settled: u64,
    since: Instant,
}

impl Watch {
    fn new() -> Self {
        Self { settled: 0, since: Instant::now() }
    }

    async fn wait(&mut self, parts: &Parts, settled: u64) -> anyhow::Result<()> {
        if let Some(why) = parts.halted() {
            bail!("{why}");
        }
        if settled != self.settled {
            *self = Self { settled, since: Instant::now() };
        }
        if self.since.elapsed() > STALLED {
            bail!("nothing has settled for {} s; {settled} orders had", STALLED.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(())
    }
}

/// Progress: a bar on a terminal, a line a second elsewhere.
struct Progress {
    bar: indicatif::ProgressBar,
    plain: bool,
    last: std::cell::Cell<Instant>,
}

impl Progress {
    fn new(orders: u64) -> Self {
        let plain = !io::stderr().is_terminal();
        Self { bar: bar(orders), plain, last: std::cell::Cell::new(Instant::now()) }
    }

    fn show(&self, made: Totals, settled: u64) {
        self.bar.set_position(settled);
        let lag = made.orders.saturating_sub(settled);
        self.bar.set_message(format!("lag {lag}"));
        if self.plain && self.last.get().elapsed() >= Duration::from_secs(1) {
            self.last.set(Instant::now());
            output::say(format!("produced {}  settled {settled}  lag {lag}", made.orders));
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn read_back(folder: &Path) -> anyhow::Result<(u64, i64)> {
    let row = Console::open(&database_file(folder))?.row(READ_BACK)?;
    let [count, cents] = row.as_slice() else { bail!("the query gave {} columns", row.len()) };
    Ok((count.parse()?, cents.parse()?))
}

/// What went in, what came out.
struct Verdict {
    made: Totals,
    found: (u64, i64),
    seconds: f64,
}

impl Verdict {
    fn say(&self, form: Output) -> Result<(), Failure> {
        let (rows, cents) = self.found;
        let equal = rows == self.made.orders && cents == self.made.total_cents;
        match form {
            Output::Json => output::line(json!({
                "orders": self.made.orders, "rows": rows,
                "total": money(self.made.total_cents), "sum": money(cents),
                "seconds": self.seconds, "balanced": equal,
            })),
            Output::Table => {
                let word = |equal| if equal { "yes" } else { "NO" }.to_owned();
                let count_row = vec![
                    "count of orders".into(),
                    self.made.orders.to_string(),
                    rows.to_string(),
                    word(rows == self.made.orders),
                ];
                let sum_row = vec![
                    "sum of o_totalprice".into(),
                    money(self.made.total_cents),
                    money(cents),
                    word(cents == self.made.total_cents),
                ];
                output::table(&["", "GENERATED", "BY SQL", "EQUAL"], [count_row, sum_row]);
                output::line(format!("in {:.1} s", self.seconds));
            }
        }
        if equal {
            Ok(())
        } else {
            Err(Failure::Refused("the database does not hold what was produced".into()))
        }
    }
}

fn money(cents: i64) -> String {
    rust_decimal::Decimal::new(cents, 2).to_string()
}
