//! The built-in board as a tracker: its cards live in the store.

use std::sync::Arc;

use domain::ids::{Actor, ProjectName, WorkItemId};
use domain::plugin::{BoardStatus, Comment, StatusGroup, WorkItemView};
use domain::time::Timestamp;

use crate::ports::store::{BoardItem, Store, StoreError};
use crate::ports::tracker::{Tracker, TrackerError};

/// The columns of the built-in board, in order (catalogue K).
pub const STATUSES: [(&str, StatusGroup); 20] = [
    ("Backlog", StatusGroup::Backlog),
    ("To Analyse", StatusGroup::Unstarted),
    ("Analysis", StatusGroup::Started),
    ("Architecture", StatusGroup::Started),
    ("Development", StatusGroup::Started),
    ("Review", StatusGroup::Started),
    ("Testing", StatusGroup::Started),
    ("In Progress", StatusGroup::Started),
    ("In Review", StatusGroup::Started),
    ("Needs Input", StatusGroup::Started),
    ("Approved", StatusGroup::Started),
    ("Rejected", StatusGroup::Started),
    ("Blocked", StatusGroup::Started),
    ("Awaiting Deploy", StatusGroup::Started),
    ("Confirm Deploy", StatusGroup::Started),
    ("Deploying", StatusGroup::Started),
    ("Monitoring after Deploy", StatusGroup::Started),
    ("Done", StatusGroup::Completed),
    ("Cancelled", StatusGroup::Cancelled),
    ("STOP", StatusGroup::Cancelled),
];

/// The status in which a card is started.
pub const START: &str = "To Analyse";

/// The board.
pub struct Board {
    store: Arc<dyn Store>,
}

impl Board {
    /// The board of this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    fn found(&self, project: &ProjectName, work_item: &WorkItemId) -> Result<BoardItem, TrackerError> {
        match self.store.item(project, work_item) {
            Ok(Some(item)) if item.gone.is_none() => Ok(item),
            Ok(_) => Err(TrackerError::Gone),
            Err(error) => Err(unavailable(error)),
        }
    }
}

impl Tracker for Board {
    fn statuses(&self, _project: &ProjectName) -> Result<Vec<BoardStatus>, TrackerError> {
        Ok(STATUSES.iter().map(|(name, group)| BoardStatus { name: (*name).to_owned(), group: *group }).collect())
    }

    fn item(&self, project: &ProjectName, work_item: &WorkItemId) -> Result<WorkItemView, TrackerError> {
        let item = self.found(project, work_item)?;
        let group =
            STATUSES.iter().find(|(name, _)| *name == item.status).map_or(StatusGroup::Unknown, |(_, group)| *group);
        Ok(WorkItemView {
            title: item.title,
            description: item.description,
            status: BoardStatus { name: item.status, group },
            labels: item.labels,
            url: None,
            more: Vec::new(),
        })
    }

    fn gone_by(&self, project: &ProjectName, work_item: &WorkItemId) -> String {
        let gone = self.store.item(project, work_item).ok().flatten().and_then(|item| item.gone);
        gone.map_or_else(|| "somebody".to_owned(), |actor| actor.to_string())
    }

    fn comments(
        &self,
        project: &ProjectName,
        work_item: &WorkItemId,
        limit: u32,
    ) -> Result<Vec<Comment>, TrackerError> {
        let comments = self.store.comments(project, work_item, limit).map_err(unavailable)?;
        Ok(comments
            .into_iter()
            .map(|comment| Comment {
                by_us: comment.actor == Actor::Host,
                author: comment.actor.to_string(),
                text: comment.text,
                at: comment.at,
            })
            .collect())
    }

    fn set_status(
        &self,
        project: &ProjectName,
        work_item: &WorkItemId,
        status: &str,
        now: Timestamp,
    ) -> Result<(), TrackerError> {
        self.found(project, work_item)?;
        self.store.move_item(project, work_item, status, &Actor::Host, now).map_err(unavailable)
    }

    fn comment(
        &self,
        project: &ProjectName,
        work_item: &WorkItemId,
        external_id: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<(), TrackerError> {
        self.found(project, work_item)?;
        self.store
            .put_comment(project, work_item, &Actor::Host, Some(external_id), text, now)
            .map(|_| ())
            .map_err(unavailable)
    }
}

fn unavailable(error: StoreError) -> TrackerError {
    TrackerError::Unavailable(error.to_string())
}
