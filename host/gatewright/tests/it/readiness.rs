//! What keeps a worker from beginning is said before a ticket waits for it, by every tool in the host's own words; and a new project
//! begins with what this machine has.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::fixture::{DEVELOPER, Place, REVIEWER, said};

/// Names of keys that the machine of a test may have by chance.
const KEYS: [&str; 3] = ["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "OPENAI_API_KEY"];

fn edit(file: &std::path::Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from}: {text}");
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

/// The JSON that a command prints, whatever it ends with.
fn told(mut command: Command) -> Value {
    let done = command.arg("--json").output().unwrap();
    serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&done)))
}

fn of_code<'a>(checked: &'a Value, code: &str) -> Vec<&'a Value> {
    let all = checked["diagnostics"].as_array().unwrap().iter();
    all.filter(|finding| finding["code"] == code).collect()
}

/// What the doctor says of workers: level, sentence, cure.
fn of_workers(told: &Value) -> Vec<(String, String, String)> {
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let all = told["findings"].as_array().unwrap().iter().filter(|finding| finding["name"] == "workers");
    all.map(|finding| (text(finding, "level"), text(finding, "found"), text(finding, "cure"))).collect()
}

#[test]
fn what_the_host_would_not_launch_is_said_by_check_and_doctor_in_its_own_words() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    assert_eq!(of_workers(&told(place.command(&["doctor"])))[0].0, "ok");
    fs::write(place.path("file"), "").unwrap();
    let (gone, below) = (place.path("gone"), place.path("file/below"));
    let (for_all, home) = (place.path("for-all"), std::env::var("HOME").unwrap());
    let notes = format!("writable = ['{}']", place.notes().display());
    let file = place.project_file();
    edit(&file, &notes, &format!("writable = ['{}', '{}']", place.notes().display(), gone.display()));
    edit(&file, "[commands.test]\n", &format!("[commands.test]\nreadable = ['{}', '{home}']\n", below.display()));
    let host_file = place.state().join("gatewright.toml");
    edit(&host_file, "readable = []", &format!("readable = ['{}']", for_all.display()));

    let checked = told(place.command(&["check"]));
    assert_eq!(checked["ok"], true, "it starts, and its jobs wait: {checked:#}");
    let found = of_code(&checked, "unusable-path");
    let keys: Vec<_> = found.iter().map(|finding| (finding["file"].as_str(), finding["key"].as_str())).collect();
    let project = Some("projects/repository.toml");
    assert_eq!(
        keys,
        [
            (Some("gatewright.toml"), Some("sandbox.readable.0")),
            (project, Some("roles.developer.writable.1")),
            (project, Some("commands.test.readable.0")),
            (project, Some("commands.test.readable.1")),
        ],
        "each once, each at its word: {checked:#}"
    );
    assert!(found.iter().all(|finding| finding["severity"] == "warning" && finding["line"].is_u64()), "{found:#?}");
    let why = format!("`{}` shall be shown to a run and cannot be: No such file or directory", gone.display());
    assert!(found[1]["message"].as_str().unwrap().contains(&why), "{found:#?}");
    assert!(found[2]["message"].as_str().unwrap().contains("Not a directory"), "{found:#?}");
    assert!(found[3]["message"].as_str().unwrap().contains("may not be shown to a run"), "{found:#?}");

    let doctor = told(place.command(&["doctor"]));
    assert_eq!(doctor["ok"], false);
    let lines = of_workers(&doctor);
    assert!(
        lines.iter().any(|(level, found, cure)| level == "error" && found.contains(&why) && cure.contains("make it")),
        "{lines:#?}"
    );
    assert_eq!(lines.len(), 4, "{lines:#?}");

    // The host says the first of them, before anybody waits for it and when somebody does.
    edit(&host_file, &for_all.display().to_string(), &place.notes().display().to_string());
    let host = place.serve();
    let (_, health) = host.get("/readyz");
    assert!(health.contains("some work cannot begin"), "{health}");
    assert!(!health.contains(place.state().to_str().unwrap()) && !health.contains(gone.to_str().unwrap()), "{health}");
    let (_, system) = host.get("/api/v1/system");
    assert!(system.contains(&format!("cannot begin: {}", why.replace('"', "\\\""))), "{system}");
    assert!(host.get("/").1.contains("shall be shown to a run"), "the board says nothing of it");
    let key = place.ticket("Greet once more");
    place.until(&key, "waiting for its folder", |_| {
        told(place.command(&["queue"])).to_string().contains("shall be shown to a run")
    });
    fs::create_dir(&gone).unwrap();
    place.until(&key, "begun", |shown| !shown["runs"].as_array().is_none_or(Vec::is_empty));
}

