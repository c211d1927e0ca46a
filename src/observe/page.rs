//! The page `docs/metrics.md`, from the table of metrics.

use std::fmt::Write as _;

use super::metrics::{BUCKETS, Kind, Metric, TABLE};

const INTRODUCTION: &str = "\
# Metrics

What `/metrics` answers, in Prometheus's text format. Gauges and counters are filled at the scrape, so that one
scrape is of one moment; the series of a partition that was given away are gone with the next scrape. No key, id
or error text is ever a label: their number is bounded by groups, topics, partitions and the words of the code.
Take `max by (group, topic, partition)` of a partition's gauges before any sum: while one moves, two processes may
show it. This page is made from the table that the metrics are registered from.

| metric | type | unit | labels | meaning |
|---|---|---|---|---|
";

/// The page in Markdown.
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for metric in TABLE {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(
            page,
            "| `ordermill_{}` | {kind} | {} | {} | {} |",
            metric.name,
            unit(metric),
            labels.join(", "),
            metric.help
        );
    }
    let buckets: Vec<_> = BUCKETS.iter().map(ToString::to_string).collect();
    let _ = write!(page, "\nBuckets of histograms, in seconds: {}.\n", buckets.join(", "));
    page
}

/// The unit, which stands at the end of the name.
fn unit(metric: &Metric) -> &'static str {
    let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
    let units = [
        ("_seconds", "seconds"),
        ("_bytes", "bytes"),
        ("_offset", "offset"),
        ("_info", "1"),
        ("_state", "0 or 1"),
    ];
    let named = units.iter().find(|(end, _)| name.ends_with(end)).map(|(_, unit)| *unit);
    named.unwrap_or("count")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_the_table() {
        crate::config::grammar::same_page("docs/metrics.md", &page());
    }
}
