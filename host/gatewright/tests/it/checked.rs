//! `check` tells all that is wrong at once, for people and for programs; reads ask for no lock; exit codes say what they mean.

use std::fs;

use serde_json::Value;

use crate::fixture::{DEVELOPER, Place, REVIEWER, said};

fn edit(place: &Place, change: impl Fn(String) -> String) {
    let file = place.project_file();
    fs::write(&file, change(fs::read_to_string(&file).unwrap())).unwrap();
}

/// `check --json`: what it tells, and its exit code.
fn checked(place: &Place) -> (Vec<Value>, Option<i32>) {
    let done = place.gatewright(&["check", "--json"]);
    let told: Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&done)));
    assert_eq!(told["ok"] == true, done.status.success());
    (told["diagnostics"].as_array().unwrap().clone(), done.status.code())
}

fn line_of(place: &Place, words: &str) -> usize {
    let text = fs::read_to_string(place.project_file()).unwrap();
    text.lines().position(|line| line.contains(words)).unwrap() + 1
}

#[test]
fn check_tells_of_branch_gate_and_program_at_once_each_with_its_line_and_choices() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    assert_eq!(checked(&place), (Vec::new(), Some(0)));
    edit(&place, |text| {
        let text = text.replace("base-branch = \"main\"", "base-branch = \"mian\"");
        format!("{text}\n[gates.checks-green]\nsettings = {{ requird = [\"build\"] }}\n")
    });
    fs::remove_file(place.path("agents/developer.sh")).unwrap();
    let (told, code) = checked(&place);
    assert_eq!(code, Some(1));
    let of =
        |code: &str| told.iter().find(|finding| finding["code"] == code).unwrap_or_else(|| panic!("{code}: {told:#?}"));
    let branch = of("missing-branch");
    assert_eq!((&branch["key"], &branch["choices"]), (&"base-branch".into(), &serde_json::json!(["main"])));
    assert_eq!(branch["line"], line_of(&place, "base-branch"));
    assert!(branch["help"].to_string().contains("did you mean `main`?"), "{branch}");
    let gate = of("refused-by-component");
    assert_eq!(gate["line"], line_of(&place, "requird"), "{gate}");
    assert_eq!(gate["column"], 14, "{gate}");
    assert_eq!(gate["key"], "gates.checks-green.settings.requird");
    assert!(gate["choices"].to_string().contains("poll-interval-seconds"), "{gate}");
    let program = of("missing-program");
    assert_eq!((&program["severity"], &program["key"]), (&"warning".into(), &"roles.developer.command".into()));
    let text = said(&place.gatewright(&["check"]));
    assert!(text.contains("settings = { requird") && text.contains("^^^^^^^"), "{text}");
    assert!(text.contains("did you mean `required`?"), "{text}");
}

#[test]
fn a_file_that_is_no_toml_still_tells_what_else_is_wrong_with_it() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    edit(&place, |text| {
        text.replace("[roles.developer]", "[roles.developer]\ntimeout = 5 minutes\ngrace = 7\nmodle = \"x\"")
    });
    let (told, code) = checked(&place);
    assert_eq!(code, Some(1));
    let codes: Vec<&str> = told.iter().map(|finding| finding["code"].as_str().unwrap()).collect();
    assert!(
        codes.contains(&"not-toml") && codes.contains(&"wrong-type") && codes.contains(&"unknown-key"),
        "{told:#?}"
    );
    assert!(!codes.contains(&"missing-key"), "what a broken line may have hidden is no finding: {told:#?}");
    for finding in &told {
        assert_eq!(finding["file"], "projects/repository.toml");
        assert!(finding["line"].is_u64() && finding["message"].is_string(), "{finding}");
    }
}

