//! Lists that are longer than what is shown of them at one time.

use clap::Args;
use domain::ids::ProjectName;
use domain::time::Timestamp;

use crate::reference::Reference;

/// Which part of a list that is read newest first.
#[derive(Debug, Args)]
pub(crate) struct Part {
    /// Older than the one of that number: where the list was cut.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) before: Option<u64>,
    /// At most so many.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
}

impl Part {
    /// As parameters of the API.
    pub(crate) fn query(&self) -> String {
        let before = self.before.map(|before| format!("&before={before}")).unwrap_or_default();
        format!("limit={}{before}", self.limit)
    }
}

/// With `--json` each line is one JSON value, and all of them are printed where `--limit` says nothing else.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Of this token, or this person.
    #[arg(long)]
    pub(crate) who: Option<String>,
    /// Of this kind: approve, freeze, log-in, make-token, denied, …
    #[arg(long)]
    pub(crate) what: Option<String>,
    /// Of one task: its number, or the work item's key.
    #[arg(long)]
    pub(crate) task: Option<Reference>,
    /// Of one project.
    #[arg(long)]
    pub(crate) project: Option<ProjectName>,
    /// Since that time (`2026-01-31T12:00:00Z`), or for so long: 7d, 12h, 90m.
    #[arg(long, value_name = "TIME", value_parser = crate::when::given)]
    pub(crate) since: Option<Timestamp>,
    /// At most so many lines [default: 100, with `--json` all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
}
