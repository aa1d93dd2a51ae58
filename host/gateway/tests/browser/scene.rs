//! A store in which everything is there that a page may have to show: each of the ten states, runs, verdicts, hostile texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor::ports::inbox::{Inbox, NewDelivery};
use conductor::ports::store::{
    ClaimLimits, Completion, Incarnation, NewEvaluation, NewItem, NewTask, Project, RunRow, Store,
};
use domain::cost::Spent;
use domain::document::Role;
use domain::effect::{Claim, Effect, JobClass, run_of};
use domain::event::{Answer, Event, Intent, RunOutcome, StepFacts};
use domain::ids::{
    Actor, BranchName, CommitId, Digest, PluginId, ProjectName, RunId, StageName, StepName, TaskId, WorkItemId,
};
use domain::pipeline::{
    Action, Consent, Edge, EdgeStep, OnPatience, Pipeline, PipelineDraft, Stage, StageKind, StepKind,
};
use domain::task::{HoldKind, Terminality, Track};
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::{Finding, InfraCause, Severity, Verdict};
use webhooks::{Headers, Source};

/// When the pages are looked at: 2026-09-21 14:13:20 UTC.
pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000_000);

/// What somebody may write into a ticket.
pub(crate) const HOSTILE: &str =
    "</h1><script>alert(1)</script><img src=x onerror=alert(2)> \u{202E}drowssap\u{200B} \u{1b}[31mred \" onload=\"x";

/// What becomes of a ticket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It walks to the end.
    Done,
    /// It waits for the approval.
    Asks,
    /// Its review fails until its retries are spent.
    Fails,
    /// A gate breaks until its retries are spent.
    Breaks,
    /// A gate broke and is asked again later.
    Retries,
    /// Its developer works.
    Develops,
    /// Its reviewer works.
    IsReviewed,
    /// Nobody takes it up.
    Waits,
    /// Somebody has questions.
    HasQuestions,
    /// A person paused it.
    Pauses,
    /// A person stopped it.
    IsStopped,
}

pub(crate) struct Scene {
    pub(crate) store: Arc<dyn Store>,
    me: Incarnation,
    now: u64,
    fates: BTreeMap<TaskId, Fate>,
    commits: u64,
    /// Of the tickets that are at work, their runs.
    pub(crate) living: Vec<RunId>,
}

fn stage(name: &str) -> StageName {
    StageName::new(name).expect("a stage")
}

fn step(name: &str, kind: StepKind) -> EdgeStep {
    EdgeStep {
        name: StepName::new(name).expect("a step"),
        kind,
        lease: None,
        patience: Milliseconds::from_seconds(7 * 86_400),
        on_patience: OnPatience::Hold,
        binding: None,
    }
}

fn gate(name: &str) -> EdgeStep {
    step(name, StepKind::Gate { plugin: PluginId::new(name).expect("an id") })
}

fn act(action: Action) -> EdgeStep {
    step(action.as_str(), StepKind::Action { action })
}

/// As the preset `quick`, with an analysis before it.
pub(crate) fn pipeline() -> Pipeline {
    let edge = |to: &str, back: &str, steps| {
        Some(Edge { to: stage(to), steps, on_fail: stage(back), on_moved_base: None, bug_to: None })
    };
    let work = |name: &str, role, edge| Stage { name: stage(name), kind: StageKind::Work { role }, edge };
    let mut rebase = act(Action::Rebase);
    rebase.lease = Some("merge".parse().expect("a lease"));
    let approve = step("approve", StepKind::Consent { consent: Consent::Approve, waived_by: Vec::new() });
    let landing = vec![approve, rebase, act(Action::Retest), act(Action::Merge), act(Action::ProveMerged)];
    let end = |name: &str, end| Stage { name: stage(name), kind: StageKind::Terminal { end }, edge: None };
    let stages = vec![
        work("analysis", Role::Analyst, edge("development", "analysis", vec![gate("brd-complete")])),
        work("development", Role::Developer, edge("review", "development", vec![gate("checks-green")])),
        work("review", Role::Reviewer, edge("testing", "development", vec![gate("review-verdict")])),
        work("testing", Role::Tester, edge("merging", "development", vec![gate("tests-passed")])),
        Stage { name: stage("merging"), kind: StageKind::Passage, edge: edge("done", "development", landing) },
        end("done", Terminality::Done),
        end("cancelled", Terminality::Cancelled),
    ];
    Pipeline::new(PipelineDraft { name: "quick".to_owned(), stages }).expect("a sound pipeline")
}

