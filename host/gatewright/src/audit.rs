//! `gatewright audit`: who did what, and who wanted to.

use std::path::Path;

use anyhow::Context as _;
use conductor::ports::access::{Access as _, AuditFilter, AuditRow};
use conductor::ports::store::Store as _;
use domain::ids::TaskId;
use domain::time::Timestamp;
use gateway::api::AuditPage;
use store::{SqliteStore, StoreConfig};

use crate::cli::Audit;
use crate::client::{Client, ClientError, segment};
use crate::clock::incarnation;
use crate::output::Output;
use crate::reference::Reference;
use crate::task::visible;
use crate::when::moment;

/// One answer of the API carries no more.
const PAGE: u32 = 1000;

/// Runs the command.
pub(crate) fn run(dir: &Path, wanted: &Audit, out: &Output) -> anyhow::Result<()> {
    let since = wanted.since;
    let rows = match Client::find(dir) {
        Ok(client) => from_host(&client, wanted, since)?,
        Err(ClientError::NotServing { .. }) => from_store(dir, wanted, since)?,
        Err(other) => return Err(other.into()),
    };
    out.value(&rows, || {
        if rows.is_empty() {
            return "Nothing was done that fits.".to_owned();
        }
        rows.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}

fn from_host(client: &Client, wanted: &Audit, since: Option<Timestamp>) -> anyhow::Result<Vec<AuditRow>> {
    let mut rows = Vec::new();
    let mut before = None;
    loop {
        let left = wanted.limit.saturating_sub(rows.len() as u32).min(PAGE);
        let mut query = vec![("limit", left.to_string())];
        let mut only = |name: &'static str, value: Option<String>| query.extend(value.map(|value| (name, value)));
        only("who", wanted.who.clone());
        only("what", wanted.what.clone());
        only("task", wanted.task.as_ref().map(Reference::to_string));
        only("project", wanted.project.as_ref().map(ToString::to_string));
        only("since", since.map(|since| since.0.to_string()));
        only("before", before.map(|before: u64| before.to_string()));
        let query =
            query.iter().map(|(name, value)| format!("{name}={}", segment(value))).collect::<Vec<_>>().join("&");
        let page: AuditPage = client.get(&format!("/api/v1/audit?{query}"))?;
        rows.extend(page.items);
        before = page.next;
        if before.is_none() || rows.len() >= wanted.limit as usize {
            return Ok(rows);
        }
    }
}

/// Without a host there is nobody to ask but the database itself.
fn from_store(dir: &Path, wanted: &Audit, since: Option<Timestamp>) -> anyhow::Result<Vec<AuditRow>> {
    let store = SqliteStore::open(StoreConfig::new(dir, incarnation()?.host))
        .context("no host answers, and the database is not free")?;
    let filter = AuditFilter {
        who: wanted.who.clone(),
        what: wanted.what.as_deref().map(str::parse).transpose()?,
        task: wanted.task.as_ref().map(|reference| task(&store, reference)).transpose()?,
        project: wanted.project.clone(),
        since,
        until: None,
        before: None,
    };
    Ok(store.audit(&filter, wanted.limit)?)
}

fn task(store: &SqliteStore, reference: &Reference) -> anyhow::Result<TaskId> {
    let item = match reference {
        Reference::Number(id) => return Ok(*id),
        Reference::Key(item) => item,
    };
    for project in store.projects()? {
        if let Some(task) = store.task_of(&project.name, item)? {
            return Ok(task.id);
        }
    }
    anyhow::bail!("there is no task `{item}`")
}

fn line(row: &AuditRow) -> String {
    let at = moment(row.at);
    let mut text = format!("{at} {:<12} {:<14} {:<9}", visible(&row.who), row.what, row.outcome);
    let moved = match (&row.before, &row.after) {
        (Some(before), Some(after)) => Some(format!("{before} → {after}")),
        (one, other) => other.clone().or_else(|| one.clone()),
    };
    let from = row.peer.as_ref().map(|peer| format!("from {peer}"));
    let why = Some(row.why.clone()).filter(|why| !why.is_empty()).map(|why| format!("\"{why}\""));
    for part in [row.subject.clone(), moved, from, why].into_iter().flatten() {
        text.push(' ');
        text.push_str(&visible(&part));
    }
    text.trim_end().to_owned()
}
