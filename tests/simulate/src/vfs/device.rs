//! Disks that are plugged in, and who has what open on them.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::Disk;
use crate::fate::Fate;
use crate::luck::Luck;

/// What connections to one disk share.
pub struct Device {
    /// The files.
    pub disk: Mutex<Disk>,
    pub(super) lives: Mutex<BTreeMap<u64, Arc<Fate>>>,
    pub(super) locks: Mutex<Locks>,
}

/// Who locks what. A handle is known by its number.
#[derive(Default)]
pub(super) struct Locks {
    pub(super) handles: u64,
    /// Level of each handle's lock, by file.
    pub(super) files: BTreeMap<String, Vec<(u64, c_int, Arc<Fate>)>>,
    pub(super) indexes: BTreeMap<String, Index>,
}

/// A WAL's index.
#[derive(Default)]
pub(super) struct Index {
    pub(super) regions: Vec<Box<[u8]>>,
    /// Regions that dead connections may still point at.
    pub(super) abandoned: Vec<Box<[u8]>>,
    pub(super) users: Vec<(u64, Arc<Fate>)>,
    /// Slot, handle, exclusive?
    pub(super) slots: Vec<(c_int, u64, bool, Arc<Fate>)>,
}

static DEVICES: Mutex<BTreeMap<u64, Arc<Device>>> = Mutex::new(BTreeMap::new());

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Device {
    /// A device of this disk, known to SQLite until it is unplugged.
    pub fn plug(number: u64, disk: Disk) -> Arc<Self> {
        super::register();
        let device = Arc::new(Self { disk: Mutex::new(disk), lives: Mutex::default(), locks: Mutex::default() });
        lock(&DEVICES).insert(number, Arc::clone(&device));
        device
    }

    /// Forgets it. Connections to it must be closed before.
    pub fn unplug(number: u64) {
        lock(&DEVICES).remove(&number);
    }

    /// Whose writes go by which fate.
    pub fn live(&self, life: u64, fate: &Arc<Fate>) {
        lock(&self.lives).insert(life, Arc::clone(fate));
    }

    /// The disk.
    pub fn disk(&self) -> MutexGuard<'_, Disk> {
        lock(&self.disk)
    }

    /// Where a life finds a file.
    pub fn path(number: u64, life: u64, file: &str) -> String {
        format!("/{number}/{life}/{file}")
    }
}

/// Where SQLite's nameless temporary files lie: no life's, and on no disk that anybody loses.
const SCRATCH: u64 = 0;

pub(super) fn find(path: &str) -> Option<(Arc<Device>, Arc<Fate>, String)> {
    if path.is_empty() {
        static NAMES: AtomicU64 = AtomicU64::new(1);
        let device = lock(&DEVICES).get(&SCRATCH).cloned()?;
        let fate = lock(&device.lives).get(&0).cloned()?;
        return Some((device, fate, format!("temporary-{}", NAMES.fetch_add(1, Ordering::Relaxed))));
    }
    let mut parts = path.trim_start_matches('/').splitn(3, '/');
    let device = lock(&DEVICES).get(&parts.next()?.parse().ok()?).cloned()?;
    let fate = lock(&device.lives).get(&parts.next()?.parse().ok()?).cloned()?;
    Some((device, fate, parts.next()?.to_owned()))
}

/// Plugs in the disk of the temporary files.
pub(super) fn scratch() {
    let disk = Mutex::new(Disk::new(Luck::new(0)));
    let scratch = Device { disk, lives: Mutex::default(), locks: Mutex::default() };
    scratch.live(0, &Arc::default());
    lock(&DEVICES).insert(SCRATCH, Arc::new(scratch));
}
