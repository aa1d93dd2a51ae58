//! What was kept while the host was at work is a host again; what was cut, changed or left half done is nothing.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::fixture::{DEVELOPER, Place, REVIEWER, said};

/// `gatewright backup` into a folder of its own; the file.
pub(crate) fn kept(place: &Place, more: &[&str]) -> PathBuf {
    let folder = place.path("kept");
    fs::create_dir_all(&folder).unwrap();
    let made = place.json(&[&["backup", "--to", folder.to_str().unwrap()], more].concat());
    PathBuf::from(made["backup"]["path"].as_str().unwrap())
}

pub(crate) fn restored(place: &Place, file: &Path, to: &Path) -> Output {
    place.gatewright(&["restore", file.to_str().unwrap(), "--to", to.to_str().unwrap(), "--json"])
}

/// The names in a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A git that stands still when objects are packed for the first time: by then the database and the blobs are written.
pub(crate) struct Gate {
    folder: PathBuf,
    here: PathBuf,
    go: PathBuf,
}

impl Gate {
    pub(crate) fn new(place: &Place) -> Self {
        let (here, go, passed) = (place.path("here"), place.path("go"), place.path("passed"));
        for pipe in [&here, &go] {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        }
        let path = std::env::var("PATH").unwrap();
        let git = format!(
            "#!/bin/sh\nPATH='{path}'\ncase \"$*\" in *pack-objects*) if mkdir '{}' 2> /dev/null; then \
             echo here > '{}'; read -r _ < '{}'; fi;; esac\nexec git \"$@\"\n",
            passed.display(),
            here.display(),
            go.display()
        );
        let folder = place.path("bin");
        fs::create_dir(&folder).unwrap();
        place.script("bin/git", &git);
        Self { folder, here, go }
    }

    /// This command finds that git.
    pub(crate) fn stands_in<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("PATH", format!("{}:{}", self.folder.display(), std::env::var("PATH").unwrap()))
    }

    /// Waits until it stands there.
    pub(crate) fn arrives(&self) {
        assert_eq!(fs::read_to_string(&self.here).unwrap(), "here\n");
    }

    /// Lets it go on.
    pub(crate) fn opens(&self) {
        fs::OpenOptions::new().write(true).open(&self.go).unwrap().write_all(b"go\n").unwrap();
    }
}

/// A host that was killed at its work, and a backup of what it left.
fn left_at_work() -> (Place, PathBuf) {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let host = place.serve();
    let key = place.ticket("Greet once more");
    place.until_phase(&key, "in-review");
    host.kill();
    let file = kept(&place, &[]);
    (place, file)
}

#[test]
fn a_backup_that_was_changed_or_cut_is_refused_and_leaves_no_folder() {
    let (place, file) = left_at_work();
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
    let gate = Gate::new(&place);
    let folder = place.path("kept");
    fs::create_dir(&folder).unwrap();
    // What others have there is theirs, whatever it is called.
    let theirs = [".thesis.partial", ".gatewright-backup-mine.partial", ".gatewright-backup-0123456789abcdef.partial"];
    for name in theirs {
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("thesis.tex"), "three years").unwrap();
    }
    let mut command = place.command(&["backup", "--to", folder.to_str().unwrap()]);
    let mut dying = gate.stands_in(&mut command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    gate.arrives();
    dying.kill().unwrap();
    dying.wait().unwrap();
    gate.opens();
    let left = |folder: &Path| -> Vec<String> {
        names(folder).into_iter().filter(|name| !theirs.contains(&name.as_str())).collect()
    };
    let dead = left(&folder);
    assert!(dead.len() == 1 && dead[0].starts_with('.') && dead[0].ends_with(".partial"), "{dead:?}");
    let whole = kept(&place, &[]);
    assert_eq!(left(&folder), [whole.file_name().unwrap().to_str().unwrap()]);
    for name in theirs {
        assert_eq!(fs::read_to_string(folder.join(name).join("thesis.tex")).unwrap(), "three years", "{name}");
    }
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

/// What is remembered of backups.
fn remembered(place: &Place) -> Value {
    serde_json::from_str(&fs::read_to_string(place.state().join("backups.json")).unwrap()).unwrap()
}

#[test]
fn backups_of_the_same_second_are_each_one_and_each_is_remembered() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    drop(place.serve());
    let folder = place.path("kept");
    fs::create_dir(&folder).unwrap();
    let begin = || place.command(&["backup", "--to", folder.to_str().unwrap()]).stdout(Stdio::piped()).spawn().unwrap();
    let begun: Vec<_> = (0..6).map(|_| begin()).collect();
    for backup in begun {
        let done = backup.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
    }
    assert_eq!(names(&folder).len(), 6);
    assert_eq!(remembered(&place)["backups"].as_array().unwrap().len(), 6);
}

