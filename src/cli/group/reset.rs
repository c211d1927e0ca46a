//! `group reset`: the plan, and doing it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Failure, Shown, failed, output, world};
use crate::cli::args::Output;
use crate::config::{Config, units};
use crate::kafka;
use crate::pipeline::spec;
use crate::port::Admin as _;
use crate::record::{NextOffset, PartitionId};
use crate::replay::plan::{Meaning, Row, To};
use crate::replay::{self, Error};

/// `group reset`
#[derive(Debug, clap::Args)]
#[command(override_usage = "ordermill group reset [OPTIONS] <--to-…|--from-file> <NAME> [PATH]...")]
#[command(after_help = "\
Without --execute nothing is changed: the plan says where each partition
stands, where it would go, and what the pipeline's sink does with the records
that it reads again. A group that has members is not moved. What was ended
half-way is repaired by the same command, given again.

Examples:
  ordermill group reset inventory --to-earliest
  ordermill group reset inventory --to-offset orders.created:3=1200 --execute
  ordermill group reset inventory --to-datetime 2026-01-05T10:00:00Z
  ordermill group reset inventory --from-file offsets.csv")]
pub(super) struct Reset {
    /// A pipeline or its group
    name: String,
    /// Pipeline files, or folders of them
    #[arg(default_value = "pipelines", value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    target: Target,
    /// Only this topic of the pipeline; may be given again
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Do it
    #[arg(long)]
    execute: bool,
    #[command(flatten)]
    shown: Shown,
}

/// Where to.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// To the beginning of each log
    #[arg(long)]
    to_earliest: bool,
    /// To an offset: of one partition, or a number for all of them
    #[arg(long, value_name = "TOPIC:PARTITION=OFFSET", value_parser = offset)]
    to_offset: Vec<Offset>,
    /// To the first record of that time or later; with its zone
    #[arg(long, value_name = "TIME", value_parser = time)]
    to_datetime: Option<i64>,
    /// To the offsets of a file of Kafka's: topic,partition,offset
    #[arg(long, value_name = "CSV")]
    from_file: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Offset {
    All(NextOffset),
    One(PartitionId, NextOffset),
}

fn offset(text: &str) -> Result<Offset, String> {
    let number = |text: &str| text.parse().ok().filter(|n| *n >= 0).map(NextOffset);
    let one = || {
        let (partition, at) = text.rsplit_once('=')?;
        let (topic, partition) = partition.rsplit_once(':')?;
        let partition = partition.parse().ok().filter(|n| *n >= 0)?;
        Some(Offset::One(PartitionId::new(topic, partition), number(at)?))
    };
    let found = one().or_else(|| number(text).map(Offset::All));
    found.ok_or_else(|| "write orders.created:3=1200, or 1200 for all partitions".to_owned())
}

fn time(text: &str) -> Result<i64, String> {
    let found = units::time(text).map(jiff::Timestamp::as_millisecond);
    found.ok_or_else(|| "write a time with its zone: 2026-01-05T10:00:00Z".to_owned())
}

/// Plans a reset, and does it where that is asked.
///
/// # Errors
/// There is no such pipeline or place; the group has members or its sink refuses; cluster or database are
/// away.
pub(super) async fn reset(
    config: &Config,
    admin: &kafka::Admin,
    asked: &Reset,
) -> Result<(), Failure> {
    let pipelines = spec::read_all(&asked.paths)?;
    spec::fit(&pipelines, config)?;
    let found = pipelines
        .into_iter()
        .find(|pipeline| pipeline.name == asked.name || pipeline.source.group == asked.name);
    let Some(pipeline) = found else {
        let paths: Vec<_> = asked.paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Failure::Refused(format!(
            "no pipeline or group {} in {}: its file says what a reset means for its effects; name the \
             file or folder, or move a group of somebody else by Kafka's own tool",
            asked.name,
            paths.join(", ")
        )));
    };
    let databases = world::databases(config)?;
    let state = config.state.as_ref().and_then(|name| databases.get(name));
    let to = to(asked, &pipeline, admin).await?;
    let by_name = |name: &str| databases.get(name).map(Arc::clone);
    let plan = replay::look(&pipeline, (&asked.topic, &to), admin, by_name, state).await;
    let plan = plan.map_err(not_moved)?;
    if asked.shown.output == Output::Table {
        print(&pipeline, &plan);
    }
    let done = match asked.execute {
        true => replay::execute(&plan, admin).await.map_err(not_moved),
        false => refused(&plan),
    };
    let executed = asked.execute && done.is_ok();
    match asked.shown.output {
        Output::Json => output::line(json(&pipeline, &plan, executed)),
        Output::Table if executed => output::line("done"),
        Output::Table if done.is_ok() => output::line("nothing was changed; --execute does it"),
        Output::Table => {}
    }
    done
}

