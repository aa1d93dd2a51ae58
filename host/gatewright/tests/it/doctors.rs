//! What `doctor` says is true: of tokens, of sandboxes that are not there, of files with errors, of what it made itself.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Output};

use serde_json::Value;

use crate::fixture::{DEVELOPER, Place, REVIEWER, said};
use crate::operators_tools::{doctor, levels, lines};

fn findings(done: &Output) -> Value {
    serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(done)))
}

#[test]
fn an_error_in_a_projects_file_hides_nothing_of_the_machine() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let file = place.project_file();
    fs::write(&file, format!("seriel = true\n{}", fs::read_to_string(&file).unwrap())).unwrap();
    let (told, sound) = doctor(&place);
    assert!(!sound);
    assert!(lines(&told, "files")[0].1.starts_with("1 error:"), "{told:#}");
    for name in ["bubblewrap", "network", "memory", "processes", "run disk", "programs", "workers", "plugins", "ports"]
    {
        assert!(!levels(&told, name).is_empty(), "nothing is said of {name}: {told:#}");
    }
    let developer = place.path("agents/developer.sh").display().to_string();
    assert!(lines(&told, "programs").iter().any(|(_, said)| said.contains(&developer)), "{told:#}");
}

#[test]
fn a_project_whose_repository_or_branch_is_gone_is_an_error_with_its_cure() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let (told, _) = doctor(&place);
    assert_eq!(levels(&told, "repository"), ["ok"], "{told:#}");
    let file = place.project_file();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("base-branch = \"main\"", "base-branch = \"mian\"")).unwrap();
    let (told, sound) = doctor(&place);
    assert!(!sound && levels(&told, "repository").iter().all(|level| level == "error"), "{told:#}");
    assert!(lines(&told, "repository")[0].1.contains("has no branch `mian`"), "{told:#}");
    let elsewhere = text
        .lines()
        .map(|line| if line.starts_with("repository = ") { "repository = \"/nowhere/at/all\"" } else { line });
    fs::write(&file, elsewhere.collect::<Vec<_>>().join("\n")).unwrap();
    assert!(lines(&doctor(&place).0, "repository").is_empty(), "what is not there was not looked at");
    let checked = said(&place.gatewright(&["check"]));
    assert!(checked.contains("there is no folder `/nowhere/at/all`") && checked.contains("put the repository back"));
    fs::write(&file, text).unwrap();
    let name = file.file_stem().unwrap().to_str().unwrap();
    fs::remove_dir_all(place.state().join(format!("repositories/{name}.git"))).unwrap();
    let (told, sound) = doctor(&place);
    assert!(!sound && levels(&told, "repository") == ["error"], "{told:#}");
    assert!(lines(&told, "repository")[0].1.contains("has no repository for this project"), "{told:#}");
    assert!(!place.gatewright(&["serve"]).status.success(), "nor does a host start there");
}

#[test]
fn what_the_doctor_itself_makes_again_is_the_owners_alone() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    drop(place.serve());
    let as_typed = |command: &str| format!("gatewright --dir {} {command}", place.state().display());
    let said = |told: &Value| lines(told, "backup").into_iter().map(|(_, said)| said).collect::<String>();
    let unmade = said(&doctor(&place).0);
    assert!(unmade.contains(&as_typed("backup --to DIR")), "{unmade}");
    let made = place.json(&["backup"]);
    let unproven = said(&doctor(&place).0);
    assert!(unproven.contains(&as_typed("restore --verify ")), "{unproven}");
    let (file, rest) = (made["backup"]["path"].as_str().unwrap(), place.path("rest"));
    assert!(place.gatewright(&["restore", file, "--to", rest.to_str().unwrap()]).status.success());
    assert!(!rest.join("cache").exists(), "what can be made again is in no backup");
    let mut open = Command::new("sh");
    open.args(["-c", "umask 022; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_gatewright")]);
    let done = open.args(["--dir", rest.to_str().unwrap(), "doctor", "--json"]).output().unwrap();
    let told = findings(&done);
    assert_eq!(levels(&told, "secrets"), ["ok"], "{told:#}");
    assert_eq!(fs::metadata(rest.join("cache")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_token_that_the_living_host_does_not_take_is_said_of_the_token_and_not_of_the_host() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let host = place.serve();
    let with =
        |token: &str| findings(&place.command(&["doctor", "--json"]).env("GATEWRIGHT_TOKEN", token).output().unwrap());
    let told = with("wrong");
    assert_eq!(levels(&told, "ports"), ["ok"], "{told:#}");
    assert!(lines(&told, "ports")[0].1.contains(&host.address), "{told:#}");
    let tokens = lines(&told, "tokens");
    assert!(
        tokens.len() == 1 && tokens[0].0 == "error" && tokens[0].1.contains("unset GATEWRIGHT_TOKEN"),
        "{tokens:?}"
    );
    let reading = place.json(&["token", "new", "eyes", "--right", "read"])["secret"].as_str().unwrap().to_owned();
    let told = with(&reading);
    let tokens = lines(&told, "tokens");
    assert!(tokens.len() == 1 && tokens[0].0 == "warning" && tokens[0].1.contains("was not looked at"), "{tokens:?}");
    assert!(tokens[0].1.contains("unset GATEWRIGHT_TOKEN"), "{tokens:?}");
    fs::write(place.state().join("operator-token"), "another\n").unwrap();
    let tokens = lines(&doctor(&place).0, "tokens");
    assert!(tokens[0].0 == "error" && tokens[0].1.contains("operator-token"), "{tokens:?}");
}

#[test]
fn a_sandbox_that_is_demanded_and_not_there_holds_nothing() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let file = place.state().join("gatewright.toml");
    let text = fs::read_to_string(&file).unwrap().replace("mode = \"auto\"", "mode = \"bubblewrap\"");
    assert!(text.contains("mode = \"bubblewrap\""));
    fs::write(&file, text).unwrap();
    let bin = place.path("bin");
    fs::create_dir(&bin).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let git = std::env::split_paths(&path).map(|folder| folder.join("git")).find(|git| git.is_file()).unwrap();
    symlink(git, bin.join("git")).unwrap();
    let told = findings(&place.command(&["doctor", "--json"]).env("PATH", &bin).output().unwrap());
    for name in ["bubblewrap", "network"] {
        assert_eq!(levels(&told, name), ["error"], "{name}: {told:#}");
    }
    assert!(lines(&told, "bubblewrap")[0].1.contains("nothing is launched"), "{told:#}");
}

