//! Deaths: what was acknowledged is there after a SIGKILL at any instant, a second host is refused, and an error of the disk
//! ends all answers. The writing is done by this same test program, started as a child.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use conductor::ports::store::{ClaimLimits, Completion, Incarnation, NewTask, Project, Store, StoreError};
use domain::effect::JobClass;
use domain::event::{Event, Intent};
use domain::ids::{Actor, TaskId, WorkItemId};
use domain::task::Track;
use domain::time::Timestamp;
use store::conformance::small_project;
use store::{SqliteStore, StoreConfig};

/// Where the child writes; without it a test that is meant for a child does nothing.
const FOLDER: &str = "GATEWRIGHT_STORE_TEST_FOLDER";
const NOW: Timestamp = Timestamp(1_000_000);

fn open(dir: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(StoreConfig::new(dir, "here"))
}

fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(FOLDER, dir).stdout(Stdio::piped());
    command
}

fn folder() -> Option<std::path::PathBuf> {
    std::env::var_os(FOLDER).map(Into::into)
}

fn me() -> Incarnation {
    let uuid = format!("{:032x}", std::process::id());
    Incarnation { host: "here".to_owned(), boot_id: "boot".to_owned(), pid: std::process::id(), start_time: 1, uuid }
}

fn new_task(project: &Project, name: &str) -> NewTask {
    NewTask {
        project: project.name.clone(),
        work_item: WorkItemId::new(name).unwrap(),
        title: name.to_owned(),
        description: format!("{name} in many words"),
        labels: Vec::new(),
        track: Track::Full,
        actor: Actor::Host,
    }
}

/// Makes tasks, stops some, and tells the aftermath, all at once; each line of output is one acknowledgement.
#[test]
fn child_writes_until_it_is_killed() {
    let Some(dir) = folder() else { return };
    let store = open(&dir).unwrap();
    let project = small_project();
    store.put_project(&project, NOW).unwrap();
    store.reap(&|_| false, NOW).unwrap();
    let first = store.tasks(false, u32::MAX).unwrap().len();
    thread::scope(|scope| {
        for lane in 0..3 {
            let (store, project) = (&store, &project);
            scope.spawn(move || {
                for number in first.. {
                    let task = store.create_task(&new_task(project, &format!("L{lane}-{number}")), NOW).unwrap().0;
                    say(&format!("made {task}"));
                    if number % 2 == 0 {
                        let stop = Event::Intent { intent: Intent::Stop, actor: Actor::Host, note: String::new() };
                        store.apply(task, &stop, NOW).unwrap();
                        say(&format!("stopped {task}"));
                    }
                }
            });
        }
        scope.spawn(|| tell_aftermath(&store));
    });
}

fn tell_aftermath(store: &SqliteStore) {
    let limits = ClaimLimits { may_launch: false, ..ClaimLimits::of(0) };
    loop {
        let Some(claim) = store.claim(&me(), &limits, NOW).unwrap() else { continue };
        let event = match claim.job.effect.class() {
            JobClass::Drive => Event::CleanedUp { epoch: claim.job.epoch },
            JobClass::Aftermath => Event::AftermathEnded { note: "told".to_owned() },
        };
        let (job, token) = (claim.job.id, claim.token);
        let completion = Completion { job, token, event, wakes: claim.wakes, evaluation: None, run: None };
        store.complete(completion, NOW).unwrap();
        say(&format!("closed {job}"));
    }
}

/// One line in one write: a kill leaves whole lines, or none.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("ACK {text}\n").as_bytes()).and_then(|()| out.flush()).unwrap();
}

/// Reads acknowledgements, kills the child after so many, and reads what it had said until then.
fn kill_after(mut running: Child, acknowledgements: usize) -> Vec<String> {
    let mut heard = Vec::new();
    let lines = BufReader::new(running.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        heard.extend(line.split_once("ACK ").map(|(_, told)| told.to_owned()));
        if heard.len() == acknowledgements {
            running.kill().unwrap();
        }
    }
    running.wait().unwrap();
    heard
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut heard = Vec::new();
    for acknowledgements in [1, 40, 173, 300] {
        let running = child("child_writes_until_it_is_killed", dir.path()).spawn().unwrap();
        heard.extend(kill_after(running, acknowledgements));
        let store = open(dir.path()).unwrap();
        is_all_there(&store, &heard);
    }
    assert!(heard.len() >= 514, "the child was killed before it wrote: {heard:?}");
}

