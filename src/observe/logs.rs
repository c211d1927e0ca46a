//! Logs: to stderr, one line an event, as text or as JSON.

use tracing_subscriber::EnvFilter;

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Form {
    /// For a person.
    #[default]
    Text,
    /// For a collector.
    Json,
}

/// Starts logging. `level` is a filter such as `info` or `ordermill=debug`; what `quiet` names is not said.
///
/// # Errors
/// The filter is not one, or logging was started before.
pub fn start(
    form: Form,
    level: &str,
    quiet: &[&str],
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut filter = EnvFilter::try_new(level)?;
    for target in quiet {
        filter = filter.add_directive(format!("{target}=off").parse()?);
    }
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match form {
        Form::Text => {
            use std::io::IsTerminal;
            let ansi = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            lines.with_ansi(ansi).try_init()
        }
        Form::Json => lines.json().try_init(),
    }
}
