//! `init`, `serve`, `task create`, `task approve` in a repository with agents of the user's own.

use std::fs;

use crate::fixture::{DEVELOPER, Place, REVIEWER, said};

#[test]
fn a_ticket_ends_as_a_commit_in_main_and_the_users_checkout_is_untouched() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    assert_eq!(place.git(&["status", "--porcelain"]), "", "init writes nothing into the work tree");
    assert!(place.git(&["remote", "get-url", "gatewright"]).ends_with("repository.git"));
    let before = place.git(&["rev-parse", "HEAD"]);
    let _host = place.serve();
    let key = place.ticket("Greet once more");
    assert_eq!(key, "REP-001");
    place.until_phase(&key, "in-review");
    assert_eq!(place.forge_git(&["rev-parse", "main"]), before, "nothing lands before somebody approves");
    let approved = place.gatewright(&["task", "approve", &key]);
    assert!(approved.status.success(), "{}", said(&approved));
    let shown = place.until_phase(&key, "done");
    let merged = shown["task"]["merged"].as_str().unwrap();
    assert_eq!(place.forge_git(&["rev-parse", "main"]), merged);
    assert_eq!(shown["task"]["validated"], merged);
    assert!(place.forge_git(&["show", &format!("{merged}:greeting.txt")]).contains("line 1"));
    assert_eq!(place.git(&["rev-parse", "HEAD"]), before);
    assert_eq!(shown["pull"], "git pull gatewright main");
    assert_eq!(shown["task"]["spent"]["cost_microusd"], 500_000);
    let again = place.gatewright(&["task", "approve", &key]);
    assert_eq!(again.status.code(), Some(1), "a second approval is told that it came too late: {}", said(&again));
}

const STRICT_REVIEWER: &str = r#"#!/bin/sh
set -eu
rounds=$(ls "$NOTES" | grep -c '^review-' || true)
touch "$NOTES/review-$rounds"
if [ "$rounds" -lt 2 ]; then
  printf -- '---\nverdict: REQUEST_CHANGES\n---\n\n## Findings\n\n- P1 `greeting.txt`: round %s, say it with the word marzipan-%s\n' "$rounds" "$rounds" \
    > "$GATEWRIGHT_DOCUMENTS/12-review.md"
else
  printf -- '---\nverdict: APPROVED\n---\n\n## Findings\n\nNone.\n' > "$GATEWRIGHT_DOCUMENTS/12-review.md"
fi
"#;

#[test]
fn b4_1_two_bounces_carry_the_words_of_each_finding_into_the_next_brief() {
    let place = Place::new(DEVELOPER, STRICT_REVIEWER);
    place.init();
    let _host = place.serve();
    let key = place.ticket("Greet once more");
    let shown = place.until_phase(&key, "in-review");
    assert_eq!(shown["task"]["retries"], 2);
    let briefs = place.briefs();
    assert_eq!(briefs.len(), 3);
    assert!(!briefs[0].contains("marzipan"), "{}", briefs[0]);
    assert!(briefs[1].contains("round 0, say it with the word marzipan-0"), "{}", briefs[1]);
    assert!(briefs[2].contains("round 1, say it with the word marzipan-1"), "{}", briefs[2]);
    assert!(!briefs[2].contains("marzipan-0"), "what was mended is not told again: {}", briefs[2]);
}

#[test]
fn a10_1_the_second_task_of_a_serial_project_begins_on_what_the_first_one_landed() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let file = place.project_file();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("serial = false", "serial = true")).unwrap();
    let host = place.serve();
    let (first, second) = (place.ticket("Greet once more"), place.ticket("Greet a third time"));
    place.until_phase(&first, "in-review");
    let queue: serde_json::Value = serde_json::from_str(&host.get("/api/v1/queue").1).unwrap();
    let waits = queue["items"].as_array().unwrap().iter().any(|job| job["reason"] == "active-task");
    assert!(waits, "the second one waits for the first, and says so: {queue}");
    let branches = place.forge_git(&["for-each-ref", "--format=%(refname)", "refs/heads"]);
    assert!(branches.contains(&first) && !branches.contains(&second), "{branches}");
    assert!(place.gatewright(&["task", "approve", &first]).status.success());
    let landed = place.until_phase(&first, "done")["task"]["merged"].as_str().unwrap().to_owned();
    let shown = place.until_phase(&second, "in-review");
    let base = shown["task"]["base"].as_str().unwrap().to_owned();
    assert_eq!(base, landed, "its branch was cut when it began");
    place.forge_git(&["merge-base", "--is-ancestor", &landed, shown["task"]["head"].as_str().unwrap()]);
}

#[test]
fn a_repository_without_commits_is_told_so() {
    let place = Place::new(DEVELOPER, REVIEWER);
    let empty = place.path("empty");
    fs::create_dir(&empty).unwrap();
    crate::fixture::git(&empty, &["init", "--quiet", "--initial-branch=main"]);
    let done = place.gatewright(&["init", empty.to_str().unwrap(), "--agent", "true", "--test", "true"]);
    assert_eq!(done.status.code(), Some(1));
    let told = said(&done);
    assert!(told.contains("commit"), "{told}");
    assert!(!place.state().join("projects").exists(), "nothing is half set up");
}

