//! `gatewright observe`: what would have been done for observed projects.

use std::path::Path;

use conductor::ports::store::WouldRow;
use domain::time::Timestamp;

use crate::cli::Observe;
use crate::output::Output;
use crate::records::Records;
use crate::task::visible;
use crate::when::moment;

pub(crate) fn run(dir: &Path, command: &Observe, out: &Output) -> anyhow::Result<()> {
    let Observe::Report { project, since } = command;
    let since = since.unwrap_or(Timestamp(0));
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
