//! Evaluations for the command line: from the living host where there is one, from the store itself where not.

use std::path::Path;

use conductor::ports::store::{EvaluationRow, StoreError, Thing, WouldRow};
use domain::ids::{EvaluationId, ProjectName, TaskId};
use domain::time::Timestamp;
use gateway::api::{EvaluationView, Listing, TaskView};
use store::Moment;

use crate::cli::Part;
use crate::client::{Client, ClientError};
use crate::reference::Reference;
use crate::task::path;

/// How many are asked for at a time where all are wanted.
const PAGE: u32 = 1000;

/// Where evaluations are read.
pub(crate) enum Records {
    /// A host serves the folder.
    Living(Client),
    /// None does: the database is read directly, without its lock, and nothing of the folder is written.
    Resting(Box<Moment>),
}

impl Records {
    /// Opens what there is.
    pub(crate) fn open(dir: &Path) -> anyhow::Result<Self> {
        match Client::find(dir) {
            Ok(client) => Ok(Self::Living(client)),
            Err(ClientError::NotServing { .. } | ClientError::Stranger { .. })
                if dir.join("gatewright.db").is_file() =>
            {
                Ok(Self::Resting(Box::new(Moment::open(dir)?)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Newest first, of one task or of all.
    pub(crate) fn evaluations(&self, task: Option<&Reference>, part: &Part) -> anyhow::Result<Listing<EvaluationRow>> {
        match self {
            Self::Living(client) => {
                let of = match task {
                    Some(key) => {
                        let view: TaskView = client.get(&path(key))?;
                        format!("&task={}", view.task.id)
                    }
                    None => String::new(),
                };
                Ok(client.get(&format!("/api/v1/evaluations?{}{of}", part.query()))?)
            }
            Self::Resting(store) => {
                let task = task.map(|key| resting_task(store, key)).transpose()?;
                let page = store.evaluations(task, part.before.map(EvaluationId), part.limit)?;
                Ok(Listing { more: page.next.is_some(), items: page.rows })
            }
        }
    }

    /// What would have been done, all of it, oldest first.
    pub(crate) fn woulds(&self, project: Option<&ProjectName>, since: Timestamp) -> anyhow::Result<Vec<WouldRow>> {
        let mut rows: Vec<WouldRow> = Vec::new();
        loop {
            let after = rows.last().map_or(0, |row| row.id);
            let page = match self {
                Self::Living(client) => {
                    let of = project.map(|project| format!("&project={project}")).unwrap_or_default();
                    let path = format!("/api/v1/observed?limit={PAGE}&since={}&after={after}{of}", since.0);
                    client.get::<Listing<WouldRow>>(&path)?.items
                }
                Self::Resting(store) => store.woulds(project, since, after, PAGE)?,
            };
            let ended = page.len() < PAGE as usize;
            rows.extend(page);
            if ended {
                return Ok(rows);
            }
        }
    }

    /// One evaluation with its whole answer.
    pub(crate) fn evaluation(&self, id: u64) -> anyhow::Result<EvaluationView> {
        match self {
            Self::Living(client) => Ok(client.get(&format!("/api/v1/evaluations/{id}"))?),
            Self::Resting(store) => {
                let row = store.evaluation(EvaluationId(id))?;
                let answered = serde_json::from_slice(&store.blob(&row.evaluation.verdict)?).ok();
                Ok(EvaluationView { row, answered })
            }
        }
    }

    /// What it saw and said.
    pub(crate) fn transcript(&self, id: u64) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Living(client) => Ok(client.bytes(&format!("/api/v1/evaluations/{id}/transcript"))?),
            Self::Resting(store) => {
                let row = store.evaluation(EvaluationId(id))?;
                Ok(store.blob(&row.evaluation.transcript)?)
            }
        }
    }
}

fn resting_task(store: &Moment, reference: &Reference) -> anyhow::Result<TaskId> {
    let key = match reference {
        Reference::Number(id) => return Ok(*id),
        Reference::Key(key) => key,
    };
    Ok(store.task_of(key)?.ok_or_else(|| StoreError::NotFound { what: Thing::TaskFor, id: key.to_string() })?)
}
