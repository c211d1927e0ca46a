//! `produce`: events to a topic, as Avro under the registry's schema.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use bumpalo::Bump;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::args::{Common, Output};
use super::tpch::Orders;
use super::{Failure, output, world};
use crate::codec::{Encoder, Schema, frame, json as events};
use crate::kafka::{self, BulkCounts, BulkSender, Producer};
use crate::port::{Admin as _, Outgoing, Registered, SchemaText, Schemas};
use crate::record::{OwnedRecord, Shape};

/// `produce`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: an order, its key the order's id
  echo '{\"order_id\":\"0190a1b2-0000-7000-8000-000000000001\",
    \"product_name\":\"lamp\",\"quantity\":2,
    \"created_at\":\"2026-01-05T10:00:00Z\"}' | tr -d '\\n' |
    ordermill produce orders.created - --key order_id")]
#[command(group = clap::ArgGroup::new("events").required(true).args(["file", "tpch"]))]
#[command(override_usage = "ordermill produce [OPTIONS] <TOPIC> <FILE|--tpch <SCALE>>")]
pub(super) struct Produce {
    /// The topic
    topic: String,
    /// Events as JSON lines; - for standard input
    file: Option<PathBuf>,
    /// TPC-H orders by order key; scale 1 has 1,500,000
    #[arg(long, value_name = "SCALE")]
    tpch: Option<f64>,
    /// The subject of the schema [default: TOPIC-value]
    #[arg(long)]
    subject: Option<String>,
    /// The field that becomes the record's key
    #[arg(long, value_name = "FIELD")]
    key: Option<String>,
    /// How the result is printed
    #[arg(long, short, default_value = "table", value_name = "table|json")]
    #[arg(hide_possible_values = true)]
    output: Output,
}

/// Records sent and not yet acknowledged.
const IN_FLIGHT: usize = 20_000;
/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How long the last acknowledgements may take.
const FINISH_WITHIN: Duration = Duration::from_secs(60);

/// Produces what was asked for.
///
/// # Errors
/// A line that is not an event of the schema (with its number), a registry or a broker that refuses.
pub(super) async fn produce(common: &Common, command: &Produce) -> Result<(), Failure> {
    let config = world::config(common, None)?;
    let schemas = world::registry(&config)?;
    let kafka = world::kafka(&config)?;
    there(&kafka, &command.topic).await?;
    let producer = Producer::new(&kafka).context("failed to make a producer")?;
    let subject = command.subject.clone().unwrap_or_else(|| format!("{}-value", command.topic));
    let schema = match command.tpch {
        Some(_) => tpch_schema(&schemas, &subject).await?,
        None => latest(&schemas, &subject).await?,
    };
    let topic: Arc<str> = Arc::from(command.topic.as_str());
    let began = Instant::now();
    let sent = {
        let (topic, producer) = (Arc::clone(&topic), producer.clone());
        let (file, key, tpch) = (command.file.clone(), command.key.clone(), command.tpch);
        let work = move || match (tpch, file) {
            (Some(scale), _) => send_tpch(&producer, &topic, scale, schema.id),
            (None, Some(file)) => send_lines(&producer, &topic, &file, &schema, key.as_deref()),
            (None, None) => bail!("nothing to produce"),
        };
        tokio::task::spawn_blocking(work).await.context("the producing thread ended")??
    };
    let seconds = began.elapsed().as_secs_f64();
    match command.output {
        Output::Json => output::line(json!({
            "topic": &*topic, "delivered": sent.delivered, "failed": sent.failed,
        })),
        Output::Table => output::line(format!(
            "{} records to {topic} in {seconds:.1} s, {} failed",
            sent.delivered, sent.failed
        )),
    }
    match sent.first_fault {
        Some(fault) => {
            Err(Failure::Refused(format!("{} records failed; the first: {fault}", sent.failed)))
        }
        None => Ok(()),
    }
}

/// Is the topic there? A record to one that is not would only end with its delivery time-out.
async fn there(kafka: &kafka::Settings, topic: &str) -> anyhow::Result<()> {
    let found = kafka::Admin::new(kafka).map_err(|e| e.fault())?.topic(topic).await?;
    found.map(|_| ()).ok_or_else(|| anyhow!("topic {topic} does not exist; create it first"))
}

