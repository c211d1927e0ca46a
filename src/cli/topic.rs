//! `topic`: the topics that there are, and those that files name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{anyhow, bail};
use serde_json::{Value as Json, json};

use super::args::{Common, Output};
use super::{Failure, output, world};
use crate::config::units;
use crate::kafka::{Admin, Cluster, NewTopic, TopicSetting, TopicState};
use crate::pipeline::spec;
use crate::pipeline::topics::{self, Named};
use crate::port::{Admin as _, Watermarks};
use crate::record::PartitionId;

/// `topic`
#[derive(Debug, clap::Args)]
pub(super) struct Topic {
    #[command(subcommand)]
    command: TopicCommand,
}

#[derive(Debug, clap::Subcommand)]
enum TopicCommand {
    /// All topics with their partitions and copies
    #[command(after_help = "\
Example: the topics whose copies are not all up to date
  ordermill topic list -o json | jq 'select(.under_replicated > 0)'")]
    List {
        /// Kafka's own too: those whose names begin with __
        #[arg(long)]
        all: bool,
        /// How the result is printed
        #[arg(long, short, default_value = "table", value_name = "table|json")]
        #[arg(hide_possible_values = true)]
        output: Output,
    },
    /// A topic's partitions, their ends and copies, and its own settings
    #[command(after_help = "\
Example:
  ordermill topic describe orders.created")]
    Describe {
        /// The topic
        topic: String,
        /// How the result is printed
        #[arg(long, short, default_value = "table", value_name = "table|json")]
        #[arg(hide_possible_values = true)]
        output: Output,
    },
    /// Make the topics that files name: sources, outputs, dead letters
    Apply(Apply),
}

/// `topic apply`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: look, then do it
  ordermill topic apply pipelines
  ordermill topic apply pipelines --partitions 24 --execute

Without --execute the difference is shown and nothing is done. What is there
is never changed: how it differs is said. Outputs and dead letters get as
many partitions as the source that they are written from.")]
struct Apply {
    /// Pipeline files, or folders of them
    #[arg(default_value = "pipelines", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Partitions of a source that is missing
    #[arg(long, default_value_t = 12, value_name = "COUNT")]
    #[arg(value_parser = clap::value_parser!(i32).range(1..=100_000))]
    partitions: i32,
    /// Copies of each partition [default: 3, or as many as there are brokers]
    #[arg(long, value_name = "COUNT")]
    #[arg(value_parser = clap::value_parser!(i32).range(1..=1000))]
    replication_factor: Option<i32>,
    /// How long dead letters are kept
    #[arg(long, default_value = "30d", value_name = "DURATION", value_parser = retention)]
    dead_letter_retention: Duration,
    /// Do it
    #[arg(long)]
    execute: bool,
    /// How the result is printed
    #[arg(long, short, default_value = "table", value_name = "table|json")]
    #[arg(hide_possible_values = true)]
    output: Output,
}

/// Copies of a partition where there are brokers enough.
const COPIES: usize = 3;
/// How long a topic that was made may stay unseen.
const SEEN_WITHIN: Duration = Duration::from_secs(15);
const RETENTION: &str = "retention.ms";

fn retention(text: &str) -> Result<Duration, String> {
    let found = units::duration(text).filter(|duration| !duration.is_zero());
    found.ok_or_else(|| "a duration with its unit, such as 30d".to_owned())
}

/// Does what was asked of topics.
///
/// # Errors
/// The cluster is away, or does not let us; 78: a file is wrong.
pub(super) async fn topic(common: &Common, command: &Topic) -> Result<(), Failure> {
    let config = world::config(common, None)?;
    let pipelines = match &command.command {
        TopicCommand::Apply(apply) => spec::read_all(&apply.paths)?,
        TopicCommand::List { .. } | TopicCommand::Describe { .. } => Vec::new(),
    };
    let admin = Admin::new(&world::kafka(&config)?).map_err(|e| e.fault())?;
    match &command.command {
        TopicCommand::List { all, output } => list(&admin.cluster().await?, *all, *output),
        TopicCommand::Describe { topic, output } => {
            let described = describe(&admin, topic).await?;
            match output {
                Output::Table => described.print(),
                Output::Json => output::line(described.json()),
            }
        }
        TopicCommand::Apply(command) => apply(&admin, &pipelines, command).await?,
    }
    Ok(())
}

