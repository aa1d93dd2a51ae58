//! The tables name what there is, all of it, and say why of what they leave out.

use domain::event::Withholder;
use domain::ids::{
    Actor, BranchName, CommitId, Digest, Epoch, FenceToken, LeaseName, RunId, StepName, TaskId, WorkItemId,
};
use domain::task::HoldKind;
use domain::verdict::{GateHold, InfraCause, WakeKind, WakeSet};

use super::*;

#[test]
fn every_rule_names_what_there_is_and_says_why() {
    for (event, positions, _, why) in ONLY {
        assert!(EVENTS.contains(&event), "{event}");
        assert!(positions.iter().all(|position| POSITIONS.contains(position)), "{event}");
        assert!(!why.is_empty(), "{event}");
    }
    assert!(WITHOUT.iter().all(|(effect, _, why)| EFFECTS.contains(effect) && !why.is_empty()));
}

fn answers() -> [Answer; 9] {
    let (text, commit) = (String::new, CommitId::new("a".repeat(40)).unwrap());
    [
        Answer::Pass { note: text() },
        Answer::Fail { findings: Digest::of(b""), count: 1, title: text() },
        Answer::Infra { cause: InfraCause::Trap, message: text(), retry_after: None },
        Answer::Wait { until: Timestamp(1), wake: WakeSet::default(), why: text() },
        Answer::Hold { kind: GateHold::Blocked, reason: text() },
        Answer::NotApplicable { why: text() },
        Answer::Stuck { kind: HoldKind::NotProven, reason: text() },
        Answer::BaseMoved { base: commit.clone() },
        Answer::HeadMoved { head: commit },
    ]
}

fn outcomes() -> [RunOutcome; 5] {
    let undelivered = |class| RunOutcome::Undelivered { cause: String::new(), retry_after: None, class };
    [
        RunOutcome::Delivered { head: None, documents: Vec::new(), validated: None },
        RunOutcome::Trespassed { head: None, findings: Digest::of(b""), count: 1, title: String::new() },
        undelivered(FailureClass::Transient),
        undelivered(FailureClass::Permanent),
        RunOutcome::OverBudget { cause: String::new() },
    ]
}

fn others() -> Vec<Event> {
    let (epoch, actor, text) = (Epoch(1), Actor::Host, String::new);
    let (needs, on) = (TaskId(1), WorkItemId::new("SHOP-1").unwrap());
    let base = CommitId::new("a".repeat(40)).unwrap();
    vec![
        Event::BranchCut { epoch, branch: BranchName::new("b").unwrap(), base, documents: Vec::new() },
        Event::LeaseGranted { name: LeaseName::new("merge").unwrap(), token: FenceToken(1) },
        Event::TimerFired { epoch },
        Event::Woken { kind: WakeKind::Push },
        Event::PipelineChanged { digest: Digest::of(b""), changed: Vec::new() },
        Event::CleanedUp { epoch },
        Event::AftermathEnded { note: text() },
        Event::Withheld { epoch, by: Withholder::Guard, reason: text() },
        Event::IntentRefused { intent: Intent::Start, actor: actor.clone(), why: text() },
        Event::DependencyAdded { needs, on: on.clone(), actor: actor.clone() },
        Event::DependencyRemoved { needs, on: on.clone(), actor },
        Event::PrerequisiteCancelled { needs, on },
        Event::DependencyCycle { cycle: Vec::new(), alerts: true },
        Event::Panicked { message: text(), unanswered: false },
    ]
}

/// [`row`] has no word for what it does not know; here each of its words has a row, and each row a word.
#[test]
fn every_event_has_its_row() {
    let (epoch, commit) = (Epoch(1), CommitId::new("a".repeat(40)).unwrap());
    let by = String::new;
    let intents = [
        Intent::Start,
        Intent::Approve,
        Intent::Reject,
        Intent::ConfirmDeploy,
        Intent::Stop,
        Intent::Estimate,
        Intent::Resume,
        Intent::Waive,
        Intent::Pause,
    ];
    let seen = [
        Observation::GoneFromBoard { by: by() },
        Observation::ForeignPush { head: commit.clone() },
        Observation::RefusedAtForge { by: by() },
        Observation::MergedElsewhere { commit, by: by(), tested: true },
        Observation::WatchDegraded,
        Observation::Labels { labels: Vec::new() },
    ];
    let step = StepName::new("step").unwrap();
    let mut events = others();
    events.extend(intents.map(|intent| Event::Intent { intent, actor: Actor::Host, note: by() }));
    events.extend(seen.map(|observation| Event::Observed { observation }));
    events.extend(answers().map(|answer| Event::StepAnswered {
        epoch,
        step: step.clone(),
        answer,
        facts: domain::event::StepFacts::default(),
        woken: false,
    }));
    let run = RunId(1);
    events.extend(outcomes().map(|outcome| Event::RunEnded { epoch, run, outcome, spent: None, role: None }));
    let mut rows = events.iter().map(row).collect::<Vec<_>>();
    rows.extend([LATE_RUN, LATE_ANSWER, LATE_TIMER, LATE_CUT, LATE_WITHHELD, LATE_CLEAN]);
    rows.sort_unstable();
    let mut listed = EVENTS.to_vec();
    listed.sort_unstable();
    assert_eq!(rows, listed);
}
