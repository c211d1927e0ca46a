//! `config`: what holds, and what files may say.

use clap::ValueEnum;

use super::args::Common;
use super::{Failure, output, world};
use crate::config;
use crate::pipeline::spec;

/// `config`
#[derive(Debug, clap::Args)]
pub(super) struct Config {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum ConfigCommand {
    /// The settings that hold, with all defaults; of secrets, where they are
    #[command(after_help = "\
Example: what does this machine set beside the file?
  ORDERMILL_HTTP_LISTEN=127.0.0.1:9500 ordermill config show")]
    Show {
        /// How they are printed
        #[arg(long, short, default_value = "yaml", value_name = "yaml|json")]
        #[arg(hide_possible_values = true)]
        output: Form,
    },
    /// The JSON Schema of pipeline files, for editors and checks
    #[command(after_help = "\
Example: let an editor check and complete pipeline files
  ordermill config schema > pipeline.schema.json
  # then, as the first line of a pipeline file:
  # yaml-language-server: $schema=../pipeline.schema.json")]
    Schema {
        /// That of ordermill.yaml instead
        #[arg(long)]
        settings: bool,
    },
}

/// The form of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// As the file has them.
    Yaml,
    /// For a program.
    Json,
}

/// Prints settings or a schema. Connects to nothing; secrets need not be there.
///
/// # Errors
/// 78: the settings are wrong, each at its place.
pub(super) fn config(common: &Common, command: &Config) -> Result<(), Failure> {
    match &command.command {
        ConfigCommand::Show { output } => {
            let (config, set) = world::effective(common)?;
            match output {
                Form::Yaml => {
                    let file = config.file.as_ref();
                    let file = file.map_or_else(|| "no file".into(), |file| file.to_string_lossy());
                    output::line(format!("# {file}, before it:{}", before(&set)));
                    output::text(config.show_yaml());
                }
                Form::Json => output::text(pretty(&config.show())),
            }
        }
        ConfigCommand::Schema { settings: true } => output::text(pretty(&config::json_schema())),
        ConfigCommand::Schema { settings: false } => output::text(pretty(&spec::json_schema())),
    }
    Ok(())
}

/// What goes before the file, as comments.
fn before(set: &[(String, String)]) -> String {
    if set.is_empty() {
        return " nothing".to_owned();
    }
    set.iter().map(|(path, by)| format!("\n#   {path} by {by}")).collect()
}

fn pretty(json: &serde_json::Value) -> String {
    format!("{json:#}\n")
}
