//! What a lost delivery would have told, found by polling: rows of the tracker's log that no delivery told become deliveries and
//! come through the same door. So each is taken once, whoever saw it first, and what it means where the task stands is for
//! [`crate::expand`] and the engine alone.
//!
//! A poll moves no task and says nothing by itself. What merely stands (a status that is shown, a check that is green) is no row,
//! and so a task that is escalated, blocked, waiting or at its end is left alone, until a person does something.

use domain::ids::{Actor, Digest, ProjectName};
use domain::task::{Activity, Task};
use domain::time::Milliseconds;
use domain::verdict::WakeKind;
use serde_json::json;

use crate::ports::store::{StoreError, ToldRow};
use crate::ports::tracker::{Changes, Cursor, LogRow, TrackerError};
use crate::{Conductor, LookAt};

/// From one poll of the trackers to the next, unless the operator's file says otherwise: as long as a person waits before he
/// looks why nothing happens, and with fifty projects at one tracker within what its rate allows.
pub const RECONCILE_INTERVAL: Milliseconds = Milliseconds::from_seconds(120);
/// Pages that one poll reads; the next one goes on from there.
const PAGES: u32 = 20;
/// Live tasks that one poll looks at, the newest first.
const TASKS: u32 = 10_000;
/// Among so many of the newest comments one that is not ours is looked for.
const COMMENTS: u32 = 20;

/// A row as the delivery that should have told of it.
pub(crate) fn told(row: &LogRow) -> ToldRow {
    let body = json!({
        "kind": row.kind,
        "activity": row.key,
        "work_item": row.work_item,
        "from": row.from,
        "to": row.to,
        "actor": row.actor,
    });
    ToldRow {
        key: row.key.clone(),
        order: row.order,
        work_item: row.work_item.clone(),
        body: body.to_string().into_bytes(),
    }
}

impl Conductor {
    /// Polls the tracker of a project: its log, and the comments that somebody waits for.
    pub(crate) fn reconcile(&self, project: &ProjectName) -> Result<(), StoreError> {
        let mut failure = self.poll_log(project)?;
        for task in &self.outside.store.live_tasks_of(project, TASKS)? {
            if matches!(&task.position.activity, Activity::Waiting { wake, .. } if wake.contains(WakeKind::Comment)) {
                failure = failure.or(self.poll_comments(task)?);
            }
        }
        self.looked(LookAt::Tracker(project.clone()), failure.map(|error| error.to_string()));
        Ok(())
    }

    /// A comment that is newer than the one that a poll last saw ends the wait, whoever told of it. The first look may find one
    /// that the gate has read already: then it is asked once in vain. The answer: why they cannot be polled.
    fn poll_comments(&self, task: &Task) -> Result<Option<TrackerError>, StoreError> {
        let newest = match self.outside.tracker.comments(&task.project, &task.work_item, COMMENTS) {
            Ok(comments) => comments.into_iter().find(|comment| !comment.by_us),
            Err(error) => {
                tracing::warn!(task = %task.id, %error, "the comments cannot be polled");
                // A card that is gone is about the task alone.
                return Ok(Some(error).filter(|error| *error != TrackerError::Gone));
            }
        };
        let Some(newest) = newest else { return Ok(None) };
        let source = format!("{} comments {}", self.outside.tracker.source(), task.work_item);
        let mark = format!("{} {}", newest.at.0, Digest::of(format!("{}\n{}", newest.author, newest.text).as_bytes()));
        if self.outside.store.poll_cursor(&task.project, &source)?.as_ref() != Some(&mark) {
            self.outside.store.wake(&task.project, task.work_item.as_str(), WakeKind::Comment, self.now())?;
            self.outside.store.take_rows(&task.project, &source, &[], Some(&mark), self.now())?;
        }
        Ok(None)
    }

    /// Goes on from where the last poll ended. The answer: why the tracker cannot be polled.
    fn poll_log(&self, project: &ProjectName) -> Result<Option<TrackerError>, StoreError> {
        let source = self.outside.tracker.source();
        let mut cursor = self.outside.store.poll_cursor(project, source)?.map(Cursor);
        for _ in 0..PAGES {
            let page = match self.outside.tracker.changes(project, cursor.as_ref()) {
                Ok(page) => page,
                // Nothing follows from a tracker that cannot be read: the next poll begins where this one did.
                Err(error) => {
                    tracing::warn!(%project, %error, "the tracker cannot be polled");
                    return Ok(Some(error));
                }
            };
            let found = self.take(project, source, &page)?;
            if found > 0 {
                tracing::info!(%project, found, "a poll found what no delivery had told");
            }
            let stands_still = cursor.as_ref() == Some(&page.cursor);
            if !page.more || stands_still {
                break;
            }
            cursor = Some(page.cursor);
        }
        Ok(None)
    }

    fn take(&self, project: &ProjectName, source: &str, page: &Changes) -> Result<u32, StoreError> {
        let rows = page.rows.iter().filter(|row| row.actor != Actor::Host).map(told).collect::<Vec<_>>();
        self.outside.store.take_rows(project, source, &rows, Some(&page.cursor.0), self.now())
    }

    /// Rows that stand before this one and were never told are told now, and come first: a person's second word is not heard
    /// before the first. How many there were.
    pub(crate) fn take_earlier(&self, project: &ProjectName, log: &[LogRow], than: &LogRow) -> Result<u32, StoreError> {
        let earlier = |row: &&LogRow| row.order < than.order && row.actor != Actor::Host;
        let rows = log.iter().filter(earlier).map(told).collect::<Vec<_>>();
        self.outside.store.take_rows(project, self.outside.tracker.source(), &rows, None, self.now())
    }
}