#[test]
fn a_key_that_is_named_and_not_set_is_a_warning_an_error_and_a_sentence_on_the_board() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let script = place.path("agents/developer.sh").display().to_string();
    let text = fs::read_to_string(place.project_file()).unwrap();
    let mut kept = Vec::new();
    let mut is_developer = false;
    for line in text.lines() {
        is_developer = if line.starts_with('[') { line == "[roles.developer]" } else { is_developer };
        if !(is_developer && ["command =", "usage =", "pass-environment ="].iter().any(|key| line.starts_with(key))) {
            kept.push(line.to_owned());
        }
        if line == "[roles.developer]" {
            kept.push(format!("driver = \"claude-code\"\nprogram = '{script}'\napi-key = \"KEY_OF_THIS_TEST\""));
        }
    }
    fs::write(place.project_file(), kept.join("\n") + "\n").unwrap();
    let sentence = "`KEY_OF_THIS_TEST`, which `api-key` names, is not set";
    let checked = told(place.command(&["check"]));
    assert_eq!(checked["ok"], true, "{checked:#}");
    let found = of_code(&checked, "unset-variable");
    assert_eq!((found.len(), &found[0]["key"]), (1, &"roles.developer.api-key".into()), "{checked:#}");
    assert!(found[0]["message"].as_str().unwrap().contains(sentence), "{found:#?}");
    assert!(found[0]["help"][0].as_str().unwrap().contains("`export KEY_OF_THIS_TEST=…`"), "{found:#?}");
    let (level, found, cure) = of_workers(&told(place.command(&["doctor"]))).remove(0);
    assert!(level == "error" && found.contains(sentence) && cure.contains("export KEY_OF_THIS_TEST"), "{found} {cure}");

    let mut host = place.serve();
    let (_, health) = host.get("/readyz");
    assert!(health.contains("some work cannot begin") && !health.contains("KEY_OF_THIS_TEST"), "{health}");
    let (_, system) = host.get("/api/v1/system");
    assert!(system.contains(sentence) && !system.contains("cannot be executed"), "{system}");
    assert!(host.get("/").1.contains("KEY_OF_THIS_TEST"), "the board says nothing of it");
    // What the host was started without does not come to it from another shell.
    let mut elsewhere = place.command(&["doctor"]);
    elsewhere.env("KEY_OF_THIS_TEST", "sk-1");
    let (level, found, _) = of_workers(&told(elsewhere)).remove(0);
    assert!(level == "error" && found.contains("of the host that serves this folder"), "{found}");
    assert_eq!(host.get("/healthz").0, 200);
    host.tell_to_end();
    assert!(host.ended_well());

    // And the other way about: the host has it, this shell has not.
    let host = place.start(place.command(&["serve"]).env("KEY_OF_THIS_TEST", "sk-1"));
    assert!(!host.get("/readyz").1.contains("some work cannot begin"));
    assert!(!host.get("/api/v1/system").1.contains("KEY_OF_THIS_TEST"));
    assert_eq!(of_workers(&told(place.command(&["doctor"])))[0].0, "ok");
    assert_eq!(of_code(&told(place.command(&["check"])), "unset-variable").len(), 0);
}