#[test]
fn exit_codes_mean_what_the_documentation_says() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let code = |arguments: &[&str]| place.gatewright(arguments).status.code();
    assert_eq!(code(&["task", "list"]), Some(3), "nobody serves: it could not be found out");
    assert_eq!(code(&["task", "lst"]), Some(2));
    let host = place.serve();
    assert_eq!(code(&["task", "list"]), Some(0));
    assert_eq!(code(&["task", "show", "NONE-001"]), Some(1), "there is none: that has been found out");
    assert_eq!(code(&["verdict", "show", "4711"]), Some(1));
    assert_eq!(code(&["verdict", "replay", "4711"]), Some(1));
    fs::remove_file(place.state().join("operator-token")).unwrap();
    let untold = place.gatewright(&["task", "list"]);
    assert_eq!(untold.status.code(), Some(3));
    assert!(said(&untold).contains("operator-token") && said(&untold).contains("cannot be read"), "{}", said(&untold));
    host.kill();
    assert_eq!(code(&["verdict", "show", "4711"]), Some(1), "the database says so as well");
}

#[test]
fn verdicts_are_read_from_a_folder_that_may_not_be_written_and_one_that_a_limit_made_is_not_replayable() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let guest = test_artifacts::guest("loops");
    let arguments = ["plugin", "add", guest.to_str().unwrap(), "--gate", "review:testing", "--deny", "--yes"];
    assert!(place.gatewright(&arguments).status.success());
    let mut host = place.serve();
    let key = place.ticket("Greet once more");
    place.until(&key, "judged by the stranger", |shown| {
        shown["entries"].as_array().is_some_and(|entries| {
            entries.iter().any(|row| row["entry"]["step"] == "loops" && row["entry"]["answer"] == "infra")
        })
    });
    let rows = place.json(&["verdict", "list"]);
    let looped =
        rows.as_array().unwrap().iter().find(|row| row["evaluation"]["plugin"] == "loops").unwrap()["id"].to_string();
    let replayed = place.gatewright(&["verdict", "replay", &looped]);
    assert_eq!(replayed.status.code(), Some(3), "{}", said(&replayed));
    assert!(said(&replayed).contains("not replayable: a limit of the host made the answer"), "{}", said(&replayed));
    host.tell_to_end();
    assert!(host.ended_well());
    let _ = fs::remove_file(place.state().join("gatewright.lock"));
    let program = env!("CARGO_BIN_EXE_gatewright");
    let state = place.state();
    let mut jailed = std::process::Command::new("bwrap");
    jailed.args(["--ro-bind", "/", "/", "--dev", "/dev", program, "--dir", state.to_str().unwrap(), "verdict", "list"]);
    let read = jailed.output().unwrap();
    assert!(read.status.success() && said(&read).contains("loops"), "{}", said(&read));
    assert!(!state.join("gatewright.lock").exists());
}

#[test]
fn config_show_says_of_each_value_where_it_comes_from() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    edit(&place, |text| text.replacen("timeout = \"60m\"", "timeout = \"7m\"", 1));
    let shown = place.json(&["config", "show", "--origin"]);
    let of = |file: &str, key: &str| {
        let found = shown.as_array().unwrap().iter().find(|setting| setting["file"] == file && setting["key"] == key);
        found.unwrap_or_else(|| panic!("{file}: {key} is not shown: {shown:#}")).clone()
    };
    let project = "projects/repository.toml";
    let timeout = of(project, "roles.developer.timeout");
    assert_eq!((&timeout["value"], &timeout["line"]), (&"\"7m\"".into(), &line_of(&place, "timeout = \"7m\"").into()));
    assert_eq!(of(project, "roles.reviewer.limits.processes")["line"], Value::Null);
    assert_eq!(of(project, "base-branch")["line"], line_of(&place, "base-branch"));
    assert_eq!(
        of("gatewright.toml", "reconcile.trackers"),
        serde_json::json!({
            "file": "gatewright.toml", "key": "reconcile.trackers", "value": "\"2m\"", "line": null, "from": "default",
        })
    );
    let text = said(&place.gatewright(&["config", "show", "--origin"]));
    assert!(text.contains("gatewright.toml (default)") && text.contains("projects/repository.toml:"), "{text}");
    edit(&place, |text| format!("{text}\nkey = \"sk-ant-abcdefghijklmnopqrstuvwx\"\n"));
    let refused = place.gatewright(&["config", "show"]);
    assert!(!refused.status.success() && !said(&refused).contains("abcdefghijklmnop"), "{}", said(&refused));
}

