//! `gatewright pause`, `resume` and `retry`: what a button of the board does to many tasks at once.

use std::collections::BTreeSet;

use conductor::ports::store::Reached;
use domain::ids::TaskId;
use gateway::api::{ForAll, ForHeld};
use serde::Serialize;

use crate::cli::{Many, Retry};
use crate::client::{Client, ClientError};
use crate::output::{Output, counted};

/// Runs `gatewright pause`.
pub(crate) fn pause(client: &Client, options: &Many, out: &Output) -> anyhow::Result<()> {
    let reached = for_all(client, "/api/v1/all/pause", &of(options), options.count)?;
    tell(&reached, ["is to pause", "are to pause"], out)
}

/// Runs `gatewright resume`.
pub(crate) fn resume(client: &Client, options: &Many, out: &Output) -> anyhow::Result<()> {
    let reached = for_all(client, "/api/v1/all/resume", &of(options), options.count)?;
    tell(&reached, ["goes on", "go on"], out)
}

/// Runs `gatewright retry`.
pub(crate) fn retry(client: &Client, options: &Retry, out: &Output) -> anyhow::Result<()> {
    let Retry { cause, step, count, note } = options;
    let body = ForHeld { cause: *cause, step: step.clone(), count: *count, note: note.clone() };
    let reached = for_all(client, "/api/v1/all/retry", &body, *count)?;
    tell(&reached, ["is tried again", "are tried again"], out)
}

fn of(options: &Many) -> ForAll {
    ForAll { project: options.project.clone(), count: options.count, note: options.note.clone() }
}

/// Asks once for so many as were named; else until there is nobody else. Who is met a second time is held again already.
fn for_all(client: &Client, path: &str, body: &impl Serialize, count: Option<u64>) -> Result<Reached, ClientError> {
    let (mut all, mut met) = (Reached::default(), BTreeSet::<TaskId>::new());
    loop {
        let reached: Reached = client.post(path, body)?;
        all.more = reached.more;
        let before = met.len();
        all.tasks.extend(reached.tasks.into_iter().filter(|one| met.insert(one.task)));
        if count.is_some() || !all.more || met.len() == before {
            return Ok(all);
        }
    }
}

fn tell(reached: &Reached, does: [&str; 2], out: &Output) -> anyhow::Result<()> {
    out.value(reached, || {
        let number = reached.tasks.len();
        if number == 0 {
            return "No task is meant.".to_owned();
        }
        let keys = reached.tasks.iter().map(|one| one.work_item.as_str()).collect::<Vec<_>>().join(", ");
        let more = if reached.more { "\nThere may be more: repeat it." } else { "" };
        format!("{} {}: {keys}{more}", counted(number as u64, "task", "tasks"), does[usize::from(number != 1)])
    })
}
