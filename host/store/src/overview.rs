//! What pages for people read: each query finds its rows by an index, or looks at a bounded number of them.

use conductor::ports::store::{
    AnswerRow, BoardItem, Contact, EvaluationRow, Extent, Live, Load, Overview, Standings, StoreError,
};
use domain::ids::{EvaluationId, ProjectName, StageName, TaskId, WorkItemId};
use domain::task::Task;
use domain::time::Timestamp;
use rusqlite::{Connection, Row, params};

use crate::failure::Result;
use crate::find;
use crate::row::{all, get_json, get_name, get_readable, get_text, get_time, get_u64, number, one, sound, to_json};
use crate::sqlite::SqliteStore;

/// Tasks of a project, newest first, among which those that landed a commit are looked for.
const LANDED: u32 = 5000;
/// Evaluations, newest first, among which a project's are looked for.
const JUDGED: u32 = 2000;

type Told<T> = std::result::Result<T, StoreError>;

impl Overview for SqliteStore {
    fn standings(&self) -> Told<Standings> {
        self.read(standings)
    }

    fn load(&self) -> Told<Load> {
        let query = "SELECT (SELECT COUNT(*) FROM job INDEXED BY job_later WHERE state = 'queued') AS queued,
            COUNT(*) FILTER (WHERE state = 'claimed') AS claimed, COUNT(*) FILTER (WHERE slot = 1) AS placed
            FROM job WHERE state = 'claimed' OR winding = 1";
        self.read(|sql| {
            let found = one(sql, query, [], |row| {
                let (claimed, placed) = (get_u64(row, "claimed")?, get_u64(row, "placed")?);
                Ok(Load { queued: get_u64(row, "queued")?, claimed, placed })
            })?;
            Ok(found.unwrap_or_default())
        })
    }

    fn live_tasks(&self, which: Live, limit: u32) -> Told<Vec<Task>> {
        self.read(|sql| live_tasks(sql, which, limit))
    }

    fn live_tasks_of(&self, project: &ProjectName, limit: u32) -> Told<Vec<Task>> {
        let query = "SELECT id, body FROM task WHERE id IN (SELECT id FROM task WHERE project = ?1 AND terminal = 0)
            ORDER BY id DESC LIMIT ?2";
        self.read(|sql| bodies(sql, query, params![project.as_str(), limit]))
    }

    fn ended_tasks_of(&self, project: &ProjectName, limit: u32) -> Told<Vec<Task>> {
        let query = "SELECT id, body FROM task INDEXED BY task_ended WHERE project = ?1 AND terminal = 1
            ORDER BY id DESC LIMIT ?2";
        self.read(|sql| bodies(sql, query, params![project.as_str(), limit]))
    }

    fn landed_tasks_of(&self, project: &ProjectName, limit: u32) -> Told<Vec<Task>> {
        // A quote within a text is escaped there: only the fields themselves look so.
        let query = "SELECT id, body FROM task WHERE id IN (
                SELECT id FROM (SELECT id FROM task WHERE project = ?1 AND terminal = 0 ORDER BY id DESC LIMIT ?3)
                UNION ALL SELECT id FROM (SELECT id FROM task INDEXED BY task_ended
                    WHERE project = ?1 AND terminal = 1 ORDER BY id DESC LIMIT ?3))
            AND (instr(body, '\"merged\":\"') OR instr(body, '\"deployed\":\"')) ORDER BY id DESC LIMIT ?2";
        self.read(|sql| bodies(sql, query, params![project.as_str(), limit, LANDED]))
    }

    fn stages(&self, project: &ProjectName) -> Told<Vec<(StageName, u64)>> {
        let query = "SELECT stage, COUNT(*) AS tasks FROM task WHERE project = ?1 GROUP BY stage";
        self.read(|sql| {
            sound(sql, query, params![project.as_str()], |row| {
                Ok((get_name(row, "task", "stage")?, get_u64(row, "tasks")?))
            })
        })
    }

    fn unstarted(&self, project: &ProjectName, limit: u32) -> Told<(Vec<BoardItem>, u64)> {
        self.read(|sql| find::unstarted(sql, project, limit))
    }

    fn cards_named(&self, text: &str, limit: u32) -> Told<Vec<BoardItem>> {
        self.read(|sql| find::cards(sql, text, limit))
    }

    fn tasks_named(&self, text: &str, limit: u32) -> Told<Vec<Task>> {
        self.read(|sql| find::tasks(sql, text, limit))
    }

    fn named(&self, tasks: &[TaskId]) -> Told<Vec<(TaskId, ProjectName, WorkItemId)>> {
        let query = "SELECT id, project, work_item FROM task WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id";
        self.read(|sql| {
            sound(sql, query, params![to_json(&tasks)?], |row| {
                let project = get_name(row, "task", "project")?;
                Ok((TaskId(get_u64(row, "id")?), project, get_name(row, "task", "work_item")?))
            })
        })
    }

    fn last_step(&self) -> Told<Option<Timestamp>> {
        let query = "SELECT at FROM event WHERE outcome = 'stepped' ORDER BY id DESC LIMIT 1";
        self.read(|sql| Ok(number(sql, query, [])?.map(Timestamp)))
    }

    fn contacts(&self) -> Told<Vec<Contact>> {
        self.read(contacts)
    }

    fn evaluations_in(&self, project: &ProjectName, limit: u32) -> Told<Vec<EvaluationRow>> {
        let query = "SELECT e.id, e.body FROM (SELECT * FROM evaluation ORDER BY id DESC LIMIT ?3) e
            JOIN task t ON t.id = e.task WHERE t.project = ?1 ORDER BY e.id DESC LIMIT ?2";
        self.read(|sql| {
            sound(sql, query, params![project.as_str(), limit, JUDGED], |row| {
                Ok(EvaluationRow {
                    id: EvaluationId(get_u64(row, "id")?),
                    evaluation: get_json(row, "evaluation", "body")?,
                })
            })
        })
    }

    fn newest_answers(&self, limit: u32) -> Told<Vec<AnswerRow>> {
        let query = "SELECT id, plugin, answer, at, CASE WHEN json_valid(body) THEN body ->> '$.micros' END AS micros FROM evaluation ORDER BY id DESC LIMIT ?1";
        self.read(|sql| {
            sound(sql, query, params![limit], |row| {
                Ok(AnswerRow {
                    plugin: get_name(row, "evaluation", "plugin")?,
                    answer: get_text(row, "evaluation", "answer")?,
                    micros: get_u64(row, "micros")?,
                    at: get_time(row, "at")?,
                })
            })
        })
    }

    fn extent(&self) -> Told<Extent> {
        self.read(extent)
    }
}

