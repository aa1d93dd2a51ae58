//! The command: `cargo run --release -p simulate -- --seeds N [--from SEED]`, or `… -- mutants`.

use std::process::ExitCode;

use simulate::command::{Command, USAGE};
use simulate::report::say;

fn main() -> ExitCode {
    match Command::parse(std::env::args().skip(1)) {
        Ok(command) => {
            if command.run() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(wrong) => {
            say(&format!("{wrong}\n\n{USAGE}"));
            ExitCode::from(2)
        }
    }
}
