//! What others ask the auditor in between.

use domain::ids::{FenceToken, JobId, RunId, TaskId};
use rusqlite::params;

use super::accounts::{cards, notices, starts};
use super::rules::{comments, given_up, left_behind, untold};
use super::{Auditor, number};
use crate::world::{Shared, look};

impl Auditor {
    /// A job that somebody else has by now, as its row is: who had it before must not change it. None: the right still counts.
    pub fn passed_on(&self, job: JobId, token: FenceToken) -> Option<String> {
        let (sql, _) = self.reader.as_ref()?;
        let query = "SELECT token, state || ' ' || attempted || ' ' || winding || ' ' || available_at ||
            (SELECT ' events: ' || COUNT(*) FROM event WHERE job = ?1) FROM job WHERE id = ?1";
        let found = sql.query_row(query, params![job.0.cast_signed()], |row| Ok((number(row, 0)?, row.get(1)?)));
        // What anybody saw outside is told without any right, and may cancel the job.
        let counts = |(fence, row): &(u64, String)| *fence > token.0 && !row.starts_with("cancelled");
        found.ok().filter(counts).map(|(_, row)| row)
    }

    /// After a look that left room: a job that a dead host had begun, that nothing holds back, and that nobody took.
    pub fn left_behind(&self) -> Option<String> {
        let (sql, _) = self.reader.as_ref()?;
        left_behind(sql).ok().flatten()
    }

    /// What people did on the board and nobody has told the host yet.
    pub fn untold(&self) -> u64 {
        self.reader.as_ref().and_then(|(sql, _)| untold(sql).ok()).unwrap_or(0)
    }

    /// At the end: every comment that the host says it wrote is there once, and no other.
    pub fn settle_accounts(&mut self, world: &Shared) -> Vec<String> {
        let reader = match self.reader.take() {
            Some(reader) => Ok(reader),
            None => self.open(),
        };
        let counts =
            |run: &RunId, task: &TaskId| self.shadows.get(task).is_some_and(|shadow| shadow.counted.contains(run));
        let world_now = look(world);
        let free = world_now.shims.agents_over().filter(|(run, task, _)| !counts(run, task));
        let free =
            free.map(|(run, task, used)| format!("run {run} of task {task} used {used:?}, and counts as nothing"));
        let mut wrongs = free.collect::<Vec<_>>();
        drop(world_now);
        let settled = reader.and_then(|(sql, _)| {
            let world = look(world);
            let mut found = comments(&sql, &world)?;
            found.extend(given_up(&sql)?);
            found.extend(notices(&sql, &world)?);
            found.extend(cards(&sql, &self.shadows)?);
            found.extend(starts(&sql)?);
            Ok(found)
        });
        match settled {
            Ok(more) => wrongs.extend(more),
            Err(error) => wrongs.push(format!("the database cannot be read: {error}")),
        }
        wrongs
    }
}
