//! The image: its last stage is really built and run, beside real services, as `docker-compose.yml` runs it. The build stage
//! needs base images from outside; the binary and the files that it would lay out are laid out here.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{json, output, path, run, text};

/// Who the image runs as.
const NOBODY: u32 = 65532;
const LIMIT: Duration = Duration::from_secs(120);
const PIPELINES: [&str; 5] =
    ["audit", "inventory", "large-orders", "order-log", "validated-orders"];

#[test]
#[ignore = "it needs buildah, root and services: make image"]
fn the_image_runs_the_shops_pipelines_as_nobody_and_has_no_shell() {
    let Some(image) = Image::build() else { return };
    image.says_what_it_is();
    image.has_one_program();
    let version = output(&mut image.command(&[], &["--version"]));
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    let (shell, ..) =
        run(&mut image.buildah(&["run", &image.container, "--", "/bin/sh", "-c", ":"]));
    assert!(!shell, "there is a shell");
    output(&mut image.command(&[], &["demo", "--orders", "2000"]));
    image.runs_the_shop();
}

/// The built image and a container of it.
struct Image {
    dir: TempDir,
    container: String,
}

impl Image {
    /// None, loudly, where it cannot be built.
    fn build() -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("image-").tempdir().unwrap();
        let mut image = Self { dir, container: String::new() };
        if let Err(cause) = image.buildah(&["version"]).output() {
            // past the harness, which keeps what a passing test prints
            let _ = writeln!(std::io::stderr(), "SKIPPED: no buildah ({cause})");
            return None;
        }
        let built = image.dir.path().join("built");
        let binary = env::var_os("ORDERMILL_TEST_BINARY")
            .unwrap_or_else(|| env!("CARGO_BIN_EXE_ordermill").into());
        let laid_out = built.join("image");
        output(Command::new("scripts/image-root").arg(binary).arg(laid_out));
        let context = image.dir.path().join("empty");
        fs::create_dir(&context).unwrap();
        let instead = format!("build={}", built.display());
        let mut build = image.buildah(&["bud", "--format", "docker", "--target", "runtime"]);
        build.args(["-t", "ordermill:test", "-f", "Dockerfile", "--build-context", &instead]);
        output(build.arg(context));
        let from =
            output(&mut image.buildah(&["from", "--pull-never", "localhost/ordermill:test"]));
        from.trim().clone_into(&mut image.container);
        Some(image)
    }

    fn buildah(&self, arguments: &[&str]) -> Command {
        let mut buildah = Command::new("buildah");
        buildah.env("BUILDAH_ISOLATION", "chroot").args(["--storage-driver", "vfs"]);
        buildah.arg("--root").arg(self.dir.path().join("root"));
        buildah.arg("--runroot").arg(self.dir.path().join("run")).args(arguments);
        buildah
    }

    /// `ordermill ARGUMENTS` in the container, with more words for `buildah run`.
    fn command(&self, more: &[String], arguments: &[&str]) -> Command {
        let mut command = self.buildah(&["run"]);
        command.args(more).args([&self.container, "--", "/usr/bin/ordermill"]).args(arguments);
        command
    }

    fn says_what_it_is(&self) {
        let said =
            output(&mut self.buildah(&["inspect", "--type", "image", "localhost/ordermill:test"]));
        let config: &Value = &json(&said)["Docker"]["config"];
        assert_eq!(config["User"], "65532:65532");
        assert_eq!(config["Entrypoint"][0], "/usr/bin/ordermill");
        assert_eq!(config["Healthcheck"]["Test"][1], "/usr/bin/ordermill", "{config}");
        assert_eq!(config["WorkingDir"], "/var/lib/ordermill");
        assert!(config["ExposedPorts"]["9400/tcp"].is_object(), "{config}");
        let label = |name: &str| &config["Labels"][format!("org.opencontainers.image.{name}")];
        assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
        assert_eq!(label("licenses"), "Apache-2.0");
    }

    fn has_one_program(&self) {
        let root = self.mounted();
        let inside = |folder: &str| {
            let entries = fs::read_dir(root.join(folder)).unwrap();
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect::<BTreeSet<_>>()
        };
        assert_eq!(inside("usr/bin"), BTreeSet::from(["ordermill".to_owned()]));
        for folder in ["bin", "sbin", "usr/sbin", "usr/local"] {
            assert!(!root.join(folder).exists(), "{folder}");
        }
        let libraries = inside("usr/lib");
        assert!(libraries.iter().all(|name| name.contains(".so")), "{libraries:?}");
        let owner = |folder: &str| fs::metadata(root.join(folder)).unwrap().uid();
        assert_eq!((owner("var/lib/ordermill"), owner("usr/bin/ordermill")), (NOBODY, 0));
    }

    fn mounted(&self) -> PathBuf {
        output(&mut self.buildah(&["mount", &self.container])).trim().into()
    }

    /// Orders through the reference pipelines under the compose file's settings and tables.
    fn runs_the_shop(&self) {
        let shop = Shop::open(self);
        output(&mut shop.command(&["schema", "register", "orders.created-value"]));
        let orders = "/etc/ordermill/orders.jsonl";
        output(&mut shop.command(&["produce", "orders.created", orders, "--key", "order_id"]));
        let began = Running::begin(shop.command(&["run", "/etc/ordermill/pipelines"]));
        let orders: Vec<_> = text("deploy/compose/orders.jsonl").lines().map(json).collect();
        let large = orders.iter().filter(|order| order["quantity"].as_i64().unwrap() >= 100);
        let large = large.count().to_string();
        wait_until("all orders are in the tables", || {
            shop.query("SELECT count(*) FROM order_log") == orders.len().to_string()
                && shop.query("SELECT count(*) FROM large_orders") == large
        });
        wait_until("it says that it is ready", || run(&mut shop.command(&["health", "--ready"])).0);
        began.end();
        let archive = self.mounted().join("var/lib/ordermill/archive");
        assert_eq!(fs::metadata(&archive).unwrap().uid(), NOBODY);
        let (healthy, _, error) = run(&mut shop.command(&["health"]));
        assert!(!healthy && error.contains("nobody answers"), "{error}");
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        for all in [["rm", "--all"], ["rmi", "--all"]] {
            let _ = self.buildah(&all).output();
        }
    }
}