/// A plan that nobody may carry out ends as its execution would.
fn refused(plan: &replay::Reset) -> Result<(), Failure> {
    match plan.meaning {
        Meaning::Refused(why) => Err(not_moved(Error::Refused { group: plan.group.clone(), why })),
        Meaning::Again(_) | Meaning::Skipped => Ok(()),
    }
}

fn not_moved(error: Error) -> Failure {
    match error {
        Error::Fault(fault) => failed(fault),
        other => Failure::Refused(other.to_string()),
    }
}

async fn to(asked: &Reset, pipeline: &spec::Pipeline, admin: &kafka::Admin) -> Result<To, Failure> {
    let target = &asked.target;
    if let Some(time) = target.to_datetime {
        return Ok(To::Time(time));
    }
    if let Some(file) = &target.from_file {
        return Ok(To::Offsets(from_file(file)?));
    }
    if target.to_earliest {
        return Ok(To::Earliest);
    }
    let mut offsets = BTreeMap::new();
    for offset in &target.to_offset {
        match offset {
            Offset::One(partition, at) => {
                offsets.insert(partition.clone(), *at);
            }
            Offset::All(at) => {
                let topics = match (&*asked.topic, &*pipeline.source.topics) {
                    ([], [one]) => std::slice::from_ref(one),
                    ([], _) => {
                        let what = "one number for all partitions needs --topic: this pipeline has several";
                        return Err(Failure::Refused(what.to_owned()));
                    }
                    (named, _) => named,
                };
                for topic in topics {
                    let info = admin.topic(topic).await.map_err(failed)?;
                    let partitions = info.map_or(0, |info| info.partitions);
                    let all = (0..partitions).map(|p| PartitionId::new(topic.as_str(), p));
                    offsets.extend(all.map(|partition| (partition, *at)));
                }
            }
        }
    }
    Ok(To::Offsets(offsets))
}

/// Reads Kafka's form, which has no heading.
fn from_file(file: &Path) -> Result<BTreeMap<PartitionId, NextOffset>, Failure> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("failed to read {}", file.display()))?;
    let mut offsets = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let number: usize = number;
        let fields: Vec<&str> =
            line.split(',').map(|field| field.trim().trim_matches('"')).collect();
        let read = match &*fields {
            [topic, partition, at] => {
                partition.parse().ok().zip(at.parse().ok()).map(|(partition, at): (i32, i64)| {
                    (PartitionId::new(*topic, partition), NextOffset(at))
                })
            }
            _ => None,
        };
        let at = format!("{}:{number}", file.display());
        let Some((partition, next)) = read else {
            let what = format!("{at}: `{line}` is not topic,partition,offset");
            return Err(Failure::Refused(what));
        };
        if offsets.insert(partition.clone(), next).is_some() {
            return Err(Failure::Refused(format!("{at}: {partition} stands there twice")));
        }
    }
    Ok(offsets)
}

