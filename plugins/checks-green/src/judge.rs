//! The decision alone: what the forge reported, what is required, how long it has been waited for.

use gatewright_sdk::gate::forge::{Check, CheckState};
use gatewright_sdk::gate::{Finding, Severity, Verdict, Wake};
use gatewright_sdk::tasks::{Fact, Timestamp};

const RULE: &str = "checks";

/// The times that decide between one more `wait` and a failure.
pub(crate) struct Waiting {
    pub(crate) now: Timestamp,
    pub(crate) first_asked_at: Timestamp,
    pub(crate) poll_interval_ms: u64,
    pub(crate) patience_ms: u64,
}

/// What keeps the commit from being green, once it is known.
struct Open {
    name: String,
    why: String,
}

pub(crate) fn judge(checks: &[Check], required: &[String], waiting: &Waiting) -> Verdict {
    if checks.is_empty() && required.is_empty() {
        return Verdict::not_applicable("no check is required, and none was reported");
    }
    let counting: Vec<&Check> =
        checks.iter().filter(|check| required.is_empty() || required.contains(&check.name)).collect();
    let failures: Vec<Finding> = counting.iter().filter_map(|check| failure(check)).collect();
    if !failures.is_empty() {
        return Verdict::fail(failures).with_figure(Fact::new("checks", counting.len()));
    }
    let open = open(&counting, required);
    if open.is_empty() {
        return passed(checks, &counting);
    }
    let deadline = waiting.first_asked_at.saturating_add(waiting.patience_ms);
    if waiting.now >= deadline {
        return Verdict::fail(open.into_iter().map(|open| overdue(open, waiting.patience_ms)).collect());
    }
    let until = waiting.now.saturating_add(waiting.poll_interval_ms).min(deadline);
    let why: Vec<String> = open.into_iter().map(|open| format!("check {} {}", open.name, open.why)).collect();
    Verdict::wait(until, Wake::CHECKS, why.join("; "))
}

/// A check that has ended, and not well. Skipped is not success: nothing was checked.
fn failure(check: &Check) -> Option<Finding> {
    let how = match check.state {
        CheckState::Pending | CheckState::Success => return None,
        CheckState::Failure => "failed",
        CheckState::Error => "ended in an error",
        CheckState::Neutral => "did not say yes or no",
    };
    let mut finding = Finding::new(RULE, Severity::Blocker, format!("The check {} {how}", check.name))
        .with_detail(format!("The forge calls it `{}`. {}", check.raw, check.description).trim().to_owned());
    if check.state == CheckState::Neutral {
        finding
            .detail
            .push_str("\nOnly success counts. Where this check may be skipped, name the others in `required`.");
    }
    finding.help.clone_from(&check.url);
    Some(finding)
}

fn open(counting: &[&Check], required: &[String]) -> Vec<Open> {
    let pending = counting.iter().filter(|check| check.state == CheckState::Pending);
    let pending = pending.map(|check| Open { name: check.name.clone(), why: "is still pending".to_owned() });
    let absent = required.iter().filter(|name| !counting.iter().any(|check| check.name == **name));
    let absent = absent.map(|name| Open { name: name.clone(), why: "was never reported".to_owned() });
    pending.chain(absent).collect()
}

fn overdue(open: Open, patience_ms: u64) -> Finding {
    Finding::new(RULE, Severity::Blocker, format!("The check {} {}", open.name, open.why))
        .with_detail(format!("It was waited for {} seconds.", patience_ms / 1000))
}

