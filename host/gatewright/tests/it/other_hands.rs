//! People do things at the forge while a task waits for them: the host sees it without being asked.

use std::path::PathBuf;

use crate::fixture::{DEVELOPER, Place, REVIEWER, git, said};

/// A commit of somebody else's on top of `start`, in a clone of the forge.
fn commit_on(place: &Place, name: &str, start: &str) -> PathBuf {
    let clone = place.path(name);
    git(&place.repository(), &["clone", "--quiet", place.forge().to_str().unwrap(), clone.to_str().unwrap()]);
    git(&clone, &["checkout", "--quiet", "--detach", start]);
    std::fs::write(clone.join("theirs.txt"), "by another hand\n").unwrap();
    git(&clone, &["add", "--all"]);
    git(&clone, &["-c", "user.name=O", "-c", "user.email=o@localhost", "commit", "--quiet", "--message", "theirs"]);
    clone
}

/// Pushed to a branch of the forge; the commit.
fn push_a_commit(place: &Place, name: &str, start: &str, branch: &str) -> String {
    let clone = commit_on(place, name, start);
    git(&clone, &["push", "--quiet", "origin", &format!("HEAD:refs/heads/{branch}")]);
    git(&clone, &["rev-parse", "HEAD"])
}

#[test]
fn a_push_by_another_hand_is_reviewed_before_anybody_can_approve_it() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let _host = place.serve();
    let key = place.ticket("Greet once more");
    let shown = place.until_phase(&key, "in-review");
    let (branch, visits) = (shown["task"]["branch"].as_str().unwrap(), runs_of(&place, &key, "reviewer"));
    let head = push_a_commit(&place, "other", &format!("origin/{branch}"), branch);
    place.until(&key, "seen by the host", |shown| shown["task"]["head"] == head.as_str());
    place.until_phase(&key, "in-review");
    assert_eq!(runs_of(&place, &key, "reviewer"), visits + 1, "the reviewer looks at what was pushed");
    let approved = place.gatewright(&["task", "approve", &key]);
    assert!(approved.status.success(), "{}", said(&approved));
    let done = place.until_phase(&key, "done");
    assert_eq!(done["task"]["merged"], head.as_str());
}

fn runs_of(place: &Place, key: &str, role: &str) -> usize {
    let shown = place.json(&["task", "show", key]);
    shown["runs"].as_array().unwrap().iter().filter(|run| run["role"] == role).count()
}

#[test]
fn a_deleted_branch_is_a_refusal_that_names_itself() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let _host = place.serve();
    let key = place.ticket("Greet once more");
    let shown = place.until_phase(&key, "in-review");
    place.forge_git(&["update-ref", "-d", &format!("refs/heads/{}", shown["task"]["branch"].as_str().unwrap())]);
    let held = place.until_phase(&key, "blocked");
    assert_eq!(held["task"]["position"]["activity"]["hold"]["kind"], "refused-at-forge", "{}", held["task"]);
}

#[test]
fn what_a_person_merged_is_the_proof_if_it_was_tested() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let _host = place.serve();
    let key = place.ticket("Greet once more");
    let shown = place.until_phase(&key, "in-review");
    let head = shown["task"]["head"].as_str().unwrap().to_owned();
    place.forge_git(&["update-ref", "refs/heads/main", &head]);
    place.until(&key, "seen as merged", |shown| shown["task"]["merged"] == head.as_str());
    let approved = place.gatewright(&["task", "approve", &key]);
    assert!(approved.status.success(), "{}", said(&approved));
    place.until_phase(&key, "done");
    assert_eq!(place.forge_git(&["rev-parse", "main"]), head, "nothing more was merged");
}

#[test]
fn what_a_person_merged_untested_holds_and_freezes() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let host = place.serve();
    let key = place.ticket("Greet once more");
    let shown = place.until_phase(&key, "in-review");
    let branch = shown["task"]["branch"].as_str().unwrap();
    // Pushed to the branch and merged in one go: what is in main was never tested.
    let theirs = commit_on(&place, "other", &format!("origin/{branch}"));
    let both = ["push", "--quiet", "--atomic", "origin"];
    let refs = [format!("HEAD:refs/heads/{branch}"), "HEAD:refs/heads/main".to_owned()];
    git(&theirs, &[&both[..], &[&refs[0], &refs[1]]].concat());
    let held = place.until_phase(&key, "blocked");
    assert_eq!(held["task"]["position"]["activity"]["hold"]["kind"], "merged-untested", "{}", held["task"]);
    let (status, frozen) = host.get("/api/v1/projects/repository/freeze");
    assert_eq!(status, 200);
    assert!(frozen.contains("untested"), "{frozen}");
}
