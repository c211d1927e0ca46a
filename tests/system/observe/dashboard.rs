//! The dashboard shows what happens: every panel, asked of a real Prometheus that scrapes two real processes.

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;

use crate::plain::{Line, SOON, wait_state};
use crate::support::{
    Dashboard, Gate, Postgres, Private, Process, Prometheus, Series, holds_within, repository,
    wait_until,
};

/// The dashboard and the rules.
const ASKING: [&str; 2] =
    ["helm/ordermill/dashboards/ordermill.json", "helm/ordermill/rules/ordermill.yml"];

/// How far back panels look: longer than the test takes.
const LOOK_BACK_S: u32 = 600;

/// A pipeline behind a gate before its database, one that halts, and who looks at them.
struct Scene {
    gate: Gate,
    line: Line,
    bad: Line,
    first: Process,
    second: Process,
    prometheus: Private<Prometheus>,
}

#[test]
fn every_panel_shows_what_was_caused() {
    let mut scene = Scene::set();
    scene.cause_rebalances();
    scene.cause_ends();
    scene.cause_an_outage();
    let mut wrong = Vec::new();
    let mut titles = Vec::new();
    let held = holds_within(SOON, || {
        let shown = scene.prometheus.dashboard(LOOK_BACK_S);
        wrong = scene.expected().iter().filter_map(|panel| panel.differs(&shown)).collect();
        wrong.extend(scene.table_differs(&shown));
        titles = shown.titles();
        wrong.is_empty()
    });
    assert!(held, "in vain:\n{}", wrong.join("\n"));
    let asked: BTreeSet<_> = scene.expected().into_iter().map(|panel| panel.title).collect();
    let unasked: Vec<_> =
        titles.iter().filter(|title| *title != TABLE && !asked.contains(title.as_str())).collect();
    assert!(unasked.is_empty(), "nobody asks what these show: {unasked:?}");
    scene.alerts_are_told();
    scene.asks_only_what_is_there();
}

const TABLE: &str = "Where each partition stands";

/// What one series of a panel must show.
struct Expected {
    title: &'static str,
    series: String,
    what: What,
    range: RangeInclusive<f64>,
}

#[derive(Clone, Copy)]
enum What {
    /// The newest value.
    Last,
    /// The sum over all seconds: of a rate, how much came.
    Total,
    /// Any value of the time seen.
    Ever,
}

use What::{Ever, Last, Total};

impl Expected {
    fn of(title: &'static str, series: &str, what: What, range: RangeInclusive<f64>) -> Self {
        Self { title, series: series.to_owned(), what, range }
    }

    /// What is wrong with the panel.
    fn differs(&self, shown: &Dashboard) -> Option<String> {
        let all = shown.series(self.title);
        let Some(series) = all.iter().find(|series| series.name == self.series) else {
            let names: Vec<_> = all.iter().map(|series| &series.name).collect();
            return Some(format!("{}: no {:?} among {names:?}", self.title, self.series));
        };
        let value = match self.what {
            Last => series.last(),
            Total => series.total(),
            Ever => {
                let fits = series.values.iter().copied().find(|value| self.range.contains(value));
                fits.unwrap_or_else(|| series.last())
            }
        };
        let fits = self.range.contains(&value);
        (!fits).then(|| format!("{}: {} is {value}, not {:?}", self.title, self.series, self.range))
    }
}

impl Scene {
    fn set() -> Self {
        let gate = Gate::shut();
        let line = Line::new(3)
            .say("consecutive: 1", "consecutive: 50")
            .say("records: 10000", "records: 1000");
        let through = line.database.url_by(&gate.address().to_string());
        let database: Postgres = line.database.clone();
        gate.open(database.address());
        let line = line.set(database.url(), &through);
        let bad = line.beside(1);
        let mut first = bad.files(line.command(&["run"]), "bad").with_http().start();
        let mut second = line.run();
        wait_state(&mut first, "\"ready\":true");
        wait_state(&mut second, "running");
        first.wait_until(SOON, "both hold partitions", |first| {
            [first, &mut second].map(|mill| assigned(mill, &line)).iter().all(|n| *n > 0.0)
        });
        let targets = [first.http_address(), second.http_address()];
        let prometheus = Private::<Prometheus>::up(&targets.each_ref().map(String::as_str));
        wait_until(SOON, "both are scraped", || {
            let up = prometheus.get("/api/v1/query?query=sum(up)").to_string();
            up.contains("\"2\"")
        });
        let scene = Self { gate, line, bad, first, second, prometheus };
        scene.wait_panel("Partitions: of the topic, assigned", "assigned", 3.0);
        scene
    }

