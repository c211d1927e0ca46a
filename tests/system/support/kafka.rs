//! Kafka seen through its own command line tools: an oracle that shares no code with what it judges.
//!
//! A tool takes about a second: ask once and rarely, not in a tight loop.

use std::collections::BTreeMap;
use std::process::Command;

use super::service::Service;
use super::shell::{output, output_of_input, script, try_output};

/// A running broker.
#[derive(Debug)]
pub(crate) struct Kafka {
    bootstrap: String,
}

/// Where a group stands in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupOffset {
    /// The committed offset: the next to read. None where the group has committed nothing.
    pub(crate) committed: Option<i64>,
    /// The partition's end.
    pub(crate) end: i64,
    /// Who reads it; None while nobody does.
    pub(crate) member: Option<String>,
}

impl Kafka {
    pub(crate) fn new(bootstrap: String) -> Self {
        Self { bootstrap }
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// A tool's command with the broker's address given, for what the methods below do not ask.
    pub(crate) fn tool(&self, class: &str) -> Command {
        let mut tool = script("kafka-tool");
        tool.args([class, "--bootstrap-server", &self.bootstrap]);
        tool
    }

    /// Makes a topic with these `NAME=VALUE` settings.
    #[track_caller]
    pub(crate) fn create_topic(&self, topic: &str, partitions: u32, settings: &[&str]) {
        let mut tool = self.tool("TopicCommand");
        tool.args(["--create", "--topic", topic, "--partitions"]).arg(partitions.to_string());
        for setting in settings {
            tool.args(["--config", setting]);
        }
        output(&mut tool);
    }

    /// The names of all topics.
    #[track_caller]
    pub(crate) fn topics(&self) -> Vec<String> {
        let said = output(self.tool("TopicCommand").arg("--list"));
        said.lines().map(str::to_owned).collect()
    }

    /// Produces records with acks=all and returns when they are acknowledged. A key must hold no tab, neither a line end.
    #[track_caller]
    pub(crate) fn produce(&self, topic: &str, records: &[(&str, &str)]) {
        let lines: String =
            records.iter().map(|(key, value)| format!("{key}\t{value}\n")).collect();
        let mut tool = self.tool("ConsoleProducer");
        tool.args(["--topic", topic])
            .args(["--command-property", "acks=all"])
            .args(["--reader-property", "parse.key=true"]);
        output_of_input(&mut tool, lines.as_bytes());
    }

    /// The end of each partition: the offset that its next record gets.
    #[track_caller]
    pub(crate) fn end_offsets(&self, topic: &str) -> BTreeMap<i32, i64> {
        let said = output(
            self.tool("GetOffsetShell")
                .args(["--topic-partitions", &format!("{topic}:")])
                .args(["--time", "latest"]),
        );
        said.lines().map(end_offset).collect()
    }

    /// Where the group stands, by topic and partition; empty for a group that does not exist.
    #[track_caller]
    pub(crate) fn group(&self, group: &str) -> BTreeMap<(String, i32), GroupOffset> {
        self.groups(&[group])
    }

    /// The same for groups that have no topic in common.
    #[track_caller]
    pub(crate) fn groups(&self, groups: &[&str]) -> BTreeMap<(String, i32), GroupOffset> {
        let mut tool = self.tool("ConsumerGroupCommand");
        tool.arg("--describe");
        for group in groups {
            tool.args(["--group", group]);
        }
        match try_output(&mut tool) {
            Ok(said) => group_offsets(&said),
            Err(said) if said.contains("does not exist") => BTreeMap::new(),
            Err(said) => panic!("{said}"),
        }
    }

    /// How many records of the topic the group has not committed; what was never committed counts in full.
    #[track_caller]
    pub(crate) fn lag(&self, group: &str, topic: &str) -> i64 {
        let committed = self.group(group);
        let behind = |(partition, end): (i32, i64)| {
            let at = committed.get(&(topic.to_owned(), partition));
            end - at.and_then(|at| at.committed).unwrap_or(0)
        };
        self.end_offsets(topic).into_iter().map(behind).sum()
    }

    /// Moves a group without members by Kafka's own reset, as in `&["--to-offset", "3"]`.
    #[track_caller]
    pub(crate) fn reset_group(&self, group: &str, topic: &str, to: &[&str]) {
        let mut tool = self.tool("ConsumerGroupCommand");
        tool.args(["--reset-offsets", "--group", group, "--topic", topic])
            .args(to)
            .arg("--execute");
        output(&mut tool);
    }
}

impl Service for Kafka {
    const NAME: &'static str = "kafka";

    fn at(address: String) -> Self {
        Self::new(address)
    }
}

/// Reads `topic:partition:offset`.
fn end_offset(line: &str) -> (i32, i64) {
    let mut parts = line.rsplit(':');
    let mut number = || parts.next()?.parse::<i64>().ok();
    let (Some(offset), Some(partition)) = (number(), number()) else {
        panic!("no end offset: {line}");
    };
    (i32::try_from(partition).unwrap(), offset)
}

/// Reads the tool's table by its headings, since they are not always the same columns.
fn group_offsets(said: &str) -> BTreeMap<(String, i32), GroupOffset> {
    let mut lines = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let Some(headings) = lines.find(|words| words.contains(&"CURRENT-OFFSET")) else {
        return BTreeMap::new();
    };
    let column = |name: &str| headings.iter().position(|heading| *heading == name);
    let at = ["TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "CONSUMER-ID"];
    let [topic, partition, committed, end, member] =
        at.map(|name| column(name).unwrap_or_else(|| panic!("no column {name}: {said}")));
    lines
        // each group has its own table
        .filter(|words| words.len() == headings.len() && *words != headings)
        .map(|words| {
            let offset = GroupOffset {
                committed: words[committed].parse().ok(),
                end: words[end].parse().unwrap(),
                member: (words[member] != "-").then(|| words[member].to_owned()),
            };
            ((words[topic].to_owned(), words[partition].parse().unwrap()), offset)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_read_by_the_headings_of_its_table() {
        let said = "\n\
            GROUP TOPIC      PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID  HOST       CLIENT-ID\n\
            g     a.orders   0         17             20             3   mill-7-abc   /127.0.0.1 mill\n\
            g     a.orders   1         -              5              -   -            -          -\n\n\
            GROUP TOPIC      PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID  HOST       CLIENT-ID\n\
            h     other      0         1              1              0   -            -          -\n";
        let group = group_offsets(said);
        let key = |partition| ("a.orders".to_owned(), partition);
        assert_eq!(group.len(), 3);
        assert_eq!(group[&key(0)].committed, Some(17));
        assert_eq!(group[&key(0)].end, 20);
        assert_eq!(group[&key(0)].member.as_deref(), Some("mill-7-abc"));
        assert_eq!(group[&key(1)].committed, None);
        assert_eq!(group[&key(1)].member, None);
    }

    #[test]
    fn a_topics_name_may_hold_anything_before_its_end_offset() {
        assert_eq!(end_offset("a.b-c_d:11:42"), (11, 42));
    }
}
