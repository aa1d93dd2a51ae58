//! What an operator asks of a machine and of a host: each failure is said, with what helps.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::fixture::{DEVELOPER, Place, REVIEWER, said};

/// `doctor --json`, and whether it found no error.
pub(crate) fn doctor(place: &Place) -> (Value, bool) {
    let done = place.gatewright(&["doctor", "--json"]);
    let told: Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&done)));
    assert_eq!(done.status.code(), Some(i32::from(told["ok"] != true)), "{}", said(&done));
    (told, done.status.success())
}

/// The levels of all lines about one thing, and what they say.
pub(crate) fn lines(told: &Value, name: &str) -> Vec<(String, String)> {
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let findings = told["findings"].as_array().unwrap().iter().filter(|finding| finding["name"] == name);
    findings
        .map(|finding| (text(finding, "level"), format!("{} {}", text(finding, "found"), text(finding, "cure"))))
        .collect()
}

pub(crate) fn levels(told: &Value, name: &str) -> Vec<String> {
    lines(told, name).into_iter().map(|(level, _)| level).collect()
}

#[test]
fn the_doctor_of_a_sound_host_finds_no_error_and_says_what_is_really_executed() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let host = place.serve();
    let (told, sound) = doctor(&place);
    assert!(sound, "{told:#}");
    for name in [
        "files", "database", "disk", "clocks", "git", "programs", "plugins", "ports", "tokens", "systemd", "secrets",
        "backup",
    ] {
        assert!(!levels(&told, name).is_empty(), "nothing is said of {name}: {told:#}");
    }
    let developer = place.path("agents/developer.sh").display().to_string();
    assert!(lines(&told, "programs").iter().any(|(_, said)| said.contains(&developer)), "{told:#}");
    assert!(lines(&told, "ports")[0].1.contains(&host.address), "{told:#}");
    assert_eq!(levels(&told, "backup"), ["warning"], "no backup was made yet");
    let made = place.json(&["backup"]);
    let file = made["backup"]["path"].as_str().unwrap();
    assert!(place.gatewright(&["restore", "--verify", file]).status.success());
    assert_eq!(levels(&doctor(&place).0, "backup"), ["ok", "ok"]);
    let (status, body) = host.get("/api/v1/system");
    let system: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &system["backups"]["last"]["path"]), (200, &made["backup"]["path"]));
    assert_eq!(system["backups"]["verified"]["backup_at"], made["backup"]["at"]);
}

#[test]
fn the_doctor_names_each_thing_that_is_broken_with_its_cure_and_ends_with_one() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let mut host = place.serve();
    // Whoever answers listens for signals too.
    assert_eq!(host.get("/healthz").0, 200);
    host.tell_to_end();
    assert!(host.ended_well());
    let taken = [0; 2].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    let [address, senders] = taken.each_ref().map(|taken| taken.local_addr().unwrap());
    let host_file = place.state().join("gatewright.toml");
    let text = fs::read_to_string(&host_file).unwrap().replace("127.0.0.1:0", &address.to_string());
    let text = format!("{text}\n[webhooks]\nlisten = \"{senders}\"\n");
    fs::write(&host_file, text.replace("free-space-mib = 512", "free-space-mib = 1048576")).unwrap();
    fs::set_permissions(place.state().join("operator-token"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(place.path("agents/developer.sh"), fs::Permissions::from_mode(0o644)).unwrap();
    // A page in the middle of the database: it opens, and only whoever reads it all finds that.
    let database = place.state().join("gatewright.db");
    let mut bytes = fs::read(&database).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0x5a);
    fs::write(&database, bytes).unwrap();
    let (told, sound) = doctor(&place);
    assert!(!sound, "{told:#}");
    for (name, words) in [
        ("disk", "nothing is launched"),
        ("secrets", "chmod 0600"),
        ("programs", "chmod +x"),
        ("ports", "ss -ltnp"),
        ("webhooks", "cannot be listened on"),
        ("database", "gatewright restore"),
    ] {
        let found = lines(&told, name);
        let broken = found.iter().any(|(level, said)| level == "error" && said.contains(words));
        assert!(broken, "{name}: {found:#?}");
    }
    fs::write(&host_file, "[listen]\noperatr = 1\n").unwrap();
    let (told, _) = doctor(&place);
    assert!(lines(&told, "files")[0].1.contains("gatewright check"), "{told:#}");
    for name in ["bubblewrap", "network", "memory", "processes", "run disk", "programs", "workers", "plugins", "ports"]
    {
        assert!(!levels(&told, name).is_empty(), "an error in a file hides nothing of the machine: {name}: {told:#}");
    }
    assert!(lines(&told, "ports")[0].1.contains("is not known"), "a default port would be a guess: {told:#}");
}

