//! Backups while everything moves: people and programs at the API, agents at work, one repository that is pushed to without a
//! pause, and a host that is killed meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use conductor::ports::store::Store as _;
use serde_json::{Value, json};
use store::{SqliteStore, StoreConfig};

use crate::backup::{Gate, kept, names, restored};
use crate::fixture::{DEVELOPER, Place, REVIEWER, Serving, git, said};

/// Projects beside the place's own. Frozen ones: their tasks take decisions, and launch nothing.
const FROZEN: [&str; 2] = ["second", "third"];
/// Repositories that rest, as of projects whose files are gone.
const RESTING: usize = 8;
/// Tasks of each frozen project.
const TASKS: usize = 8;
/// Nothing here takes as long unless it hangs.
const LONG: Duration = Duration::from_secs(90);

/// Each frozen project with a repository of its own, and many that nobody pushes to.
fn furnish(place: &Place) {
    for name in FROZEN {
        let repository = place.path(name);
        fs::create_dir(&repository).unwrap();
        git(&repository, &["init", "--quiet", "--initial-branch=main"]);
        git(
            &repository,
            &["-c", "user.name=U", "-c", "user.email=u@l", "commit", "-q", "--allow-empty", "-m", "first"],
        );
        let mut init = place.command(&["init", "--agent", "false", "--test", "true"]);
        let done = init.current_dir(&repository).output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
    }
    let repositories = place.state().join("repositories");
    for number in 0..RESTING {
        let copy = repositories.join(format!("rests-{number}.git"));
        let copied = std::process::Command::new("cp").arg("-a").arg(place.forge()).arg(copy).status();
        assert!(copied.unwrap().success());
    }
}

/// What a program with a token does to the host, whichever of its lives that is.
struct Caller<'p> {
    place: &'p Place,
    client: reqwest::blocking::Client,
    accepted: Sender<()>,
}

impl<'p> Caller<'p> {
    fn new(place: &'p Place, accepted: Sender<()>) -> Self {
        let client = reqwest::blocking::Client::builder().no_proxy().timeout(LONG).build().unwrap();
        Self { place, client, accepted }
    }

    /// The answer, if the host lives and takes it.
    fn post(&self, path: &str, body: &Value) -> Option<Value> {
        let read = |name: &str| fs::read_to_string(self.place.state().join(name)).ok();
        let (address, token) = (read("operator-address")?, read("operator-token")?);
        let request = self.client.post(format!("{}{path}", address.trim())).bearer_auth(token.trim()).json(body);
        let Ok(answer) = request.send() else {
            self.place.pause();
            return None;
        };
        let taken = answer.status().is_success().then(|| answer.json().ok())?;
        // Nobody counts any more once the test is over.
        let _ = self.accepted.send(());
        taken
    }

    /// Makes tasks, and decides about them again and again.
    fn decide(&self, project: &str, over: &AtomicBool) {
        let mut items: Vec<String> = Vec::new();
        let mut round = 0;
        while !over.load(Ordering::SeqCst) {
            if items.len() < TASKS {
                let made = self.post("/api/v1/tasks?wait=true", &json!({"project": project, "title": "One of many"}));
                items.extend(made.and_then(|made| Some(made["card"]["work_item"].as_str()?.to_owned())));
                continue;
            }
            let item = &items[round % TASKS];
            for intent in ["pause", "resume"] {
                self.post(&format!("/api/v1/tasks/{item}/{intent}"), &json!({"note": "again"}));
            }
            round += 1;
        }
    }

    /// Makes cards on the board and writes below them.
    fn write(&self, over: &AtomicBool) {
        while !over.load(Ordering::SeqCst) {
            let made =
                self.post("/api/v1/projects/repository/items", &json!({"title": "Some day", "labels": ["later"]}));
            let Some(item) = made.and_then(|made| Some(made["work_item"].as_str()?.to_owned())) else { continue };
            for _ in 0..20 {
                let path = format!("/api/v1/projects/repository/items/{item}/comments");
                self.post(&path, &json!({"text": "and another thing"}));
            }
        }
    }
}

/// Moves refs of a repository for as long as nobody says that it is over.
fn push_on(repository: &Path, over: &AtomicBool) {
    let head = git(repository, &["rev-parse", "main"]);
    let mut round = 0;
    while !over.load(Ordering::SeqCst) {
        let name = format!("refs/heads/pushed-{}", round % 5);
        git(repository, &["update-ref", "--create-reflog", &name, &head]);
        git(repository, &["update-ref", "-d", &name]);
        round += 1;
    }
}