pub(crate) fn project(name: &str, prefix: &str) -> Project {
    Project {
        name: ProjectName::new(name).expect("a name"),
        prefix: prefix.to_owned(),
        base_branch: BranchName::new("main").expect("a branch"),
        pipeline: pipeline(),
        serial: false,
        observe: false,
    }
}

impl Scene {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let uuid = "5".repeat(32);
        let me = Incarnation { host: "here".to_owned(), boot_id: "boot".to_owned(), pid: 7, start_time: 11, uuid };
        let now = NOW.0 - 14 * 3_600_000;
        Self { store, me, now, fates: BTreeMap::new(), commits: 0, living: Vec::new() }
    }

    fn at(&mut self, seconds: u64) -> Timestamp {
        self.now += seconds * 1000;
        Timestamp(self.now)
    }

    fn commit(&mut self) -> CommitId {
        self.commits += 1;
        CommitId::new(&Digest::of(&self.commits.to_le_bytes()).as_str()[..40]).expect("a commit")
    }

    pub(crate) fn project(&mut self, name: &str, prefix: &str) {
        let now = self.at(1);
        self.store.put_project(&project(name, prefix), now).expect("the project is written");
    }

    /// A ticket that is begun, and what shall become of it.
    pub(crate) fn ticket(&mut self, project: &str, title: &str, description: &str, fate: Fate) -> TaskId {
        let now = self.at(60);
        let item = NewItem {
            project: ProjectName::new(project).expect("a name"),
            title: title.to_owned(),
            description: description.to_owned(),
            status: "To Analyse".to_owned(),
            labels: vec!["ui".to_owned()],
            actor: Actor::Person("ada".to_owned()),
            after: Vec::new(),
        };
        let card = self.store.create_item(&item, now).expect("the card is made");
        self.begin(&card.project, &card.work_item, title, fate)
    }

    pub(crate) fn begin(&mut self, project: &ProjectName, item: &WorkItemId, title: &str, fate: Fate) -> TaskId {
        let new = NewTask {
            project: project.clone(),
            work_item: item.clone(),
            title: title.to_owned(),
            description: "What is wanted, and how one sees that it is there.".to_owned(),
            labels: vec!["ui".to_owned()],
            track: Track::Full,
            actor: Actor::Person("ada".to_owned()),
        };
        let now = self.at(5);
        let task = self.store.create_task(&new, now).expect("the task is made").0;
        self.fates.insert(task, fate);
        if fate == Fate::Waits {
            // Held back until the others have gone their ways.
            self.intend(task, Intent::Pause, "");
        }
        task
    }

    pub(crate) fn intend(&mut self, task: TaskId, intent: Intent, note: &str) {
        let now = self.at(30);
        let event = Event::Intent { intent, actor: Actor::Person("ada".to_owned()), note: note.to_owned() };
        self.store.apply(task, &event, now).expect("the intent is applied");
    }

    /// Performs what there is to do until nothing is left but what fates leave open.
    pub(crate) fn play(&mut self) {
        loop {
            let now = self.at(7);
            let claim = self.store.claim(&self.me, &ClaimLimits::of(500), now).expect("claiming works");
            match claim {
                Some(claim) => self.perform(&claim),
                None if self.fates.values().all(|fate| *fate != Fate::Breaks) => return,
                None => match self.store.next_available(now).expect("the queue is read") {
                    Some(next) if next.0 + 7_200_000 < NOW.0 => self.now = next.0,
                    _ => return,
                },
            }
        }
    }

    fn perform(&mut self, claim: &Claim) {
        let fate = self.fates.get(&claim.job.task).copied().unwrap_or(Fate::Done);
        let event = match &claim.job.effect {
            effect if effect.class() == JobClass::Aftermath => {
                Event::AftermathEnded { note: "told on the board".to_owned() }
            }
            Effect::Launch { role, attempt } => {
                let open =
                    matches!((fate, role), (Fate::Develops, Role::Developer) | (Fate::IsReviewed, Role::Reviewer));
                return self.launch(claim, *role, *attempt, open);
            }
            Effect::Judge { step, .. } => return self.judge(claim, &step.clone(), fate),
            Effect::Act { step, action } => self.act(claim, &step.clone(), *action),
            Effect::Timer => Event::TimerFired { epoch: claim.job.epoch },
            Effect::CleanUp => Event::CleanedUp { epoch: claim.job.epoch },
            _ => Event::AftermathEnded { note: "done".to_owned() },
        };
        self.finish(claim, event, None, None);
        self.after(claim.job.task, fate);
    }

    /// What a person does once it is the task's turn.
    fn after(&mut self, id: TaskId, fate: Fate) {
        let task = self.store.task(id).expect("the task is there");
        let stage = task.position.stage.as_str();
        match fate {
            Fate::Done if task.position.activity.name() == "awaiting-person" => {
                self.intend(id, Intent::Approve, "looks good");
            }
            Fate::Pauses if stage == "development" && !task.is_paused() => {
                self.intend(id, Intent::Pause, "not this week");
            }
            Fate::IsStopped
                if stage == "development" && task.end().is_none() && task.position.activity.name() != "stopping" =>
            {
                self.intend(id, Intent::Stop, "not wanted any more");
            }
            _ => {}
        }
    }

    fn launch(&mut self, claim: &Claim, role: Role, attempt: u32, open: bool) {
        let task = self.store.task(claim.job.task).expect("the task is there");
        if task.branch.is_none() {
            let (now, base) = (self.at(1), self.commit());
            let branch = BranchName::new(format!("gatewright/{}", task.work_item)).expect("a branch");
            let event = Event::BranchCut { epoch: task.epoch, branch, base, documents: Vec::new() };
            self.store.apply(task.id, &event, now).expect("the branch is cut");
        }
        let started_at = self.at(4);
        let mut row = run_row(claim, &task.position.stage, role, attempt, task.position.visit, started_at);
        self.store.put_run(&row, claim.token).expect("the run is written");
        if open {
            self.living.push(row.id);
            return;
        }
        let now = self.at(if role == Role::Developer { 540 } else { 140 });
        let spent = Spent {
            input_tokens: 21_000,
            output_tokens: 3200,
            cost_microusd: 412_000,
            wall: now.since(started_at),
            ..Spent::default()
        };
        row.ended_at = Some(now);
        row.exit_code = Some(0);
        row.outcome = Some("delivered".to_owned());
        row.spent = Some(spent);
        let head = (role == Role::Developer).then(|| self.commit());
        let outcome = RunOutcome::Delivered { head, documents: Vec::new(), validated: None };
        let event = Event::RunEnded {
            epoch: claim.job.epoch,
            run: run_of(claim.job.id),
            outcome,
            spent: Some(spent),
            role: Some(role),
        };
        self.finish(claim, event, None, Some(&row));
        self.after(claim.job.task, self.fates.get(&claim.job.task).copied().unwrap_or(Fate::Done));
    }

    fn judge(&mut self, claim: &Claim, step: &StepName, fate: Fate) {
        let name = step.as_str();
        let (answer, verdict, word, summary) = match fate {
            Fate::Fails if name == "review-verdict" => {
                let findings = vec![finding(), Finding { title: HOSTILE.to_owned(), ..finding() }];
                let kept = self.store.put_blob(&serde_json::to_vec(&findings).expect("JSON")).expect("bytes are kept");
                let title = findings[0].title.clone();
                let answer = Answer::Fail { findings: kept, count: 2, title: title.clone() };
                (answer, Verdict::Fail { findings, figures: Vec::new() }, "fail", title)
            }
            Fate::Breaks | Fate::Retries if name == "checks-green" => {
                let message = "the forge did not answer: connection refused".to_owned();
                let infra = Answer::Infra { cause: InfraCause::Time, message: message.clone(), retry_after: None };
                let verdict = Verdict::Infra { cause: InfraCause::Time, message: message.clone(), retry_after: None };
                (infra, verdict, "infra", message)
            }
            Fate::HasQuestions if name == "brd-complete" => {
                let reason = "Which of the two greetings is meant? Shall it be translated?".to_owned();
                let kind = domain::verdict::GateHold::NeedsInput;
                let hold = Answer::Hold { kind, reason: reason.clone() };
                (hold, Verdict::Hold { kind, reason: reason.clone(), findings: Vec::new() }, "hold", reason)
            }
            _ => {
                let note = "nothing to complain of".to_owned();
                let pass = Verdict::Pass { note: note.clone(), warnings: Vec::new(), figures: Vec::new() };
                (Answer::Pass { note: note.clone() }, pass, "pass", note)
            }
        };
        let kept = self.store.put_blob(&serde_json::to_vec(&verdict).expect("JSON")).expect("bytes are kept");
        let evaluation = NewEvaluation {
            job: Some(claim.job.id),
            task: Some(claim.job.task),
            step: name.to_owned(),
            plugin: PluginId::new(name).expect("an id"),
            digest: Some(Digest::of(name.as_bytes())),
            answer: word.to_owned(),
            summary,
            verdict: kept.clone(),
            transcript: kept,
            head: claim.task.head.clone(),
            base: claim.task.base.clone(),
            micros: 1340,
            at: Timestamp(self.now),
        };
        let event = Event::StepAnswered {
            epoch: claim.job.epoch,
            step: step.clone(),
            answer,
            facts: StepFacts::default(),
            woken: false,
        };
        self.finish(claim, event, Some(&evaluation), None);
        if fate == Fate::Retries && word == "infra" {
            // Once; the timer stays open.
            self.fates.insert(claim.job.task, Fate::Asks);
        }
        self.after(claim.job.task, fate);
    }

    fn act(&mut self, claim: &Claim, step: &StepName, action: Action) -> Event {
        let head = claim.task.head.clone();
        let facts = match action {
            Action::Rebase => StepFacts { base: claim.task.base.clone(), ..StepFacts::default() },
            Action::Retest => StepFacts { validated: head, ..StepFacts::default() },
            Action::Merge | Action::ProveMerged => StepFacts { merged: head, ..StepFacts::default() },
            Action::Staging | Action::Deploy => StepFacts::default(),
        };
        let answer = Answer::Pass { note: String::new() };
        let _ = self.at(20);
        Event::StepAnswered { epoch: claim.job.epoch, step: step.clone(), answer, facts, woken: false }
    }

    fn finish(&mut self, claim: &Claim, event: Event, evaluation: Option<&NewEvaluation>, run: Option<&RunRow>) {
        let now = self.at(1);
        let completion =
            Completion { job: claim.job.id, token: claim.token, event, wakes: claim.wakes, evaluation, run };
        self.store.complete(completion, now).expect("the job is completed");
    }
}

