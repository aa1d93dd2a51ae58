//! What an operator types to keep a host well: backups, looks at the machine, what a shell and an init system need.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The folder for it, which is made where it is not there, or the file itself, which must not be there yet: a name that ends in
    /// .backup, .bak or .tar [default: backups/ in the state folder].
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) to: Option<PathBuf>,
    /// Keep the operator's token and secrets/ too: who has the backup then has them.
    #[arg(long)]
    pub(crate) with_secrets: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The backup.
    pub(crate) file: PathBuf,
    /// The state folder that is made of it; it must not be there yet.
    #[arg(long, value_name = "NEWDIR", required_unless_present = "verify")]
    pub(crate) to: Option<PathBuf>,
    /// See whether it can be restored. Without `--to`, in a folder that is removed again. (All of it is checked either way.)
    #[arg(long)]
    pub(crate) verify: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// For which shell.
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The folder for the pages: one for each command.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct HealthOptions {
    /// How long the host may take to answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub(crate) timeout: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// What holds: what the files say, and what holds because they do not say otherwise. No secret is among it.
    Show {
        /// Say of each value where it comes from: file and line, or the default.
        #[arg(long)]
        origin: bool,
    },
}
