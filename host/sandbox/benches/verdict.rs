//! What a verdict costs: the plugin `review-verdict` in the sandbox, against the same component on bare wasmtime.
//!
//! Both run the same engine configuration, the same pool and an `InstancePre`; a call is a fresh store, an instance, `evaluate`. The
//! sandbox adds the permit, limits, WASI, the broker, the rules about answers and the transcript, encoded and hashed but not
//! written. Prints both medians and their ratio, which stays below 1.5.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use conductor::ports::plugins::{Asking, GateCall, Plugins as _, World};
use criterion::Criterion;
use domain::ids::{CommitId, Digest, DocumentId, RunId};
use domain::plugin::{
    Ceiling, ChangedFile, Check, Comment, CommitInfo, DocumentInfo, EdgeName, Family, GateSubject, Grant, HostError,
    Limits, PullRequest, Revision, RunView, TaskView, WorkItemView,
};
use domain::time::{Milliseconds, Timestamp};
use sandbox::{PluginSpec, Sandbox, SandboxConfig, engine_config};

#[path = "verdict/bare.rs"]
mod bare;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const REVIEW: &str = "---\nverdict: REQUEST_CHANGES\n---\n\n# Review of ORCH-094\n\n## Findings\n\n\
    - P1: the lease is released before the merge is proven\n- P2: `step` clones the task twice\n- P3: a comment says what, not why\n";

/// A world in memory: what is measured is the sandbox, not a repository.
struct Documents;

impl World for Documents {
    fn is_immediate(&self, _family: Family) -> bool {
        true
    }

    fn documents(&self) -> Result<Vec<DocumentInfo>, HostError> {
        Ok(vec![DocumentInfo {
            id: DocumentId(1),
            kind: "review".to_owned(),
            name: "12-review.md".to_owned(),
            stage: "review".parse().map_err(|_| HostError::NotFound)?,
            visit: 1,
            current: true,
            run: Some(RunId(5)),
            written_at: NOW,
            size: REVIEW.len() as u64,
        }])
    }

    fn read_document(&self, _id: DocumentId) -> Result<Vec<u8>, HostError> {
        Ok(REVIEW.as_bytes().to_vec())
    }

    fn read_file(&self, _at: Revision, _path: &str) -> Result<Vec<u8>, HostError> {
        Err(HostError::NotFound)
    }

    fn list_files(&self, _at: Revision) -> Result<Vec<String>, HostError> {
        Err(HostError::NotFound)
    }

    fn changes(&self) -> Result<Vec<ChangedFile>, HostError> {
        Err(HostError::NotFound)
    }

    fn diff(&self, _path: &str) -> Result<Vec<u8>, HostError> {
        Err(HostError::NotFound)
    }

    fn commits(&self) -> Result<Vec<CommitInfo>, HostError> {
        Err(HostError::NotFound)
    }

    fn last_change(&self, _at: Revision, _path: &str) -> Result<Option<CommitInfo>, HostError> {
        Err(HostError::NotFound)
    }

    fn is_ancestor(&self, _ancestor: &CommitId, _descendant: &CommitId) -> Result<bool, HostError> {
        Err(HostError::NotFound)
    }

    fn checks(&self) -> Result<Vec<Check>, HostError> {
        Err(HostError::NotFound)
    }

    fn code_pull_request(&self) -> Result<Option<PullRequest>, HostError> {
        Err(HostError::NotFound)
    }

    fn work_item(&self) -> Result<WorkItemView, HostError> {
        Err(HostError::NotFound)
    }

    fn comments(&self, _newest: u32) -> Result<Vec<Comment>, HostError> {
        Err(HostError::NotFound)
    }

    fn runs(&self, _newest: u32) -> Result<Vec<RunView>, HostError> {
        Err(HostError::NotFound)
    }

    fn log_tail(&self, _run: RunId, _bytes: u32) -> Result<Vec<u8>, HostError> {
        Err(HostError::NotFound)
    }

    fn report(&self, _run: RunId) -> Result<Option<String>, HostError> {
        Err(HostError::NotFound)
    }
}

