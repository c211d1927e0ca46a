//! Both Helms, and what they render.

use std::env;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ordermill::config::yaml;
use serde_json::Value as Json;

pub(crate) const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
pub(crate) const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/ordermill");

/// What every release needs, and the settings of most tests.
pub(crate) const BROKERS: &str = "config.kafka.bootstrap=kafka:9092";

/// One Helm.
pub(crate) struct Helm(OsString);

/// Helm 3 and Helm 4; none, and a word about it, where the tools are not.
pub(crate) fn both() -> Vec<Helm> {
    let helms: Option<Vec<_>> = ["ORDERMILL_TEST_HELM_3", "ORDERMILL_TEST_HELM_4"]
        .into_iter()
        .map(|name| env::var_os(name).map(Helm))
        .collect();
    helms.unwrap_or_else(|| {
        let said = "\n*** NOT TESTED: the chart. Run make chart, or set ORDERMILL_TEST_HELM_3 and _4. ***\n";
        std::io::stderr().write_all(said.as_bytes()).unwrap();
        Vec::new()
    })
}

/// Helm 4, for what needs only one.
pub(crate) fn one() -> Option<Helm> {
    both().pop()
}

impl Helm {
    pub(crate) fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        Command::new(&self.0)
            .args(arguments)
            .env("KUBECONFIG", "/nonexistent")
            .current_dir(CHART)
            .output()
            .unwrap()
    }

    /// What a release called `release` is with these arguments, as text.
    pub(crate) fn text(&self, release: &str, arguments: &[&str]) -> Result<String, String> {
        let out = self.run(["template", release, CHART].into_iter().chain(arguments.to_owned()));
        if out.status.success() {
            Ok(String::from_utf8(out.stdout).unwrap())
        } else {
            Err(String::from_utf8(out.stderr).unwrap())
        }
    }

    /// The same, read.
    pub(crate) fn render(&self, release: &str, arguments: &[&str]) -> Rendered {
        Rendered::of(&self.text(release, arguments).unwrap_or_else(|said| panic!("{said}")))
    }
}

/// Arguments that give this file of `pipelines/` to the chart.
pub(crate) fn pipeline(name: &str) -> String {
    format!("--set-file=pipelines.{name}.file={REPOSITORY}/pipelines/{name}.yaml")
}

/// A file with these values; it lives as long as what is given back.
pub(crate) fn values(text: &str) -> (tempfile::NamedTempFile, String) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let argument = format!("--values={}", file.path().display());
    (file, argument)
}

/// The value files that ship with the chart to try it.
pub(crate) fn trials() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(Path::new(CHART).join("ci")).unwrap();
    let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The objects of a release.
#[derive(PartialEq, Debug)]
pub(crate) struct Rendered(pub(crate) Vec<Json>);

impl Rendered {
    pub(crate) fn of(text: &str) -> Self {
        let documents = text.split("\n---").filter(|part| part.contains("kind:"));
        Self(documents.map(read).collect())
    }

    pub(crate) fn all(&self, kind: &str) -> Vec<&Json> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    /// The object of this kind whose name ends so.
    pub(crate) fn get(&self, kind: &str, name: &str) -> &Json {
        let found = self
            .all(kind)
            .into_iter()
            .find(|object| object["metadata"]["name"].as_str().unwrap().ends_with(name));
        found.unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    /// The specification of a pipeline's pods.
    pub(crate) fn pods(&self, pipeline: &str) -> &Json {
        &self.get("Deployment", pipeline)["spec"]["template"]["spec"]
    }
}

/// A YAML document.
pub(crate) fn read(text: &str) -> Json {
    let text = text.trim_start_matches("---").trim_start();
    let node = yaml::read(Path::new("rendered.yaml"), text.as_bytes(), 4 << 20);
    node.unwrap_or_else(|said| panic!("{said}\n{text}")).to_json()
}
