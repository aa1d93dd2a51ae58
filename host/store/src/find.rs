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
    let query = "SELECT id, work_item, body FROM task ORDER BY id DESC LIMIT ?1";
    let wanted = text.to_lowercase();
    let named = all(sql, query, params![SEARCHED], |row| {
        let title = row.get_ref("body")?.as_str().ok().and_then(title);
        Ok(has(row, title, &wanted)?.then_some(get_u64(row, "id")?))
    })?;
    let ids: Vec<u64> = named.into_iter().flatten().take(limit as usize).collect();
    let query = "SELECT id, body FROM task WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id DESC";
    bodies(sql, query, params![to_json(&ids)?])
}

pub(crate) fn cards(sql: &Connection, text: &str, limit: u32) -> Result<Vec<BoardItem>> {
    let query = format!("SELECT * FROM tracker_item i WHERE {UNSTARTED} ORDER BY created_at DESC LIMIT ?1");
    let wanted = text.to_lowercase();
    let cards = sound(sql, &query, params![SEARCHED], |row| {
        let title = row.get_ref("title")?.as_str().ok().map(str::to_owned);
        Ok(if has(row, title, &wanted)? { Some(board::read(row)?) } else { None })
    })?;
    Ok(cards.into_iter().flatten().take(limit as usize).collect())
}

/// The key of a row, or its title, has the text.
fn has(row: &Row<'_>, title: Option<String>, wanted: &str) -> Result<bool> {
    let key = row.get_ref("work_item")?.as_str_or_null().ok().flatten().map(str::to_owned);
    Ok([key, title].into_iter().flatten().any(|text| text.to_lowercase().contains(wanted)))
}

/// A task's title, out of its record: to read thousands of whole ones takes longer than a page may. Only names stand before it, in
/// which there is no quote.
fn title(body: &str) -> Option<String> {
    const KEY: &str = "\"title\":";
    let behind = &body[body.find(KEY)? + KEY.len()..];
    serde_json::Deserializer::from_str(behind).into_iter::<String>().next()?.ok()
}

pub(crate) fn unstarted(sql: &Connection, project: &ProjectName, limit: u32) -> Result<(Vec<BoardItem>, u64)> {
    let among = format!("FROM tracker_item i WHERE i.project = ?1 AND {UNSTARTED}");
    let newest = format!("SELECT i.* {among} ORDER BY i.number DESC LIMIT ?2");
    let cards = sound(sql, &newest, params![project.as_str(), limit], board::read)?;
    let count = number(sql, &format!("SELECT COUNT(*) {among}"), params![project.as_str()])?;
    Ok((cards, count.unwrap_or(0)))
}