#[test]
fn a_filter_that_keeps_bubblewrap_from_working_is_named_with_the_line_of_the_unit() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let bin = place.path("bin");
    fs::create_dir(&bin).unwrap();
    // What bubblewrap 0.12 says under `RestrictSUIDSGID=yes`.
    let refused = "#!/bin/sh\necho \"bwrap: Can't open source /usr: Function not implemented\" >&2\nexit 1\n";
    fs::write(bin.join("bwrap"), refused).unwrap();
    fs::set_permissions(bin.join("bwrap"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let told = findings(&place.command(&["doctor", "--json"]).env("PATH", path).output().unwrap());
    let said = &lines(&told, "bubblewrap")[0];
    assert!(said.0 == "warning" && said.1.contains("RestrictSUIDSGID=no"), "{told:#}");
}

#[test]
fn a_secret_is_as_open_as_the_file_that_its_link_leads_to() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let (secrets, elsewhere) = (place.state().join("secrets"), place.path("elsewhere"));
    fs::create_dir_all(&secrets).unwrap();
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(&elsewhere, "hush").unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o644)).unwrap();
    symlink(&elsewhere, secrets.join("plane")).unwrap();
    let (told, sound) = doctor(&place);
    assert!(!sound && lines(&told, "secrets").iter().any(|(level, said)| level == "error" && said.contains("plane")));
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(levels(&doctor(&place).0, "secrets"), ["ok"]);
}

#[test]
fn a_host_whose_port_is_taken_says_who_tells_and_what_to_write() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let file = place.state().join("gatewright.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string())).unwrap();
    let refused = place.gatewright(&["serve"]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    for words in ["ss -ltnp", "[listen]", "gatewright.toml", "in use"] {
        assert!(said(&refused).contains(words), "{words}: {}", said(&refused));
    }
}

/// A webhook that was made without a secret is refused each time: its owner hears it where he looks for what is wrong.
#[test]
fn a_webhook_without_a_secret_is_a_warning_with_its_cure() {
    let place = crate::webhooks::place("secret-files = [\"secrets/gitea\"]\n");
    let host = place.serve();
    let webhooks = || lines(&doctor(&place).0, "webhooks");
    assert_eq!(webhooks().len(), 1, "the port alone: {:?}", webhooks());
    let mut stream = TcpStream::connect(crate::webhooks::door(&place)).unwrap();
    let request = "POST /webhook/gitea HTTP/1.1\r\nhost: gw\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\
                   x-gitea-event: push\r\nx-gitea-signature: \r\n\r\n{}";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let told = webhooks();
    assert_eq!((told.len(), told[1].0.as_str()), (2, "warning"), "{told:?}");
    for part in [
        "1 of gitea were refused because they are not signed",
        "its webhook has no secret",
        "/state delivery list says from where",
    ] {
        assert!(told[1].1.contains(part), "{part}: {told:?}");
    }
    let listed = said(&place.gatewright(&["delivery", "list"]));
    assert!(listed.contains("refused because they are not signed") && listed.contains("1 from 127.0.0.1"), "{listed}");
    host.kill();
}
