//! Between the domain's types and SQL's: whole numbers, and JSON.

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

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Failure::Told(StoreError::Refused(error.to_string())))
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

/// A number that a query yields; none: no row, or NULL.
pub(crate) fn number(sql: &Connection, query: &str, params: impl Params) -> Result<Option<u64>> {
    let found: Option<Option<i64>> = sql.prepare_cached(query)?.query_row(params, |row| row.get(0)).optional()?;
    Ok(found.flatten().map(|number| u64::try_from(number).unwrap_or(0)))
}

pub(crate) fn execute(sql: &Connection, statement: &str, params: impl Params) -> Result<usize> {
    Ok(sql.prepare_cached(statement)?.execute(params)?)
}
