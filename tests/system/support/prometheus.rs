//! A real Prometheus that scrapes what a test has started, and the dashboard as Grafana would draw it from there.

use std::env;
use std::process::Command;

use serde_json::{Map, Value};

use super::fresh::run_variable;
use super::http;
use super::service::Service;
use super::shell::{output, repository};

/// A running Prometheus with the project's own rules. `Private::up` starts it with the addresses to scrape, each second.
#[derive(Debug)]
pub(crate) struct Prometheus {
    url: String,
}

/// What every panel of the dashboard was answered.
#[derive(Debug)]
pub(crate) struct Dashboard(Value);

/// One series of a panel's answer.
#[derive(Debug)]
pub(crate) struct Series {
    /// What the panel calls it: the legend with its labels put in.
    pub(crate) name: String,
    labels: Map<String, Value>,
    /// Its values that are numbers, a second apart; the last is the newest.
    pub(crate) values: Vec<f64>,
}

impl Prometheus {
    /// Asks everything that the dashboard asks, for so many seconds back.
    #[track_caller]
    pub(crate) fn dashboard(&self, seconds: u32) -> Dashboard {
        let mut python = Command::new(run_variable("ORDERMILL_TEST_PYTHON"));
        python.arg(repository().join("scripts/oracle/dashboard.py"));
        python.arg(repository().join("helm/ordermill/dashboards/ordermill.json"));
        python.args([&self.url, "--step", "1", "--range", &seconds.to_string()]);
        let said = output(&mut python);
        if let Some(path) = env::var_os("ORDERMILL_TEST_DASHBOARD") {
            std::fs::write(path, &said).unwrap();
        }
        Dashboard(serde_json::from_str(&said).unwrap())
    }

    /// What the API answers.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = http::get(self.url.strip_prefix("http://").unwrap(), path).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}

impl Dashboard {
    /// The titles of all panels and annotations.
    pub(crate) fn titles(&self) -> Vec<String> {
        let panels = self.0["panels"].as_array().unwrap();
        panels.iter().map(|panel| text(&panel["panel"]["title"])).collect()
    }

    /// The series of a panel, in the order of its queries.
    #[track_caller]
    pub(crate) fn series(&self, title: &str) -> Vec<Series> {
        let panels = self.0["panels"].as_array().unwrap();
        let panel = panels.iter().find(|panel| panel["panel"]["title"] == title);
        let panel = panel.unwrap_or_else(|| panic!("no panel {title}"));
        let results = panel["results"].as_array().unwrap();
        let of = |result: &Value| {
            let legend = text(&result["legend"]);
            let series = result["series"].as_array().unwrap().iter();
            series.map(|series| Series::read(&legend, series)).collect::<Vec<_>>()
        };
        results.iter().flat_map(of).collect()
    }
}

impl Series {
    fn read(legend: &str, series: &Value) -> Self {
        let labels = series["metric"].as_object().unwrap().clone();
        let name = labels.iter().fold(legend.to_owned(), |name, (label, value)| {
            name.replace(&format!("{{{{{label}}}}}"), value.as_str().unwrap())
        });
        let one = [series["value"].clone()];
        let points = series["values"].as_array().map_or(&one[..], |values| values);
        let values = points.iter().map(|point| text(&point[1]).parse().unwrap());
        Self { name, labels, values: values.filter(|value: &f64| value.is_finite()).collect() }
    }

    /// The value of a label.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).and_then(Value::as_str)
    }

    /// The newest value.
    pub(crate) fn last(&self) -> f64 {
        self.values.last().copied().unwrap_or(f64::NAN)
    }

    /// Of a rate: how much came in all, since its values are a second apart.
    pub(crate) fn total(&self) -> f64 {
        self.values.iter().sum()
    }
}

impl Service for Prometheus {
    const NAME: &'static str = "prometheus";

    fn at(url: String) -> Self {
        Self { url }
    }
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
