//! `dev`: a user's own pipeline files on an embedded bus, until a signal. Topics, registry, databases and mails are
//! here; a second terminal speaks to them with the other commands.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use super::args::Common;
use super::embedded::Embedded;
use super::{Failure, lint, output, run, stop, world};
use crate::config::{Config, Database, Mail, MailWay, Sqlite};
use crate::database::{self, Console, SqliteSettings};
use crate::observe::{Board, State};
use crate::pipeline::runner::Ended;
use crate::pipeline::spec::{self, Pipeline, Sink};

/// `dev`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The bus and the registry live in this process and forget everything at its end;
databases, mails and archives lie in a folder and stay. Contracts under avro/
are registered. It prints what to paste into a second terminal, where produce,
tail and group then speak to this bus. Brokers, registry and databases of
ordermill.yaml are left alone. --sql runs at every start: let it say
CREATE TABLE IF NOT EXISTS.

Example: one file, with its tables
  ordermill dev pipelines/large-orders.yaml --sql tables.sql")]
pub(super) struct Dev {
    /// Pipeline files, or folders of them
    #[arg(default_value = "pipelines", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Where its files lie
    #[arg(long, value_name = "DIR", default_value = "ordermill-dev")]
    folder: PathBuf,
    /// SQL to run first, as FILE or DATABASE=FILE
    #[arg(long, value_name = "FILE")]
    sql: Vec<String>,
    /// Partitions of each topic
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(i32).range(1..=1_000))]
    partitions: i32,
    /// Serves metrics and health [default: 127.0.0.1:9400]
    #[arg(long, value_name = "HOST:PORT")]
    http: Option<String>,
}

/// The database that keeps where pipelines stand whose sink is none. No name in a pipeline file has an underscore.
const STATE: &str = "dev_state";
/// How often an archive closes its files here at least: whoever develops wants to see them.
const ROLL_MAX: Duration = Duration::from_secs(2);

/// Runs the pipelines of these files on a bus of their own.
///
/// # Errors
/// 78 when a file or a table is not as it must be, or another process has the folder; 1 when the last pipeline has
/// halted.
pub(super) async fn dev(common: &Common, command: &Dev) -> Result<(), Failure> {
    let mut config = world::without_secrets(common, command.http.as_deref())?;
    let mut pipelines = spec::read_all(&command.paths)?;
    std::fs::create_dir_all(&command.folder)
        .with_context(|| format!("failed to make {}", command.folder.display()))?;
    for pipeline in &mut pipelines {
        keep_in(&command.folder, pipeline);
    }
    let databases = databases(&pipelines);
    settle_in(&mut config, &command.folder, &databases);
    spec::fit(&pipelines, &config)?;
    let contracts = world::contracts(&config)?;
    lint::check(&pipelines, &contracts)?;
    let scripts = scripts(&command.sql, &databases)?;
    let stop = stop::on_signal().map_err(anyhow::Error::new)?;
    is_free(&command.folder)?;
    let embedded = Embedded::start(&config, contracts).await?;
    for (database, file) in &scripts {
        run_script(&path(&command.folder, database), file)?;
    }
    for topic in pipelines.iter().flat_map(topics) {
        embedded.bus.create_topic(&topic, command.partitions).map_err(anyhow::Error::new)?;
    }
    tracing::info!(address = %embedded.http(), "http listening");
    let introduction = introduction(&embedded, command, &pipelines);
    let count = pipelines.len();
    let mut running = std::pin::pin!(run::all(pipelines, &embedded.world, &stop));
    let ends = tokio::select! {
        ends = &mut running => ends,
        () = begun(&embedded.world.board, count) => {
            introduction.say();
            running.await
        }
    };
    verdict(&ends?)
}