fn is_all_there(store: &SqliteStore, heard: &[String]) {
    let limits = ClaimLimits { may_launch: false, ..ClaimLimits::of(0) };
    let jobs = store.jobs(&limits, NOW, u32::MAX).unwrap();
    let state = |id: u64| jobs.iter().find(|job| job.id.0 == id).map(|job| job.state.clone());
    for acknowledgement in heard {
        let (verb, id) = acknowledgement.split_once(' ').unwrap();
        let id: u64 = id.parse().unwrap();
        match verb {
            "closed" => assert_eq!(state(id).as_deref(), Some("done")),
            "stopped" => {
                let activity = store.task(TaskId(id)).unwrap().position.activity;
                assert!(matches!(activity.name(), "stopping" | "settled"), "{activity:?}");
            }
            _ => {
                let task = store.task(TaskId(id)).unwrap();
                assert_eq!(store.blob(&task.description).unwrap(), format!("{} in many words", task.title).as_bytes());
            }
        }
    }
    for task in store.tasks(false, u32::MAX).unwrap() {
        assert_eq!(store.rebuild(task.id).unwrap(), Vec::<String>::new());
    }
}

/// Writes until the disk says no, and shows that nothing is answered afterwards.
#[test]
fn child_writes_until_the_disk_fails() {
    let Some(dir) = folder() else { return };
    let store = open(&dir).unwrap();
    let project = small_project();
    store.put_project(&project, NOW).unwrap();
    for number in 1.. {
        match store.create_task(&new_task(&project, &format!("D-{number}")), NOW) {
            Ok((task, _)) => say(&format!("made {task}")),
            Err(StoreError::Fatal(_)) => break,
            Err(other) => panic!("a failing disk is fatal: {other}"),
        }
    }
    assert!(matches!(store.tasks(false, 1), Err(StoreError::Fatal(_))));
    let again = store.create_task(&new_task(&project, "D-0"), NOW);
    assert!(matches!(again, Err(StoreError::Fatal(_))));
    say("ended 0");
}

/// A limit on the size of files stands in for the failing disk: the log of the database cannot grow any more.
#[test]
fn a_failing_disk_ends_all_answers_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let script = "trap '' XFSZ; ulimit -f 1400; exec \"$0\" child_writes_until_the_disk_fails --exact --nocapture";
    let output = Command::new("bash").args(["-c", script]).arg(&program).env(FOLDER, dir.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut heard: Vec<String> =
        text.lines().filter_map(|line| line.split_once("ACK ")).map(|(_, told)| told.to_owned()).collect();
    assert_eq!(heard.pop().as_deref(), Some("ended 0"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(heard.len() > 3, "it failed before it wrote: {heard:?}");
    is_all_there(&open(dir.path()).unwrap(), &heard);
}

#[test]
fn a_second_host_is_refused_and_told_who_holds_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    let Err(StoreError::Refused(why)) = open(dir.path()).map(|_| ()) else { panic!("two hosts at one store") };
    assert!(why.to_string().contains(&format!("the process {}", std::process::id())), "{why}");
    drop(first);
    open(dir.path()).unwrap();
}

#[test]
fn the_lock_of_a_killed_host_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let running = child("child_writes_until_it_is_killed", dir.path()).spawn().unwrap();
    let pid = running.id();
    kill_after(running, 1);
    let lock = std::fs::read_to_string(dir.path().join("gatewright.lock")).unwrap();
    assert_eq!(lock.trim(), pid.to_string(), "the file still names the dead one");
    open(dir.path()).unwrap();
}

#[test]
fn a_blob_whose_bytes_were_changed_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let digest = store.put_blob(b"the truth").unwrap();
    let path = dir.path().join("blobs").join(&digest.as_str()[..2]).join(digest.as_str());
    std::fs::write(&path, b"the lie!!").unwrap();
    assert!(matches!(store.blob(&digest), Err(StoreError::Refused(_))));
    std::fs::write(&path, b"cut").unwrap();
    assert_eq!(store.put_blob(b"the truth").unwrap(), digest, "what is cut short is written again");
    assert_eq!(store.blob(&digest).unwrap(), b"the truth");
}
