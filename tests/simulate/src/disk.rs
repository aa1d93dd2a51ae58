//! A disk in memory that knows what was written from what was synced.
//!
//! A process that dies leaves all that it wrote. A power cut leaves what was synced, and of the rest, by chance and sector by
//! sector, some of it in any order: a later write may be there and an earlier one not. A name that was given and not synced may
//! be lost too. Removing is durable at once: SQLite removes only what it needs no more.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::luck::Luck;

/// What is kept or lost as a whole when the power is cut.
const SECTOR: usize = 512;

/// Something that was done to a file and not synced.
enum Unsynced {
    Write { at: usize, bytes: Vec<u8> },
    Cut { to: usize },
}

#[derive(Default)]
struct Stored {
    /// As whoever reads it sees it.
    bytes: Vec<u8>,
    /// As it is on the disk; none: not even its name is.
    durable: Option<Vec<u8>>,
    unsynced: Vec<Unsynced>,
}

impl Stored {
    fn apply(bytes: &mut Vec<u8>, change: &Unsynced) {
        match change {
            Unsynced::Write { at, bytes: new } => {
                let end = at + new.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(new);
            }
            Unsynced::Cut { to } => bytes.resize(*to, 0),
        }
    }

    fn sync(&mut self) {
        match &mut self.durable {
            Some(durable) => {
                for change in &self.unsynced {
                    Self::apply(durable, change);
                }
            }
            None => self.durable = Some(self.bytes.clone()),
        }
        self.unsynced.clear();
    }

    /// What the power cut left; none: nothing.
    fn lose(mut self, luck: &mut Luck) -> Option<Self> {
        if self.durable.is_none() && luck.in_thousand(500) {
            return None;
        }
        let mut left = self.durable.take().unwrap_or_default();
        for change in self.unsynced.drain(..) {
            match (luck.below(3), change) {
                (0, _) => {}
                (1, Unsynced::Write { at, bytes }) => lose_sectors(&mut left, at, &bytes, luck),
                (_, change) => Self::apply(&mut left, &change),
            }
        }
        Some(Self { bytes: left.clone(), durable: Some(left), unsynced: Vec::new() })
    }
}

/// Of one write each sector is there or not.
fn lose_sectors(left: &mut Vec<u8>, at: usize, bytes: &[u8], luck: &mut Luck) {
    let mut from = 0;
    while from < bytes.len() {
        let to = (((at + from) / SECTOR + 1) * SECTOR - at).min(bytes.len());
        if luck.in_thousand(500) {
            Stored::apply(left, &Unsynced::Write { at: at + from, bytes: bytes[from..to].to_vec() });
        }
        from = to;
    }
}

/// Why a disk did not do what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No room.
    Full,
    /// It failed.
    Broken,
    /// There is no such file.
    Missing,
}

impl From<Trouble> for io::Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            // ENOSPC: what the store knows a full disk by.
            Trouble::Full => Self::from_raw_os_error(28),
            Trouble::Broken => Self::other("the disk failed"),
            Trouble::Missing => Self::from(io::ErrorKind::NotFound),
        }
    }
}

/// How badly the disk behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Illness {
    /// No room for anything.
    pub is_full: bool,
    /// So many writes and syncs in a million fail.
    pub failing: u64,
}

/// The disk.
pub struct Disk {
    files: BTreeMap<String, Stored>,
    /// Names that were given and not synced: the new one, and the old.
    renamed: Vec<(String, String)>,
    /// How badly it behaves.
    pub illness: Illness,
    luck: Luck,
}

impl Disk {
    /// An empty disk.
    pub fn new(luck: Luck) -> Self {
        Self { files: BTreeMap::new(), renamed: Vec::new(), illness: Illness::default(), luck }
    }

    /// Puts a file there, synced.
    pub fn put(&mut self, name: &str, bytes: &[u8]) {
        let stored = Stored { bytes: bytes.to_vec(), durable: Some(bytes.to_vec()), unsynced: Vec::new() };
        self.files.insert(name.to_owned(), stored);
    }

