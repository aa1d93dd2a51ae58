//! What was kept while the host was at work is a host again; what was cut, changed or left half done is nothing.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use conductor::ports::store::Store as _;
use serde_json::Value;
use store::{SqliteStore, StoreConfig};

use crate::fixture::{DEVELOPER, Place, REVIEWER, Serving, said};

/// `gatewright backup` into a folder of its own; the file.
fn kept(place: &Place, more: &[&str]) -> PathBuf {
    let folder = place.path("kept");
    fs::create_dir_all(&folder).unwrap();
    let made = place.json(&[&["backup", "--to", folder.to_str().unwrap()], more].concat());
    PathBuf::from(made["backup"]["path"].as_str().unwrap())
}

fn restored(place: &Place, file: &Path, to: &Path) -> Output {
    place.gatewright(&["restore", file.to_str().unwrap(), "--to", to.to_str().unwrap(), "--json"])
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Every task of the restored folder folds to its row, and its history is the beginning of the one that went on.
fn compare(dir: &Path, host: &Serving) -> usize {
    let store = SqliteStore::open(StoreConfig::new(dir, "elsewhere")).unwrap();
    let tasks = store.tasks(false, u32::MAX).unwrap();
    for task in &tasks {
        assert_eq!(store.rebuild(task.id).unwrap(), Vec::<String>::new(), "task {}", task.id);
        let (status, body) = host.get(&format!("/api/v1/tasks/{}/entries", task.id));
        assert_eq!(status, 200, "{body}");
        let living: Value = serde_json::from_str(&body).unwrap();
        let living = living["items"].as_array().unwrap();
        let entries = serde_json::to_value(store.entries(task.id).unwrap()).unwrap();
        for entry in entries.as_array().unwrap() {
            assert!(living.contains(entry), "task {}: {entry} is not in the history that went on", task.id);
        }
    }
    tasks.len()
}

#[test]
fn a_backup_taken_under_load_restores_and_every_task_rebuilds_as_it_stood() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let host = place.serve();
    let first = place.ticket("Greet once more");
    let over = AtomicBool::new(false);
    let files: Vec<PathBuf> = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut keys = vec![first.clone()];
            while !over.load(Ordering::SeqCst) {
                // Writes without an end, and work that has one: the restored host must get through it.
                if keys.len() < 6 {
                    keys.push(place.ticket("Greet again"));
                } else {
                    place.gatewright(&["task", "pause", &keys[5]]);
                    place.gatewright(&["task", "resume", &keys[5]]);
                }
            }
            keys
        });
        let files = (0..4).map(|_| kept(&place, &[])).collect();
        over.store(true, Ordering::SeqCst);
        assert!(load.join().unwrap().len() > 2, "nothing happened beside the backups");
        files
    });
    assert_eq!(names(&place.path("kept")).len(), 4, "only whole backups are left");
    let mut most = 0;
    for (number, file) in files.iter().enumerate() {
        let dir = place.path(&format!("restored-{number}"));
        let done = restored(&place, file, &dir);
        assert!(done.status.success(), "{}", said(&done));
        let told: Value = serde_json::from_slice(&done.stdout).unwrap();
        most = compare(&dir, &host).max(most);
        assert_eq!(told["tasks"], compare(&dir, &host));
        let noted = fs::canonicalize(told["noted_in"].as_str().unwrap()).unwrap();
        assert_eq!(noted, fs::canonicalize(place.state()).unwrap(), "{told}");
    }
    assert!(most > 0, "no backup held a task");
    host.kill();
    goes_on(&place, &place.path("restored-3"), &first);
}

/// The restored folder serves, and brings the task of the backup to the person who must look at it.
fn goes_on(place: &Place, dir: &Path, key: &str) {
    fs::rename(place.state(), place.path("lost")).unwrap();
    fs::rename(dir, place.state()).unwrap();
    let _host = place.serve();
    place.until_phase(key, "in-review");
    let approved = place.gatewright(&["task", "approve", key]);
    assert!(approved.status.success(), "{}", said(&approved));
    place.until_phase(key, "done");
    assert!(place.forge_git(&["show", "main:greeting.txt"]).contains("line"), "its code is in main");
}

#[test]
fn a_backup_that_was_changed_or_cut_is_refused_and_leaves_no_folder() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let host = place.serve();
    let key = place.ticket("Greet once more");
    place.until_phase(&key, "in-review");
    host.kill();
    let file = kept(&place, &[]);
    let whole = fs::read(&file).unwrap();
    let needle = b"SQLite format 3";
    let at = whole.windows(needle.len()).position(|bytes| bytes == needle).unwrap() + 4096;
    let mut changed = whole.clone();
    changed[at] ^= 1;
    let folder = place.path("attempts");
    fs::create_dir(&folder).unwrap();
    for (bytes, expected) in [
        (changed.as_slice(), "gatewright.db is not the one that was kept"),
        (&whole[..whole.len() / 2], "cut short"),
        (&whole[..whole.len() - 1], "cut short"),
        (b"hello".as_slice(), "is no backup"),
    ] {
        fs::write(&file, bytes).unwrap();
        let done = restored(&place, &file, &folder.join("new"));
        assert_eq!(done.status.code(), Some(1), "{}", said(&done));
        assert!(said(&done).contains(expected), "{}", said(&done));
        assert!(said(&done).contains(file.file_name().unwrap().to_str().unwrap()), "{}", said(&done));
        assert_eq!(names(&folder), Vec::<String>::new(), "something is left of a refused backup");
    }
    fs::write(&file, &whole).unwrap();
    fs::create_dir(folder.join("new")).unwrap();
    let done = restored(&place, &file, &folder.join("new"));
    assert!(said(&done).contains("is there already"), "{}", said(&done));
    let rehearsed = place.gatewright(&["restore", "--verify", file.to_str().unwrap()]);
    assert!(rehearsed.status.success() && said(&rehearsed).contains("1 task rebuilt"), "{}", said(&rehearsed));
}