    /// Another process comes and goes.
    fn cause_rebalances(&mut self) {
        let mut third = self.line.run();
        third.wait_until(SOON, "it holds a partition", |third| assigned(third, &self.line) > 0.0);
        third.sigterm();
        assert_eq!(third.wait_exit(SOON), Some(0), "{}", third.stderr());
    }

    /// Effects, drops, dead letters, each twice (a counter is born with its first); and a halt.
    fn cause_ends(&mut self) {
        self.ends(0, 1);
        self.wait_panel("Dead letters by reason", "frame_magic", 1.0);
        self.ends(300, 2);
        self.wait_panel("Dead letters by reason", "frame_magic", 2.0);
        let values = [self.bad.value(1, "good"), b"broken".to_vec()].into_iter();
        let values = values.chain((2..20).map(|n| self.bad.value(n, "behind")));
        self.bad.send(values.map(|value| (0, Some(value))));
        wait_state(&mut self.first, "halted at");
    }

    fn ends(&mut self, from: i64, round: i64) {
        self.line.send([
            (0, Some(b"broken".to_vec())),
            (1, Some(self.line.value(-round, "dropped"))),
            (2, Some(self.line.value(-round - 10, "dropped"))),
        ]);
        self.line.orders(from..from + 300, 3);
        self.line.wait_rows(&mut self.first, from + 300);
    }

    /// The database goes away, orders come: 14, 13 and 13, and 3000 more to the first partition than its window holds.
    fn cause_an_outage(&self) {
        self.gate.open("127.0.0.1:1");
        self.gate.hold();
        self.line.orders(600..640, 3);
        self.line.send((10_000..13_000).map(|n| (0, Some(self.line.value(n, "much")))));
    }

    fn expected(&self) -> Vec<Expected> {
        [self.at_a_glance(), self.of_the_line(), self.of_processes()]
            .into_iter()
            .flatten()
            .collect()
    }

    fn at_a_glance(&self) -> Vec<Expected> {
        let one = |title, range| Expected::of(title, title, Last, range);
        vec![
            one("Oldest unsettled record", 3.0..=120.0),
            one("Records behind", 3040.0..=3040.0),
            one("Dead letters", 2.0..=2.0),
            // the halted pipeline's
            one("Partitions without an owner", 1.0..=1.0),
            one("Breakers open", 3.0..=3.0),
            one("Pipelines halted", 1.0..=1.0),
        ]
    }

    fn of_the_line(&self) -> Vec<Expected> {
        let (topic, group) = (&self.line.topic, self.line.group());
        let of = &format!("{group} · {topic}");
        let by_partition = |partition: i32, lag| {
            let series = format!("{topic}/{partition} · {group}");
            Expected::of("Lag by partition, the twenty longest", &series, Last, lag..=lag)
        };
        let settled = |end, range| Expected::of("Records settled, by their end", end, Total, range);
        let reason = format!("frame_magic · {topic} · {group}");
        vec![
            Expected::of("Lag in seconds", of, Last, 3.0..=120.0),
            Expected::of("Lag in records", of, Last, 3040.0..=3040.0),
            by_partition(0, 3014.0),
            by_partition(1, 13.0),
            by_partition(2, 13.0),
            // 606 before the outage, about a window of each partition in it; Prometheus extrapolates
            Expected::of("Records consumed", of, Total, 1300.0..=4500.0),
            settled("effect", 450.0..=800.0),
            settled("dropped", 1.0..=5.0),
            settled("dead letter", 0.5..=2.5),
            settled("given back", 1.0..=40.0),
            Expected::of("In flight", of, Last, 1000.0..=3040.0),
            Expected::of("Dead letters by reason", &reason, Last, 2.0..=2.0),
            Expected::of("Partitions that wait for a dependency", of, Last, 3.0..=3.0),
        ]
    }