    /// Is it there?
    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// A file's bytes.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(|stored| stored.bytes.as_slice())
    }

    /// Files whose names begin so.
    pub fn names(&self, beginning: &str) -> BTreeSet<String> {
        self.files.keys().filter(|name| name.starts_with(beginning)).cloned().collect()
    }

    /// Makes an empty file where there is none.
    pub fn create(&mut self, name: &str) {
        self.files.entry(name.to_owned()).or_default();
    }

    /// Removes a file.
    pub fn remove(&mut self, name: &str) -> Result<(), Trouble> {
        self.files.remove(name).map(|_| ()).ok_or(Trouble::Missing)
    }

    fn fails(&mut self) -> Result<(), Trouble> {
        if self.illness.failing > 0 && self.luck.below(1_000_000) < self.illness.failing {
            return Err(Trouble::Broken);
        }
        Ok(())
    }

    /// Writes. A full disk takes what lies within a file already.
    pub fn write(&mut self, name: &str, at: usize, bytes: &[u8]) -> Result<(), Trouble> {
        self.fails()?;
        let is_full = self.illness.is_full;
        let stored = self.files.get_mut(name).ok_or(Trouble::Missing)?;
        if is_full && at + bytes.len() > stored.bytes.len() {
            return Err(Trouble::Full);
        }
        let change = Unsynced::Write { at, bytes: bytes.to_vec() };
        Stored::apply(&mut stored.bytes, &change);
        stored.unsynced.push(change);
        Ok(())
    }

    /// Makes a file shorter, or longer by zeros.
    pub fn cut(&mut self, name: &str, to: usize) -> Result<(), Trouble> {
        self.fails()?;
        let stored = self.files.get_mut(name).ok_or(Trouble::Missing)?;
        let change = Unsynced::Cut { to };
        Stored::apply(&mut stored.bytes, &change);
        stored.unsynced.push(change);
        Ok(())
    }

    /// Brings a file onto the disk, with its name.
    pub fn sync(&mut self, name: &str) -> Result<(), Trouble> {
        self.fails()?;
        self.files.get_mut(name).ok_or(Trouble::Missing)?.sync();
        Ok(())
    }

    /// Brings all onto the disk.
    pub fn sync_all(&mut self) -> Result<(), Trouble> {
        self.fails()?;
        self.renamed.clear();
        self.files.values_mut().for_each(Stored::sync);
        Ok(())
    }

    /// Gives a file another name.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), Trouble> {
        self.fails()?;
        let stored = self.files.remove(from).ok_or(Trouble::Missing)?;
        self.files.insert(to.to_owned(), stored);
        self.renamed.push((to.to_owned(), from.to_owned()));
        Ok(())
    }

    /// Brings the names of a folder onto the disk. On a disk that fails this fails most: SQLite hardly does it, and what does
    /// is to be tried too.
    pub fn sync_folder_of(&mut self, name: &str) -> Result<(), Trouble> {
        if self.illness.failing > 0 && self.luck.in_thousand(100) {
            return Err(Trouble::Broken);
        }
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.renamed.retain(|(to, _)| to.rsplit_once('/').map_or("", |(folder, _)| folder) != folder);
        Ok(())
    }

    /// The power is cut. What every reader sees from now on is what is on the disk.
    pub fn lose_power(&mut self) {
        for (to, from) in std::mem::take(&mut self.renamed).into_iter().rev() {
            if self.luck.in_thousand(500)
                && let Some(stored) = self.files.remove(&to)
            {
                self.files.insert(from, stored);
            }
        }
        for (name, stored) in std::mem::take(&mut self.files) {
            if let Some(left) = stored.lose(&mut self.luck) {
                self.files.insert(name, left);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_cut_takes_only_what_was_not_synced() {
        let mut lost = 0;
        for seed in 0..50 {
            let mut disk = Disk::new(Luck::new(seed));
            disk.create("a");
            disk.write("a", 0, &[1; 2048]).unwrap();
            disk.sync("a").unwrap();
            disk.write("a", 0, &[2; 2048]).unwrap();
            disk.lose_power();
            let left = disk.bytes("a").unwrap();
            assert!(left.iter().all(|byte| [1, 2].contains(byte)), "a sector is old or new");
            assert!(left.chunks(SECTOR).all(|sector| sector.iter().all(|byte| *byte == sector[0])), "and whole");
            lost += usize::from(left.contains(&1));
        }
        assert!((10..50).contains(&lost), "{lost}");
    }

    #[test]
    fn a_name_that_was_not_synced_may_be_lost() {
        let mut lost = 0;
        for seed in 0..50 {
            let mut disk = Disk::new(Luck::new(seed));
            disk.create("tmp/1");
            disk.write("tmp/1", 0, b"bytes").unwrap();
            disk.sync("tmp/1").unwrap();
            disk.rename("tmp/1", "ab/name").unwrap();
            disk.lose_power();
            lost += usize::from(!disk.has("ab/name"));
        }
        assert!((10..40).contains(&lost), "{lost}");
    }
}
