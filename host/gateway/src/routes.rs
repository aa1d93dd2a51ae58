//! The handlers, by what they are about.

pub(crate) mod audit;
pub(crate) mod behind;
pub(crate) mod blocks;
pub(crate) mod change;
pub(crate) mod checks;
pub(crate) mod deliveries;
pub(crate) mod dependencies;
pub(crate) mod evaluations;
pub(crate) mod events;
pub(crate) mod figures;
pub(crate) mod intents;
pub(crate) mod items;
pub(crate) mod many;
pub(crate) mod observed;
pub(crate) mod probes;
pub(crate) mod projects;
pub(crate) mod queue;
pub(crate) mod runs;
pub(crate) mod tasks;
pub(crate) mod tokens;
pub(crate) mod why;

use axum::Json;
use conductor::ports::store::Page;
use serde::Deserialize;

use crate::api::Listing;
use crate::problem::Problem;
use crate::said::both;

/// What a handler answers.
pub(crate) type Answer<T> = Result<Json<T>, Problem>;

/// Rows of a listing where nobody asked for another number.
const ROWS: u32 = 100;
/// For answers that are not read on and must be whole.
const ALL: u32 = u32::MAX;
/// The most rows that one answer carries.
const MOST_ROWS: u32 = 1000;

/// The parameter of a listing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    limit: Option<u32>,
}

impl Limit {
    pub(crate) fn rows(&self) -> Result<u32, Problem> {
        match self.limit.unwrap_or(ROWS) {
            rows @ 1..=MOST_ROWS => Ok(rows),
            other => Err(Problem::invalid(both!(
                "`limit` is {other}; it is a number from 1 to {MOST_ROWS}",
                "`limit` — {other}, а должно быть число от 1 до {MOST_ROWS}"
            ))),
        }
    }
}

/// The parameters of a listing that is read on.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    before: Option<u64>,
    limit: Option<u32>,
}

impl Part {
    /// Older than which row, and how many.
    pub(crate) fn rows(&self) -> Result<(Option<u64>, u32), Problem> {
        Ok((self.before, Limit { limit: self.limit }.rows()?))
    }
}

/// A page as a listing tells it: whoever wants more goes on before its last row.
pub(crate) fn part<T>(page: Page<T>) -> Listing<T> {
    Listing { more: page.next.is_some(), items: page.rows }
}

/// Cuts rows of which one more than wanted was asked for.
pub(crate) fn listing<T>(mut items: Vec<T>, rows: u32) -> Listing<T> {
    let more = items.len() > rows as usize;
    items.truncate(rows as usize);
    Listing { items, more }
}

/// A text that must say something, in one line of at most so many characters.
pub(crate) fn one_line(field: &str, text: &str, longest: usize) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::invalid(both!("`{field}` is empty", "поле `{field}` пусто")));
    }
    if text.contains('\0') {
        return Err(Problem::invalid(both!(
            "`{field}` has a NUL character; take it out",
            "в поле `{field}` есть символ NUL; уберите его"
        )));
    }
    if text.contains(['\n', '\r']) {
        return Err(Problem::invalid(both!(
            "`{field}` has a line break; it is one line",
            "в поле `{field}` есть перенос строки, а оно в одну строку"
        )));
    }
    at_most(field, text, longest)?;
    Ok(text.to_owned())
}

pub(crate) fn at_most(field: &str, text: &str, longest: usize) -> Result<(), Problem> {
    let long = text.chars().count();
    if long > longest {
        return Err(Problem::invalid(both!(
            "`{field}` has {long} characters; it may have {longest}",
            "в поле `{field}` знаков: {long}, а можно не больше {longest}"
        )));
    }
    Ok(())
}
