//! What a ticket changes is told before somebody is asked whether it may go on.

use conductor::ports::store::Completion;
use domain::document::Role;
use domain::effect::run_of;
use domain::event::{Event, RunOutcome};
use domain::ids::{BranchName, CommitId, StepName, TaskId};
use domain::pipeline::{EdgeStep, Pipeline, PipelineDraft};
use domain::plugin::{ChangeKind, ChangedFile, EntryKind};
use gateway::Outline;
use gateway::api::{Block, ChangeView};

use crate::sessions::Browser;
use crate::world::{NOW, SECRET, World, project};

fn commit(digit: char) -> CommitId {
    CommitId::new(digit.to_string().repeat(40)).unwrap()
}

fn changed(path: &str, change: ChangeKind, lines: (u32, u32)) -> ChangedFile {
    ChangedFile {
        path: path.to_owned(),
        old_path: (change == ChangeKind::Renamed).then(|| "old.rs".to_owned()),
        change,
        kind: EntryKind::File,
        binary: false,
        added_lines: lines.0,
        deleted_lines: lines.1,
    }
}

/// A task whose developer delivered, and which asks then whether that may land.
fn delivered(world: &World) -> TaskId {
    let mut demo = project("demo", "DEMO");
    let mut stages = demo.pipeline.stages().to_vec();
    let asks = stages[0].edge.as_mut().unwrap().steps.remove(0);
    stages[1].edge.as_mut().unwrap().steps.push(EdgeStep { name: StepName::new("land").unwrap(), ..asks });
    demo.pipeline = Pipeline::new(PipelineDraft { name: "small".to_owned(), stages }).unwrap();
    world.store.put_project(&demo, NOW).unwrap();
    let task = world.task("DEMO-001", "Say hello");
    let claim = world.claimed_launch();
    let epoch = claim.job.epoch;
    let branch = BranchName::new("gatewright/DEMO-001").unwrap();
    let cut = Event::BranchCut { epoch, branch, base: commit('a'), documents: Vec::new() };
    world.store.apply(task, &cut, NOW).unwrap();
    let outcome = RunOutcome::Delivered { head: Some(commit('b')), documents: Vec::new(), validated: None };
    let run = run_of(claim.job.id);
    let event = Event::RunEnded { epoch, run, outcome, spent: None, role: Some(Role::Developer) };
    let (job, token) = (claim.job.id, claim.token);
    world.store.complete(Completion { job, token, event, wakes: 0, evaluation: None, run: None }, NOW).unwrap();
    assert_eq!(world.store.task(task).unwrap().position.activity.name(), "awaiting-person");
    task
}

#[tokio::test]
async fn a_ticket_that_asks_tells_what_it_changes_and_how_all_of_it_is_seen() {
    let world = World::new();
    delivered(&world);
    let files = vec![
        changed("src/<greeting>.rs", ChangeKind::Modified, (10, 2)),
        changed("src/new\u{202E}.rs", ChangeKind::Added, (4, 0)),
        changed("src/renamed.rs", ChangeKind::Renamed, (1, 1)),
    ];
    *world.desk.outline.lock().unwrap() = Some(Ok(Outline { base: commit('c'), files }));
    let text = world.get("/t/DEMO-001").await.text().to_owned();
    let command = format!("git fetch gatewright &#38;&#38; git diff {} {}", commit('c'), commit('b'));
    for part in [
        "<code>cccccccccccc..bbbbbbbbbbbb</code> 3 files changed, +15 −3 lines",
        "<code>src/&#60;greeting&#62;.rs</code> <span class=\"small\">+10 −2</span>",
        "src/new⟦U+202E⟧.rs",
        "was old.rs, +1 −1",
        &command,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.find("id=\"change\"") < text.find("class=\"deeds\""), "before anything is pressed");
    let told: ChangeView = world.get("/api/v1/tasks/DEMO-001/change").await.parse();
    let Some(Block::Fine(outline)) = told.outline else { panic!("{told:?}") };
    assert_eq!((told.base, told.head), (Some(commit('c')), Some(commit('b'))));
    assert_eq!((outline.files, outline.added_lines, outline.deleted_lines, outline.listed.len()), (3, 15, 3, 3));
}

#[tokio::test]
async fn a_large_change_is_counted_whole_and_one_that_git_cannot_tell_says_why() {
    let world = World::new();
    assert!(!world.get("/t/DEMO-001").await.text().contains("id=\"change\""));
    delivered(&world);
    let many = (0..250).map(|number| changed(&format!("{number:03}"), ChangeKind::Added, (1, 0))).collect();
    *world.desk.outline.lock().unwrap() = Some(Ok(Outline { base: commit('a'), files: many }));
    let text = world.get("/t/DEMO-001").await.text().to_owned();
    for part in ["250 files changed, +250 −0 lines", "and other files: 150", "<details><summary>Files"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    *world.desk.outline.lock().unwrap() = Some(Err("`git diff-tree` took <longer> than 3 s".to_owned()));
    let text = world.get("/t/DEMO-001").await.text().to_owned();
    assert!(
        text.contains("how much it is cannot be told:") && text.contains("took &#60;longer&#62; than 3 s"),
        "{text}"
    );
    assert!(text.contains(&format!("git diff {} {}", commit('a'), commit('b'))), "{text}");
    let told = world.get("/api/v1/tasks/1/change").await;
    assert!(told.text().contains("\"outline\":{\"error\":\"`git diff-tree` took"), "{}", told.text());
}

#[tokio::test]
async fn a_ticket_that_asks_can_be_paused_and_stopped_too() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    let browser = Browser::log_in(&world, SECRET).await;
    let text = browser.get(&world, "/t/DEMO-001").await.text().to_owned();
    for word in ["approve", "reject", "pause", "stop"] {
        assert!(text.contains(&format!("action=\"/t/DEMO-001/{word}\"")), "{word}: {text}");
        assert!(text.contains(&format!("gatewright task {word} DEMO-001")), "{word}: {text}");
    }
}