/// Waits until the host has taken so much more.
fn until_taken(taken: &Receiver<()>, count: usize) {
    while taken.try_recv().is_ok() {}
    for _ in 0..count {
        taken.recv_timeout(LONG).expect("nobody does anything beside the backups");
    }
}

/// Each task of the restored folder folds to its row, and its history is the beginning of the one that went on.
fn compare(dir: &Path, host: &Serving) -> usize {
    let store = SqliteStore::open(StoreConfig::new(dir, "elsewhere")).unwrap();
    let tasks = store.tasks(false, u32::MAX).unwrap();
    for task in &tasks {
        assert_eq!(store.rebuild(task.id).unwrap(), Vec::<String>::new(), "task {}", task.id);
        let url = format!("{}/api/v1/tasks/{}/entries", host.address, task.id);
        let living: Value = reqwest::blocking::get(url).unwrap().json().unwrap();
        let living = living["items"].as_array().unwrap();
        let entries = serde_json::to_value(store.entries(task.id).unwrap()).unwrap();
        let entries = entries.as_array().unwrap();
        assert_eq!(living.get(..entries.len()).unwrap(), entries, "task {}", task.id);
    }
    tasks.len()
}

#[test]
fn a_backup_taken_under_load_restores_and_every_task_rebuilds_as_it_stood() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    furnish(&place);
    let mut host = place.serve();
    for project in FROZEN {
        place.json(&["project", "freeze", project]);
    }
    let words = ["task", "create", "Greet once more", "--description", "Add a line.", "--project", "repository"];
    let first = place.json(&words)["card"]["work_item"].as_str().unwrap().to_owned();
    let (over, pushed) = (AtomicBool::new(false), place.state().join("repositories/second.git"));
    let (accepted, taken) = channel();
    let files = std::thread::scope(|scope| {
        for project in FROZEN {
            let caller = Caller::new(&place, accepted.clone());
            let over = &over;
            scope.spawn(move || caller.decide(project, over));
        }
        let caller = Caller::new(&place, accepted);
        let still = &over;
        scope.spawn(move || caller.write(still));
        scope.spawn(|| push_on(&pushed, &over));
        // However this ends, the others end too.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| saved(&place, &mut host, &taken)));
        over.store(true, Ordering::SeqCst);
        ended.unwrap_or_else(|why| std::panic::resume_unwind(why))
    });
    assert_eq!(names(&place.path("kept")).len(), files.len(), "only whole backups are left");
    let mut counts = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let dir = place.path(&format!("restored-{number}"));
        let done = restored(&place, file, &dir);
        assert!(done.status.success(), "{}", said(&done));
        let told: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(told["repositories"].as_array().unwrap().len(), 1 + FROZEN.len() + RESTING);
        counts.push(compare(&dir, &host));
        assert_eq!(told["tasks"], *counts.last().unwrap());
        let noted = fs::canonicalize(told["noted_in"].as_str().unwrap()).unwrap();
        assert_eq!(noted, fs::canonicalize(place.state()).unwrap(), "{told}");
    }
    assert!(counts.is_sorted() && counts[0] > 0 && *counts.last().unwrap() > TASKS, "{counts:?}");
    host.kill();
    goes_on(&place, &place.path(&format!("restored-{}", files.len() - 1)), &first);
}

/// Backups beside the load: of a living host, of one that is killed once its database was copied, of the next life of it.
fn saved(place: &Place, host: &mut Serving, taken: &Receiver<()>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for _ in 0..2 {
        until_taken(taken, 15);
        files.push(kept(place, &[]));
        assert!(taken.try_iter().count() > 0, "nothing happened beside the backup");
    }
    let gate = Gate::new(place);
    let folder = place.path("kept");
    let mut backup = place.command(&["backup", "--to", folder.to_str().unwrap(), "--json"]);
    let backup = gate.stands_in(&mut backup).stdout(Stdio::piped()).spawn().unwrap();
    gate.arrives();
    host.kill_and_leave();
    gate.opens();
    let done = backup.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    files.push(PathBuf::from(told["backup"]["path"].as_str().unwrap()));
    *host = place.serve();
    until_taken(taken, 15);
    files.push(kept(place, &[]));
    files
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
