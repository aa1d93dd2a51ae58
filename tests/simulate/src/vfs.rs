//! SQLite's way to a simulated disk: a VFS whose paths are `/DISK/LIFE/FILE`. All lives of one disk see the same files; the life
//! in a path says whose fate decides over its writes. A dead life's handles answer an error and touch nothing.
//!
//! WAL needs memory that connections share; here it is memory of this process, and it is new whenever nobody alive has it open,
//! as the real file is after a crash. A death in the middle of it (between two words of the index) is not simulated: SQLite's
//! header checks would have to be wrong for that to matter.

#![expect(unsafe_code, reason = "SQLite's VFS is a table of C functions")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::{Arc, Once};

use rusqlite::ffi;

pub use self::device::Device;
use self::device::{find, lock};
use crate::disk::{Disk, Trouble};
use crate::fate::{Fate, Point};

/// The name under which SQLite knows the VFS.
pub const NAME: &str = "simulated";

/// As SQLite's own VFS for Unix says.
const SECTOR: c_int = 4096;

mod device;

/// An open file.
struct Open {
    device: Arc<Device>,
    fate: Arc<Fate>,
    name: String,
    number: u64,
    delete_on_close: bool,
}

#[repr(C)]
struct Handle {
    base: ffi::sqlite3_file,
    open: *mut Open,
}

/// Runs `body` with the open file of a handle.
unsafe fn with(file: *mut ffi::sqlite3_file, body: impl FnOnce(&Open) -> c_int) -> c_int {
    let open = unsafe { (*file.cast::<Handle>()).open.as_ref() };
    open.map_or(ffi::SQLITE_IOERR, body)
}

fn code(trouble: Trouble, otherwise: c_int) -> c_int {
    match trouble {
        Trouble::Full => ffi::SQLITE_FULL,
        Trouble::Broken | Trouble::Missing => otherwise,
    }
}

/// One mutation: it passes its points before and after.
fn mutate(
    open: &Open,
    points: [Point; 2],
    failed: c_int,
    body: impl FnOnce(&mut Disk) -> Result<(), Trouble>,
) -> c_int {
    if open.fate.pass(points[0]) {
        return failed;
    }
    if let Err(trouble) = body(&mut open.device.disk()) {
        return code(trouble, failed);
    }
    if open.fate.pass(points[1]) { failed } else { ffi::SQLITE_OK }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let handle = file.cast::<Handle>();
    let open = unsafe { (*handle).open };
    if !open.is_null() {
        let open = unsafe { Box::from_raw(open) };
        let mut locks = lock(&open.device.locks);
        for holders in locks.files.values_mut() {
            holders.retain(|(number, ..)| *number != open.number);
        }
        drop(locks);
        if open.delete_on_close && !open.fate.is_dead() {
            // It was never there for anybody else.
            let _ = open.device.disk().remove(&open.name);
        }
        unsafe { (*handle).open = std::ptr::null_mut() };
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, into: *mut c_void, amount: c_int, at: i64) -> c_int {
    let into = unsafe { std::slice::from_raw_parts_mut(into.cast::<u8>(), amount as usize) };
    unsafe {
        with(file, |open| {
            if open.fate.is_dead() {
                return ffi::SQLITE_IOERR_READ;
            }
            let disk = open.device.disk();
            let Some(bytes) = disk.bytes(&open.name) else { return ffi::SQLITE_IOERR_READ };
            let found = bytes.get(at as usize..).unwrap_or_default();
            let there = found.len().min(into.len());
            into[..there].copy_from_slice(&found[..there]);
            into[there..].fill(0);
            if there == into.len() { ffi::SQLITE_OK } else { ffi::SQLITE_IOERR_SHORT_READ }
        })
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, amount: c_int, at: i64) -> c_int {
    let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), amount as usize) };
    unsafe {
        with(file, |open| {
            if open.fate.pass(Point::TornWrite) {
                torn(open, at as usize, bytes);
                return ffi::SQLITE_IOERR_WRITE;
            }
            let points = [Point::BeforeWrite, Point::AfterWrite];
            mutate(open, points, ffi::SQLITE_IOERR_WRITE, |disk| disk.write(&open.name, at as usize, bytes))
        })
    }
}

