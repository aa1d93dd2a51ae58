//! What ended runs cost a project: sums by day, which grow in the transaction that writes a run's end.

use conductor::ports::store::Spending;
use domain::budget::DAY_MS;
use domain::event::Spent;
use domain::ids::ProjectName;
use domain::time::{Milliseconds, Timestamp};
use rusqlite::{Connection, Row, params};

use crate::failure::Result;
use crate::row::{all, execute, get_u64, int};

/// A figure beyond this counts as this: two of them are still a number of SQL's.
const LARGEST: i64 = 4_000_000_000_000_000_000;

/// Adds what counted for a run that ended.
pub(crate) fn add(sql: &Connection, project: &ProjectName, spent: &Spent, now: Timestamp) -> Result<()> {
    let statement = "INSERT INTO spending VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
        ON CONFLICT (project, day) DO UPDATE SET runs = runs + 1,
            input_tokens = MIN(?11, input_tokens + excluded.input_tokens),
            output_tokens = MIN(?11, output_tokens + excluded.output_tokens),
            cache_read_tokens = MIN(?11, cache_read_tokens + excluded.cache_read_tokens),
            cache_creation_tokens = MIN(?11, cache_creation_tokens + excluded.cache_creation_tokens),
            priced_tokens = MIN(?11, priced_tokens + excluded.priced_tokens),
            cost_microusd = MIN(?11, cost_microusd + excluded.cost_microusd),
            priced_microusd = MIN(?11, priced_microusd + excluded.priced_microusd),
            wall_ms = MIN(?11, wall_ms + excluded.wall_ms)";
    let bounded = |figure: u64| int(figure).min(LARGEST);
    let row = params![
        project.as_str(),
        int(now.0 / DAY_MS),
        bounded(spent.input_tokens),
        bounded(spent.output_tokens),
        bounded(spent.cache_read_tokens),
        bounded(spent.cache_creation_tokens),
        bounded(spent.priced_tokens),
        bounded(spent.cost_microusd),
        bounded(spent.priced_microusd),
        bounded(spent.wall.0),
        LARGEST,
    ];
    execute(sql, statement, row)?;
    Ok(())
}

/// A row for each day on which a run ended: few, and found by the key.
pub(crate) fn read(sql: &Connection, project: &ProjectName, day: u64) -> Result<Spending> {
    let query = "SELECT * FROM spending WHERE project = ?1 ORDER BY day";
    let days = all(sql, query, params![project.as_str()], |row| Ok((get_u64(row, "day")?, spent(row)?)))?;
    Ok(Spending {
        day: days.iter().filter(|(on, _)| *on == day).fold(Spent::default(), |sum, (_, spent)| sum.plus(*spent)),
        total: days.iter().fold(Spent::default(), |sum, (_, spent)| sum.plus(*spent)),
    })
}

fn spent(row: &Row<'_>) -> Result<Spent> {
    Ok(Spent {
        input_tokens: get_u64(row, "input_tokens")?,
        output_tokens: get_u64(row, "output_tokens")?,
        cache_read_tokens: get_u64(row, "cache_read_tokens")?,
        cache_creation_tokens: get_u64(row, "cache_creation_tokens")?,
        priced_tokens: get_u64(row, "priced_tokens")?,
        cost_microusd: get_u64(row, "cost_microusd")?,
        priced_microusd: get_u64(row, "priced_microusd")?,
        wall: Milliseconds(get_u64(row, "wall_ms")?),
    })
}