#[test]
fn c4_1_a_missing_agent_keeps_its_task_queued_until_it_is_there() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let agent = place.path("agents/developer.sh");
    let kept = fs::read_to_string(&agent).unwrap();
    fs::remove_file(&agent).unwrap();
    let checked = place.gatewright(&["check"]);
    assert!(checked.status.success(), "{}", said(&checked));
    assert!(said(&checked).contains("warning: ") && said(&checked).contains("there is no file "), "{}", said(&checked));
    let host = place.serve();
    let key = place.ticket("Greet once more");
    let sentence = |shown: &serde_json::Value| shown["standing"]["sentence"].as_str().unwrap_or_default().to_owned();
    let shown = place.until(&key, "waiting for its agent", |shown| sentence(shown).contains("developer.sh"));
    assert_eq!((&shown["standing"]["state"], &shown["task"]["retries"]), (&"queued".into(), &0.into()));
    assert!(sentence(&shown).contains("there is no file "), "{}", sentence(&shown));
    let queue: serde_json::Value = serde_json::from_str(&host.get("/api/v1/queue").1).unwrap();
    assert!(queue["items"].as_array().unwrap().iter().any(|job| job["reason"] == "program" && job["attempts"] == 0));
    place.script("agents/developer.sh", &kept);
    place.until_phase(&key, "in-review");
}

#[test]
fn an_unsound_file_is_told_with_its_line_and_the_choices() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let file = place.project_file();
    let text = fs::read_to_string(&file).unwrap().replace("pipeline = \"quick\"", "pipeline = \"quik\"");
    fs::write(&file, text).unwrap();
    let checked = place.gatewright(&["check"]);
    assert_eq!(checked.status.code(), Some(1));
    let told = said(&checked);
    assert!(told.contains("repository.toml") && told.contains("quick") && told.contains("full"), "{told}");
}

/// What waits for a person says what it is, and the line that it shows is typed in the user's own repository.
#[test]
fn a_change_that_waits_for_approval_is_told_and_seen_whole_by_its_line() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let host = place.serve();
    let key = place.ticket("Greet once more");
    let shown = place.until_phase(&key, "in-review");
    let change = &shown["change"];
    let head = shown["task"]["head"].as_str().unwrap();
    assert_eq!((&change["head"], &change["base"]), (&head.into(), &place.git(&["rev-parse", "main"]).trim().into()));
    let listed = change["outline"]["listed"].as_array().unwrap();
    let greeting = listed.iter().find(|file| file["path"] == "greeting.txt").unwrap();
    assert_eq!((&greeting["added_lines"], &greeting["deleted_lines"]), (&1.into(), &0.into()));
    let line = change["command"].as_str().unwrap();
    let (status, page) = host.get(&format!("/t/{key}"));
    assert_eq!(status, 200);
    assert!(page.contains(&line.replace("&&", "&#38;&#38;")) && page.contains("greeting.txt"), "{page}");
    let mut shell = std::process::Command::new("sh");
    let typed = shell.args(["-c", line]).current_dir(place.repository()).output().unwrap();
    let diff = String::from_utf8(typed.stdout).unwrap();
    assert!(typed.status.success() && diff.contains("+line 1"), "{line}: {diff}");
    let text = said(&place.gatewright(&["task", "show", &key]));
    assert!(text.contains(&format!("..{head}: ")) && text.contains(line), "{text}");
    assert!(place.gatewright(&["task", "approve", &key]).status.success());
    let landed = place.until_phase(&key, "done");
    assert_eq!(landed["change"]["outline"]["files"], change["outline"]["files"], "what landed is told too");
}

/// A run tells what was executed: with the model, the role and the files that its command leaves open.
#[test]
fn a_run_shows_its_command_with_all_filled_in() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let file = place.project_file();
    let agent = format!("\"{}\"", place.path("agents/developer.sh").display());
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(&format!("command = [{agent}]")), "{text}");
    let words = format!(
        "command = [{agent}, \"--model\", \"{{model}}\", \"{{effort}}\", \"{{role}}\", \"{{work_item}}\", \"{{brief}}\"]\nmodel = \"large\"\neffort = \"high\""
    );
    fs::write(&file, text.replace(&format!("command = [{agent}]"), &words)).unwrap();
    let host = place.serve();
    let key = place.ticket("Greet once more");
    let shown = place.until_phase(&key, "in-review");
    let runs = shown["runs"].as_array().unwrap();
    let run = runs.iter().find(|run| run["role"] == "developer").unwrap();
    let command = run["command"].as_str().unwrap();
    assert!(command.contains(&format!("developer.sh --model large high developer {key} /")), "{command}");
    assert!(!command.contains('{'), "{command}");
    let page = host.get(&format!("/r/{}", run["id"])).1;
    assert!(page.contains("--model large high developer"), "{page}");
}

/// What a list leaves out it says, with the line that shows it.
#[test]
fn a_list_that_is_cut_says_how_much_there_is_and_the_line_to_the_rest() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let _host = place.serve();
    assert!(place.gatewright(&["project", "freeze", "repository", "--reason", "look"]).status.success());
    let keys = [place.ticket("Greet once more"), place.ticket("Greet a third time")];
    let cut = place.gatewright(&["task", "list", "--limit", "1"]);
    let text = String::from_utf8(cut.stdout).unwrap();
    assert!(text.contains(&keys[1]) && !text.contains(&keys[0]), "{text}");
    let (_, line) = text.split_once("these are 1 of 2; older ones: gatewright ").unwrap();
    let mut words = line.split_whitespace().collect::<Vec<_>>();
    assert_eq!(words.remove(0), "--dir", "{line}");
    words.remove(0);
    let rest = place.gatewright(&words);
    let text = String::from_utf8(rest.stdout).unwrap();
    assert!(text.contains(&keys[0]) && !text.contains(&keys[1]) && !text.contains("older ones"), "{text}");
    let json = place.gatewright(&["task", "list", "--limit", "1", "--json"]);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&json.stdout).unwrap().as_array().unwrap().len(), 1);
    assert!(String::from_utf8_lossy(&json.stderr).contains("these are 1 of 2"), "{}", said(&json));
}
