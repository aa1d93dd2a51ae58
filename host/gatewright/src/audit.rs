//! `gatewright audit`: who did what, and who wanted to.

use std::path::Path;

use anyhow::Context as _;
use conductor::ports::access::{Access as _, AuditFilter, AuditRow};
use conductor::ports::store::Store as _;
use domain::ids::TaskId;
use gateway::api::AuditPage;
use store::{SqliteStore, StoreConfig};

use crate::cli::Audit;
use crate::client::{Client, ClientError, segment};
use crate::clock::incarnation;
use crate::output::{Output, say};
use crate::reference::Reference;
use crate::task::visible;
use crate::when::moment;

/// One answer of the API carries no more, and so many lines are read from the database at one time.
const PAGE: u32 = 1000;
/// Lines for people, where they say nothing of it.
const SHOWN: u32 = 100;

/// Runs the command. Lines are printed as they are read: of a long audit nothing waits for its end.
pub(crate) fn run(dir: &Path, wanted: &Audit, out: &Output) -> anyhow::Result<()> {
    let source = Source::of(dir, wanted)?;
    let limit = wanted.limit.or((!out.json).then_some(SHOWN)).map_or(u64::MAX, u64::from);
    let (mut before, mut told) = (None, 0_u64);
    loop {
        let left = u32::try_from(limit.saturating_sub(told)).unwrap_or(u32::MAX);
        let AuditPage { items, next } = source.page(wanted, before, left.min(PAGE))?;
        for row in &items {
            out.line(&if out.json { serde_json::to_string(row)? } else { line(row) })?;
        }
        told += items.len() as u64;
        before = next;
        if before.is_none() || told >= limit {
            break;
        }
    }
    if told == 0 && !out.json {
        out.line("Nothing was done that fits.")?;
    }
    if before.is_some() {
        let all = out.command("gatewright audit --json");
        say(&format!("these are the newest {told}; `--limit N` shows more, and `{all}` all of them"));
    }
    Ok(())
}

/// Where the lines are.
enum Source {
    /// A host serves the folder.
    Living(Client),
    /// None does: there is nobody to ask but the database itself.
    Resting(Box<SqliteStore>, AuditFilter),
}

impl Source {
    fn of(dir: &Path, wanted: &Audit) -> anyhow::Result<Self> {
        match Client::find(dir) {
            Ok(client) => Ok(Self::Living(client)),
            Err(ClientError::NotServing { .. }) => {
                let store = SqliteStore::open(StoreConfig::new(dir, incarnation()?.host))
                    .context("no host answers, and the database is not free")?;
                let filter = filter(&store, wanted)?;
                Ok(Self::Resting(Box::new(store), filter))
            }
            Err(other) => Err(other.into()),
        }
    }

    fn page(&self, wanted: &Audit, before: Option<u64>, limit: u32) -> anyhow::Result<AuditPage> {
        match self {
            Self::Living(client) => Ok(client.get(&format!("/api/v1/audit?{}", query(wanted, before, limit)))?),
            Self::Resting(store, filter) => {
                let filter = AuditFilter { before, ..filter.clone() };
                let mut items = store.audit(&filter, limit.saturating_add(1))?;
                let more = items.len() > limit as usize;
                items.truncate(limit as usize);
                let next = items.last().filter(|_| more).map(|row| row.id);
                Ok(AuditPage { items, next })
            }
        }
    }
}

fn query(wanted: &Audit, before: Option<u64>, limit: u32) -> String {
    let mut query = vec![("limit", limit.to_string())];
    let mut only = |name: &'static str, value: Option<String>| query.extend(value.map(|value| (name, value)));
    only("who", wanted.who.clone());
    only("what", wanted.what.clone());
    only("task", wanted.task.as_ref().map(Reference::to_string));
    only("project", wanted.project.as_ref().map(ToString::to_string));
    only("since", wanted.since.map(|since| since.0.to_string()));
    only("before", before.map(|before| before.to_string()));
    query.iter().map(|(name, value)| format!("{name}={}", segment(value))).collect::<Vec<_>>().join("&")
}

fn filter(store: &SqliteStore, wanted: &Audit) -> anyhow::Result<AuditFilter> {
    Ok(AuditFilter {
        who: wanted.who.clone(),
        what: wanted.what.as_deref().map(str::parse).transpose()?,
        task: wanted.task.as_ref().map(|reference| task(store, reference)).transpose()?,
        project: wanted.project.clone(),
        since: wanted.since,
        until: None,
        before: None,
    })
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