#[test]
fn a_backup_that_dies_midway_leaves_nothing_that_looks_whole_and_the_next_one_sweeps() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    drop(place.serve());
    let (here, go) = (place.path("here"), place.path("go"));
    for pipe in [&here, &go] {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }
    // A git that stands still when the objects are packed: by then the database and the blobs are written.
    let path = std::env::var("PATH").unwrap();
    let git = format!(
        "#!/bin/sh\nPATH='{path}'\ncase \"$*\" in *pack-objects*) echo here > '{}'; read -r _ < '{}';; esac\nexec git \"$@\"\n",
        here.display(),
        go.display()
    );
    fs::create_dir(place.path("bin")).unwrap();
    place.script("bin/git", &git);
    let folder = place.path("kept");
    fs::create_dir(&folder).unwrap();
    let mut command = place.command(&["backup", "--to", folder.to_str().unwrap()]);
    command.env("PATH", format!("{}:{path}", place.path("bin").display()));
    let mut dying = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(fs::read_to_string(&here).unwrap(), "here\n");
    dying.kill().unwrap();
    dying.wait().unwrap();
    fs::OpenOptions::new().write(true).open(&go).unwrap().write_all(b"go\n").unwrap();
    let left = names(&folder);
    assert!(left.len() == 1 && left[0].starts_with('.') && left[0].ends_with(".partial"), "{left:?}");
    let whole = kept(&place, &[]);
    assert_eq!(names(&folder), [whole.file_name().unwrap().to_str().unwrap()]);
}

#[test]
fn a_backup_holds_no_secret_unless_it_is_asked_for_and_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let host = place.serve();
    let token = host.token.clone();
    let holds = |file: &Path| fs::read(file).unwrap().windows(token.len()).any(|bytes| bytes == token.as_bytes());
    let plain = kept(&place, &[]);
    assert!(!holds(&plain), "the operator's token is in a backup");
    assert_eq!(fs::metadata(&plain).unwrap().permissions().mode() & 0o777, 0o600);
    let asked = kept(&place, &["--with-secrets"]);
    assert!(holds(&asked), "the operator's token was asked for");
    let dir = place.path("restored");
    let done = restored(&place, &asked, &dir);
    assert!(done.status.success(), "{}", said(&done));
    for (path, mode) in [("", 0o700), ("operator-token", 0o600), ("gatewright.db", 0o600), ("projects", 0o700)] {
        let found = fs::metadata(dir.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{path}");
    }
    let over = place.gatewright(&["backup", "--to", plain.to_str().unwrap()]);
    assert!(!over.status.success() && said(&over).contains("writes over nothing"), "{}", said(&over));
    let no_folder =
        Command::new(env!("CARGO_BIN_EXE_gatewright")).args(["backup", "--dir", "/nonexistent/state"]).output();
    assert_eq!(no_folder.unwrap().status.code(), Some(1));
}

#[test]
fn a_nightly_backup_goes_into_a_folder_that_the_first_one_makes_and_writes_over_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    drop(place.serve());
    let backup = |to: &str| place.gatewright(&["backup", "--to", to, "--json"]);
    for to in ["nightly", "with-a-slash/", "host.example", "slash.backup/"] {
        let folder = place.path(to);
        let to = if to.ends_with('/') { format!("{}/", folder.display()) } else { folder.display().to_string() };
        let files: Vec<String> = (0..2)
            .map(|_| {
                let done = backup(&to);
                assert!(done.status.success(), "{to}: {}", said(&done));
                let told: Value = serde_json::from_slice(&done.stdout).unwrap();
                told["backup"]["path"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(names(&folder).len(), 2, "{files:?}");
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700, "{to}");
        assert!(place.gatewright(&["restore", "--verify", &files[1]]).status.success());
    }
    let file = place.path("one.backup").display().to_string();
    assert!(backup(&file).status.success());
    let first = fs::read(&file).unwrap();
    let again = backup(&file);
    assert!(!again.status.success() && said(&again).contains("writes over nothing"), "{}", said(&again));
    assert_eq!(fs::read(&file).unwrap(), first);
    fs::write(place.path("plain"), "mine").unwrap();
    let over = backup(&place.path("plain").display().to_string());
    assert!(!over.status.success() && said(&over).contains("writes over nothing"), "{}", said(&over));
    assert_eq!(fs::read_to_string(place.path("plain")).unwrap(), "mine");
    let unmounted = backup(&place.path("mnt/disk").display().to_string());
    assert!(
        !unmounted.status.success() && said(&unmounted).contains("in no folder that is there"),
        "{}",
        said(&unmounted)
    );
    assert!(!place.path("mnt").exists());
}