#[test]
fn an_error_in_one_file_hides_nothing_that_is_wrong_beside_it() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    edit(&place, |text| text.replace("base-branch = \"main\"", "base-branch = \"mian\""));
    fs::remove_file(place.path("agents/developer.sh")).unwrap();
    let host = place.state().join("gatewright.toml");
    let (sound_host, sound_project) =
        (fs::read_to_string(&host).unwrap(), fs::read_to_string(place.project_file()).unwrap());
    let broken_pipeline = sound_project.replace("pipeline = \"quick\"", "pipeline = \"quik\"");
    for (at_host, project, also) in [
        (sound_host.clone(), sound_project.clone(), None),
        (format!("rusn = 2\n{sound_host}"), sound_project.clone(), Some("unknown-key")),
        (sound_host.replace("[sandbox]", "[sandbox"), sound_project.clone(), Some("not-toml")),
        (String::new(), sound_project.clone(), Some("missing-key")),
        (sound_host.clone(), format!("seriel = true\n{sound_project}"), Some("unknown-key")),
        (sound_host.clone(), broken_pipeline, Some("unknown-word")),
    ] {
        fs::write(&host, &at_host).unwrap();
        fs::write(place.project_file(), &project).unwrap();
        let (told, code) = checked(&place);
        assert_eq!(code, Some(1));
        for wanted in [Some("missing-branch"), Some("missing-program"), also].into_iter().flatten() {
            assert!(told.iter().any(|finding| finding["code"] == wanted), "{also:?}: {wanted}: {told:#?}");
        }
        let mut each: Vec<String> =
            told.iter().map(|one| format!("{} {} {}", one["file"], one["line"], one["message"])).collect();
        each.dedup();
        assert_eq!(each.len(), told.len(), "each is told once: {told:#?}");
        assert!(!told.iter().any(|finding| finding["code"] == "broken-component"), "{told:#?}");
    }
    // Which branch is meant cannot be known without its key.
    fs::write(place.project_file(), sound_project.replace("base-branch", "base-brnch")).unwrap();
    let codes: Vec<Value> = checked(&place).0.into_iter().map(|finding| finding["code"].clone()).collect();
    assert!(!codes.contains(&"missing-branch".into()) && codes.contains(&"missing-program".into()), "{codes:?}");
}

#[test]
fn a_token_of_whatever_shape_is_refused_and_shown_by_no_command() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let secrets = [
        ("'-H', 'Authorization: token ", "0123456789abcdef0123456789abcdef01234567"),
        ("'-H', 'X-Api-Key: ", "hunter2hunter2"),
        ("'--token', '", "abcd1234efgh5678"),
        ("'-u', 'bot:", "hunter3hunter3"),
        ("'", "sk-abcdefghijklmnop0123456789abcd"),
        ("'", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"),
        ("'", "123456789:AAabcdefghijklmnopqrstuvwxyz0123456"),
    ];
    let sound = fs::read_to_string(place.project_file()).unwrap();
    for (before, secret) in secrets {
        let line = format!("run = ['curl', {before}{secret}']");
        fs::write(place.project_file(), format!("{sound}\n[commands.deploy]\n{line}\n")).unwrap();
        let (told, code) = checked(&place);
        assert_eq!(code, Some(1), "{line}");
        assert!(told.iter().any(|finding| finding["code"] == "secret-in-file"), "{line}: {told:#?}");
        for command in [&["check"][..], &["config", "show", "--origin"], &["doctor"]] {
            let shown = said(&place.gatewright(command));
            assert!(!shown.contains(secret), "{command:?} shows {secret}: {shown}");
        }
    }
}

