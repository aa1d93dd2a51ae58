//! What a shell and a reader of manuals need of the command line.

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};

use crate::cli::{Cli, Completions, Man};
use crate::output::Output;

/// The name that both bear.
const NAME: &str = "gatewright";

/// Prints the completions of a shell.
pub(crate) fn completions(options: &Completions, out: &Output) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut typed(&Cli::command()), NAME, &mut script);
    out.line(String::from_utf8(script)?.trim_end())
}

/// Writes a page for the program and one for each command.
pub(crate) fn man(options: &Man, out: &Output) -> anyhow::Result<()> {
    let into = || format!("the pages cannot be written into {}", options.to.display());
    std::fs::create_dir_all(&options.to).with_context(into)?;
    clap_mangen::generate_to(Cli::command(), &options.to).with_context(into)?;
    let pages = commands(&typed(&Cli::command()));
    let value = serde_json::json!({"dir": options.to, "pages": pages});
    out.value(&value, || format!("{pages} pages in {}", options.to.display()))
}

/// A command with what people type of it: the words that are hidden from them are not completed either.
fn typed(command: &Command) -> Command {
    // Names live as long as the program, which ends once they are printed.
    let name: &'static str = command.get_name().to_owned().leak();
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set()).cloned();
    let commands = command.get_subcommands().filter(|below| !below.is_hide_set()).map(typed);
    let shown = Command::new(name).args(arguments).subcommands(commands);
    let shown = if name == NAME { shown.version(env!("CARGO_PKG_VERSION")) } else { shown };
    match command.get_about() {
        Some(about) => shown.about(about.clone()),
        None => shown,
    }
}

/// How many commands there are, with the program itself.
fn commands(command: &Command) -> usize {
    1 + command.get_subcommands().map(commands).sum::<usize>()
}
