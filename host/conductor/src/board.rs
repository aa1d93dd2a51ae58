//! The built-in board as a tracker: its cards live in the store.

use std::sync::Arc;

use domain::ids::{Actor, ProjectName, WorkItemId};
use domain::plugin::{BoardStatus, Comment, StatusGroup, WorkItemView};
use domain::time::Timestamp;

use crate::ports::store::{BoardActivity, BoardItem, Store, StoreError};
use crate::ports::tracker::{Changes, Cursor, LogRow, RowKind, Tracker, TrackerError};

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

/// What the log says instead of a status once a card is gone.
pub const DELETED: &str = "(deleted)";
/// The word under which the board's deliveries are kept.
pub const SOURCE: &str = "board";
/// Rows of one page of the log.
const PAGE: u32 = 100;

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

fn row(activity: BoardActivity) -> LogRow {
    let kind = match (&activity.from, activity.to.as_str()) {
        (None, _) => RowKind::Created,
        (Some(_), DELETED) => RowKind::Removed,
        (Some(_), _) => RowKind::Moved,
    };
    LogRow {
        key: activity.id.to_string(),
        order: activity.id,
        work_item: activity.work_item,
        kind,
        from: activity.from,
        to: activity.to,
        actor: activity.actor,
    }
}

impl Tracker for Board {
    fn source(&self) -> &'static str {
        SOURCE
    }

    fn changes(&self, project: &ProjectName, since: Option<&Cursor>) -> Result<Changes, TrackerError> {
        // A cursor that is no number was not written by us: from the beginning on, what is known costs nothing.
        let since = since.and_then(|cursor| cursor.0.parse::<u64>().ok()).unwrap_or(0);
        let rows = self.store.activity_since(project, since, PAGE).map_err(unavailable)?;
        let end = rows.last().map_or(since, |row| row.id);
        let more = rows.len() == PAGE as usize;
        Ok(Changes { rows: rows.into_iter().map(row).collect(), cursor: Cursor(end.to_string()), more })
    }

    fn log(&self, project: &ProjectName, work_item: &WorkItemId) -> Result<Vec<LogRow>, TrackerError> {
        let rows = self.store.activity(project, work_item).map_err(unavailable)?;
        Ok(rows.into_iter().map(row).collect())
    }

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
