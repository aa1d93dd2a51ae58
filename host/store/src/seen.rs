//! Which deliveries are here already, in memory: the one thread that writes asks for each that comes. An index by their keys,
//! which are chance, would cost each of them a page of its own in the log.

use std::cell::RefCell;
use std::collections::HashMap;

use domain::ids::ProjectName;
use rusqlite::{Connection, Row, params};
use webhooks::Source;

use crate::failure::Result;
use crate::row::{get_text, int, number, sound};

/// So many deliveries, and at most twice as many, are known again. Whoever says an older one again is taken at his word: it brings
/// a look like any other.
const GENERATION: usize = 1 << 19;

/// Half of a sha256: no two deliveries that anybody could find have it in common.
type Short = [u8; 16];

/// A project by a number of this life, and the key within it.
type Known = HashMap<(u32, Short), i64>;

/// The keys of the newest deliveries.
pub(crate) struct Seen {
    generation: usize,
    projects: HashMap<ProjectName, u32>,
    newer: Known,
    older: Known,
    /// What the open transaction added, in order.
    fresh: Vec<(u32, Short)>,
}

impl Seen {
    /// Of the database as it is.
    pub(crate) fn load(sql: &Connection) -> Result<RefCell<Self>> {
        Self::load_by(sql, GENERATION).map(RefCell::new)
    }

    fn load_by(sql: &Connection, generation: usize) -> Result<Self> {
        let (projects, newer, older, fresh) = (HashMap::new(), Known::new(), Known::new(), Vec::new());
        let mut seen = Self { generation, projects, newer, older, fresh };
        let newest = int(number(sql, "SELECT MAX(id) FROM delivery", [])?.unwrap_or(0));
        let half = newest.saturating_sub_unsigned(generation as u64);
        let oldest = half.saturating_sub_unsigned(generation as u64);
        // The name of a project that does not read belongs to no delivery that could come again.
        let names = "SELECT name FROM project";
        let projects = sound(sql, names, [], |row| Ok(get_text(row, "project", "name")?.parse::<ProjectName>().ok()))?;
        for project in projects.into_iter().flatten() {
            let number = seen.number(&project);
            for source in Source::ALL {
                let query = "SELECT id, hook_key FROM delivery INDEXED BY delivery_source
                    WHERE project = ?1 AND source = ?2 AND state <> 'pending' AND id > ?3";
                let mut statement = sql.prepare_cached(query)?;
                let mut rows = statement.query(params![project.as_str(), source.as_str(), oldest])?;
                while let Some(row) = rows.next()? {
                    seen.remember(number, row, half)?;
                }
            }
        }
        let query = "SELECT id, hook_key, project FROM delivery INDEXED BY delivery_open
            WHERE state <> 'expanded' AND state = 'pending' AND id > ?1";
        let mut statement = sql.prepare_cached(query)?;
        let mut rows = statement.query([oldest])?;
        while let Some(row) = rows.next()? {
            if let Some(project) = row.get_ref("project")?.as_str().ok().and_then(|name| name.parse().ok()) {
                let number = seen.number(&project);
                seen.remember(number, row, half)?;
            }
        }
        drop(rows);
        drop(statement);
        Ok(seen)
    }

    /// What a row says, if it is a webhook's: its `id` and `hook_key`.
    fn remember(&mut self, project: u32, row: &Row<'_>, half: i64) -> Result<()> {
        if let (id, Some(key)) = (row.get(0)?, row.get_ref(1)?.as_blob().ok().and_then(short)) {
            let known = if id > half { &mut self.newer } else { &mut self.older };
            known.insert((project, key), id);
        }
        Ok(())
    }

    fn number(&mut self, project: &ProjectName) -> u32 {
        if let Some(number) = self.projects.get(project) {
            return *number;
        }
        let number = self.projects.len() as u32;
        self.projects.insert(project.clone(), number);
        number
    }

    /// The delivery of that project which had this key, if it is known.
    pub(crate) fn find(&self, project: &ProjectName, key: &[u8; 32]) -> Option<i64> {
        let key = (*self.projects.get(project)?, short(key)?);
        self.newer.get(&key).or_else(|| self.older.get(&key)).copied()
    }

    /// From now on it is known; unless the transaction that is open comes to nothing.
    pub(crate) fn add(&mut self, project: &ProjectName, key: &[u8; 32], id: i64) {
        let Some(key) = short(key) else { return };
        let key = (self.number(project), key);
        self.newer.insert(key, id);
        self.fresh.push(key);
    }

    /// How far the open transaction has come.
    pub(crate) fn mark(&self) -> usize {
        self.fresh.len()
    }

    /// What was added after `mark` came to nothing.
    pub(crate) fn forget(&mut self, mark: usize) {
        for key in self.fresh.drain(mark.min(self.fresh.len())..) {
            self.newer.remove(&key);
        }
    }