fn list(cluster: &Cluster, all: bool, output: Output) {
    let shown = cluster.topics.iter().filter(|(name, _)| all || !name.starts_with("__"));
    match output {
        Output::Json => shown.for_each(|(name, topic)| output::line(listed(name, topic))),
        Output::Table => {
            let row = |(name, topic): (&String, &TopicState)| {
                vec![
                    name.clone(),
                    topic.count().to_string(),
                    topic.replication().to_string(),
                    topic.under_replicated().to_string(),
                ]
            };
            let heading = ["TOPIC", "PARTITIONS", "COPIES", "UNDER-REPLICATED"];
            output::table(&heading, shown.map(row));
        }
    }
}

fn listed(name: &str, topic: &TopicState) -> Json {
    json!({
        "topic": name,
        "partitions": topic.count(),
        "replication": topic.replication(),
        "under_replicated": topic.under_replicated(),
    })
}

/// A topic as it is shown.
struct Described {
    name: String,
    id: String,
    topic: TopicState,
    ends: Vec<Watermarks>,
    /// Those that were set for it alone; `None`: the cluster does not tell.
    settings: Option<BTreeMap<String, TopicSetting>>,
}

async fn describe(admin: &Admin, name: &str) -> Result<Described, Failure> {
    let absent = || anyhow!("topic {name} does not exist");
    let info = admin.topic(name).await?.ok_or_else(absent)?;
    let topic = admin.cluster().await?.topics.remove(name).ok_or_else(absent)?;
    let ids: Vec<_> =
        topic.partitions.iter().map(|p| PartitionId::new(name, p.partition)).collect();
    let ends = admin.watermarks(&ids).await?;
    let settings = admin.topic_settings(vec![name.to_owned()]).await?;
    let own = |all: BTreeMap<String, TopicSetting>| {
        all.into_iter().filter(|(_, setting)| setting.own).collect()
    };
    let settings = settings.and_then(|mut all| all.remove(name)).map(own);
    Ok(Described { name: name.to_owned(), id: info.id.to_string(), topic, ends, settings })
}

impl Described {
    fn print(&self) {
        let (name, id) = (&self.name, &self.id);
        let (count, copies) = (self.topic.count(), self.topic.replication());
        output::line(format!("topic {name}: id {id}, {count} partitions, copies {copies}"));
        match &self.settings {
            None => output::line("settings: this cluster does not tell"),
            Some(own) if own.is_empty() => output::line("settings: the brokers'"),
            Some(own) => {
                for (name, setting) in own {
                    let value = setting.value.as_deref().unwrap_or("(not shown)");
                    output::line(format!("setting {name}: {value}"));
                }
            }
        }
        let brokers =
            |ids: &[i32]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let rows = self.topic.partitions.iter().zip(&self.ends).map(|(partition, ends)| {
            vec![
                partition.partition.to_string(),
                ends.start.to_string(),
                ends.end.to_string(),
                partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
                brokers(&partition.replicas),
                brokers(&partition.in_sync),
            ]
        });
        let heading = ["PARTITION", "START", "END", "LEADER", "COPIES-ON", "IN-SYNC"];
        output::table(&heading, rows);
    }

    fn json(&self) -> Json {
        let rows = self.topic.partitions.iter().zip(&self.ends).map(|(partition, ends)| {
            json!({
                "partition": partition.partition,
                "start": ends.start.0,
                "end": ends.end.0,
                "leader": partition.leader,
                "replicas": partition.replicas,
                "in_sync": partition.in_sync,
            })
        });
        let own = self.settings.as_ref().map(|own| {
            own.iter()
                .map(|(name, setting)| (name.clone(), json!(setting.value)))
                .collect::<serde_json::Map<_, _>>()
        });
        let mut json = listed(&self.name, &self.topic);
        json["id"] = json!(self.id);
        json["settings"] = json!(own);
        json["partitions"] = rows.collect();
        json
    }
}

/// What becomes of a topic that files name.
struct Row {
    name: String,
    uses: Vec<String>,
    /// To be made so; `None`: it is there.
    new: Option<NewTopic>,
    partitions: i32,
    replication: i32,
    /// How what is there differs from what would be made.
    differs: Vec<String>,
}

async fn apply(
    admin: &Admin,
    pipelines: &[spec::Pipeline],
    command: &Apply,
) -> Result<(), Failure> {
    let rows = plan(admin, &topics::named(pipelines), command).await?;
    show(&rows, command.output);
    let missing: Vec<&NewTopic> = rows.iter().filter_map(|row| row.new.as_ref()).collect();
    match (missing.len(), command.execute) {
        (0, _) => output::say("every topic is there"),
        (count, false) => output::say(format!(
            "{} missing; nothing was done: --execute makes {}",
            if count == 1 { "1 topic is".to_owned() } else { format!("{count} topics are") },
            if count == 1 { "it" } else { "them" }
        )),
        (count, true) => {
            for new in missing {
                make(admin, new).await?;
            }
            output::say(format!("made: {count}"));
        }
    }
    Ok(())
}

