//! Guard `deploy-status` (catalogue H1): a board shows a status of deploying only while that is so.
//!
//! | task | watch | answer |
//! | --- | --- | --- |
//! | not ended | any | allow |
//! | done | open | allow |
//! | done | closed | amend: show `done` |
//! | cancelled | any | suppress |
//!
//! Its manifest entry lists `set-status` and grants `amend = ["phase"]`. What it is asked about besides, it allows.

use gatewright_sdk::guard::{Amendment, Asked, Decision, Failure, Guard};
use gatewright_sdk::tasks::{Task, Terminality};
use gatewright_sdk::{NoSettings, export_guard, log};

/// What is shown while a deploy is under way.
const PHASES: [&str; 3] = ["awaiting-deploy", "deploying", "monitoring"];

struct DeployStatus;

impl Guard for DeployStatus {
    type Settings = NoSettings;

    fn decide(asked: Asked, _settings: NoSettings) -> Result<Decision, Failure> {
        let phase = asked.effect.phase.as_deref().unwrap_or_default();
        if asked.effect.kind != "set-status" || !PHASES.contains(&phase) {
            return Ok(Decision::Allow);
        }
        let decision = decide(phase, asked.task.as_ref().map(Standing::of));
        log::info(&line(&asked, phase, &decision));
        Ok(decision)
    }
}

export_guard!(DeployStatus);

/// All that the decision rests on.
struct Standing {
    terminality: Terminality,
    watching: bool,
}

impl Standing {
    fn of(task: &Task) -> Self {
        Self { terminality: task.terminality, watching: task.watching }
    }
}

fn decide(phase: &str, standing: Option<Standing>) -> Decision {
    let Some(standing) = standing else {
        // Nothing is known against it, and a board that lags behind is the lesser harm.
        return Decision::Allow;
    };
    match (standing.terminality, standing.watching) {
        (Terminality::Active, _) | (Terminality::Done, true) => Decision::Allow,
        (Terminality::Done, false) => Decision::Amend(Amendment {
            phase: Some("done".to_owned()),
            text: None,
            why: format!("the task is done and no longer watched, so `{phase}` would stand there for ever"),
        }),
        (Terminality::Cancelled, _) => Decision::Suppress(format!("the task is cancelled, so it is not `{phase}`")),
    }
}

fn line(asked: &Asked, phase: &str, decision: &Decision) -> String {
    let (verdict, why) = match decision {
        Decision::Hold(why) => ("hold", why.as_str()),
        Decision::Allow => ("allow", ""),
        Decision::Suppress(why) => ("suppress", why.as_str()),
        Decision::Amend(amendment) => ("amend", amendment.why.as_str()),
        Decision::Delay(delayed) => ("delay", delayed.why.as_str()),
    };
    let (work_item, stage, watching) = match &asked.task {
        Some(task) => (task.work_item.as_deref().unwrap_or("none"), task.stage.as_str(), task.watching),
        None => ("unknown", "unknown", false),
    };
    format!(
        "verdict={verdict} work-item={work_item} cause={} target={phase} stage={stage} watching={watching} why={why:?}",
        asked.cause
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(terminality: Terminality, watching: bool) -> Decision {
        decide("monitoring", Some(Standing { terminality, watching }))
    }

    /// Catalogue H1.1.
    #[test]
    fn h1_1_a_done_task_that_is_no_longer_watched_shows_done() {
        let Decision::Amend(amendment) = decided(Terminality::Done, false) else { panic!("not amended") };
        assert_eq!((amendment.phase.as_deref(), amendment.text), (Some("done"), None));
    }

    /// Catalogue H1.2.
    #[test]
    fn h1_2_the_first_monitoring_of_a_fresh_done_is_shown() {
        assert_eq!(decided(Terminality::Done, true), Decision::Allow);
    }

    /// Catalogue H1.3.
    #[test]
    fn h1_3_a_cancelled_task_is_not_shown_as_deploying() {
        assert!(matches!(decided(Terminality::Cancelled, true), Decision::Suppress(_)));
        assert!(matches!(decided(Terminality::Cancelled, false), Decision::Suppress(_)));
    }

    #[test]
    fn what_is_under_way_or_unknown_is_allowed() {
        assert_eq!(decided(Terminality::Active, false), Decision::Allow);
        assert_eq!(decided(Terminality::Active, true), Decision::Allow);
        assert_eq!(decide("deploying", None), Decision::Allow);
    }
}