/// The first half of the write that its host did not survive.
fn torn(open: &Open, at: usize, bytes: &[u8]) {
    if open.fate.tear() {
        // The host is dead: nobody hears whether there was room.
        let _ = open.device.disk().write(&open.name, at, &bytes[..bytes.len() / 2]);
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, to: i64) -> c_int {
    unsafe {
        with(file, |open| {
            let points = [Point::BeforeWrite, Point::AfterWrite];
            mutate(open, points, ffi::SQLITE_IOERR_TRUNCATE, |disk| disk.cut(&open.name, to as usize))
        })
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    unsafe {
        with(file, |open| {
            let points = [Point::BeforeSync, Point::AfterSync];
            mutate(open, points, ffi::SQLITE_IOERR_FSYNC, |disk| disk.sync(&open.name))
        })
    }
}

unsafe extern "C" fn size(file: *mut ffi::sqlite3_file, into: *mut i64) -> c_int {
    unsafe {
        with(file, |open| {
            if open.fate.is_dead() {
                return ffi::SQLITE_IOERR_FSTAT;
            }
            *into = open.device.disk().bytes(&open.name).map_or(0, <[u8]>::len) as i64;
            ffi::SQLITE_OK
        })
    }
}

unsafe extern "C" fn take_lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    unsafe {
        with(file, |open| {
            if open.fate.is_dead() {
                return ffi::SQLITE_IOERR_LOCK;
            }
            let mut locks = lock(&open.device.locks);
            let holders = locks.files.entry(open.name.clone()).or_default();
            holders.retain(|(_, _, fate)| !fate.is_dead());
            let others = holders.iter().filter(|(number, ..)| *number != open.number);
            let highest = others.map(|(_, level, _)| *level).max().unwrap_or(ffi::SQLITE_LOCK_NONE);
            let is_free = match level {
                ffi::SQLITE_LOCK_SHARED => highest < ffi::SQLITE_LOCK_PENDING,
                ffi::SQLITE_LOCK_RESERVED => highest < ffi::SQLITE_LOCK_RESERVED,
                _ => highest == ffi::SQLITE_LOCK_NONE,
            };
            if !is_free {
                return ffi::SQLITE_BUSY;
            }
            match holders.iter_mut().find(|(number, ..)| *number == open.number) {
                Some(holder) => holder.1 = holder.1.max(level),
                None => holders.push((open.number, level, Arc::clone(&open.fate))),
            }
            ffi::SQLITE_OK
        })
    }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    unsafe {
        with(file, |open| {
            let mut locks = lock(&open.device.locks);
            let holders = locks.files.entry(open.name.clone()).or_default();
            if level == ffi::SQLITE_LOCK_NONE {
                holders.retain(|(number, ..)| *number != open.number);
            } else if let Some(holder) = holders.iter_mut().find(|(number, ..)| *number == open.number) {
                holder.1 = level;
            }
            ffi::SQLITE_OK
        })
    }
}

unsafe extern "C" fn is_reserved(file: *mut ffi::sqlite3_file, into: *mut c_int) -> c_int {
    unsafe {
        with(file, |open| {
            let locks = lock(&open.device.locks);
            let holders = locks.files.get(&open.name).map(Vec::as_slice).unwrap_or_default();
            let reserved =
                |(_, level, fate): &&(u64, c_int, Arc<Fate>)| *level >= ffi::SQLITE_LOCK_RESERVED && !fate.is_dead();
            *into = c_int::from(holders.iter().any(|holder| reserved(&holder)));
            ffi::SQLITE_OK
        })
    }
}

unsafe extern "C" fn control(_file: *mut ffi::sqlite3_file, _operation: c_int, _argument: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    SECTOR
}

/// As on Unix: a write that is torn harms no byte beside it.
unsafe extern "C" fn characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn map_index(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    into: *mut *mut c_void,
) -> c_int {
    unsafe {
        *into = std::ptr::null_mut();
        with(file, |open| {
            if open.fate.is_dead() {
                return ffi::SQLITE_IOERR_SHMMAP;
            }
            let mut locks = lock(&open.device.locks);
            let index = locks.indexes.entry(open.name.clone()).or_default();
            index.users.retain(|(_, fate)| !fate.is_dead());
            if index.users.is_empty() {
                index.abandoned.append(&mut index.regions);
                index.slots.clear();
            }
            if !index.users.iter().any(|(number, _)| *number == open.number) {
                index.users.push((open.number, Arc::clone(&open.fate)));
            }
            while extend != 0 && index.regions.len() <= region as usize {
                index.regions.push(vec![0; size as usize].into_boxed_slice());
            }
            if let Some(found) = index.regions.get_mut(region as usize) {
                *into = found.as_mut_ptr().cast();
            }
            ffi::SQLITE_OK
        })
    }
}

unsafe extern "C" fn lock_index(file: *mut ffi::sqlite3_file, first: c_int, count: c_int, flags: c_int) -> c_int {
    unsafe {
        with(file, |open| {
            if open.fate.is_dead() {
                return ffi::SQLITE_IOERR_SHMLOCK;
            }
            let mut locks = lock(&open.device.locks);
            let index = locks.indexes.entry(open.name.clone()).or_default();
            let range = first..first + count;
            if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
                index.slots.retain(|(slot, number, ..)| *number != open.number || !range.contains(slot));
                return ffi::SQLITE_OK;
            }
            let exclusive = flags & ffi::SQLITE_SHM_EXCLUSIVE != 0;
            index.slots.retain(|(.., fate)| !fate.is_dead());
            let stands_in_the_way = |(slot, number, held, _): &(c_int, u64, bool, Arc<Fate>)| {
                range.contains(slot) && *number != open.number && (exclusive || *held)
            };
            if index.slots.iter().any(stands_in_the_way) {
                return ffi::SQLITE_BUSY;
            }
            index.slots.extend(range.map(|slot| (slot, open.number, exclusive, Arc::clone(&open.fate))));
            ffi::SQLITE_OK
        })
    }
}