/// A folder has one process at a time.
fn is_free(folder: &Path) -> Result<(), Failure> {
    let state = database::Settings::Sqlite(SqliteSettings::new(path(folder, STATE)));
    match database::Database::open(&state) {
        Err(database::Error::InUse { .. }) => Err(Failure::Configuration(format!(
            "{} is in use by another process: end that one, or name another folder with --folder",
            folder.display()
        ))),
        // Anything else is said when it is opened to be used.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Waits until each pipeline works, waits for something or has halted, but not for long.
async fn begun(board: &Board, count: usize) {
    let all = async {
        loop {
            let (_, states) = board.ready();
            let begun = |(_, state): &(String, State)| !matches!(state, State::Starting(_));
            let works = |(_, state): &(String, State)| !matches!(state, State::Halted(_));
            // When none does, the end is near.
            if states.len() == count && states.iter().all(begun) && states.iter().any(works) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // What it waits for then stands in its log.
    let _ = tokio::time::timeout(Duration::from_secs(5), all).await;
}

/// What the process says at the end: of a table that is missing also what makes it.
fn verdict(ends: &[Ended]) -> Result<(), Failure> {
    let missing = ends.iter().find_map(|ended| match ended {
        Ended::Unfit(fault) if fault.code == "no_table" => Some(&fault.reason),
        Ended::Unfit(_) | Ended::Halted(..) | Ended::Stopped => None,
    });
    match missing {
        Some(reason) => {
            Err(Failure::Configuration(format!("{reason}; --sql FILE runs a script that makes it")))
        }
        None => run::verdict(ends),
    }
}

/// The databases that pipelines name.
fn databases(pipelines: &[Pipeline]) -> BTreeSet<String> {
    let named = pipelines.iter().filter_map(|pipeline| match &pipeline.sink {
        Sink::Sql(sql) => Some(sql.database.clone()),
        Sink::Topic(_) | Sink::Archive(_) | Sink::Mail(_) => None,
    });
    named.collect()
}

fn path(folder: &Path, database: &str) -> PathBuf {
    folder.join(format!("{database}.sqlite"))
}

/// What `ordermill.yaml` says of the world gives way to the folder.
fn settle_in(config: &mut Config, folder: &Path, databases: &BTreeSet<String>) {
    let all = databases.iter().map(String::as_str).chain([STATE]);
    config.databases = all
        .map(|name| (name.to_owned(), Database::Sqlite(Sqlite { path: path(folder, name) })))
        .collect();
    config.state = Some(STATE.to_owned());
    let domain = config.mail.take().and_then(|mail| mail.domain);
    config.mail = Some(Mail { domain, way: MailWay::Folder(folder.join("mails")) });
}

/// Nothing is archived anywhere else, and it is seen soon.
fn keep_in(folder: &Path, pipeline: &mut Pipeline) {
    if let Sink::Archive(archive) = &mut pipeline.sink {
        let to = folder.join("archive").join(&pipeline.name);
        archive.to = to.to_string_lossy().into_owned();
        archive.roll.every = archive.roll.every.min(ROLL_MAX);
    }
}

/// The topics that a file names: its sources, outputs and dead letters.
fn topics(pipeline: &Pipeline) -> BTreeSet<String> {
    let sources = &pipeline.source.topics;
    let outputs = pipeline.outputs().into_iter().map(str::to_owned);
    let letters = sources.iter().map(|topic| pipeline.dead_letter_topic(topic));
    sources.iter().map(ToString::to_string).chain(outputs).chain(letters).collect()
}

/// Which script runs in which database.
fn scripts<'a>(
    given: &'a [String],
    databases: &BTreeSet<String>,
) -> Result<Vec<(String, &'a Path)>, Failure> {
    let there = databases.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let which = |given: &'a String| match given.split_once('=') {
        Some((database, file)) if databases.contains(database) => {
            Ok((database.to_owned(), Path::new(file)))
        }
        _ => match databases.first() {
            Some(only) if databases.len() == 1 => Ok((only.clone(), Path::new(given.as_str()))),
            Some(_) => Err(Failure::Configuration(format!(
                "--sql {given}: say the database, as --sql DATABASE={given}; the pipelines name {there}"
            ))),
            None => Err(Failure::Configuration(format!(
                "--sql {given}: none of the pipelines has a database"
            ))),
        },
    };
    given.iter().map(which).collect()
}

fn run_script(database: &Path, file: &Path) -> Result<(), Failure> {
    let wrong = |why: String| Failure::Configuration(format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    let console = Console::open(database).map_err(anyhow::Error::new)?;
    console.run(&text).map_err(|e| wrong(e.to_string()))
}

/// What somebody needs to know who begins.
struct Introduction {
    here: String,
    /// For the second terminal.
    exports: String,
    commands: String,
}

fn introduction(embedded: &Embedded, command: &Dev, pipelines: &[Pipeline]) -> Introduction {
    let names: Vec<&str> = pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
    let (bus, registry) = (embedded.bus.bootstrap(), embedded.registry());
    let here = format!(
        "\n{}: at work until Ctrl-C\n\
         \x20 bus       {bus} (embedded: it keeps 5 MB a partition, and\n\
         \x20           nothing after the end)\n\
         \x20 registry  {registry}\n\
         \x20 metrics   http://{}/metrics\n\
         \x20 files     {}: databases as NAME.sqlite, mails, archive\n\
         \nIn a second terminal:",
        names.join(", "),
        embedded.http(),
        command.folder.display(),
    );
    let exports =
        format!("export ORDERMILL_KAFKA_BOOTSTRAP={bus}\nexport ORDERMILL_REGISTRY_URL={registry}");
    let (topic, group) = pipelines.first().map_or(("TOPIC", "GROUP"), |pipeline| {
        (&*pipeline.source.topics[0], pipeline.source.group.as_str())
    });
    let commands = format!(
        "ordermill produce {topic} events.jsonl\n\
         ordermill tail {topic}\n\
         ordermill group describe {group} --topic {topic}\n"
    );
    Introduction { here, exports, commands }
}

impl Introduction {
    /// To the person on stderr; to stdout only what a second terminal needs.
    fn say(&self) {
        output::say(&self.here);
        output::line(&self.exports);
        output::say(&self.commands);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_script_runs_in_the_only_database_or_in_the_one_that_it_names() {
        let given = ["tables.sql".to_owned(), "stock=more.sql".to_owned(), "a=b.sql".to_owned()];
        let found = scripts(&given[..1], &named(&["orders"])).unwrap();
        assert_eq!(found, [("orders".to_owned(), Path::new("tables.sql"))]);
        let found = scripts(&given[1..2], &named(&["orders", "stock"])).unwrap();
        assert_eq!(found, [("stock".to_owned(), Path::new("more.sql"))]);
        let found = scripts(&given[2..], &named(&["orders"])).unwrap();
        assert_eq!(found, [("orders".to_owned(), Path::new("a=b.sql"))]);
        for (databases, says) in
            [(named(&["orders", "stock"]), "orders, stock"), (named(&[]), "none")]
        {
            let refused = scripts(&given[..1], &databases).unwrap_err().to_string();
            assert!(refused.contains(says), "{refused}");
        }
    }

    #[test]
    fn nothing_is_kept_outside_the_folder() {
        let text = "name: a\nsource: { topic: t }\nsink: { archive: { to: /srv/archive } }\n";
        let mut pipeline = spec::parse(Path::new("a.yaml"), text.as_bytes()).unwrap();
        keep_in(Path::new("here"), &mut pipeline);
        let Sink::Archive(archive) = &pipeline.sink else { panic!("{:?}", pipeline.sink) };
        assert_eq!((archive.to.as_str(), archive.roll.every), ("here/archive/a", ROLL_MAX));
        assert_eq!(topics(&pipeline), named(&["t", "t.a.dlq"]));
    }
}
