//! Between the domain's types and SQL's: whole numbers, and JSON.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use conductor::ports::store::StoreError;
use domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Params, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{Failure, Result};

/// SQL has no unsigned numbers; a time past the end of its own is the end.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn time(at: Timestamp) -> i64 {
    int(at.0)
}

pub(crate) fn get_u64(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or(0))
}

pub(crate) fn get_time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    get_u64(row, column).map(Timestamp)
}

/// A text as it stands in its column. This is the only way in which a column becomes a `String`: bytes that are no text are damage
/// of that row, and no failure of the database.
pub(crate) fn get_text(row: &Row<'_>, what: &'static str, column: &str) -> Result<String> {
    let text = row.get_ref(column)?.as_str().map_err(|error| damaged(what, column, &error))?;
    Ok(text.to_owned())
}

/// The same of a column that may be empty.
pub(crate) fn get_text_or_none(row: &Row<'_>, what: &'static str, column: &str) -> Result<Option<String>> {
    let text = row.get_ref(column)?.as_str_or_null().map_err(|error| damaged(what, column, &error))?;
    Ok(text.map(str::to_owned))
}

/// As much of a column as is text, for people to read.
pub(crate) fn get_readable(row: &Row<'_>, column: &str) -> Result<Option<String>> {
    let bytes = row.get_ref(column)?.as_bytes_or_null().ok().flatten();
    Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
}

fn damaged(what: &'static str, column: &str, error: &impl ToString) -> Failure {
    Failure::Row { what, why: format!("{column}: {}", error.to_string()) }
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Failure::Told(StoreError::inside(error.to_string())))
}

pub(crate) fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Failure::Row { what, why: error.to_string() })
}

pub(crate) fn get_json<T: DeserializeOwned>(row: &Row<'_>, what: &'static str, column: &str) -> Result<T> {
    from_json(what, row.get_ref(column)?.as_str().map_err(|error| Failure::Row { what, why: error.to_string() })?)
}

/// A text that must be one of the domain's names.
pub(crate) fn get_name<T: std::str::FromStr<Err: ToString>>(
    row: &Row<'_>,
    what: &'static str,
    column: &str,
) -> Result<T> {
    let text = row.get_ref(column)?.as_str().map_err(|error| Failure::Row { what, why: error.to_string() })?;
    text.parse().map_err(|error: T::Err| Failure::Row { what, why: error.to_string() })
}

pub(crate) fn one<T>(
    sql: &Connection,
    query: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = sql.prepare_cached(query)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

pub(crate) fn all<T>(
    sql: &Connection,
    query: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    sql.prepare_cached(query)?.query_and_then(params, read)?.collect()
}

/// The same without the rows that do not read: damage to one is told, and takes no other with it.
pub(crate) fn sound<T>(
    sql: &Connection,
    query: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let found = all(sql, query, params, |row| {
        let read = read(row);
        read_or_none(read, || row.get::<_, i64>("id").ok())
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// What does not read is told and passed over; any other failure is one. `id`: of which row, where it has a number.
pub(crate) fn read_or_none<T>(read: Result<T>, id: impl FnOnce() -> Option<i64>) -> Result<Option<T>> {
    match read {
        Err(Failure::Row { what, why }) => {
            tell_damage(what, id(), &why);
            Ok(None)
        }
        read => read.map(Some),
    }
}

/// Sentences that are remembered as told: damage is met at each look, and told once in the life of a process.
const TOLD: usize = 1024;

/// Tells of a row that is passed over.
pub(crate) fn tell_damage(what: &'static str, id: Option<i64>, why: &str) {
    static ALREADY: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let row = id.map_or_else(|| format!("a row of `{what}`"), |id| format!("row {id} of `{what}`"));
    let sentence = format!("{row} does not read: {why}");
    let mut already = ALREADY.lock().unwrap_or_else(PoisonError::into_inner);
    if already.len() < TOLD && already.insert(sentence.clone()) {
        tracing::error!("{sentence}; it is passed over, and `gatewright restore` has it from a backup");
    } else {
        tracing::debug!("{sentence}");
    }
}

/// A number that a query yields; none: no row, or NULL.
pub(crate) fn number(sql: &Connection, query: &str, params: impl Params) -> Result<Option<u64>> {
    let found: Option<Option<i64>> = sql.prepare_cached(query)?.query_row(params, |row| row.get(0)).optional()?;
    Ok(found.flatten().map(|number| u64::try_from(number).unwrap_or(0)))
}

pub(crate) fn execute(sql: &Connection, statement: &str, params: impl Params) -> Result<usize> {
    Ok(sql.prepare_cached(statement)?.execute(params)?)
}