async fn plan(admin: &Admin, named: &[Named], command: &Apply) -> Result<Vec<Row>, Failure> {
    let cluster = admin.cluster().await?;
    let there: BTreeMap<String, i32> =
        cluster.topics.iter().map(|(name, topic)| (name.clone(), topic.count())).collect();
    let counts = topics::counts(named, &there, command.partitions);
    let brokers = i32::try_from(cluster.brokers.clamp(1, COPIES)).unwrap_or(1);
    let copies = command.replication_factor.unwrap_or(brokers);
    let letters: Vec<String> = named
        .iter()
        .filter(|topic| topic.is_dead_letters() && there.contains_key(&topic.name))
        .map(|topic| topic.name.clone())
        .collect();
    let settings = admin.topic_settings(letters).await?.unwrap_or_default();
    let kept = i64::try_from(command.dead_letter_retention.as_millis()).unwrap_or(i64::MAX);
    let row = |topic: &Named| {
        let partitions = counts.get(&topic.name).copied().unwrap_or(command.partitions);
        let found = cluster.topics.get(&topic.name);
        let settings = settings.get(&topic.name);
        Row {
            name: topic.name.clone(),
            uses: topic.uses.iter().map(ToString::to_string).collect(),
            new: found.is_none().then(|| NewTopic {
                name: topic.name.clone(),
                partitions,
                replication: copies,
                settings: match topic.is_dead_letters() {
                    true => vec![(RETENTION.to_owned(), kept.to_string())],
                    false => Vec::new(),
                },
            }),
            partitions,
            replication: found
                .map_or(copies, |found| i32::try_from(found.replication()).unwrap_or(i32::MAX)),
            differs: found.map_or_else(Vec::new, |found| {
                differences(topic, found, &counts, copies, settings, kept)
            }),
        }
    };
    Ok(named.iter().map(row).collect())
}

fn differences(
    topic: &Named,
    found: &TopicState,
    counts: &BTreeMap<String, i32>,
    copies: i32,
    settings: Option<&BTreeMap<String, TopicSetting>>,
    kept_ms: i64,
) -> Vec<String> {
    let mut differs = Vec::new();
    let count = found.count();
    if let Some((least, whose)) = topic.least(counts).filter(|(least, _)| count < *least) {
        differs.push(format!("has {count} partitions, {least} wanted as {whose}"));
    }
    let has = found.replication();
    if i32::try_from(has).is_ok_and(|has| has < copies) {
        differs.push(format!("copies {has}, {copies} wanted"));
    }
    let has = settings.and_then(|settings| settings.get(RETENTION)?.value.as_ref()?.parse().ok());
    // Below 0: for ever.
    if let Some(has) = has.filter(|has: &i64| (0..kept_ms).contains(has)) {
        differs.push(format!("{RETENTION} {has}, {kept_ms} wanted"));
    }
    differs
}

fn show(rows: &[Row], output: Output) {
    match output {
        Output::Json => rows.iter().for_each(|row| output::line(row.json())),
        Output::Table => {
            let heading = ["", "TOPIC", "PARTITIONS", "COPIES", "WHAT FOR"];
            output::table(&heading, rows.iter().map(Row::cells));
            for row in rows {
                for differs in &row.differs {
                    output::say(format!("{}: {differs}; left as it is", row.name));
                }
            }
        }
    }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let mark = match (&self.new, self.differs.is_empty()) {
            (Some(_), _) => "+",
            (None, true) => "=",
            (None, false) => "~",
        };
        vec![
            mark.to_owned(),
            self.name.clone(),
            self.partitions.to_string(),
            self.replication.to_string(),
            self.uses.join(", "),
        ]
    }

    fn json(&self) -> Json {
        let settings = self.new.iter().flat_map(|new| &new.settings);
        let settings = settings.map(|(name, value)| (name.clone(), json!(value)));
        json!({
            "topic": self.name,
            "missing": self.new.is_some(),
            "partitions": self.partitions,
            "replication": self.replication,
            "settings": settings.collect::<serde_json::Map<_, _>>(),
            "uses": self.uses,
            "differs": self.differs,
        })
    }
}

/// Makes a topic, and returns when it is seen: what runs next may need it.
async fn make(admin: &Admin, new: &NewTopic) -> anyhow::Result<()> {
    admin.make_topic(new.clone()).await?;
    let seen = async {
        while admin.topic(&new.name).await?.is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    };
    match tokio::time::timeout(SEEN_WITHIN, seen).await {
        Ok(seen) => seen,
        Err(_) => bail!("topic {} was made and is not seen after {SEEN_WITHIN:?}", new.name),
    }
}