/// `init` where these programs are first on the `PATH` and these names are set; what it said, and the file.
fn begun(programs: &[&str], set: &[&str], more: &[&str]) -> (Value, String, String) {
    let place = Place::new(DEVELOPER, REVIEWER);
    fs::create_dir(place.path("bin")).unwrap();
    for program in programs {
        place.script(&format!("bin/{program}"), "#!/bin/sh\n");
    }
    let path = format!("{}:/usr/bin:/bin", place.path("bin").display());
    let command = |more: &[&str]| {
        let mut command = place.command(&[&["init"], more].concat());
        for key in KEYS {
            command.env_remove(key);
        }
        command.env("PATH", &path);
        command.envs(set.iter().map(|name| (name, "sk-1")));
        command
    };
    let suite = ["--test", "sh check.sh"];
    let json = told(command(&[&suite, more].concat()));
    let text = fs::read_to_string(place.project_file()).unwrap();
    fs::remove_dir_all(place.state()).unwrap();
    place.git(&["remote", "remove", "gatewright"]);
    let shown = command(&[&suite, more].concat()).output().unwrap();
    assert!(shown.status.success(), "{}", said(&shown));
    (json, text, said(&shown))
}

#[test]
fn init_takes_the_agent_whose_key_is_set_and_says_what_to_export_where_none_is() {
    let (json, text, shown) = begun(&["claude", "codex"], &["CLAUDE_CODE_OAUTH_TOKEN"], &[]);
    assert!(text.contains("driver = \"claude-code\""), "{text}");
    assert!(text.contains("\napi-key = \"CLAUDE_CODE_OAUTH_TOKEN\"") && !text.contains("\napi-key = \"ANTHROPIC"));
    assert_eq!(json["agent"]["key"], "CLAUDE_CODE_OAUTH_TOKEN", "{json:#}");
    assert!(shown.contains("agent: claude") && shown.contains("CLAUDE_CODE_OAUTH_TOKEN"), "{shown}");
    assert!(!shown.contains("export "), "{shown}");

    let (_, text, shown) = begun(&["claude", "codex"], &["OPENAI_API_KEY"], &[]);
    assert!(text.contains("driver = \"codex\"") && text.contains("\napi-key = \"OPENAI_API_KEY\""), "{text}");
    assert!(shown.contains("agent: codex") && shown.contains("--agent"), "{shown}");

    let (json, text, shown) = begun(&["claude"], &[], &[]);
    assert!(text.contains("\napi-key = \"ANTHROPIC_API_KEY\""), "{text}");
    assert_eq!(json["agent"]["key_is_set"], false, "{json:#}");
    assert!(shown.contains("export ANTHROPIC_API_KEY=…") && shown.contains("CLAUDE_CODE_OAUTH_TOKEN"), "{shown}");
    assert_eq!(shown.matches("export ANTHROPIC_API_KEY=…").count(), 1, "once is enough: {shown}");
    assert!(shown.contains("suite: sh check.sh") && shown.contains("--test"), "{shown}");
}

/// Answers each request with this package, as a registry does; counts them.
fn registry(package: Vec<u8>) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use std::io::{BufRead as _, Write as _};
    // Not the address that programs in a run take for their own.
    let listener = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = count.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let head = std::io::BufReader::new(stream.try_clone().unwrap()).lines();
            let asked: Vec<String> = head.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            if asked.first().is_some_and(|line| line.contains("/left-one-1.0.0.tgz")) {
                counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", package.len());
            // Whoever asked may have gone.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&package));
        }
    });
    (address, count)
}

/// As yarn 1 and 2 do: where the settings of its folder, or of one above, name a program, that program is started in its stead.
const YARN: &str = r#"#!/bin/sh
folder=$(pwd)
while :; do
  named=$(sed -n 's/^yarn-path "\(.*\)"$/\1/p; s/^yarnPath: //p' "$folder/.yarnrc" "$folder/.yarnrc.yml" 2>/dev/null | head -n 1)
  [ -n "$named" ] && exec sh "$folder/$named"
  [ "$folder" = / ] && break
  folder=$(dirname "$folder")
done
echo https://packages.example
"#;