/// Finds the newest version of a subject.
async fn latest(schemas: &dyn Schemas, subject: &str) -> anyhow::Result<Registered> {
    schemas.latest(subject).await?.ok_or_else(|| {
        anyhow!("the registry has no subject {subject}; register its schema: ordermill schema register {subject}")
    })
}

/// The generator's own contract, registered under the subject.
async fn tpch_schema(schemas: &dyn Schemas, subject: &str) -> anyhow::Result<Registered> {
    let schema = SchemaText { text: super::tpch::CONTRACT.to_owned(), references: Vec::new() };
    let id = schemas.register(subject, &schema).await?;
    Ok(Registered { subject: subject.to_owned(), version: 1, id, schema: Arc::new(schema) })
}

/// Sends all orders of a scale. Blocks.
fn send_tpch(
    producer: &Producer,
    topic: &Arc<str>,
    scale: f64,
    schema_id: u32,
) -> anyhow::Result<BulkCounts> {
    let mut orders = Orders::new(scale, schema_id)?;
    let mut sender = producer.bulk(IN_FLIGHT);
    let progress = bar(Orders::count(scale));
    while let Some(record) = orders.next_record()? {
        sender.push(&Outgoing { topic: Arc::clone(topic), partition: None, record });
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(sender.finish(FINISH_WITHIN))
}

/// A bar on a terminal's stderr; nothing elsewhere.
fn bar(length: u64) -> ProgressBar {
    let target = if io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} {per_sec} {msg}");
    style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
}

fn send_lines(
    producer: &Producer,
    topic: &Arc<str>,
    file: &Path,
    schema: &Registered,
    key: Option<&str>,
) -> anyhow::Result<BulkCounts> {
    let references: Vec<&str> = schema.schema.references.iter().map(|r| r.text.as_str()).collect();
    let parsed = Schema::parse(&schema.schema.text, &references)?;
    let shape = parsed.shape();
    let encoder = Encoder::compile(&parsed, &shape)?;
    if let Some(key) = key
        && shape.field(key).is_none()
    {
        bail!("--key {key}: the schema of {} has no such field", schema.subject);
    }
    let from: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file).with_context(|| format!("failed to open {}", file.display()))?)
    };
    let mut lines = Lines { from: BufReader::new(from), number: 0 };
    let mut sender = producer.bulk(IN_FLIGHT);
    let writing = Writing { shape: &shape, encoder: &encoder, id: schema.id, key };
    let read = read_all(&mut lines, &writing, topic, &mut sender);
    let counts = sender.finish(FINISH_WITHIN);
    read.with_context(|| {
        format!(
            "failed at {}:{}; {} records before it were sent",
            file.display(),
            lines.number,
            counts.delivered
        )
    })?;
    Ok(counts)
}

struct Writing<'a> {
    shape: &'a Shape,
    encoder: &'a Encoder,
    id: u32,
    key: Option<&'a str>,
}

fn read_all(
    lines: &mut Lines,
    writing: &Writing<'_>,
    topic: &Arc<str>,
    sender: &mut BulkSender,
) -> anyhow::Result<()> {
    let mut bump = Bump::new();
    while let Some(line) = lines.next()? {
        if line.trim().is_empty() {
            continue;
        }
        let event: serde_json::Value = serde_json::from_str(&line)?;
        let fields = events::read(writing.shape, &event, &bump)?;
        let mut value = Vec::with_capacity(line.len());
        frame::put(writing.id, &mut value);
        writing.encoder.encode(fields, &mut value)?;
        let key = writing.key.and_then(|field| match event.get(field) {
            Some(serde_json::Value::String(text)) => Some(text.clone().into_bytes()),
            Some(serde_json::Value::Null) | None => None,
            Some(other) => Some(other.to_string().into_bytes()),
        });
        let record = OwnedRecord { key, value: Some(value), ..OwnedRecord::default() };
        sender.push(&Outgoing { topic: Arc::clone(topic), partition: None, record });
        bump.reset();
    }
    Ok(())
}

/// Lines with their number, none longer than the limit.
struct Lines {
    from: BufReader<Box<dyn Read>>,
    number: u64,
}

impl Lines {
    fn next(&mut self) -> anyhow::Result<Option<String>> {
        let mut line = String::new();
        self.number += 1;
        let read = (&mut self.from).take(LINE_BYTES_MAX).read_line(&mut line)?;
        if read as u64 == LINE_BYTES_MAX {
            bail!("the line is longer than 16 MiB");
        }
        Ok((read > 0).then_some(line))
    }
}