fn finding() -> Finding {
    Finding {
        rule: "no-todo".to_owned(),
        severity: Severity::Major,
        title: "the greeting is not escaped".to_owned(),
        detail: "A name may hold markup.".to_owned(),
        path: Some("src/greeting.rs".to_owned()),
        line: Some(14),
        help: None,
    }
}

fn run_row(claim: &Claim, stage: &StageName, role: Role, attempt: u32, visit: u32, started_at: Timestamp) -> RunRow {
    let command = "agent --print --output-format stream-json".to_owned();
    RunRow {
        stage: stage.clone(),
        visit,
        pid: Some(4242),
        model: Some("large".to_owned()),
        effort: Some("high".to_owned()),
        steps: 12,
        doing: Some("edits src/greeting.rs".to_owned()),
        ..RunRow::begun(RunId(claim.job.id.0), &claim.task, role, attempt, command, started_at)
    }
}

/// One ticket of each fate, a second project that is frozen, cards that nobody started, and comments.
pub(crate) fn fill(store: Arc<dyn Store>) -> Scene {
    let mut scene = Scene::new(store);
    scene.project("demo", "DEMO");
    scene.project("shop", "SHOP");
    let tickets = [
        ("Greet people by their name", Fate::Done),
        ("Say goodbye as well", Fate::Done),
        ("Round prices to cents, not to whole numbers", Fate::Asks),
        (HOSTILE, Fate::Asks),
        ("Escape names in greetings", Fate::Fails),
        ("Speed up the list of orders", Fate::Breaks),
        ("Show the address on the invoice", Fate::Retries),
        ("Dark mode for the settings page", Fate::Develops),
        ("Sort the list by date, newest first", Fate::IsReviewed),
        ("Translate the greeting", Fate::HasQuestions),
        ("Replace the old logo", Fate::Pauses),
        ("Remove the banner", Fate::IsStopped),
        ("Export orders as a table", Fate::Waits),
    ];
    for (title, fate) in tickets {
        let text = format!("{title}.\n\nIt is done when a person sees it.\n{HOSTILE}");
        let task = scene.ticket("demo", title, &text, fate);
        scene.play();
        if fate == Fate::Waits {
            scene.intend(task, Intent::Resume, "");
        }
    }
    let shop = ProjectName::new("shop").expect("a name");
    let now = scene.at(5);
    for (number, project) in [(1, "demo"), (2, "demo"), (3, "shop")] {
        let item = NewItem {
            project: ProjectName::new(project).expect("a name"),
            title: format!("An idea for later, number {number}"),
            description: String::new(),
            status: "Backlog".to_owned(),
            labels: Vec::new(),
            actor: Actor::Person("bob".to_owned()),
            after: Vec::new(),
        };
        scene.store.create_item(&item, now).expect("the card is made");
    }
    let demo = ProjectName::new("demo").expect("a name");
    let third = WorkItemId::new("DEMO-003").expect("a key");
    for text in ["Please look at the totals too.", HOSTILE] {
        let ada = Actor::Person("ada".to_owned());
        scene.store.put_comment(&demo, &third, &ada, None, text, now).expect("the comment is written");
    }
    scene
        .store
        .set_freeze(&shop, Some("the last deploy smells"), &Actor::Person("ada".to_owned()), now)
        .expect("frozen");
    scene
}