    fn of_processes(&self) -> Vec<Expected> {
        let (topic, group, name) = (&self.line.topic, &self.line.group(), &self.line.name);
        let of = |word: &str| format!("{word} · {group}");
        let partitions = |word: &str| {
            let series = format!("{word} · {topic} · {group}");
            Expected::of("Partitions: of the topic, assigned", &series, Last, 3.0..=3.0)
        };
        let (waiting, halted) =
            (format!("{name} · waiting"), format!("{} · halted", self.bad.name));
        let decoding = "Decoding and stages of a batch";
        let operations = "Operations of dependencies, 99 % are below";
        let windows = "Full windows and failed commits";
        vec![
            partitions("partitions"),
            partitions("assigned"),
            Expected::of("Processes by state", &waiting, Last, 2.0..=2.0),
            Expected::of("Processes by state", &halted, Last, 1.0..=1.0),
            Expected::of("Failures by class", &of("unavailable"), Total, 2.0..=500.0),
            Expected::of("Rebalances in an hour", group, Last, 1.0..=10.0),
            Expected::of(decoding, "half are below", Ever, 1e-6..=5.0),
            Expected::of(decoding, "99 % are below", Ever, 1e-6..=5.0),
            Expected::of(operations, &of("step"), Ever, 1e-4..=30.0),
            Expected::of(windows, &of("full windows"), Total, 0.7..=1000.0),
            Expected::of(windows, &of("failed commits"), Last, 0.0..=0.0),
            Expected::of("Rebalances", "", Ever, 1.0..=10.0),
            Expected::of("Deploys", "", Ever, 2.0..=2.0),
        ]
    }

    /// The first partition's row: start, watermark, committed, end, lag, seconds, in the order of the queries.
    fn table_differs(&self, shown: &Dashboard) -> Option<String> {
        let all = shown.series(TABLE);
        let row = all.iter().filter(|series| series.label("partition") == Some("0"));
        let row: Vec<f64> = row.map(Series::last).collect();
        let fits = matches!(row[..], [0.0, 202.0, 202.0, 3216.0, 3014.0, age] if age > 3.0);
        (!fits).then(|| format!("{TABLE}: {row:?}"))
    }

    /// Prometheus itself has the halt as an alert, and finds nothing wrong with a rule.
    fn alerts_are_told(&self) {
        let told = self.prometheus.get("/api/v1/alerts").to_string();
        assert!(told.contains("OrdermillPipelineHalted"), "{told}");
        let rules = self.prometheus.get("/api/v1/rules");
        let groups = rules["data"]["groups"].as_array().unwrap().iter();
        let rules: Vec<_> = groups.flat_map(|group| group["rules"].as_array().unwrap()).collect();
        assert!(rules.len() > 10, "{rules:?}");
        for rule in rules {
            assert_ne!(rule["health"], "err", "{rule}");
        }
    }

    /// Dashboard and rules name no metric that the binary does not have.
    fn asks_only_what_is_there(&mut self) {
        let texts = [&mut self.first, &mut self.second].map(|mill| mill.get("/metrics").1);
        let there: BTreeSet<_> = texts.iter().flat_map(|text| names(text)).collect();
        for file in ASKING {
            let text = fs::read_to_string(repository().join(file)).unwrap();
            let asked = names(&text);
            assert!(asked.len() > 5, "{file}: {asked:?}");
            let missing: Vec<_> = asked.difference(&there).collect();
            assert!(missing.is_empty(), "{file} asks for what /metrics does not have: {missing:?}");
        }
        // retention is Kafka's default of a week
        let labels = [("topic", self.line.topic.as_str())];
        let week = self.first.scrape().value("ordermill_topic_retention_seconds", &labels);
        assert_eq!(week, Some(604_800.0));
    }

    #[track_caller]
    fn wait_panel(&self, title: &str, series: &str, value: f64) {
        wait_until(SOON, &format!("{title} shows {value}"), || {
            let shown = self.prometheus.dashboard(LOOK_BACK_S).series(title);
            let mut of = shown.iter().filter(|series| series.name.contains(&self.line.topic));
            of.any(|shown| shown.name.starts_with(series) && shown.last() == value)
        });
    }
}

fn assigned(mill: &mut Process, line: &Line) -> f64 {
    let labels = [("topic", line.topic.as_str())];
    mill.scrape().sum("ordermill_consumer_assigned_partitions", &labels)
}

/// The names of metrics in a text; of recorded series, none.
fn names(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("ordermill_") {
        if text[..at].ends_with(':') {
            continue;
        }
        let rest = &text[at..];
        let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(rest.len());
        found.insert(&rest[..end]);
    }
    found
}