pub(crate) fn bodies(sql: &Connection, query: &str, params: impl rusqlite::Params) -> Result<Vec<Task>> {
    sound(sql, query, params, |row| get_json(row, "task", "body"))
}

fn standings(sql: &Connection) -> Result<Standings> {
    let query =
        "SELECT activity, COUNT(*) AS tasks FROM task INDEXED BY task_standing WHERE terminal = 0 GROUP BY activity";
    let mut standings = Standings::default();
    let counted = |row: &Row<'_>| Ok((get_readable(row, "activity")?.unwrap_or_default(), get_u64(row, "tasks")?));
    for (activity, tasks) in all(sql, query, [], counted)? {
        let counted = match activity.as_str() {
            "awaiting-person" => &mut standings.asking,
            "held" => &mut standings.held,
            "stopping" => &mut standings.stopping,
            _ => &mut standings.moving,
        };
        *counted += tasks;
    }
    Ok(standings)
}

pub(crate) fn live_tasks(sql: &Connection, which: Live, limit: u32) -> Result<Vec<Task>> {
    let among = match which {
        Live::Waiting => "'awaiting-person', 'held'",
        Live::Moving => "'running', 'judging', 'acting', 'waiting', 'stopping'",
    };
    let query = format!(
        "SELECT id, body FROM task WHERE id IN (SELECT id FROM task INDEXED BY task_standing
            WHERE terminal = 0 AND activity IN ({among}) ORDER BY id LIMIT ?1) ORDER BY id"
    );
    bodies(sql, &query, params![limit])
}

/// A source is known by a delivery or by a poll; each project has few of them. Of those that wait the newest are looked at, for nobody
/// knows how many they are.
fn contacts(sql: &Connection) -> Result<Vec<Contact>> {
    let query = "WITH RECURSIVE known AS (
            SELECT p.name AS project, (SELECT MIN(source) FROM delivery WHERE project = p.name AND state <> 'pending') AS source
            FROM project p
            UNION ALL
            SELECT k.project,
                (SELECT MIN(source) FROM delivery WHERE project = k.project AND source > k.source AND state <> 'pending')
            FROM known k WHERE k.source IS NOT NULL),
        waiting AS MATERIALIZED (SELECT project, source, MAX(id) AS id FROM (
                SELECT project, source, id FROM delivery WHERE state <> 'expanded' AND state = 'pending' ORDER BY id DESC LIMIT 10000)
            GROUP BY project, source),
        sources AS (SELECT project, source FROM known WHERE source IS NOT NULL
            UNION SELECT project, source FROM poll UNION SELECT project, source FROM waiting)
        SELECT s.project, s.source,
            (SELECT received_at FROM delivery d WHERE d.id = MAX(
                COALESCE((SELECT id FROM waiting w WHERE w.project = s.project AND w.source = s.source), 0),
                COALESCE((SELECT id FROM delivery r WHERE r.project = s.project AND r.source = s.source AND r.state <> 'pending'
                    ORDER BY id DESC LIMIT 1), 0))) AS delivered,
            (SELECT at FROM poll WHERE poll.project = s.project AND poll.source = s.source) AS polled
        FROM sources s ORDER BY s.project, s.source";
    let time = |row: &Row<'_>, column: &str| -> Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(|at| Timestamp(at.unsigned_abs())))
    };
    sound(sql, query, [], |row| {
        Ok(Contact {
            project: get_name(row, "delivery", "project")?,
            source: get_text(row, "delivery", "source")?,
            delivered: time(row, "delivered")?,
            polled: time(row, "polled")?,
        })
    })
}

/// Ids grow by one and nothing is deleted, so the last one is the count.
fn extent(sql: &Connection) -> Result<Extent> {
    let count = |query: &str| -> Result<u64> { Ok(number(sql, query, [])?.unwrap_or(0)) };
    Ok(Extent {
        schema: u32::try_from(count("PRAGMA user_version")?).unwrap_or(u32::MAX),
        bytes: count("PRAGMA page_count")?.saturating_mul(count("PRAGMA page_size")?),
        tasks: count("SELECT MAX(id) FROM task")?,
        events: count("SELECT MAX(id) FROM event")?,
    })
}
