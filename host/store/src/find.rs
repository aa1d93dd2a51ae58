//! Finding tickets by words of people. Case is folded here: the database knows that of ASCII alone.

use conductor::ports::store::BoardItem;
use domain::ids::ProjectName;
use domain::task::Task;
use rusqlite::{Connection, Row, params};

use crate::board;
use crate::failure::Result;
use crate::overview::bodies;
use crate::row::{all, get_u64, number, sound, to_json};

/// Tickets, newest first, among which a text is looked for: their titles stand in no index.
const SEARCHED: u32 = 20_000;
/// A card that is there and had no task yet.
const UNSTARTED: &str = "i.gone IS NULL
    AND NOT EXISTS (SELECT 1 FROM task t WHERE t.project = i.project AND t.work_item = i.work_item)";

pub(crate) fn tasks(sql: &Connection, text: &str, limit: u32) -> Result<Vec<Task>> {
    let query = "SELECT id, work_item, CASE WHEN json_valid(body) THEN body ->> '$.title' END AS title
        FROM task ORDER BY id DESC LIMIT ?1";
    let wanted = text.to_lowercase();
    let named = all(sql, query, params![SEARCHED], |row| Ok(has(row, &wanted)?.then_some(get_u64(row, "id")?)))?;
    let ids: Vec<u64> = named.into_iter().flatten().take(limit as usize).collect();
    let query = "SELECT id, body FROM task WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id DESC";
    bodies(sql, query, params![to_json(&ids)?])
}

pub(crate) fn cards(sql: &Connection, text: &str, limit: u32) -> Result<Vec<BoardItem>> {
    let query = format!("SELECT * FROM tracker_item i WHERE {UNSTARTED} ORDER BY created_at DESC LIMIT ?1");
    let wanted = text.to_lowercase();
    let cards = sound(sql, &query, params![SEARCHED], |row| {
        Ok(if has(row, &wanted)? { Some(board::read(row)?) } else { None })
    })?;
    Ok(cards.into_iter().flatten().take(limit as usize).collect())
}

/// The key or the title of a row has the text.
fn has(row: &Row<'_>, wanted: &str) -> Result<bool> {
    let text = |column: &str| -> Result<Option<String>> {
        Ok(row.get_ref(column)?.as_str_or_null().ok().flatten().map(str::to_lowercase))
    };
    Ok([text("work_item")?, text("title")?].into_iter().flatten().any(|text| text.contains(wanted)))
}

pub(crate) fn unstarted(sql: &Connection, project: &ProjectName, limit: u32) -> Result<(Vec<BoardItem>, u64)> {
    let among = format!("FROM tracker_item i WHERE i.project = ?1 AND {UNSTARTED}");
    let newest = format!("SELECT i.* {among} ORDER BY i.number DESC LIMIT ?2");
    let cards = sound(sql, &newest, params![project.as_str(), limit], board::read)?;
    let count = number(sql, &format!("SELECT COUNT(*) {among}"), params![project.as_str()])?;
    Ok((cards, count.unwrap_or(0)))
}
