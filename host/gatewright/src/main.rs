//! The binary: command line, configuration, wiring, signals.

mod cli;
mod client;
mod clock;
mod demo;
mod embedded;
mod ending;
mod init;
mod logging;
mod output;
mod plugin;
mod project;
mod records;
mod scheduler;
mod serve;
mod state;
mod task;
mod telling;
mod verdict;
mod watch;
mod webhook;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;
use conductor::ports::clock::Clock as _;

use crate::cli::{Cli, Command};
use crate::client::{Client, ClientError};
use crate::output::{Output, say};

/// The answer is no.
const NO: u8 = 1;
/// Wrong use.
const WRONG_USE: u8 = 2;
/// Could not find out.
const UNKNOWN: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NO),
        Err(error) => {
            let said = chain(&error);
            // What is wrong with a file is told with the word already.
            say(&if said.starts_with("error") { said } else { format!("error: {said}") });
            ExitCode::from(exit_code(&error))
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<bool> {
    let out = Output { json: cli.json, dir: cli.dir.clone() };
    let given = cli.dir.as_deref();
    match cli.command {
        Command::Init(options) => init::run(given, &options, &out).map(|()| true),
        Command::Demo(options) => demo::run(cli.dir.clone(), &options, &out),
        Command::Serve(options) => serve::run(&state::find(given)?, &options, &out).map(|()| true),
        Command::Check => check(&state::find(given)?, &out),
        Command::Task(command) => task::run(&Client::find(&state::find(given)?)?, command, &out),
        Command::Project(command) => project::run(&Client::find(&state::find(given)?)?, &command, &out).map(|()| true),
        Command::Stop(options) => task::stop_all(&Client::find(&state::find(given)?)?, &options, &out),
        Command::Queue => {
            let client = Client::find(&state::find(given)?)?;
            task::queue(&client, &out, clock::SystemClock.now()).map(|()| true)
        }
        Command::Verdict(command) => {
            let answered = state::find(given).and_then(|dir| verdict::run(&dir, command, &out));
            answered.map_err(|error| error.context(NotFoundOut))
        }
        Command::CompileComponent => {
            sandbox::compile_for_parent(&mut std::io::stdin().lock(), &mut std::io::stdout().lock())
                .map(|()| true)
                .map_err(|why| anyhow::anyhow!(why))
        }
        Command::Webhook(cli::Webhook::Decode { file, source, secret_file }) => {
            webhook::decode(&file, source, secret_file.as_deref(), &out)
        }
        Command::Plugin(command) => match &command {
            cli::Plugin::Inspect { .. } => plugin::run(std::path::Path::new("."), command, &out).map(|()| true),
            cli::Plugin::Add { .. } => plugin::run(&state::find(given)?, command, &out).map(|()| true),
        },
    }
}

fn check(dir: &std::path::Path, out: &Output) -> anyhow::Result<bool> {
    match configuration::load(dir, &wiring::surroundings()) {
        Ok(loaded) => {
            let names = loaded.projects.iter().map(|project| project.project.name.to_string()).collect::<Vec<_>>();
            let flaws = wiring::check_plugins(dir, &loaded);
            let flaws = [flaws.told, flaws.failed].concat();
            let warnings = wiring::missing_programs(&loaded);
            let value =
                serde_json::json!({"ok": flaws.is_empty(), "projects": names, "flaws": flaws, "warnings": warnings});
            out.value(&value, || {
                let mut lines: Vec<String> = warnings.iter().map(|warning| format!("warning: {warning}")).collect();
                match flaws.as_slice() {
                    [] => lines.push(format!("{}: all files are sound; projects: {}", dir.display(), names.join(", "))),
                    flaws => lines.extend_from_slice(flaws),
                }
                lines.join("\n")
            })?;
            Ok(flaws.is_empty())
        }
        Err(diagnostics) => {
            let color = std::io::IsTerminal::is_terminal(&std::io::stdout()) && !out.json;
            let value = serde_json::json!({"ok": false, "errors": diagnostics.len(), "text": configuration::render(&diagnostics, false)});
            out.value(&value, || configuration::render(&diagnostics, color).trim_end().to_owned())?;
            Ok(false)
        }
    }
}

/// Outermost first; no link repeats what an outer one said.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for link in error.chain() {
        let said = link.to_string();
        if !text.contains(&said) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
    }
    text
}

/// Around an error of a command whose 1 means that something was found out.
#[derive(Debug, thiserror::Error)]
#[error("it could not be found out")]
struct NotFoundOut;

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.downcast_ref::<NotFoundOut>().is_some() {
        return UNKNOWN;
    }
    if error.downcast_ref::<plugin::NobodyToAsk>().is_some() || error.downcast_ref::<task::NobodyToAsk>().is_some() {
        return WRONG_USE;
    }
    if error.downcast_ref::<webhook::Broken>().is_some() {
        return WRONG_USE;
    }
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::No(_)) => NO,
        Some(ClientError::NotServing { .. } | ClientError::Unreachable(_)) => UNKNOWN,
        None => NO,
    }
}