unsafe extern "C" fn barrier(_file: *mut ffi::sqlite3_file) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

unsafe extern "C" fn unmap_index(file: *mut ffi::sqlite3_file, _delete: c_int) -> c_int {
    unsafe {
        with(file, |open| {
            let mut locks = lock(&open.device.locks);
            let index = locks.indexes.entry(open.name.clone()).or_default();
            index.users.retain(|(number, _)| *number != open.number);
            index.slots.retain(|(_, number, ..)| *number != open.number);
            ffi::SQLITE_OK
        })
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size),
    xLock: Some(take_lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(is_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(map_index),
    xShmLock: Some(lock_index),
    xShmBarrier: Some(barrier),
    xShmUnmap: Some(unmap_index),
    xFetch: None,
    xUnfetch: None,
};

unsafe fn text<'a>(pointer: *const c_char) -> &'a str {
    if pointer.is_null() { "" } else { unsafe { CStr::from_ptr(pointer) }.to_str().unwrap_or_default() }
}

unsafe extern "C" fn open(
    _vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let handle = file.cast::<Handle>();
    unsafe {
        (*handle).base.pMethods = std::ptr::null();
        (*handle).open = std::ptr::null_mut();
        let Some((device, fate, name)) = find(text(path)) else { return ffi::SQLITE_CANTOPEN };
        let is_there = device.disk().has(&name);
        if fate.is_dead() || !is_there && flags & ffi::SQLITE_OPEN_CREATE == 0 {
            return ffi::SQLITE_CANTOPEN;
        }
        device.disk().create(&name);
        let mut locks = lock(&device.locks);
        locks.handles += 1;
        let number = locks.handles;
        drop(locks);
        let delete_on_close = flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0;
        (*handle).open = Box::into_raw(Box::new(Open { device, fate, name, number, delete_on_close }));
        (*handle).base.pMethods = &raw const METHODS;
        if !out_flags.is_null() {
            *out_flags = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_vfs: *mut ffi::sqlite3_vfs, path: *const c_char, _sync: c_int) -> c_int {
    let Some((device, fate, name)) = find(unsafe { text(path) }) else { return ffi::SQLITE_IOERR_DELETE };
    if fate.pass(Point::BeforeWrite) {
        return ffi::SQLITE_IOERR_DELETE;
    }
    let removed = device.disk().remove(&name);
    if fate.pass(Point::AfterWrite) {
        return ffi::SQLITE_IOERR_DELETE;
    }
    if removed.is_ok() { ffi::SQLITE_OK } else { ffi::SQLITE_IOERR_DELETE_NOENT }
}

unsafe extern "C" fn access(
    _vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    _flags: c_int,
    into: *mut c_int,
) -> c_int {
    unsafe {
        *into = c_int::from(find(text(path)).is_some_and(|(device, _, name)| device.disk().has(&name)));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_path(
    _vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    room: c_int,
    into: *mut c_char,
) -> c_int {
    let bytes = unsafe { CStr::from_ptr(path) }.to_bytes_with_nul();
    if bytes.len() > room as usize {
        return ffi::SQLITE_CANTOPEN;
    }
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), into, bytes.len()) };
    ffi::SQLITE_OK
}

/// No chance and no time comes from here: each call gives the same.
unsafe extern "C" fn randomness(_vfs: *mut ffi::sqlite3_vfs, room: c_int, into: *mut c_char) -> c_int {
    unsafe { std::ptr::write_bytes(into, 7, room as usize) };
    room
}

unsafe extern "C" fn sleep(_vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    microseconds
}

unsafe extern "C" fn current_time(_vfs: *mut ffi::sqlite3_vfs, into: *mut f64) -> c_int {
    unsafe { *into = 2_460_000.5 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn last_error(_vfs: *mut ffi::sqlite3_vfs, _room: c_int, _into: *mut c_char) -> c_int {
    ffi::SQLITE_OK
}

fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let name = CString::new(NAME).unwrap_or_default().into_raw();
        let vfs = ffi::sqlite3_vfs {
            iVersion: 1,
            szOsFile: size_of::<Handle>() as c_int,
            mxPathname: 512,
            pNext: std::ptr::null_mut(),
            zName: name,
            pAppData: std::ptr::null_mut(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_path),
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: Some(current_time),
            xGetLastError: Some(last_error),
            xCurrentTimeInt64: None,
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        };
        // Known for the whole life of the process, as SQLite wants it.
        unsafe { ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 0) };
        device::scratch();
    });
}
