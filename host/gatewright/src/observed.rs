//! `gatewright observe`: what would have been done for observed projects.

use std::path::Path;

use anyhow::Context as _;
use conductor::ports::store::WouldRow;
use domain::ids::ProjectName;
use domain::time::Timestamp;

use crate::cli::Observe;
use crate::output::Output;
use crate::records::Records;
use crate::task::{moment, moment_of, visible};

pub(crate) fn run(dir: &Path, command: &Observe, out: &Output) -> anyhow::Result<()> {
    let Observe::Report { project, since } = command;
    let project = project.as_deref().map(ProjectName::new).transpose()?;
    let since = since.as_deref().map(moment_of).transpose()?.unwrap_or(0);
    let since = Timestamp(u64::try_from(since).context("`--since` is a time before 1970")?);
    let rows = Records::open(dir)?.woulds(project.as_ref(), since)?;
    out.value(&rows, || text(&rows))
}

fn text(rows: &[WouldRow]) -> String {
    if rows.is_empty() {
        return "nothing would have been done: no project is observed (`mode = \"observe\"` in its file), or none of its \
                tickets was started"
            .to_owned();
    }
    let line = |row: &WouldRow| {
        let would = &row.would;
        let head = format!("{}  {}  {} {}", moment(would.at), would.work_item, would.effect, visible(&would.target));
        format!("{head}\n    {}\n    because: {}", visible(&would.summary), visible(&would.why))
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