    /// The transaction is committed.
    pub(crate) fn keep(&mut self) {
        self.fresh.clear();
        if self.newer.len() >= self.generation {
            self.older = std::mem::take(&mut self.newer);
        }
    }
}

fn short(key: &[u8]) -> Option<Short> {
    key.first_chunk().copied()
}

#[cfg(test)]
pub(crate) mod tests {
    use conductor::ports::inbox::{NewDelivery, Received};
    use conductor::ports::store::Store as _;
    use domain::time::Timestamp;

    use super::*;
    use crate::failure::inside;
    use crate::row::execute;
    use crate::{SqliteStore, StoreConfig, conformance, hints};

    fn empty(generation: usize) -> Seen {
        let (projects, newer, older, fresh) = (HashMap::new(), Known::new(), Known::new(), Vec::new());
        Seen { generation, projects, newer, older, fresh }
    }

    fn key(number: u64) -> [u8; 32] {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        key
    }

    #[test]
    fn what_came_to_nothing_is_not_known() {
        let shop = "shop".parse().unwrap();
        let mut seen = empty(100);
        seen.add(&shop, &key(1), 1);
        let mark = seen.mark();
        seen.add(&shop, &key(2), 2);
        seen.forget(mark);
        assert_eq!((seen.find(&shop, &key(1)), seen.find(&shop, &key(2))), (Some(1), None), "one of a group");
        seen.forget(0);
        assert_eq!(seen.find(&shop, &key(1)), None, "all of it");
        seen.add(&shop, &key(1), 1);
        seen.keep();
        seen.forget(0);
        assert_eq!(seen.find(&shop, &key(1)), Some(1), "committed");
        assert_eq!(seen.find(&"other".parse().unwrap(), &key(1)), None, "each project has its own");
    }

    #[test]
    fn the_oldest_are_forgotten_a_generation_at_a_time() {
        let shop = "shop".parse().unwrap();
        let mut seen = empty(10);
        for number in 0..35 {
            seen.add(&shop, &key(number), number as i64);
            seen.keep();
            let least = (number + 1).min(10);
            assert!((number + 1 - least..=number).all(|known| seen.find(&shop, &key(known)).is_some()), "{number}");
        }
        assert!(seen.newer.len() + seen.older.len() <= 20);
        assert_eq!(seen.find(&shop, &key(19)), None);
    }

    #[test]
    fn the_newest_are_read_from_the_database() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(StoreConfig::new(dir.path(), "here")).unwrap();
        let project = conformance::small_project();
        store.put_project(&project, Timestamp(1)).unwrap();
        let name = project.name.clone();
        let loaded = store.write(move |tx| {
            for number in 0..30_u64 {
                // Every third is no webhook's.
                let (source, key) = match number % 3 {
                    0 => ("board", None),
                    1 => ("plane", Some(key(number))),
                    _ => ("gitea", Some(key(number))),
                };
                let statement = "INSERT INTO delivery (source, project, received_at, body, state, hook_key)
                    VALUES (?1, ?2, 1, x'', 'pending', ?3)";
                execute(tx.sql, statement, params![source, name.as_str(), key])?;
            }
            Seen::load_by(tx.sql, 10)
        });
        let seen = loaded.unwrap();
        // The ids go from 1 to 30; those above 20 are the newer ones.
        for number in 0..30 {
            let known = seen.find(&project.name, &key(number));
            let id = number as i64 + 1;
            assert_eq!(known, (number % 3 != 0 && id > 10).then_some(id), "{number}");
        }
        assert!(seen.newer.values().all(|id| *id > 20) && seen.older.values().all(|id| (11..=20).contains(id)));
    }

    /// A store, and a delivery of a project of its.
    pub(crate) fn with_delivery() -> (tempfile::TempDir, SqliteStore, NewDelivery) {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(StoreConfig::new(dir.path(), "here")).unwrap();
        let project = conformance::small_project();
        store.put_project(&project, Timestamp(1)).unwrap();
        let delivery = NewDelivery {
            source: Source::Gitea,
            projects: vec![(project.name, true)],
            key: key(1),
            sent_as: None,
            word: "push".to_owned(),
            headers: webhooks::Headers::default(),
            body: b"{}".to_vec(),
            at: Timestamp(1),
        };
        (dir, store, delivery)
    }

    #[test]
    fn what_is_run_again_without_a_refused_one_is_as_new_as_before() {
        let (_dir, store, delivery) = with_delivery();
        let of = |refuse: bool| {
            let delivery = delivery.clone();
            store.write(move |tx| {
                let received = hints::insert(tx, &delivery, "[]")?;
                if refuse { Err(inside("not today")) } else { Ok(received) }
            })
        };
        assert!(of(true).is_err());
        assert_eq!(of(false).unwrap(), Received::New, "the one before came to nothing");
        assert_eq!(of(false).unwrap(), Received::Repeat);
        assert!(of(true).is_err());
        assert_eq!(of(false).unwrap(), Received::Repeat, "what was committed stays known");
    }
}
