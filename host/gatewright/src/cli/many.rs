//! What an operator types for many tasks at once.

use clap::Args;
use domain::ids::{ProjectName, StepName};
use domain::task::HoldKind;

#[derive(Debug, Args)]
pub(crate) struct Many {
    /// All that are live, or were paused; a single one is paused and resumed by `task pause` and `task resume`.
    #[arg(long, required_unless_present = "project")]
    pub(crate) all: bool,
    /// Of this project alone.
    #[arg(long)]
    pub(crate) project: Option<ProjectName>,
    /// Only if they are still so many: the number that the board showed.
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Why; each task's timeline keeps it.
    #[arg(long, short, default_value = "", hide_default_value = true)]
    pub(crate) note: String,
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    /// By what they are held, as the board and `task show --json` name it: infra-exhausted, escalated, …
    #[arg(long, value_parser = cause)]
    pub(crate) cause: HoldKind,
    /// At which step [default: at none].
    #[arg(long)]
    pub(crate) step: Option<StepName>,
    /// Only if they are still so many: the number that the board showed.
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Why, or what to mind; each task's timeline keeps it.
    #[arg(long, short, default_value = "", hide_default_value = true)]
    pub(crate) note: String,
}

fn cause(text: &str) -> Result<HoldKind, String> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|error| error.to_string())
}
