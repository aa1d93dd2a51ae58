//! The binary: command line, configuration, wiring, signals.

mod audit;
mod backup;
mod changes;
mod check;
mod cli;
mod client;
mod clock;
mod collector;
mod condition;
mod config;
mod delivery;
mod demo;
mod descriptors;
mod doctor;
mod door;
mod edits;
mod embedded;
mod ending;
mod footing;
mod halting;
mod health;
mod init;
mod listener;
mod logging;
mod many;
mod observed;
mod output;
mod plugin;
mod private;
mod project;
mod readiness;
mod records;
mod reference;
mod repository;
mod scheduler;
mod serve;
mod shell;
mod sights;
mod state;
mod stop;
mod task;
mod telling;
mod token;
mod trail;
mod verdict;
mod watch;
mod webhook;
mod when;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;
use conductor::ports::clock::Clock as _;
use conductor::ports::store::StoreError;

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
        Command::Check => check::run(&state::find(given)?, &out),
        Command::Task(command) => task::run(&Client::find(&state::find(given)?)?, command, &out),
        Command::Project(command) => project::run(&Client::find(&state::find(given)?)?, &command, &out).map(|()| true),
        Command::Delivery(command) => {
            delivery::run(&Client::find(&state::find(given)?)?, &command, &out).map(|()| true)
        }
        Command::Stop(options) => stop::run(&Client::find(&state::find(given)?)?, &options, &out),
        Command::Pause(options) => many::pause(&Client::find(&state::find(given)?)?, &options, &out).map(|()| true),
        Command::Resume(options) => many::resume(&Client::find(&state::find(given)?)?, &options, &out).map(|()| true),
        Command::Retry(options) => many::retry(&Client::find(&state::find(given)?)?, &options, &out).map(|()| true),
        Command::Token(command) => token::run(&state::find(given)?, &command, &out).map(|()| true),
        Command::Audit(wanted) => audit::run(&state::find(given)?, &wanted, &out).map(|()| true),
        Command::Queue => {
            let client = Client::find(&state::find(given)?)?;
            task::queue(&client, &out, clock::SystemClock.now()).map(|()| true)
        }
        Command::Observe(command) => {
            observed::run(&state::find(given)?, &command, &out).map_err(not_found_out).map(|()| true)
        }
        Command::Verdict(command) => {
            let answered = state::find(given).and_then(|dir| verdict::run(&dir, command, &out));
            answered.map_err(not_found_out)
        }
        Command::Backup(options) => backup::create(&state::find(given)?, &options, &out).map(|()| true),
        Command::Restore(options) => {
            let target = options.to.map_or(backup::Target::Rehearsal, backup::Target::New);
            backup::restore(&options.file, target, given, &out).map(|()| true)
        }
        Command::Config(command) => config::run(&state::find(given)?, &command, &out).map(|()| true),
        Command::Doctor => doctor::run(&state::find(given)?, &out),
        Command::Health(options) => health::run(&state::find(given)?, &options, &out),
        Command::Completions(options) => shell::completions(&options, &out).map(|()| true),
        Command::Man(options) => shell::man(&options, &out).map(|()| true),
        Command::CompileComponent => {
            sandbox::compile_for_parent(&mut std::io::stdin().lock(), &mut std::io::stdout().lock())
                .map(|()| true)
                .map_err(|why| anyhow::anyhow!(why))
        }
        Command::Webhook(cli::Webhook::Decode { file, source, secret_file }) => {
            webhook::decode(&file, source, secret_file.as_deref(), &out)
        }
        Command::Plugin(command) => match &command {
            cli::Plugin::Inspect { .. } | cli::Plugin::Request { .. } => {
                plugin::run(std::path::Path::new("."), command, &out).map(|()| true)
            }
            cli::Plugin::Add { .. } => plugin::run(&state::find(given)?, command, &out).map(|()| true),
        },
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

/// That something is not there has been found out.
fn is_absent(error: &anyhow::Error) -> bool {
    error.chain().any(|link| {
        let by_store = matches!(link.downcast_ref(), Some(StoreError::NotFound { .. }));
        by_store || matches!(link.downcast_ref(), Some(ClientError::No(_)))
    })
}

fn not_found_out(error: anyhow::Error) -> anyhow::Error {
    if is_absent(&error) { error } else { error.context(NotFoundOut) }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if is_absent(error) {
        return NO;
    }
    if error.downcast_ref::<NotFoundOut>().is_some() || error.downcast_ref::<verdict::NotReplayable>().is_some() {
        return UNKNOWN;
    }
    if error.downcast_ref::<plugin::NobodyToAsk>().is_some() || error.downcast_ref::<stop::NobodyToAsk>().is_some() {
        return WRONG_USE;
    }
    if error.downcast_ref::<webhook::Broken>().is_some() {
        return WRONG_USE;
    }
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::No(_)) => NO,
        Some(_) => UNKNOWN,
        None => NO,
    }
}
