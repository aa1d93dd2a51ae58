//! The repository belongs to another user than the host: the way of a service, and of a container with a mounted folder.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::fixture::{DEVELOPER, Place, REVIEWER, git, said};

/// Whoever runs this test, git takes each repository that it looks for to be another user's.
fn as_a_stranger(place: &Place, arguments: &[&str]) -> Output {
    let path = std::env::var_os("PATH").unwrap();
    let real = std::env::split_paths(&path).map(|folder| folder.join("git")).find(|git| git.is_file()).unwrap();
    fs::create_dir_all(place.path("bin")).unwrap();
    place.script("bin/git", &format!("#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {} \"$@\"\n", real.display()));
    let mut own = OsString::from(place.path("bin"));
    own.push(":");
    own.push(path);
    place.command(arguments).env("PATH", own).output().unwrap()
}

/// Everything in a repository's configuration that git can be made to run for a question or a copy leaves a mark.
fn with_traps(place: &Place) {
    let repository = place.repository();
    let trap = place.script("trap.sh", "#!/bin/sh\ntouch \"$(dirname \"$0\")/sprung\"\n").display().to_string();
    for hook in [
        "pre-commit",
        "post-checkout",
        "reference-transaction",
        "post-index-change",
        "pre-auto-gc",
        "fsmonitor-watchman",
    ] {
        fs::create_dir_all(repository.join(".git/hooks")).unwrap();
        fs::copy(&trap, repository.join(".git/hooks").join(hook)).unwrap();
    }
    for key in [
        "core.fsmonitor",
        "core.sshCommand",
        "core.askPass",
        "core.pager",
        "core.editor",
        "core.gitProxy",
        "core.alternateRefsCommand",
        "uploadpack.packObjectsHook",
        "filter.trap.smudge",
        "filter.trap.clean",
        "filter.trap.process",
        "diff.external",
        "diff.trap.textconv",
        "gpg.program",
        "credential.helper",
        "pager.rev-parse",
        "pager.config",
        "pager.ls-tree",
        "pager.for-each-ref",
    ] {
        git(&repository, &["config", key, &trap]);
    }
    git(&repository, &["config", "core.hooksPath", repository.join(".git/hooks").to_str().unwrap()]);
    for word in ["rev-parse", "config", "upload-pack", "remote", "ls-tree", "symbolic-ref"] {
        git(&repository, &["config", &format!("alias.{word}"), &format!("!{trap}")]);
    }
    fs::write(repository.join(".git/info/attributes"), "* filter=trap diff=trap\n").unwrap();
}

#[test]
fn another_users_repository_is_opened_by_its_name_alone_and_nothing_that_it_configures_runs() {
    let place = Place::new(DEVELOPER, REVIEWER);
    with_traps(&place);
    // A trap that springs by this test's own calls would tell nothing.
    let _ = fs::remove_file(place.path("sprung"));
    let repository = place.repository().display().to_string();
    let options = ["--agent", "false", "--test", "sh check.sh"];
    let unnamed = as_a_stranger(&place, &[&["init"], &options[..]].concat());
    assert_eq!(unnamed.status.code(), Some(1), "{}", said(&unnamed));
    assert!(said(&unnamed).contains("another user's") && said(&unnamed).contains("gatewright init FOLDER"));
    let inner = place.path("repository/inner");
    fs::create_dir(&inner).unwrap();
    let below = as_a_stranger(&place, &[&["init", inner.to_str().unwrap()], &options[..]].concat());
    assert_eq!(below.status.code(), Some(1), "a folder below it is not its name: {}", said(&below));
    assert!(said(&below).contains("dubious ownership") && said(&below).contains("top folder"), "{}", said(&below));
    assert!(!place.state().exists(), "a refusal leaves nothing");
    let named = as_a_stranger(&place, &[&["init", &repository], &options[..]].concat());
    assert!(named.status.success(), "{}", said(&named));
    assert_eq!(place.forge_git(&["rev-parse", "main"]), place.git(&["rev-parse", "main"]));
    let checked = as_a_stranger(&place, &["check"]);
    assert!(checked.status.success(), "{}", said(&checked));
    // Read as its owner reads it, it is no other.
    assert!(place.gatewright(&["check"]).status.success());
    assert!(!place.path("sprung").exists(), "something of its configuration ran");
}

/// As root a repository can really be given away.
#[test]
fn a_repository_of_another_uid_is_opened_too() {
    let place = Place::new(DEVELOPER, REVIEWER);
    let repository = place.repository().display().to_string();
    let given = Command::new("chown").args(["-R", "65534", &repository]).status().unwrap().success();
    assert_eq!(given, rustix::process::geteuid().is_root(), "who may give a folder away has done so");
    let arguments = ["init", &repository, "--agent", "false", "--test", "sh check.sh"];
    let done = place.gatewright(&arguments);
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(said(&done).contains("git-upload-pack"), given, "how its owner pulls: {}", said(&done));
    let checked = place.gatewright(&["check"]);
    assert!(checked.status.success(), "{}", said(&checked));
}

#[test]
fn a_repository_that_may_not_be_written_is_set_up_and_its_owner_is_told_what_to_type() {
    let place = Place::new(DEVELOPER, REVIEWER);
    let repository = place.repository().display().to_string();
    let state = place.state().display().to_string();
    let program = env!("CARGO_BIN_EXE_gatewright");
    let mut jailed = Command::new("bwrap");
    jailed.args(["--bind", "/", "/", "--dev", "/dev", "--ro-bind", &repository, &repository, program]);
    jailed.args(["--dir", &state, "init", &repository, "--agent", "false", "--test", "sh check.sh", "--json"]);
    let done = jailed.output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    let command = told["remote"].as_str().unwrap();
    assert_eq!(place.git(&["remote"]), "");
    assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
    assert_eq!(Path::new(&place.git(&["remote", "get-url", "gatewright"])), place.forge());
    let mode = fs::metadata(place.state()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
}
