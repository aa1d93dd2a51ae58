//! What an event is good for here: facts that may end a wait, and a look at whoever sent it.
//!
//! An event is never an intent. What a person did at the tracker is read from the tracker's own log, and what another hand did to a
//! branch from the branch itself: a delivery only makes the host look now instead of later. A fact is taken at its word only from a
//! sender who proved who it is.

use domain::ids::{BranchName, CommitId};
use domain::plugin::Check;
use domain::time::Timestamp;
use domain::verdict::WakeKind;
use serde::Serialize;

use crate::Source;
use crate::event::{CheckReported, Event, PullRequest};

/// Whoever reports under these names is this host: its own word wakes nobody, least of all itself.
const OWN_CHECKS: &str = "gatewright/";

/// Something that is so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    /// A check of a commit stands so.
    Check {
        /// Of which.
        commit: CommitId,
        /// How.
        check: Check,
    },
    /// Something about a branch or commit is other than before.
    Wake {
        /// About which.
        subject: String,
        /// What.
        wake: WakeKind,
    },
}

/// Where to look now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Looks {
    /// At the branches, pull requests and checks of the project.
    pub forge: bool,
    /// At what the tracker's log says that nobody told.
    pub tracker: bool,
}

impl Looks {
    /// At whoever sends this.
    pub const fn at(source: Source) -> Self {
        match source {
            Source::Plane => TRACKER,
            Source::Gitea => FORGE,
        }
    }
}

/// What an event is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Meaning {
    /// What is so, in order.
    pub facts: Vec<Fact>,
    /// Where to look.
    pub looks: Looks,
    /// The same in a line, for people.
    pub effect: String,
}

const FORGE: Looks = Looks { forge: true, tracker: false };
const TRACKER: Looks = Looks { forge: false, tracker: true };
const NOWHERE: Looks = Looks { forge: false, tracker: false };

/// What follows from an event. Of a sender who did not prove who it is, nothing is believed: then it is only looked.
pub fn meaning(event: &Event, verified: bool, received_at: Timestamp) -> Meaning {
    let meaning = of(event, received_at);
    if verified || meaning.facts.is_empty() {
        return meaning;
    }
    let effect = "it is not signed, so it is not believed: a look at the forge".to_owned();
    Meaning { facts: Vec::new(), looks: FORGE, effect }
}

fn of(event: &Event, received_at: Timestamp) -> Meaning {
    match event {
        Event::WorkItemChanged(_) => look(TRACKER, "a look at the tracker's log"),
        Event::ItemCommented(_) => look(TRACKER, "a look at the tracker's log and comments; a comment decides nothing"),
        Event::ProjectChanged(_) | Event::CycleChanged(_) | Event::ModuleChanged(_) => {
            nothing("it is about no work item")
        }
        Event::Pushed(push) if push.is_test => nothing("a test of the hook: the push moves nothing"),
        Event::Pushed(push) => match &push.branch {
            Some(branch) => moved(branch, WakeKind::Push, "moved"),
            None => nothing("it is about no branch"),
        },
        Event::RefCreated(change) | Event::RefDeleted(change) => match &change.branch {
            Some(branch) => {
                let word = if matches!(event, Event::RefCreated(_)) { "was made" } else { "was deleted" };
                moved(branch, WakeKind::Push, word)
            }
            None => nothing("it is about no branch"),
        },
        Event::PullRequestChanged(pull) => pull_request(pull),
        Event::PullRequestReviewed(review) => pull_request(&review.pull_request),
        Event::PullRequestCommented(comment) => {
            let branch = comment.head.as_ref().and_then(|head| head.name.as_ref());
            match branch.filter(|_| !comment.from_fork) {
                Some(branch) => moved(branch, WakeKind::PullRequest, "has a new comment at its pull request"),
                None => look(FORGE, "a look at the forge"),
            }
        }
        Event::CheckReported(report) => check(report, received_at),
        Event::WorkflowRun(run) | Event::WorkflowJob(run) => match &run.commit {
            Some(commit) => {
                let fact = Fact::Wake { subject: commit.to_string(), wake: WakeKind::Checks };
                let effect = format!("the checks of {commit} may be others; a look at the forge");
                Meaning { facts: vec![fact], looks: FORGE, effect }
            }
            None => look(FORGE, "a look at the forge"),
        },
        Event::IssueChanged(_) | Event::IssueCommented(_) => nothing("work items are not kept at the forge"),
        Event::RepositoryChanged(_) => nothing("it is about no branch, pull request or check"),
    }
}

fn nothing(why: &str) -> Meaning {
    look(NOWHERE, why)
}

fn look(looks: Looks, effect: &str) -> Meaning {
    Meaning { facts: Vec::new(), looks, effect: effect.to_owned() }
}

fn moved(branch: &BranchName, wake: WakeKind, how: &str) -> Meaning {
    let fact = Fact::Wake { subject: branch.to_string(), wake };
    Meaning { facts: vec![fact], looks: FORGE, effect: format!("`{branch}` {how}; a look at the forge") }
}

/// A branch of another repository that has the name of one of ours is not ours.
fn pull_request(pull: &PullRequest) -> Meaning {
    match pull.head.name.as_ref().filter(|_| !pull.from_fork) {
        Some(branch) => moved(branch, WakeKind::PullRequest, "has a pull request that changed"),
        None => look(FORGE, "a look at the forge"),
    }
}

fn check(report: &CheckReported, received_at: Timestamp) -> Meaning {
    let (Some(commit), Some(name)) = (&report.commit, &report.name) else {
        return look(FORGE, "it names no commit or no check: a look at the forge");
    };
    if name.starts_with(OWN_CHECKS) {
        return nothing("the host reported it itself");
    }
    let Some(state) = report.state else {
        return look(FORGE, "its state is a word that we do not know: a look at the forge");
    };
    let check = Check {
        name: name.clone(),
        state,
        raw: report.raw.clone().unwrap_or_default(),
        // A report from the future would outlast all that come after it.
        at: report.at.map_or(received_at, |at| at.min(received_at)),
        url: report.url.clone(),
        description: report.description.clone().unwrap_or_default(),
        report: report.report,
    };
    let effect = format!("the check `{name}` of {commit} is kept as {}", check.raw);
    Meaning { facts: vec![Fact::Check { commit: commit.clone(), check }], looks: NOWHERE, effect }
}
