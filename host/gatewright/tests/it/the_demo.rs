//! The demonstration: the main job on real input, and again with the host killed on the way.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::fixture::said;

fn demo(arguments: &[&str]) -> (Value, tempfile::TempDir) {
    let root = tempfile::TempDir::new().unwrap();
    let dir = root.path().join("demo");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewright"));
    command.args(["demo", "--json", "--dir", dir.to_str().unwrap()]).args(arguments);
    let done = command.output().unwrap();
    let log = fs::read_to_string(dir.join("host.log")).unwrap_or_default();
    assert!(done.status.success(), "{}\n{log}", said(&done));
    (serde_json::from_slice(&done.stdout).unwrap(), root)
}

/// What must be so however often the host was killed: counted by the other side's own records.
fn holds(report: &Value) {
    assert_eq!(report["outcome"], "done", "{report}");
    assert_eq!(report["merges"], 1, "{report}");
    assert_eq!(report["validated_commit"], report["main_head"]);
    assert_eq!(report["validated_commit"], report["deployed_commit"]);
    assert_eq!(report["bounces"], 1);
    let effects = fs::read_to_string(report["effects_log"].as_str().unwrap()).unwrap();
    assert_eq!(effects.lines().filter(|line| line.starts_with("deploy ")).count(), 1, "{effects}");
    assert_eq!(effects.lines().filter(|line| line.starts_with("staging ")).count(), 1, "{effects}");
    let comments = report["comments"].as_array().unwrap();
    let mut texts = comments.iter().map(|comment| comment["text"].as_str().unwrap()).collect::<Vec<_>>();
    texts.sort_unstable();
    let all = texts.len();
    texts.dedup();
    // The two requests for approval say the same; nothing else does.
    assert!(all - texts.len() <= 1, "{comments:?}");
    let mut ids = comments.iter().map(|comment| comment["external_id"].as_str().unwrap()).collect::<Vec<_>>();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "a comment was written twice: {comments:?}");
}

#[test]
fn the_ticket_is_carried_to_a_deployed_change() {
    let (report, _root) = demo(&[]);
    holds(&report);
    let stages = report["stages"].as_array().unwrap();
    let names = stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(
        names,
        [
            "analysis",
            "architecture",
            "development",
            "review",
            "development",
            "review",
            "testing",
            "deploy-staging",
            "deploy",
            "done"
        ]
    );
    let verdicts = report["verdicts"].as_array().unwrap();
    let reviews = verdicts.iter().filter(|verdict| verdict["step"] == "review-verdict").collect::<Vec<_>>();
    assert_eq!(reviews.iter().map(|verdict| verdict["answer"].as_str().unwrap()).collect::<Vec<_>>(), ["fail", "pass"]);
    assert!(reviews.iter().all(|verdict| verdict["digest"].as_str().unwrap().len() == 64));
    let stranger = report["stranger"].as_array().unwrap();
    assert!(!stranger.is_empty());
    for verdict in stranger {
        assert_eq!(verdict["answer"], "infra", "{verdict}");
    }
    assert_eq!(report["restarts"], 0);
    let peak = report["peak_host_kib"].as_u64().unwrap();
    assert!(peak > 0, "the host's memory was not measured");
}

#[test]
fn kills_on_the_way_change_nothing_of_the_outcome() {
    for seed in ["3", "4"] {
        let (report, _root) = demo(&["--crash", "5", "--seed", seed]);
        holds(&report);
        assert_eq!(report["restarts"], 5);
        assert_eq!(report["in_flight_at_kill"].as_array().unwrap().len(), 5);
    }
}