/// What a forge told of `demo`, some of it nonsense, is on the disk.
pub(crate) fn tell(inbox: &dyn Inbox) {
    let commit = "a".repeat(40);
    let push =
        format!(r#"{{"ref": "refs/heads/main", "after": "{commit}", "repository": {{"full_name": "acme/app"}}}}"#);
    for (number, (word, body, verified)) in
        [("push", push.as_str(), true), (HOSTILE, "no JSON", false)].into_iter().enumerate()
    {
        let (tell, told) = std::sync::mpsc::channel();
        let delivery = NewDelivery {
            source: Source::Gitea,
            projects: vec![(ProjectName::new("demo").expect("a name"), verified)],
            key: [number as u8; 32],
            sent_as: Some(HOSTILE.to_owned()),
            word: word.to_owned(),
            headers: Headers::new([("content-type", "application/json"), ("x-gitea-event-type", word)]),
            body: body.as_bytes().to_vec(),
            at: NOW,
        };
        inbox.receive(delivery, Box::new(move |outcome| drop(tell.send(outcome))));
        told.recv().expect("an answer").expect("it is kept");
    }
}

/// Whether the holds are there that the pages group by.
pub(crate) fn is_whole(scene: &Scene) -> bool {
    let tasks = scene.store.tasks(false, 100).expect("the tasks are read");
    let held = |kind: HoldKind| {
        tasks
            .iter()
            .any(|task| matches!(&task.position.activity, domain::task::Activity::Held { hold } if hold.kind == kind))
    };
    held(HoldKind::Escalated) && held(HoldKind::InfraExhausted) && held(HoldKind::NeedsInput) && held(HoldKind::Paused)
}