#[test]
fn init_starts_no_program_that_the_repository_names() {
    for (settings, text) in [(".yarnrc", "yarn-path \"theirs.sh\"\n"), (".yarnrc.yml", "yarnPath: theirs.sh\n")] {
        let place = Place::new(DEVELOPER, REVIEWER);
        let mark = place.path("mark");
        fs::create_dir(place.path("bin")).unwrap();
        place.script("bin/yarn", YARN);
        let package = r#"{"scripts": {"test": "node test.js"}, "dependencies": {"left-one": "1.0.0"}}"#;
        let theirs = format!("touch '{}'; echo https://theirs.example\n", mark.display());
        for (name, text) in [("package.json", package), ("yarn.lock", ""), ("theirs.sh", &theirs), (settings, text)] {
            fs::write(place.repository().join(name), text).unwrap();
        }
        let path = format!("{}:/usr/bin:/bin", place.path("bin").display());
        let would_be =
            Command::new(place.path("bin/yarn")).current_dir(place.repository()).env("PATH", &path).output().unwrap();
        assert!(said(&would_be).contains("theirs.example") && mark.exists(), "{}", said(&would_be));
        fs::remove_file(&mark).unwrap();

        let mut init = place.command(&["init", "--agent", "true"]);
        let done = init.env("PATH", &path).output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
        assert!(!mark.exists(), "{settings}: a program of the repository's ran outside the sandbox");
        let text = fs::read_to_string(place.project_file()).unwrap();
        assert!(text.contains("packages.example") && !text.contains("theirs.example"), "yarn was not asked: {text}");
    }
}

#[test]
fn a_suite_of_npms_passes_in_a_fresh_clone_as_init_wrote_it() {
    let place = Place::new(DEVELOPER, REVIEWER);
    fs::create_dir_all(place.path("package")).unwrap();
    fs::write(place.path("package/package.json"), r#"{"name": "left-one", "version": "1.0.0"}"#).unwrap();
    fs::write(place.path("package/index.js"), "module.exports = 1;\n").unwrap();
    let packed = Command::new("tar").current_dir(place.path("")).args(["czf", "-", "package"]).output().unwrap();
    assert!(packed.status.success(), "{}", said(&packed));
    let (address, count) = registry(packed.stdout);
    let package = r#"{"name": "app", "version": "1.0.0", "scripts": {"test": "node -e \"if (require('left-one') !== 1) process.exit(1)\""},
        "dependencies": {"left-one": "1.0.0"}}"#;
    let lock = format!(
        r#"{{"name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {{
  "": {{"name": "app", "version": "1.0.0", "dependencies": {{"left-one": "1.0.0"}}}},
  "node_modules/left-one": {{"version": "1.0.0",
    "resolved": "http://{address}/left-one/-/left-one-1.0.0.tgz"}}}}}}
"#
    );
    fs::write(place.repository().join("package.json"), package).unwrap();
    fs::write(place.repository().join("package-lock.json"), lock).unwrap();
    fs::write(place.repository().join(".gitignore"), "node_modules\n").unwrap();
    place.git(&["add", "--all"]);
    place.git(&["-c", "user.name=U", "-c", "user.email=u@localhost", "commit", "--quiet", "--message", "npm"]);
    let own = |role: &str| format!("{role}={}", place.path(&format!("agents/{role}.sh")).display());
    let done = place.gatewright(&["init", "--role", &own("developer"), "--role", &own("reviewer"), "--json"]);
    let found: Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&done)));
    assert_eq!(found["suite"]["needs"], serde_json::json!([]), "{found:#}");
    assert!(found["suite"]["network"].as_array().unwrap().contains(&address.clone().into()), "{found:#}");
    let file = place.project_file();
    let notes = format!("writable = ['{}']", place.notes().display());
    edit(&file, "writable = []", &notes);
    edit(&place.state().join("gatewright.toml"), "127.0.0.1:8500", "127.0.0.1:0");
    let _host = place.serve();
    let key = place.ticket("Greet once more");
    // Tested, and waiting for a person: a suite that fails sends it back to the developer.
    place.until_phase(&key, "in-review");
    assert!(count.load(std::sync::atomic::Ordering::SeqCst) > 0, "nothing was installed");
}
