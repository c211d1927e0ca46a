//! Every metric: its name, its labels, what it means; and the scrape.
//!
//! Gauges and counters are filled at the scrape from what the board holds, so that one scrape is of one
//! moment and a revoked partition's series are gone with the next. Only histograms are written as things
//! happen. Base units; `_total` on counters; no key, order id or error text in a label.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
};

use super::{Board, PipelineView, State, TopicView};

/// A metric in the table: name without the prefix, labels, meaning.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name after `ordermill_`.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

/// What kind of metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "Prometheus's own words")]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

const TOPIC: &[&str] = &["group", "topic"];
const REASON: &[&str] = &["group", "topic", "reason"];
const PARTITION: &[&str] = &["group", "topic", "partition"];
const GROUP: &[&str] = &["group"];

/// All metrics, in the order of the reference page.
#[rustfmt::skip]
pub const TABLE: &[Metric] = &[
    gauge("build_info", &["version", "rdkafka"], "1, with the versions as labels"),
    gauge("pipeline_state", &["pipeline", "group", "state"], "1 for the state that the pipeline is in, 0 for the others"),
    counter("records_consumed_total", TOPIC, "Records delivered by the broker to this process"),
    counter("records_effected_total", TOPIC, "Records that ended in an effect"),
    counter("effects_total", TOPIC, "Effects done: several a record where it is unnested"),
    counter("records_dropped_total", REASON, "Records dropped by a stage, by its reason"),
    counter("dlq_records_total", REASON, "Records dead-lettered, by reason"),
    counter("records_given_back_total", TOPIC, "Records left unsettled to the next owner: revoked, fenced or halted before they settled"),
    gauge("consumer_in_flight_records", TOPIC, "Records delivered and not settled"),
    counter("records_failed_total", &["group", "topic", "error_type"], "Failures of steps and records, by class"),
    gauge("consumer_lag_records", PARTITION, "Records between the watermark and the end of the log"),
    gauge("consumer_lag_seconds", PARTITION, "Age of the first unsettled record; 0 without lag"),
    gauge("consumer_watermark_offset", PARTITION, "Everything below it is settled"),
    gauge("consumer_committed_offset", PARTITION, "What Kafka has acknowledged as committed"),
    gauge("partition_start_offset", PARTITION, "First offset still in the log"),
    gauge("partition_end_offset", PARTITION, "Offset that the next record will have"),
    gauge("topic_partitions", TOPIC, "Partitions of the topic"),
    gauge("topic_retention_seconds", TOPIC, "Age at which the topic deletes records; absent where it deletes none by age, or we may not ask"),
    gauge("consumer_assigned_partitions", TOPIC, "Partitions that this process holds"),
    gauge("consumer_waiting_partitions", TOPIC, "Partitions whose effect waits for a dependency that is away"),
    counter("consumer_rebalances_total", GROUP, "Assignments and revocations that this process went through"),
    counter("consumer_commit_failures_total", GROUP, "Commits to Kafka that failed; a later one makes them good"),
    counter("consumer_windows_full_total", GROUP, "Times that a partition's window was full"),
    Metric { name: "process_duration_seconds", kind: Kind::Histogram, labels: GROUP, help: "Decoding and stages of one batch" },
    Metric { name: "client_operation_duration_seconds", kind: Kind::Histogram, labels: &["group", "operation"], help: "One operation of an edge: a step, a claim" },
];

