//! `group lag`: how far groups are behind.

use std::collections::HashMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Failure, failed, output};
use crate::cli::args::Output;
use crate::engine::lag;
use crate::kafka;
use crate::pipeline::spec;
use crate::port::Admin as _;
use crate::record::{Fault, NextOffset, PartitionId};

/// How far a group is behind in a partition.
struct Row {
    group: String,
    partition: PartitionId,
    /// What it has committed; nothing: all that the log has is before it.
    committed: Option<NextOffset>,
    end: NextOffset,
    records: u64,
    /// The age of the first record that it has not done; nothing: none came in time.
    seconds: Option<u64>,
}

/// Shows the lag of the named pipeline or group, or of all pipelines of the files.
///
/// # Errors
/// The cluster is away or does not let us look; the files are wrong.
pub(super) async fn lag(
    admin: &kafka::Admin,
    name: Option<&str>,
    paths: &[PathBuf],
    form: Output,
) -> Result<(), Failure> {
    let pipelines = match name {
        // A group of somebody else needs no files of ours.
        Some(_) => spec::read_all(paths).unwrap_or_default(),
        None => spec::read_all(paths)?,
    };
    let ours = pipelines.into_iter().map(|pipeline| (pipeline.name, pipeline.source));
    let mut asked: Vec<(String, Vec<String>)> = ours
        .filter(|(pipeline, source)| name.is_none_or(|n| n == pipeline || n == source.group))
        .map(|(_, source)| (source.group, source.topics))
        .collect();
    if let (Some(name), true) = (name, asked.is_empty()) {
        asked.push((name.to_owned(), Vec::new()));
    }
    let mut rows = Vec::new();
    for (group, topics) in asked {
        let more = of_group(admin, &group, &topics).await.map_err(failed)?;
        if more.is_empty() {
            output::say(format!("group {group} has committed nothing"));
        }
        rows.extend(more);
    }
    match form {
        Output::Table => print(&rows),
        Output::Json => output::line(json(&rows)),
    }
    Ok(())
}

async fn of_group(admin: &kafka::Admin, group: &str, topics: &[String]) -> Result<Vec<Row>, Fault> {
    let mut partitions = Vec::new();
    for topic in topics {
        let info = admin.topic(topic).await?;
        let info = info.ok_or_else(|| {
            Fault::fatal("unknown_topic", format!("topic {topic} does not exist"))
        })?;
        partitions.extend((0..info.partitions).map(|p| PartitionId::new(topic.as_str(), p)));
    }
    if topics.is_empty() {
        partitions = admin.committed_anywhere(group).await?;
    }
    // Committed first, the end second: a lag is never negative.
    let committed = admin.committed(group, &partitions).await?;
    let ends = admin.watermarks(&partitions).await?;
    let mut rows: Vec<Row> = Vec::new();
    for ((partition, committed), ends) in partitions.into_iter().zip(committed).zip(ends) {
        let committed = committed.map(|at| at.next);
        let at = committed.unwrap_or(ends.start);
        let records = lag::records(ends.start, ends.end, at);
        let (group, end) = (group.to_owned(), ends.end);
        rows.push(Row { group, partition, committed, end, records, seconds: None });
    }
    let first = |row: &Row| (row.partition.clone(), row.committed.unwrap_or(NextOffset(0)));
    let behind = rows.iter().filter(|row| row.records > 0).map(first).collect();
    let times: HashMap<_, _> = admin.timestamps(group, behind).await?;
    let now = Timestamp::now().as_millisecond();
    for row in &mut rows {
        let age =
            times.get(&row.partition).map(|time| u64::try_from(now - time).unwrap_or(0) / 1000);
        row.seconds = if row.records == 0 { Some(0) } else { age };
    }
    Ok(rows)
}

fn print(rows: &[Row]) {
    let known = |seconds: Option<u64>| seconds.map_or_else(|| "-".to_owned(), |s| s.to_string());
    let lines = rows.iter().map(|row| {
        vec![
            row.group.clone(),
            row.partition.topic.to_string(),
            row.partition.partition.to_string(),
            row.committed.map_or_else(|| "-".to_owned(), |at| at.to_string()),
            row.end.to_string(),
            row.records.to_string(),
            known(row.seconds),
        ]
    });
    let total = || "total".to_owned();
    let sum = rows.iter().map(|row| row.records).sum::<u64>().to_string();
    let empty = String::new;
    let last = vec![total(), empty(), empty(), empty(), empty(), sum, known(worst(rows))];
    output::table(
        &["GROUP", "TOPIC", "PARTITION", "COMMITTED", "END", "RECORDS", "SECONDS"],
        lines.chain([last]),
    );
}

/// The oldest of all; nothing where one is not known.
fn worst(rows: &[Row]) -> Option<u64> {
    rows.iter().map(|row| row.seconds).try_fold(0, |worst, seconds| Some(worst.max(seconds?)))
}

fn json(rows: &[Row]) -> Value {
    let partitions = rows.iter().map(|row| {
        json!({
            "group": row.group,
            "topic": &*row.partition.topic,
            "partition": row.partition.partition,
            "committed": row.committed.map(|at| at.0),
            "end": row.end.0,
            "records": row.records,
            "seconds": row.seconds,
        })
    });
    json!({
        "records": rows.iter().map(|row| row.records).sum::<u64>(),
        "seconds": worst(rows),
        "partitions": partitions.collect::<Vec<_>>(),
    })
}