/// A folder whose lock this very process seems to hold, and whose host seems to be at an address.
fn pretended(place: &Place, address: &str) {
    fs::create_dir_all(place.state()).unwrap();
    fs::write(place.state().join("gatewright.lock"), format!("{}\n", std::process::id())).unwrap();
    fs::write(place.state().join("operator-address"), format!("http://{address}\n")).unwrap();
}

/// What `health` says while this process answers its one question so; `None`: never.
fn health_of(place: &Place, answer: Option<&str>) -> (Option<i32>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    pretended(place, &listener.local_addr().unwrap().to_string());
    std::thread::scope(|scope| {
        let answering = scope.spawn(|| {
            let (mut asked, _) = listener.accept().unwrap();
            let mut question = [0; 4096];
            let _ = asked.read(&mut question).unwrap();
            if let Some(answer) = answer {
                asked.write_all(answer.as_bytes()).unwrap();
            } else {
                // Until whoever asks has given up.
                let _ = asked.read(&mut question);
            }
        });
        let done = place.gatewright(&["health", "--timeout", "2"]);
        answering.join().unwrap();
        (done.status.code(), said(&done))
    })
}

#[test]
fn health_fails_when_the_host_is_down_answers_500_hangs_or_is_another_server() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let down = place.gatewright(&["health"]);
    assert_eq!(down.status.code(), Some(1), "{}", said(&down));
    let mut host = place.serve();
    let up = place.gatewright(&["health"]);
    assert_eq!(up.status.code(), Some(0), "{}", said(&up));
    let address = host.address.clone();
    host.kill_and_leave();
    host.ended_well();
    let dead = place.gatewright(&["health"]);
    assert_eq!(dead.status.code(), Some(1), "{}", said(&dead));
    // Another program takes the dead one's port, and says that all is well.
    let stranger = TcpListener::bind(address.strip_prefix("http://").unwrap()).unwrap();
    let taken = place.gatewright(&["health"]);
    assert_eq!(taken.status.code(), Some(1), "{}", said(&taken));
    drop(stranger);
    let well = "HTTP/1.1 200 OK\r\ncontent-length: 24\r\n\r\n{\"ok\":true,\"reasons\":[]}";
    assert_eq!(health_of(&place, Some(well)).0, Some(0), "what is asked is what is answered");
    let broken = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\nbad\n";
    for (answer, words) in [
        (Some(broken), "500"),
        (Some("HTTP/1.1 500 No\r\ncontent-length: 24\r\n\r\n{\"ok\":true,\"reasons\":[]}"), "500"),
        (Some("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"), "not as a host does"),
        (Some("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n"), "302"),
        (Some("HTTP/1.1 503 No\r\ncontent-length: 31\r\n\r\n{\"ok\":false,\"reasons\":[\"ending\"]}"), "not well"),
        (Some("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"ok\":true"), "not come to an end"),
        (None, "it does not answer"),
    ] {
        let (code, told) = health_of(&place, answer);
        assert_eq!(code, Some(1), "{answer:?}: {told}");
        assert!(told.contains(words), "{answer:?}: {told}");
    }
}

/// What bash offers behind these words.
fn completed(place: &Place, words: &[&str]) -> Vec<String> {
    let script = "eval \"$1\"; shift; COMP_WORDS=(gatewright \"$@\" ''); COMP_CWORD=$(($# + 1)); COMPREPLY=(); \
        _gatewright gatewright '' \"${COMP_WORDS[COMP_CWORD - 1]}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let completions = said(&place.gatewright(&["completions", "bash"]));
    let mut bash = std::process::Command::new("bash");
    let done = bash.args(["--norc", "--noprofile", "-c", script, "bash", &completions]).args(words).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    let mut offered: Vec<String> = said(&done).lines().map(str::to_owned).collect();
    offered.sort();
    offered
}

