//! What stands behind a wait, and since when: who froze the repository, who said that another task is needed, who took the lease.

use conductor::ports::store::{EntryRow, Store, StoreError};
use domain::entry::Entry;
use domain::ids::TaskId;
use domain::task::{Activity, Task, Terminality};
use domain::time::Timestamp;

use crate::api::Behind;

/// Freezes and thaws that are looked through, newest first.
const LOG: u32 = 1000;

/// Of a task that was asked about, with its entries up to then.
pub(crate) struct Asked<'a> {
    pub(crate) store: &'a dyn Store,
    /// As it stood.
    pub(crate) task: &'a Task,
    pub(crate) entries: &'a [EntryRow],
    /// None: now.
    pub(crate) at: Option<Timestamp>,
}

impl Asked<'_> {
    /// What a task waits behind whose job is in the queue; one that waits for something else waits behind nothing.
    pub(crate) fn behind(&self) -> Result<Vec<Behind>, StoreError> {
        let is_queued = matches!(
            self.task.position.activity,
            Activity::Running { .. } | Activity::Judging { .. } | Activity::Acting { .. }
        );
        if !is_queued {
            return Ok(Vec::new());
        }
        let mut found = self.needs()?;
        // A freeze holds back what has not begun.
        if self.task.branch.is_none() {
            found.extend(self.freeze()?);
        }
        found.extend(self.leases()?);
        found.sort_by_key(|row| row.at);
        Ok(found)
    }

    fn freeze(&self) -> Result<Option<Behind>, StoreError> {
        let project = &self.task.project;
        let log = self.store.freeze_log(project, LOG)?;
        let last = log.into_iter().find(|row| self.at.is_none_or(|at| row.at <= at));
        Ok(last.and_then(|row| {
            let what = format!("{} froze `{project}`: {}", row.actor, row.reason?);
            Some(Behind { at: row.at, what })
        }))
    }

    fn needs(&self) -> Result<Vec<Behind>, StoreError> {
        let mut found = Vec::new();
        for row in self.entries {
            let Entry::DependencyAdded { needs, on, actor } = &row.entry else { continue };
            if !self.task.needs.contains(needs) {
                continue;
            }
            let at = row.at;
            let stood = match self.stood(*needs)?.map(|task| task.end()) {
                Some(Some(Terminality::Done)) => continue,
                Some(Some(Terminality::Cancelled)) => "was stopped",
                Some(None) | None => "was not done",
            };
            found.push(Behind { at, what: format!("{actor} said that it needs {on}, which {stood}") });
        }
        Ok(found)
    }

    /// The work item of a need counts by its newest task of that time.
    fn stood(&self, needs: TaskId) -> Result<Option<Task>, StoreError> {
        let named = self.store.task(needs)?;
        let newest = self.store.task_of(&named.project, &named.work_item)?;
        let Some(at) = self.at else { return Ok(newest) };
        if let Some(task) = newest.filter(|task| task.created_at <= at) {
            return self.store.task_at(task.id, at);
        }
        self.store.task_at(needs, at)
    }

    /// Who has the lease for which it stands in line. Of a time that is over nobody knows: leases are written where they stand.
    fn leases(&self) -> Result<Vec<Behind>, StoreError> {
        let wanted = &self.task.requested;
        let mut found = Vec::new();
        for (project, name, holder, _) in self.store.leases()? {
            let Some(holder) = holder.filter(|holder| *holder != self.task.id) else { continue };
            if self.at.is_some() || project != self.task.project || !wanted.contains(&name) {
                continue;
            }
            let takes = |row: &EntryRow| matches!(&row.entry, Entry::LeaseTaken { name: taken, .. } if *taken == name);
            let since = self.store.entries(holder)?.iter().rfind(|row| takes(row)).map_or(Timestamp(0), |row| row.at);
            let key = self.store.task(holder)?.work_item;
            found.push(Behind { at: since, what: format!("{key} took the lease `{name}`") });
        }
        Ok(found)
    }
}