/// The services, and how a command of the image is told of them.
struct Shop<'i> {
    image: &'i Image,
    words: Vec<String>,
    database: String,
}

impl<'i> Shop<'i> {
    fn open(image: &'i Image) -> Self {
        let [kafka, registry, postgres] = ["KAFKA", "REGISTRY", "POSTGRES"]
            .map(|name| env::var(format!("ORDERMILL_TEST_{name}")).expect("make image"));
        for topic in ["orders.created", "orders.validated"] {
            let mut topics = Command::new("scripts/kafka-tool");
            topics.args(["TopicCommand", "--bootstrap-server", &kafka, "--create"]);
            output(topics.args(["--topic", topic, "--partitions", "3"]));
        }
        for name in PIPELINES {
            let mut topics = Command::new("scripts/kafka-tool");
            topics.args(["TopicCommand", "--bootstrap-server", &kafka, "--create"]);
            output(
                topics
                    .args(["--topic", &format!("orders.created.{name}.dlq")])
                    .args(["--partitions", "3"]),
            );
        }
        psql(&postgres, &["-c", "CREATE DATABASE shop"]);
        let database = postgres.replace("/postgres", "/shop").replace("//shop", "//postgres");
        psql(&database, &["-f", "deploy/compose/postgres/2-orders.sql"]);
        // held only while it is looked for: nobody else on this machine asks for a port between
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let variables = [
            ("CONFIG", "/etc/ordermill/ordermill.yaml".to_owned()),
            ("KAFKA_BOOTSTRAP", kafka),
            ("REGISTRY_URL", registry),
            ("HTTP_LISTEN", port.to_string()),
        ];
        let mut words: Vec<String> = variables
            .iter()
            .map(|(name, value)| format!("--env=ORDERMILL_{name}={value}"))
            .collect();
        words.push(format!("--env=ORDERS_URL={database}"));
        let mut mount = |from: &Path, to: &str| {
            words.push(format!("--volume={}:/etc/ordermill/{to}:ro", from.display()));
        };
        mount(&path("deploy/compose/ordermill.yaml"), "ordermill.yaml");
        mount(&path("deploy/compose/orders.jsonl"), "orders.jsonl");
        mount(&path("avro"), "avro");
        for name in PIPELINES {
            mount(&path(&format!("pipelines/{name}.yaml")), &format!("pipelines/{name}.yaml"));
        }
        Self { image, words, database }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.image.command(&self.words, arguments)
    }

    fn query(&self, sql: &str) -> String {
        psql(&self.database, &["-c", sql])
    }
}

#[track_caller]
fn psql(url: &str, arguments: &[&str]) -> String {
    let mut psql = Command::new("psql");
    psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", url]).args(arguments);
    output(&mut psql).trim().to_owned()
}

/// A process of the image that goes on until it is told to end.
struct Running(Child);

impl Running {
    fn begin(mut command: Command) -> Self {
        Self(command.current_dir(path("")).spawn().unwrap())
    }

    /// As an engine ends a container; it ends well.
    fn end(mut self) {
        let mill = self.mill().expect("ordermill runs below buildah");
        output(Command::new("kill").args(["-s", "TERM", &mill.to_string()]));
        let mut ended = None;
        wait_until("it has drained", || {
            ended = self.0.try_wait().unwrap();
            ended.is_some()
        });
        assert!(ended.unwrap().success(), "{ended:?}");
    }

    /// The process that buildah and its helper stand around.
    fn mill(&self) -> Option<u32> {
        let mut pid = self.0.id();
        loop {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            if name.trim() == "ordermill" {
                return Some(pid);
            }
            pid = children(pid).first().copied()?;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mill) = self.mill() {
            let _ = Command::new("kill").args(["-s", "KILL", &mill.to_string()]).output();
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let of =
        |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let said: String = tasks.flatten().map(of).collect();
    said.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < end, "waited {LIMIT:?} in vain until {what}");
        thread::sleep(Duration::from_millis(100));
    }
}