#[test]
fn whatever_is_mistyped_is_told_with_its_caret_and_what_was_meant() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let host = place.state().join("gatewright.toml");
    let (sound_host, sound_project) =
        (fs::read_to_string(&host).unwrap(), fs::read_to_string(place.project_file()).unwrap());
    let listens = "[webhooks]\nlisten = \"127.0.0.1:0\"\n";
    fs::write(place.state().join("prompts/analyst.md"), "Look at it well.\n").unwrap();
    // The file's last lines, what stands at the caret, what was meant, and what else may stand there.
    let cases = [
        ("[webhooks.gitea]\nrepository = \"a/b\"\nsecret = [\"x\"]", "secret", "secret-files", "unsigned"),
        (
            "[webhooks.plane]\nproject = \"6a465d48-476b-4ce0-b92d-3d3a240d4678\"\nsecrets = []",
            "secrets",
            "secret-files",
            "project",
        ),
        ("[budget.task]\nusd = 5", "usd", "cost-usd", "tokens"),
        ("[budget.task]\nmax-usd = 5", "max-usd", "cost-usd", "wall"),
        ("[budget.day]\ncost = 5", "cost", "cost-usd", "wall"),
        ("[budget]\nusd = 5", "usd", "cost-usd` of [budget.task], [budget.day] or [budget.total]", "total"),
        ("[price]\nusd = 5", "usd", "usd-per-hour", "tokens-per-hour"),
        ("[ladder.claude]\nmodel = \"opus\"", "claude", "claude-code", "codex"),
        ("[ladder]\nmodel = \"opus\"", "model", "model` of [ladder.claude-code]", "codex"),
        ("[limits]\nmax-runs = 1", "max-runs", "runs", "runs"),
        ("[commands.staging]\nrun = [\"true\"]\nmax-time = \"5m\"", "max-time", "timeout", "grace"),
        ("[commands.staging]\nrun = [\"true\"]\n[commands.staging.limits]\nmem = \"4GiB\"", "mem", "memory", "disk"),
        ("[roles.analyst]\ndriver = \"claude_code\"", "\"claude_code\"", "claude-code", "codex"),
    ];
    let told_of = |place: &Place, file: &str, at: &str, meant: &str, other: &str| {
        let (told, code) = checked(place);
        assert_eq!((code, told.len()), (Some(1), 1), "{at}: one thing is wrong: {told:#?}");
        let text = fs::read_to_string(place.state().join(file)).unwrap();
        let line = text.lines().nth(told[0]["line"].as_u64().unwrap() as usize - 1).unwrap();
        assert!(line[told[0]["column"].as_u64().unwrap() as usize - 1..].starts_with(at), "{at}: {}", told[0]);
        assert_eq!(told[0]["file"], file);
        assert!(told[0]["help"][0].as_str().unwrap().starts_with(&format!("did you mean `{meant}")), "{}", told[0]);
        assert!(told[0]["choices"].as_array().unwrap().contains(&other.into()), "{at}: {}", told[0]);
        let shown = said(&place.gatewright(&["check"]));
        assert!(shown.contains(&"^".repeat(at.len())) && shown.contains(&format!("{file}:")), "{shown}");
    };
    fs::write(&host, format!("{sound_host}\n{listens}")).unwrap();
    for (lines, at, meant, other) in cases {
        fs::write(place.project_file(), format!("{sound_project}\n{lines}\n")).unwrap();
        told_of(&place, "projects/repository.toml", at, meant, other);
    }
    fs::write(place.project_file(), &sound_project).unwrap();
    let open = sound_host.lines().find(|line| line.starts_with("ceiling")).unwrap();
    for (text, at, meant, other) in [
        (sound_host.replace(open, "ceiling = \"opne\""), "\"opne\"", "open", "open"),
        (format!("{sound_host}\n[keep]\nruns = \"nevr\"\n"), "\"nevr\"", "never", "never"),
        (
            format!("{sound_host}\n{listens}secret-file = \"x\"\n"),
            "secret-file",
            "secret-files` of [webhooks.gitea]",
            "listen",
        ),
    ] {
        fs::write(&host, text).unwrap();
        told_of(&place, "gatewright.toml", at, meant, other);
    }
    // Where a word was wanted and something else stands, the words are named.
    fs::write(&host, format!("{sound_host}\n[log]\nlevel = 3\n")).unwrap();
    let (told, _) = checked(&place);
    assert_eq!((told.len(), &told[0]["code"]), (1, &"wrong-type".into()), "{told:#?}");
    assert!(told[0]["choices"].as_array().unwrap().contains(&"debug".into()), "{}", told[0]);
}

#[test]
fn where_there_is_no_project_yet_the_next_command_is_named() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    fs::remove_file(place.project_file()).unwrap();
    let done = place.gatewright(&["check"]);
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).contains("no project yet\n  → gatewright --dir "), "{}", said(&done));
}