fn print(pipeline: &spec::Pipeline, plan: &replay::Reset) {
    let file = pipeline.file.display();
    output::line(format!("group {} of pipeline {} ({file})", plan.group, pipeline.name));
    let rows = plan.rows.iter().map(|row| {
        vec![
            row.partition.topic.to_string(),
            row.partition.partition.to_string(),
            row.from.map_or_else(|| "-".to_owned(), |from| from.to_string()),
            row.to.to_string(),
            records(row),
        ]
    });
    output::table(&["TOPIC", "PARTITION", "FROM", "TO", "RECORDS"], rows);
    output::line(Sentence(plan));
    if !plan.members.is_empty() {
        let members = super::members(plan.members.len());
        output::line(format!("the group has {members}: it is moved only when it has none"));
    }
}

fn records(row: &Row) -> String {
    match (row.again(), row.passed_over()) {
        (0, 0) => "-".to_owned(),
        (0, over) => format!("{over} passed over"),
        (again, _) => format!("{again} again"),
    }
}

/// What will happen, for a person.
struct Sentence<'a>(&'a replay::Reset);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(plan) = self;
        let sum = |of: fn(&Row) -> u64| plan.rows.iter().map(of).sum::<u64>();
        match plan.meaning {
            Meaning::Refused(why) => write!(f, "refused: {why}"),
            Meaning::Again(how) => {
                write!(f, "{} records are read again: {how}", sum(Row::again))
            }
            Meaning::Skipped => write!(
                f,
                "{} records are read again: {} of them lie below the replay mark and are passed over, since \
                 their effects have happened (`on_replay: skip`)",
                sum(Row::again),
                plan.rows.iter().map(|row| row.replayed().min(row.again())).sum::<u64>()
            ),
        }?;
        match sum(Row::passed_over) {
            0 => Ok(()),
            over => write!(f, "; {over} records are passed over and never read"),
        }
    }
}

fn json(pipeline: &spec::Pipeline, plan: &replay::Reset, executed: bool) -> Value {
    let rows = plan.rows.iter().map(|row| {
        json!({
            "topic": &*row.partition.topic,
            "partition": row.partition.partition,
            "from": row.from.map(|at| at.0),
            "to": row.to.0,
            "again": row.again(),
            "passed_over": row.passed_over(),
            "replayed": row.replayed(),
        })
    });
    json!({
        "group": plan.group,
        "pipeline": pipeline.name,
        "replay": match plan.meaning {
            Meaning::Again(_) => "run",
            Meaning::Skipped => "skip",
            Meaning::Refused(_) => "refused",
        },
        "meaning": Sentence(plan).to_string(),
        "members": plan.members.iter().map(|member| &member.client_id).collect::<Vec<_>>(),
        "executed": executed,
        "partitions": rows.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_of_one_partition_or_of_all_and_nothing_else() {
        let one = |topic: &str, partition, at| {
            Ok(Offset::One(PartitionId::new(topic, partition), NextOffset(at)))
        };
        assert_eq!(offset("a.b:3=12"), one("a.b", 3, 12));
        assert_eq!(offset("12"), Ok(Offset::All(NextOffset(12))));
        for wrong in ["", "a", "a:=1", "a:1=", "a:1=-2", "-1", "a=1", "a:-1=2"] {
            assert!(offset(wrong).is_err(), "{wrong}");
        }
        assert_eq!(time("2026-01-05T10:00:00+01:00"), Ok(1_767_603_600_000));
        assert!(time("2026-01-05T10:00:00").unwrap_err().contains("zone"));
    }

    #[test]
    fn kafkas_file_is_read_and_its_wrong_line_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            from_file(file.path()).map_err(|e| e.to_string())
        };
        let all = read("orders,0,5\n\"orders\",1,7\n\n").unwrap();
        let at = |number| all[&PartitionId::new("orders", number)].0;
        assert_eq!((at(0), at(1), all.len()), (5, 7, 2));
        assert!(read("orders,0,5\norders;1;5\n").unwrap_err().contains(":2: "));
        assert!(read("orders,0,5\norders,0,6\n").unwrap_err().contains("twice"));
    }
}
