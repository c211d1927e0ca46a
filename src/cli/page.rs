//! The page `docs/commands.md`: what may be typed, from the command line itself.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use super::args::Args;
use crate::config;

const INTRODUCTION: &str = "\
# Commands

Data goes to stdout, logs and everything else that is said go to stderr. `-o json` prints one JSON object a
line, with the same fields from release to release. What moves or makes things shows first what it would do
and does it with `--execute`. This page is made from the command line itself; `ordermill help COMMAND` says
the same.

| exit code | means |
|---|---|
| 0 | done |
| 1 | it failed, or the answer is no: a case that fails, a cluster that is away, a pipeline that halted |
| 2 | wrongly typed |
| 78 | files or settings are wrong, or the world is not as they say |
";

/// The page in Markdown: options of every command, then each command with an example.
pub fn page() -> String {
    let mut root = Args::command();
    root.build();
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n## Options of every command\n\n");
    let global: Vec<_> = root.get_arguments().filter(|arg| arg.is_global_set()).collect();
    table(&mut page, &global);
    page.push_str(
        "\nA flag goes before an environment variable, a variable before the [settings file](configuration.md).\n\n\
         | variable | sets |\n|---|---|\n| `ORDERMILL_CONFIG` | which settings file is read |\n",
    );
    for setting in config::settings() {
        let _ = writeln!(page, "| `{}` | `{}` |", setting.variable, setting.path);
    }
    below(&mut page, &root);
    page
}

fn below(page: &mut String, above: &Command) {
    for command in above.get_subcommands().filter(|command| command.get_name() != "help") {
        section(page, command);
        below(page, command);
    }
}

fn section(page: &mut String, command: &Command) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    let _ = write!(page, "\n## `{name}`\n\n{}.\n\n```text\n{usage}\n```\n", cell(&about));
    let own =
        |arg: &&Arg| !arg.is_global_set() && !["help", "version"].contains(&arg.get_id().as_str());
    let own: Vec<_> = command.get_arguments().filter(own).collect();
    if !own.is_empty() {
        page.push('\n');
        table(page, &own);
    }
    if let Some(after) = command.get_after_help() {
        let _ = write!(page, "\n```text\n{}\n```\n", after.to_string().trim_end());
    }
}

fn table(page: &mut String, arguments: &[&Arg]) {
    page.push_str("| argument | without it | meaning |\n|---|---|---|\n");
    for arg in arguments {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        // A default that depends on something stands in the help's own words.
        let (help, said) = match help.split_once("[default: ") {
            Some((help, said)) => (help.trim().to_owned(), said.trim_end_matches(']').to_owned()),
            None => (help, String::new()),
        };
        let typed = arg.get_default_values().first().filter(|_| arg.get_action().takes_values());
        let default = typed.map_or(said, |value| format!("`{}`", value.to_string_lossy()));
        let _ = writeln!(page, "| `{}` | {default} | {} |", spelt(arg), cell(&help));
    }
}

/// As it is typed: `-o, --output table|json`, `PATH...`
fn spelt(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let value = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let value = value.replace('|', "\\|");
    let Some(long) = arg.get_long() else {
        return if arg.is_required_set() { value } else { format!("[{value}]") };
    };
    let short = arg.get_short().map_or_else(String::new, |short| format!("-{short}, "));
    match arg.get_action().takes_values() {
        true => format!("{short}--{long} {value}"),
        false => format!("{short}--{long}"),
    }
}

/// Text in a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_the_command_line() {
        crate::config::grammar::same_page("docs/commands.md", &page());
    }
}
