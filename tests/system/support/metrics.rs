//! One scrape of `/metrics`, read as Prometheus reads it.

/// The samples of one scrape.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Metrics {
    /// Reads the text format; panics on a line that is none, since Prometheus would refuse the whole scrape.
    #[track_caller]
    pub(crate) fn read(text: &str) -> Self {
        let samples = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| sample(line).unwrap_or_else(|| panic!("not a sample: {line}")))
            .collect();
        Self { samples }
    }

    /// The value of the only sample of that name with at least those labels; None without one. Panics when there are
    /// several: the test names too few labels.
    #[track_caller]
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.matching(name, labels);
        let first = found.next()?;
        assert!(found.next().is_none(), "several samples of {name} with {labels:?}");
        Some(first.value)
    }

    /// The sum of all samples of that name with at least those labels; 0 without one.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|sample| sample.value).sum()
    }

    /// How many samples of that name have at least those labels.
    pub(crate) fn count(&self, name: &str, labels: &[(&str, &str)]) -> usize {
        self.matching(name, labels).count()
    }

    fn matching<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&str, &str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| {
            sample.name == name
                && labels.iter().all(|(key, value)| {
                    let mut own = sample.labels.iter();
                    own.any(|(own_key, own_value)| own_key == key && own_value == value)
                })
        })
    }
}

/// Reads `name{label="value",…} value [timestamp]`.
fn sample(line: &str) -> Option<Sample> {
    let head = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(head);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (key, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((key.to_owned(), value));
            rest = after;
        }
    }
    let value = rest.split_whitespace().next()?;
    Some(Sample { name: name.to_owned(), labels, value: value.parse().ok()? })
}

/// Reads up to the closing quote; the value without its escapes, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
# HELP lag How far behind.
# TYPE lag gauge
lag{topic="orders",partition="0"} 3
lag{topic="orders",partition="1"} 4.5
up 1
odd{path="a\"b,}\\c\nd",} +Inf 1700000000000
"#;

    #[test]
    fn a_sample_is_found_by_some_of_its_labels() {
        let metrics = Metrics::read(TEXT);
        assert_eq!(metrics.value("lag", &[("partition", "1")]), Some(4.5));
        assert_eq!(metrics.value("up", &[]), Some(1.0));
        assert_eq!(metrics.value("lag", &[("partition", "2")]), None);
        assert_eq!(metrics.value("la", &[]), None);
    }

    #[test]
    fn samples_sum_over_the_labels_not_named() {
        let metrics = Metrics::read(TEXT);
        assert_eq!(metrics.sum("lag", &[("topic", "orders")]), 7.5);
        assert_eq!(metrics.sum("none", &[]), 0.0);
        assert_eq!(metrics.count("lag", &[]), 2);
    }

    #[test]
    fn a_labels_value_may_hold_quotes_braces_and_line_ends() {
        let metrics = Metrics::read(TEXT);
        let value = metrics.value("odd", &[("path", "a\"b,}\\c\nd")]);
        assert_eq!(value, Some(f64::INFINITY));
    }

    #[test]
    #[should_panic(expected = "several samples of lag")]
    fn an_ambiguous_question_is_refused() {
        Metrics::read(TEXT).value("lag", &[("topic", "orders")]);
    }

    #[test]
    #[should_panic(expected = "not a sample")]
    fn a_torn_scrape_is_refused() {
        Metrics::read("lag{topic=\"orders");
    }
}