fn passed(checks: &[Check], counting: &[&Check]) -> Verdict {
    let names: Vec<&str> = counting.iter().map(|check| check.name.as_str()).collect();
    let mut verdict =
        Verdict::pass(format!("green: {}", names.join(", "))).with_figure(Fact::new("checks", names.len()));
    // With `required` set, what else was reported does not stop the task, but nobody shall overlook it.
    for other in checks.iter().filter(|check| !names.contains(&check.name.as_str())) {
        if let Some(warning) = failure(other) {
            verdict = verdict.with_warning(Finding { severity: Severity::Note, ..warning });
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn check(name: &str, state: CheckState) -> Check {
        Check { name: name.to_owned(), state, raw: "raw".to_owned(), at: 0, url: None, description: String::new() }
    }

    fn judged(checks: &[Check], required: &[&str], waited_ms: u64) -> Verdict {
        let required: Vec<String> = required.iter().map(|name| (*name).to_owned()).collect();
        let waiting =
            Waiting { now: MINUTE + waited_ms, first_asked_at: MINUTE, poll_interval_ms: 10_000, patience_ms: 120_000 };
        judge(checks, &required, &waiting)
    }

    fn titles(verdict: Verdict) -> Vec<String> {
        let Verdict::Fail(failed) = verdict else { panic!("{verdict:?}") };
        failed.findings.into_iter().map(|finding| finding.title).collect()
    }

    /// When it asks again, and why.
    fn waits(verdict: Verdict) -> (u64, String) {
        let Verdict::Wait(waiting) = verdict else { panic!("{verdict:?}") };
        assert_eq!(waiting.wake, Wake::CHECKS);
        (waiting.until - MINUTE, waiting.why)
    }

    use CheckState::{Error, Failure, Neutral, Pending, Success};

    /// Catalogue F1.1.
    #[test]
    fn f1_1_pending_waits_and_success_passes() {
        let (until, why) = waits(judged(&[check("ci", Pending)], &["ci"], 0));
        assert_eq!((until, why.as_str()), (10_000, "check ci is still pending"));
        assert!(matches!(judged(&[check("ci", Success)], &["ci"], 20_000), Verdict::Pass(_)));
    }

    /// Catalogue F1.2.
    #[test]
    fn f1_2_what_is_pending_for_ever_fails_after_the_patience() {
        let (until, _) = waits(judged(&[check("ci", Pending)], &["ci"], 115_000));
        assert_eq!(until, 120_000, "the last wait ends with the patience");
        assert_eq!(titles(judged(&[check("ci", Pending)], &["ci"], 120_000)), ["The check ci is still pending"]);
        assert_eq!(titles(judged(&[], &["ci"], 120_000)), ["The check ci was never reported"]);
    }

    /// Catalogue F1.3.
    #[test]
    fn f1_3_a_failure_fails_at_once_with_a_finding_each() {
        let checks = [check("ci", Failure), check("docs", Error), check("slow", Pending)];
        assert_eq!(titles(judged(&checks, &[], 0)), ["The check ci failed", "The check docs ended in an error"]);
        assert_eq!(titles(judged(&checks, &["ci", "slow", "docs"], 0)).len(), 2);
    }

    #[test]
    fn skipped_is_not_success() {
        assert_eq!(titles(judged(&[check("ci", Neutral)], &["ci"], 0)), ["The check ci did not say yes or no"]);
        assert_eq!(titles(judged(&[check("a", Success), check("b", Neutral)], &[], 0)).len(), 1);
    }

    #[test]
    fn nothing_required_and_nothing_reported_is_not_applicable() {
        assert!(matches!(judged(&[], &[], 0), Verdict::NotApplicable(_)));
        assert!(matches!(judged(&[], &["ci"], 0), Verdict::Wait(_)));
    }

    #[test]
    fn nothing_required_means_all_that_are_reported() {
        assert!(matches!(judged(&[check("a", Success), check("b", Success)], &[], 0), Verdict::Pass(_)));
        assert!(matches!(judged(&[check("a", Success), check("b", Pending)], &[], 0), Verdict::Wait(_)));
    }

    #[test]
    fn what_is_not_required_is_a_warning() {
        let Verdict::Pass(passed) =
            judged(&[check("ci", Success), check("lint", Failure), check("x", Pending)], &["ci"], 0)
        else {
            panic!("not passed")
        };
        assert_eq!(passed.note, "green: ci");
        assert_eq!(passed.warnings.len(), 1);
        assert_eq!(
            (passed.warnings[0].title.as_str(), passed.warnings[0].severity),
            ("The check lint failed", Severity::Note)
        );
    }
}