#[test]
fn completions_and_pages_are_made_of_the_commands_that_there_are() {
    let place = Place::new(DEVELOPER, REVIEWER);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.gatewright(&["completions", shell]);
        assert!(script.status.success() && said(&script).contains("confirm-deploy"), "{shell}");
        let script = said(&script);
        for hidden in ["compile-component", "halt-at", "only-world"] {
            assert!(!script.contains(hidden), "{shell} offers {hidden}");
        }
    }
    for (words, offered) in [
        (&["init", "--pipeline"][..], &["full", "quick"][..]),
        (&["token", "new", "ada", "--right"], &["admin", "operate", "read"]),
        (&["webhook", "decode", "one.json", "--source"], &["gitea", "plane"]),
        (&["completions"], &["bash", "elvish", "fish", "powershell", "zsh"]),
    ] {
        let all = completed(&place, words);
        let of_choice: Vec<&str> = all.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
        assert_eq!(of_choice, offered, "{words:?}");
    }
    assert!(completed(&place, &[]).iter().any(|word| word == "serve"));
    let pages = place.path("man");
    fs::create_dir(&pages).unwrap();
    fs::write(pages.join("another.1"), "").unwrap();
    let written = place.json(&["man", "--to", pages.to_str().unwrap()])["pages"].as_u64().unwrap();
    assert_eq!(written as usize, fs::read_dir(&pages).unwrap().count() - 1, "another's page is none of them");
    let of_man = fs::read_dir(&pages).unwrap().flatten();
    let empty: Vec<_> =
        of_man.filter(|page| fs::read_to_string(page.path()).unwrap().contains("[default: ]")).collect();
    assert!(empty.is_empty(), "{empty:?}");
    let page = |name: &str| fs::read_to_string(Path::new(&pages).join(name)).unwrap();
    assert!(page("gatewright.1").contains("0 done, 1 the answer is no, 2 wrong use, 3 could not find out"));
    assert!(page("gatewright-restore.1").contains("NEWDIR"));
    assert!(page("gatewright-task-waive.1").contains("journaled"));
    assert!(!pages.join("gatewright-compile-component.1").exists(), "a word that nobody types has a page");
}

/// All files and folders below one that others get at, with nothing that keeps them out on the way.
fn open_to_others(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        // A host at work removes what it has done with.
        let Ok(about) = path.symlink_metadata() else { continue };
        let is_open = about.permissions().mode() & 0o077 != 0;
        if is_open && !about.is_symlink() {
            found.push(format!("{:04o} {}", about.permissions().mode() & 0o7777, path.display()));
        }
        if about.is_dir() && is_open {
            open_to_others(&path, found);
        }
    }
}

#[test]
fn what_a_host_writes_is_its_owners_alone_whatever_the_umask_and_the_folder_say() {
    let place = Place::new(DEVELOPER, REVIEWER);
    fs::create_dir(place.state()).unwrap();
    fs::set_permissions(place.state(), fs::Permissions::from_mode(0o755)).unwrap();
    let init = place.gatewright(&["init", "--agent", "false", "--test", "sh check.sh"]);
    assert!(init.status.success() && said(&init).contains("0755 and has 0700 now"), "{}", said(&init));
    fs::remove_dir_all(place.state()).unwrap();
    place.git(&["remote", "remove", "gatewright"]);
    // A folder of the operator's with something in it is left as it is.
    fs::create_dir(place.state()).unwrap();
    fs::set_permissions(place.state(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(place.state().join("note"), "mine").unwrap();
    fs::set_permissions(place.state().join("note"), fs::Permissions::from_mode(0o600)).unwrap();
    place.init();
    let mut serve = std::process::Command::new("sh");
    serve.current_dir(place.repository()).args(["-c", "umask 000; exec \"$@\"", "sh"]);
    serve.args([env!("CARGO_BIN_EXE_gatewright"), "--dir", place.state().to_str().unwrap(), "serve"]);
    serve.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let mut host = place.start(&mut serve);
    let key = place.ticket("Greet once more");
    place.until_phase(&key, "in-review");
    assert!(place.gatewright(&["backup"]).status.success());
    let mut found = Vec::new();
    open_to_others(&place.state(), &mut found);
    assert_eq!(found, Vec::<String>::new());
    let blobs = fs::read_dir(place.state().join("blobs")).unwrap().flatten().filter(|entry| entry.file_name() != "tmp");
    for blob in blobs.flat_map(|folder| fs::read_dir(folder.path()).unwrap().flatten()) {
        assert_eq!(blob.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{blob:?}");
    }
    host.tell_to_end();
    assert!(host.ended_well());
    // What an older program left is named, and mended by the next host.
    for name in ["gatewright.db", "blobs"] {
        fs::set_permissions(place.state().join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let (told, sound) = doctor(&place);
    let secrets: Vec<String> =
        lines(&told, "secrets").into_iter().map(|(level, said)| format!("{level} {said}")).collect();
    assert!(
        !sound
            && secrets
                .iter()
                .any(|line| line.contains("error") && line.contains("chmod 0600") && line.contains("gatewright.db"))
    );
    assert!(secrets.iter().any(|line| line.contains("chmod 0700") && line.contains("blobs")), "{secrets:#?}");
    drop(place.serve());
    let mut found = Vec::new();
    open_to_others(&place.state(), &mut found);
    assert_eq!(found, Vec::<String>::new(), "{}", place.log());
    assert!(place.log().contains("has 0600 now"), "{}", place.log());
}
