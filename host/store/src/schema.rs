//! The schema and its migrations, in order; what was released is never edited, a change is a new file.

use conductor::ports::store::StoreError;
use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use crate::failure::of_sql;

const STEPS: &[M<'static>] = &[
    M::up(include_str!("schema/001.sql")),
    M::up(include_str!("schema/002.sql")),
    M::up(include_str!("schema/003.sql")),
    M::up(include_str!("schema/004.sql")),
    M::up(include_str!("schema/005.sql")),
    M::up(include_str!("schema/006.sql")),
];
const MIGRATIONS: Migrations<'static> = Migrations::from_slice(STEPS);

/// Refuses what a newer host wrote. It only reads: called before anything is set, so that nothing is harmed.
pub(crate) fn check(sql: &Connection) -> Result<(), StoreError> {
    let found: usize = sql
        .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
        .map(|version| usize::try_from(version).unwrap_or(usize::MAX))
        .map_err(|error| of_sql(&error))?;
    if found > STEPS.len() {
        return Err(StoreError::inside(format!(
            "the database has schema {found}, this host knows up to {}: a newer gatewright wrote it; \
             start that one, or restore a backup from before the upgrade",
            STEPS.len()
        )));
    }
    Ok(())
}

/// Brings the schema up to this host's; each step in a transaction of its own.
pub(crate) fn migrate(sql: &mut Connection) -> Result<(), StoreError> {
    MIGRATIONS.to_latest(sql).map_err(|error| match &error {
        rusqlite_migration::Error::RusqliteError { err, .. } => of_sql(err),
        _ => StoreError::inside(format!("the schema cannot be migrated: {error}")),
    })
}