#[test]
fn a_backup_of_which_nobody_can_be_told_is_a_backup() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    drop(place.serve());
    // A file cannot take this name, as it cannot where the disk is full.
    let note = place.state().join("backups.json");
    fs::create_dir(&note).unwrap();
    let file = place.path("one.backup");
    let done = place.gatewright(&["backup", "--to", file.to_str().unwrap()]);
    assert!(done.status.success() && said(&done).contains("warning: "), "{}", said(&done));
    assert!(said(&done).contains("one.backup holds") && said(&done).contains("backups.json"), "{}", said(&done));
    let proven = place.gatewright(&["restore", "--verify", file.to_str().unwrap()]);
    assert!(proven.status.success() && said(&proven).contains("warning: "), "{}", said(&proven));
    let told = said(&place.gatewright(&["doctor"]));
    assert!(told.contains("backups.json cannot be read") && !told.contains("no backup was made yet"), "{told}");
}

#[test]
fn what_root_saves_in_anothers_state_folder_is_that_ones() {
    use std::os::unix::fs::MetadataExt as _;
    const NOBODY: u32 = 65534;
    if !rustix::process::geteuid().is_root() {
        // Nobody else can be both.
        return;
    }
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    drop(place.serve());
    let given = Command::new("chown").args(["-R", &format!("{NOBODY}:{NOBODY}")]).arg(place.state()).status();
    assert!(given.unwrap().success());
    let made = place.json(&["backup"]);
    let file = Path::new(made["backup"]["path"].as_str().unwrap());
    for path in [place.state().join("backups.json"), place.state().join("backups"), file.to_owned()] {
        let about = fs::metadata(&path).unwrap();
        assert_eq!((about.uid(), about.gid(), about.mode() & 0o077), (NOBODY, NOBODY, 0), "{}", path.display());
    }
    assert!(kept(&place, &[]).metadata().unwrap().uid() == 0, "elsewhere it is whoever's made it");
    for entry in fs::read_dir(place.state()).unwrap().flatten() {
        assert_eq!(entry.metadata().unwrap().uid(), NOBODY, "{}", entry.path().display());
    }
}

#[test]
fn neither_a_backup_nor_a_restore_goes_among_what_a_host_works_with() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    drop(place.serve());
    let before = names(&place.state());
    let blobs = names(&place.state().join("blobs"));
    for to in ["blobs/", "blobs/one.backup", "elsewhere", "one.backup", ".", "projects/nightly"] {
        let done = place.gatewright(&["backup", "--to", place.state().join(to).to_str().unwrap()]);
        assert!(!done.status.success() && said(&done).contains("is in the state folder"), "{to}: {}", said(&done));
    }
    let file = kept(&place, &[]);
    for to in ["new", "blobs/new", "backups"] {
        let done = restored(&place, &file, &place.state().join(to));
        assert!(!done.status.success() && said(&done).contains("is in the state folder"), "{to}: {}", said(&done));
    }
    let after: Vec<String> = names(&place.state()).into_iter().filter(|name| name != "backups.json").collect();
    assert_eq!((after, names(&place.state().join("blobs"))), (before, blobs));
    // Its own folder for backups may be named.
    let own = place.gatewright(&["backup", "--to", place.state().join("backups").to_str().unwrap()]);
    assert!(own.status.success(), "{}", said(&own));
}

#[test]
fn what_is_not_in_a_backup_is_said_with_the_reason() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    drop(place.serve());
    for name in ["homes", "mine"] {
        fs::create_dir_all(place.state().join(name)).unwrap();
    }
    fs::write(place.state().join("webhooks-address"), "http://127.0.0.1:1\n").unwrap();
    let made = place.json(&["backup"]);
    let left: Vec<&str> =
        made["manifest"]["left_out"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert!(left.iter().any(|line| line.starts_with("homes: an agent")), "{left:?}");
    let strange: Vec<_> = left.iter().filter(|line| line.contains("none of Gatewright's files")).collect();
    assert_eq!(strange, [&"mine: it is none of Gatewright's files"]);
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

/// What could not be restored is not kept, and does not count as the last backup.
#[test]
fn a_damaged_database_makes_no_backup() {
    let (place, file) = left_at_work();
    let damaged = place.path("damaged");
    let done = restored(&place, &file, &damaged);
    assert!(done.status.success(), "{}", said(&done));
    let database = damaged.join("gatewright.db");
    let mut bytes = fs::read(&database).unwrap();
    bytes[20_000..24_000].fill(0xA5);
    fs::write(&database, bytes).unwrap();
    let folder = place.path("nightly");
    let dir = damaged.to_str().unwrap();
    let to = format!("{}/", folder.display());
    let mut backup = Command::new(env!("CARGO_BIN_EXE_gatewright"));
    let refused = backup.args(["--dir", dir, "backup", "--to", &to]).stdin(Stdio::null()).output().unwrap();
    let told = said(&refused);
    assert!(!refused.status.success(), "{told}");
    assert!(told.contains("gatewright.db is damaged") && told.contains("no backup was made"), "{told}");
    assert!(!folder.exists() || names(&folder).is_empty(), "{:?}", names(&folder));
}
