//! What a shell and a reader of manuals need of the command line.

use clap::CommandFactory as _;

use crate::cli::{Cli, Completions, Man};
use crate::output::Output;

/// The name that both bear.
const NAME: &str = "gatewright";

/// Prints the completions of a shell.
pub(crate) fn completions(options: &Completions, out: &Output) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), NAME, &mut script);
    out.line(String::from_utf8(script)?.trim_end())
}

/// Writes a page for the program and one for each command.
pub(crate) fn man(options: &Man, out: &Output) -> anyhow::Result<()> {
    std::fs::create_dir_all(&options.to)?;
    clap_mangen::generate_to(Cli::command(), &options.to)?;
    let pages = std::fs::read_dir(&options.to)?.count();
    let value = serde_json::json!({"dir": options.to, "pages": pages});
    out.value(&value, || format!("{pages} pages in {}", options.to.display()))
}
