//! Parse, call, print the error chain once, exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use ordermill::cli::{self, Args};

fn main() -> ExitCode {
    match cli::call(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to hear it if stderr is gone.
            let _ = writeln!(std::io::stderr(), "ordermill: {failure}");
            failure.code()
        }
    }
}