/// The upper ends of histograms' buckets, in seconds.
pub(super) const BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The metrics as the library knows them.
#[derive(Debug)]
pub struct Instruments {
    registry: Registry,
    counters: Vec<(&'static str, IntCounterVec)>,
    gauges: Vec<(&'static str, GaugeVec)>,
    /// Decoding and stages, by group.
    pub process: HistogramVec,
    /// Operations of edges, by group and operation.
    pub operations: HistogramVec,
    /// Failures by group, topic and class.
    pub failures: IntCounterVec,
    scraping: Mutex<()>,
}

impl Instruments {
    /// Registers the whole table.
    ///
    /// # Errors
    /// A name or a label in the table is not one.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let (mut counters, mut gauges, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
        for metric in TABLE {
            let opts = Opts::new(metric.name, metric.help).namespace("ordermill");
            match metric.kind {
                Kind::Counter => {
                    let made = IntCounterVec::new(opts, metric.labels)?;
                    registry.register(Box::new(made.clone()))?;
                    counters.push((metric.name, made));
                }
                Kind::Gauge => {
                    let made = GaugeVec::new(opts, metric.labels)?;
                    registry.register(Box::new(made.clone()))?;
                    gauges.push((metric.name, made));
                }
                Kind::Histogram => {
                    let opts = HistogramOpts::from(opts).buckets(BUCKETS.to_vec());
                    let made = HistogramVec::new(opts, metric.labels)?;
                    registry.register(Box::new(made.clone()))?;
                    histograms.push((metric.name, made));
                }
            }
        }
        let absent = |name: &str| prometheus::Error::Msg(format!("{name} is not in the table"));
        let mut histogram = |name: &str| {
            let at = histograms.iter().position(|(n, _)| *n == name);
            at.map(|i| histograms.swap_remove(i).1).ok_or_else(|| absent(name))
        };
        let process = histogram("process_duration_seconds")?;
        let operations = histogram("client_operation_duration_seconds")?;
        let failures = counters
            .iter()
            .position(|(n, _)| *n == "records_failed_total")
            .map(|i| counters.swap_remove(i).1)
            .ok_or_else(|| absent("records_failed_total"))?;
        Ok(Self {
            registry,
            counters,
            gauges,
            process,
            operations,
            failures,
            scraping: Mutex::default(),
        })
    }

    fn count(&self, name: &str, labels: &[&str], value: u64) {
        if let Some((_, vec)) = self.counters.iter().find(|(n, _)| *n == name) {
            vec.with_label_values(labels).inc_by(value);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "Prometheus knows only doubles")]
    fn gauge(&self, name: &str, labels: &[&str], value: i64) {
        self.gauge_f64(name, labels, value as f64);
    }

    fn gauge_f64(&self, name: &str, labels: &[&str], value: f64) {
        if let Some((_, vec)) = self.gauges.iter().find(|(n, _)| *n == name) {
            vec.with_label_values(labels).set(value);
        }
    }

    fn clear(&self) {
        self.counters.iter().for_each(|(_, vec)| vec.reset());
        self.gauges.iter().for_each(|(_, vec)| vec.reset());
    }
}

/// One scrape, in Prometheus's text format.
///
/// # Errors
/// The encoder refused: a fault of the program.
pub fn scrape(board: &Board, rdkafka: &str) -> Result<String, prometheus::Error> {
    let on = &board.instruments;
    let _one_at_a_time = on.scraping.lock().unwrap_or_else(PoisonError::into_inner);
    on.clear();
    on.gauge("build_info", &[env!("CARGO_PKG_VERSION"), rdkafka], 1);
    for pipeline in board.pipelines() {
        show_pipeline(on, &pipeline);
        for (topic, view) in pipeline.topics() {
            show_topic(on, &pipeline.group, &topic, &view);
            for (partition, seen) in view.assigned() {
                let id = partition.to_string();
                let labels = [pipeline.group.as_str(), topic.as_str(), id.as_str()];
                if let Some((records, seconds)) = seen.lag(board.now()) {
                    on.gauge(
                        "consumer_lag_records",
                        &labels,
                        i64::try_from(records).unwrap_or(i64::MAX),
                    );
                    on.gauge_f64("consumer_lag_seconds", &labels, seconds);
                }
                if let Some(at) = seen.watermark() {
                    on.gauge("consumer_watermark_offset", &labels, at.0);
                }
                if let Some(at) = seen.committed() {
                    on.gauge("consumer_committed_offset", &labels, at.0);
                }
                if let Some(ends) = seen.ends() {
                    on.gauge("partition_start_offset", &labels, ends.start.0);
                    on.gauge("partition_end_offset", &labels, ends.end.0);
                }
            }
        }
    }
    let mut text = Vec::new();
    TextEncoder::new().encode(&on.registry.gather(), &mut text)?;
    String::from_utf8(text).map_err(|e| prometheus::Error::Msg(e.to_string()))
}

fn show_pipeline(on: &Instruments, pipeline: &PipelineView) {
    let state = pipeline.health.state();
    for word in State::WORDS {
        let labels = [pipeline.name.as_str(), pipeline.group.as_str(), word];
        on.gauge("pipeline_state", &labels, i64::from(word == state.as_str()));
    }
    let group = [pipeline.group.as_str()];
    on.count("consumer_rebalances_total", &group, pipeline.rebalances.load(Ordering::Relaxed));
    on.count(
        "consumer_commit_failures_total",
        &group,
        pipeline.commit_failures.load(Ordering::Relaxed),
    );
    on.count("consumer_windows_full_total", &group, pipeline.windows_full.load(Ordering::Relaxed));
}

fn show_topic(on: &Instruments, group: &str, topic: &str, view: &TopicView) {
    let labels = [group, topic];
    let counts = view.ledger.counts();
    on.count("records_consumed_total", &labels, counts.consumed);
    on.count("records_effected_total", &labels, counts.settled.effects);
    on.count("effects_total", &labels, counts.settled.rows);
    on.count("records_given_back_total", &labels, counts.given_back);
    for (reason, n) in &counts.settled.dropped {
        on.count("records_dropped_total", &[group, topic, reason], *n);
    }
    for (reason, n) in &counts.settled.dead_lettered {
        on.count("dlq_records_total", &[group, topic, reason], *n);
    }
    on.gauge(
        "consumer_in_flight_records",
        &labels,
        i64::try_from(counts.in_flight).unwrap_or(i64::MAX),
    );
    if view.partitions() > 0 {
        on.gauge("topic_partitions", &labels, view.partitions());
    }
    if let Some(age) = view.retention() {
        on.gauge_f64("topic_retention_seconds", &labels, age.as_secs_f64());
    }
    let assigned = view.assigned();
    let waiting = assigned.iter().filter(|(_, seen)| seen.waiting().is_some()).count();
    on.gauge("consumer_assigned_partitions", &labels, i64::try_from(assigned.len()).unwrap_or(0));
    on.gauge("consumer_waiting_partitions", &labels, i64::try_from(waiting).unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observe::Tally;
    use crate::port::Watermarks;
    use crate::record::NextOffset;

    #[test]
    fn a_revoked_partitions_series_are_gone_at_the_next_scrape() {
        let board = Board::new().unwrap();
        let topic = board.pipeline("p", "g").topic("t");
        let view = topic.assign(3);
        view.set_watermark(NextOffset(5));
        view.set_ends(Watermarks { start: NextOffset(0), end: NextOffset(9) }, board.now());
        let text = scrape(&board, "2.12.1").unwrap();
        let series = r#"ordermill_consumer_lag_records{group="g",partition="3",topic="t"} 4"#;
        assert!(text.contains(series), "{text}");
        topic.revoke(3);
        assert!(!scrape(&board, "2.12.1").unwrap().contains("consumer_lag_records{"));
    }

    #[test]
    fn retention_is_shown_where_it_is_known_and_asked_for_only_now_and_then() {
        let board = Board::new().unwrap();
        let topic = board.pipeline("p", "g").topic("t");
        assert!(!scrape(&board, "x").unwrap().contains("topic_retention_seconds{"));
        topic.set_retention(Some(Duration::from_secs(3600)));
        let series = r#"ordermill_topic_retention_seconds{group="g",topic="t"} 3600"#;
        assert!(scrape(&board, "x").unwrap().contains(series));
        let asked = [0, 1, 299, 300, 301, 600].map(|s| topic.ask_retention(Duration::from_secs(s)));
        assert_eq!(asked, [true, false, false, true, false, true]);
    }

    #[test]
    fn counters_do_not_grow_by_being_looked_at() {
        let board = Board::new().unwrap();
        let topic = board.pipeline("p", "g").topic("t");
        topic.ledger.consumed(7);
        topic.ledger.settled(&Tally { effects: 4, rows: 9, ..Tally::default() });
        let first = scrape(&board, "x").unwrap();
        assert_eq!(first, scrape(&board, "x").unwrap());
        assert!(first.contains(r#"ordermill_records_consumed_total{group="g",topic="t"} 7"#));
        assert!(first.contains(r#"ordermill_effects_total{group="g",topic="t"} 9"#));
        assert!(first.contains(r#"ordermill_consumer_in_flight_records{group="g",topic="t"} 3"#));
    }
}