fn call() -> GateCall {
    let name = |text: &str| text.parse().expect("a name of this file");
    let commit = |digit: &str| CommitId::new(digit.repeat(40)).expect("40 digits");
    let task = TaskView {
        id: domain::ids::TaskId(94),
        version: domain::ids::Version(12),
        project: "enduro".parse().expect("a name"),
        work_item: Some("ORCH-094".parse().expect("a work item")),
        url: Some("https://board.example.org/ORCH-094".to_owned()),
        title: "Release the lease only when the merge is proven".to_owned(),
        labels: vec!["backend".to_owned(), "priority".to_owned()],
        track: "full".to_owned(),
        stage: name("review"),
        visit: 1,
        phase: "review".to_owned(),
        created_at: NOW,
        stage_entered_at: NOW,
        terminality: None,
        branch: Some("task/ORCH-094".parse().expect("a branch")),
        base_branch: "main".parse().expect("a branch"),
        retries: 0,
        watching: false,
        held: None,
        waits_for: Vec::new(),
        forecast: None,
        more: Vec::new(),
    };
    let subject = GateSubject {
        task,
        edge: EdgeName { source: name("review"), target: name("testing") },
        step: "review-verdict".parse().expect("a step"),
        commit: Some(commit("a")),
        fork_point: Some(commit("b")),
        base_head: Some(commit("c")),
        asked_before: 0,
        first_asked_at: NOW,
        run: None,
        settings: "{}".to_owned(),
        more: Vec::new(),
    };
    let asking = Asking {
        project: "enduro".parse().expect("a name"),
        plugin: "review-verdict".parse().expect("a plugin"),
        at: NOW,
        seed: 7,
    };
    GateCall { asking, subject, patience: Milliseconds::from_seconds(3600) }
}

fn loaded(bytes: &[u8]) -> Sandbox {
    let sandbox = Sandbox::new(SandboxConfig::default()).expect("the sandbox starts");
    let spec = PluginSpec {
        id: "review-verdict".parse().expect("a plugin"),
        bytes: bytes.into(),
        digest: Digest::of(bytes),
        grant: Grant { capabilities: vec!["documents".parse().expect("a capability")], ..Grant::default() },
        ceiling: Ceiling::Open,
        limits: Limits::default(),
    };
    sandbox.load(&"enduro".parse().expect("a name"), spec).expect("review-verdict loads");
    sandbox
}

fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples[samples.len() / 2]
}

/// Takes turns, so that whatever else the machine does meets both alike.
#[expect(clippy::print_stdout, reason = "the line with both medians is what this benchmark is for")]
fn compare(mut sandboxed: impl FnMut(), mut bare: impl FnMut()) {
    const ROUNDS: usize = 4_000;
    let (mut ours, mut theirs) = (Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS));
    let timed = |call: &mut dyn FnMut()| {
        let started = Instant::now();
        call();
        started.elapsed()
    };
    for _ in 0..ROUNDS {
        ours.push(timed(&mut sandboxed));
        theirs.push(timed(&mut bare));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    println!(
        "verdict of review-verdict, p50 of {ROUNDS}: sandbox {ours:?}, bare wasmtime {theirs:?}, ratio {ratio:.2}"
    );
}

fn main() {
    let bytes = std::fs::read(test_artifacts::plugin("review-verdict")).expect("the plugin was built");
    let sandbox = loaded(&bytes);
    let world: Arc<dyn World> = Arc::new(Documents);
    let mut sandboxed = || {
        let evaluation = sandbox.evaluate_gate(call(), Arc::clone(&world));
        assert_eq!(evaluation.answer.name(), "fail");
        black_box(Digest::of(&evaluation.transcript));
    };
    let bare = bare::Bare::new(&engine_config(&SandboxConfig::default()), &bytes);
    let mut bare = || bare.evaluate();

    compare(&mut sandboxed, &mut bare);
    let mut criterion = Criterion::default().configure_from_args();
    criterion.bench_function("verdict/sandbox", |bencher| bencher.iter(&mut sandboxed));
    criterion.bench_function("verdict/bare-wasmtime", |bencher| bencher.iter(&mut bare));
    criterion.final_summary();
}
