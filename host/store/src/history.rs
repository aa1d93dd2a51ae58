//! Long lists a page at a time.

use conductor::ports::store::{BoardComment, EntryRow, EvaluationRow, History, Page, RunRow, StoreError, TaskList};
use domain::ids::{EvaluationId, ProjectName, RunId, TaskId, Version, WorkItemId};
use domain::task::Task;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use crate::failure::Result;
use crate::row::{all, get_json, get_time, get_u64, int, number, sound};
use crate::sqlite::SqliteStore;
use crate::{board, records, tasks};

type Told<T> = std::result::Result<T, StoreError>;

impl History for SqliteStore {
    fn task_page(&self, of: &TaskList, before: Option<TaskId>, limit: u32) -> Told<Page<Task>> {
        // By an index of the live ones: the ended ones become many.
        let (among, keys) = match (of.live, &of.project) {
            (false, None) => ("1", Vec::new()),
            (true, None) => ("id IN (SELECT id FROM task WHERE terminal = 0)", Vec::new()),
            (false, Some(project)) => ("project = ?1", vec![text(project)]),
            (true, Some(project)) => {
                ("id IN (SELECT id FROM task WHERE project = ?1 AND terminal = 0)", vec![text(project)])
            }
        };
        let list = List { table: "task", among, keys };
        self.read(|sql| list.page(sql, before.map(|id| id.0), limit, |row| get_json(row, "task", "body")))
    }

    fn run_page(&self, task: TaskId, before: Option<RunId>, limit: u32) -> Told<Page<RunRow>> {
        let list = List { table: "run", among: "task = ?1", keys: vec![Value::Integer(int(task.0))] };
        self.read(|sql| list.page(sql, before.map(|id| id.0), limit, |row| get_json(row, "run", "body")))
    }

    fn evaluation_page(
        &self,
        task: Option<TaskId>,
        before: Option<EvaluationId>,
        limit: u32,
    ) -> Told<Page<EvaluationRow>> {
        self.read(|sql| evaluations(sql, task, before, limit))
    }

    fn comment_page(
        &self,
        project: &ProjectName,
        work_item: &WorkItemId,
        before: Option<u64>,
        limit: u32,
    ) -> Told<Page<BoardComment>> {
        let keys = vec![text(project), text(work_item)];
        let list = List { table: "tracker_comment", among: "project = ?1 AND work_item = ?2", keys };
        self.read(|sql| list.page(sql, before, limit, board::read_comment))
    }

    fn entry_page(&self, task: TaskId, first: Option<u64>, limit: u32) -> Told<Page<EntryRow>> {
        self.read(|sql| entries(sql, task, first, limit))
    }
}

fn text(word: &impl ToString) -> Value {
    Value::Text(word.to_string())
}

/// Evaluations of a task, or of all.
pub(crate) fn evaluations(
    sql: &Connection,
    task: Option<TaskId>,
    before: Option<EvaluationId>,
    limit: u32,
) -> Result<Page<EvaluationRow>> {
    let (among, keys) = match task {
        Some(task) => ("task = ?1", vec![Value::Integer(int(task.0))]),
        None => ("1", Vec::new()),
    };
    let list = List { table: "evaluation", among, keys };
    list.page(sql, before.map(|id| id.0), limit, records::read_evaluation)
}

/// Rows with a number: `among` says which, by the first parameters.
struct List<'a> {
    table: &'a str,
    among: &'a str,
    keys: Vec<Value>,
}

impl List<'_> {
    /// What does not read is counted, and so it is where a page ends.
    fn page<T>(
        &self,
        sql: &Connection,
        before: Option<u64>,
        limit: u32,
        read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Page<T>> {
        let Self { table, among, keys } = self;
        let count = format!("SELECT COUNT(*) FROM {table} WHERE {among}");
        let whole = number(sql, &count, params_from_iter(keys.iter()))?.unwrap_or(0);
        let (end, next) = (keys.len() + 1, keys.len() + 2);
        let of = format!("FROM {table} WHERE {among} AND id < ?{end}");
        let ended = Value::Integer(before.map_or(i64::MAX, int));
        let bound = || keys.iter().cloned().chain([ended.clone()]);
        let with = |last: Value| params_from_iter(bound().chain([last]));
        let there = number(sql, &format!("SELECT COUNT(*) {of}"), params_from_iter(bound()))?.unwrap_or(0);
        let older = there.saturating_sub(u64::from(limit));
        let query = format!("SELECT id {of} ORDER BY id DESC LIMIT ?{next}");
        let ids = all(sql, &query, with(Value::Integer(i64::from(limit))), |row| Ok(get_u64(row, "id")?))?;
        let Some(last) = ids.last().copied() else {
            return Ok(Page { rows: Vec::new(), all: whole, older: 0, next: None });
        };
        let query = format!("SELECT * {of} AND id >= ?{next} ORDER BY id DESC");
        let rows = sound(sql, &query, with(Value::Integer(int(last))), read)?;
        Ok(Page { rows, all: whole, older, next: (older > 0).then_some(last) })
    }
}

/// Entries are only appended, each in its place: a page is named by how many came before its end.
fn entries(sql: &Connection, task: TaskId, first: Option<u64>, limit: u32) -> Result<Page<EntryRow>> {
    let whole = tasks::task(sql, task)?.entries;
    let end = first.map_or(whole, |first| first.min(whole));
    let query = "SELECT version, ordinal, at, body FROM entry WHERE task = ?1
        ORDER BY version DESC, ordinal DESC LIMIT ?2 OFFSET ?3";
    let rows = all(sql, query, params![int(task.0), limit, int(whole - end)], |row| {
        Ok(EntryRow {
            version: Version(get_u64(row, "version")?),
            ordinal: row.get("ordinal")?,
            at: get_time(row, "at")?,
            entry: get_json(row, "entry", "body")?,
        })
    })?;
    let older = end.saturating_sub(rows.len() as u64);
    Ok(Page { rows, all: whole, older, next: (older > 0).then_some(older) })
}
