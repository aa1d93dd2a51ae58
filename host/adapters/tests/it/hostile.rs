//! Clones that an adversary prepared to run something: none of it runs on the host.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use conductor::ports::forge::{CloneKey, CloneRequest, CollectLimits, Forge, Sight};
use domain::ids::JobId;

use crate::world::{Work, World, branch, git, mark, try_git};

/// A program that leaves a mark when it runs.
struct Trap {
    program: PathBuf,
    marker: PathBuf,
}

impl Trap {
    fn set(world: &World) -> Self {
        let program = world.folder.path().join("trap");
        let marker = world.folder.path().join("sprung");
        let script = format!("#!/bin/sh\ntouch {}\nexec cat\n", marker.display());
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { program, marker }
    }

    fn path(&self) -> &str {
        self.program.to_str().unwrap()
    }

    /// The trap itself works; then it is set again.
    fn prove(&self, clone: &Path, args: &[&str]) {
        try_git(clone, args);
        assert!(self.marker.exists(), "git {args:?} did not spring the trap: the test proves nothing");
        self.set_again();
    }

    fn set_again(&self) {
        let _ = fs::remove_file(&self.marker);
    }

    fn assert_silent(&self, deed: &str) {
        assert!(!self.marker.exists(), "{deed}: something of the clone ran on the host");
    }
}

/// Everything that the host ever does with a clone and what came out of it.
fn all_deeds(world: &World, work: &mut Work<'_>, trap: &Trap) {
    work.write("left.txt", "left");
    let first = work.take(50).head;
    trap.assert_silent("take over");
    world.forge.collect_documents(work.request().key, "docs", CollectLimits::default()).unwrap();
    trap.assert_silent("collect");
    git(&world.user, &["commit", "-q", "--allow-empty", "-m", "The base moves"]);
    git(&world.user, &["push", "-q", "gatewright", "main"]);
    trap.set_again();
    let base = world.main();
    let rebased = world.forge.rebase(&mark(work.task, 51), &work.branch, &first, &base).unwrap();
    trap.assert_silent("rebase");
    world.forge.changes(&base, &rebased.head).unwrap();
    world.forge.diff(&base, &rebased.head, "left.txt").unwrap();
    world.forge.commits(&base, &rebased.head).unwrap();
    world.forge.last_change(&rebased.head, "left.txt").unwrap();
    world.forge.read(&rebased.head, "left.txt").unwrap();
    trap.assert_silent("reading");
    world.forge.merge_fast_forward(&mark(work.task, 52), &work.branch, &rebased.head, &branch("main"), &base).unwrap();
    trap.assert_silent("merge");
    work.prepare();
    trap.assert_silent("prepare again");
    let key = CloneKey { job: Some(JobId(60)), ..work.request().key };
    world.forge.prepare_clone(&CloneRequest { key, ..work.request() }).unwrap();
    trap.assert_silent("prepare a throwaway");
    world.forge.remove_clones(key.task).unwrap();
    world.forge.tidy().unwrap();
    trap.assert_silent("remove");
}

#[test]
fn configuration_of_the_clone_runs_nothing() {
    let world = World::new();
    let mut work = world.start(7);
    let trap = Trap::set(&world);
    for name in [
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "core.editor",
        "core.askPass",
        "core.gitProxy",
        "core.alternateRefsCommand",
        "gpg.program",
        "diff.external",
        "credential.helper",
        "sequence.editor",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.evil.textconv",
        "diff.evil.command",
        "merge.evil.driver",
        "uploadpack.packObjectsHook",
        "interactive.diffFilter",
        "protocol.ext.allow",
        "remote.origin.uploadpack",
        "submodule.x.update",
    ] {
        work.git(&["config", name, trap.path()]);
    }
    for (name, value) in [
        ("commit.gpgSign", "true"),
        ("filter.evil.required", "true"),
        ("core.worktree", "/"),
        ("extensions.worktreeConfig", "true"),
        ("core.attributesFile", "/nonexistent"),
    ] {
        if name != "core.worktree" {
            work.git(&["config", name, value]);
        }
    }
    work.write(".gitattributes", "* filter=evil diff=evil merge=evil\n");
    trap.prove(&work.path(), &["status"]);
    trap.prove(&work.path(), &["-c", "core.fsmonitor=false", "add", "-A", "-n", "--renormalize", "."]);
    trap.set_again();
    // Committed too, so that each later clone and rebase meets the attributes.
    let plain = ["-c", "core.fsmonitor=false", "-c", "filter.evil.required=false", "-c", "commit.gpgSign=false"];
    work.git(
        &[&plain[..], &["-c", "filter.evil.clean=", "-c", "filter.evil.process=", "add", ".gitattributes"]].concat(),
    );
    work.git(
        &[&plain[..], &["-c", "filter.evil.clean=", "-c", "filter.evil.process=", "commit", "-qm", "Attributes"]]
            .concat(),
    );
    trap.set_again();
    all_deeds(&world, &mut work, &trap);
}

#[test]
fn hooks_of_the_clone_run_nowhere() {
    let world = World::new();
    let mut work = world.start(7);
    let trap = Trap::set(&world);
    for name in [
        "applypatch-msg",
        "commit-msg",
        "fsmonitor-watchman",
        "post-applypatch",
        "post-checkout",
        "post-commit",
        "post-index-change",
        "post-merge",
        "post-receive",
        "post-rewrite",
        "post-update",
        "pre-applypatch",
        "pre-auto-gc",
        "pre-commit",
        "pre-merge-commit",
        "pre-push",
        "pre-rebase",
        "pre-receive",
        "prepare-commit-msg",
        "proc-receive",
        "push-to-checkout",
        "reference-transaction",
        "sendemail-validate",
        "update",
    ] {
        work.write(&format!(".git/hooks/{name}"), fs::read(&trap.program).unwrap());
        let hook = work.path().join(".git/hooks").join(name);
        fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).unwrap();
        // And where a `core.hooksPath` might look in the tree.
        work.write(&format!("hooks/{name}"), fs::read(&trap.program).unwrap());
        fs::set_permissions(work.path().join("hooks").join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    trap.prove(&work.path(), &["checkout", "-q", "-b", "other"]);
    work.git(&["config", "core.hooksPath", "hooks"]);
    work.git(&["checkout", "-q", "feature/T-7"]);
    trap.set_again();
    all_deeds(&world, &mut work, &trap);
}

#[test]
fn included_and_worktree_configuration_is_not_read() {
    let world = World::new();
    let mut work = world.start(7);
    let trap = Trap::set(&world);
    work.write("evil.inc", format!("[core]\n\tfsmonitor = {}\n", trap.path()));
    let clone = work.path();
    for config in [".git/config", ".git/config.worktree"] {
        let mut text = fs::read_to_string(clone.join(config)).unwrap_or_default();
        text.push_str(&format!(
            "[include]\n\tpath = {0}/evil.inc\n[includeIf \"gitdir:**\"]\n\tpath = ../evil.inc\n",
            clone.display()
        ));
        text.push_str("[extensions]\n\tworktreeConfig = true\n");
        fs::write(clone.join(config), text).unwrap();
    }
    trap.prove(&clone, &["status"]);
    all_deeds(&world, &mut work, &trap);
}

#[test]
fn the_environment_of_the_host_has_no_say() {
    // The host's environment is this process's, which other tests share; so a child plays the host.
    if let Some(folder) = std::env::var_os("GATEWRIGHT_TEST_HOSTILE_ENVIRONMENT") {
        let world = World::new();
        let mut work = world.start(7);
        let trap = Trap { program: "/bin/true".into(), marker: Path::new(&folder).join("sprung") };
        all_deeds(&world, &mut work, &trap);
        return;
    }
    let world = World::new();
    let trap = Trap::set(&world);
    let config = world.folder.path().join("gitconfig");
    fs::write(&config, format!("[core]\n\tfsmonitor = {0}\n\thooksPath = /\n[alias]\n\tx = !{0}\n", trap.path()))
        .unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hostile::the_environment_of_the_host_has_no_say"])
        .env("GATEWRIGHT_TEST_HOSTILE_ENVIRONMENT", world.folder.path())
        .envs([("GIT_CONFIG_GLOBAL", &config), ("GIT_CONFIG_SYSTEM", &config)])
        .envs([("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "core.fsmonitor"), ("GIT_CONFIG_VALUE_0", trap.path())])
        .envs([("GIT_DIR", "/nonexistent"), ("GIT_INDEX_FILE", "/nonexistent"), ("GIT_EXTERNAL_DIFF", trap.path())])
        .envs([("GIT_OBJECT_DIRECTORY", "/nonexistent"), ("GIT_SSH_COMMAND", trap.path()), ("GIT_TRACE", "/dev/null")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    trap.assert_silent("a hostile environment");
}

#[test]
fn a_submodule_of_the_base_is_neither_entered_nor_lost() {
    let world = World::new();
    let commit = git(&world.user, &["rev-parse", "HEAD"]);
    fs::write(world.user.join(".gitmodules"), "[submodule \"sub\"]\n\tpath = sub\n\turl = ../sub\n").unwrap();
    git(&world.user, &["add", "-A"]);
    git(&world.user, &["update-index", "--add", "--cacheinfo", &format!("160000,{commit},sub")]);
    git(&world.user, &["commit", "-qm", "A submodule"]);
    git(&world.user, &["push", "-q", "gatewright", "main"]);
    let mut work = world.start(7);
    let trap = Trap::set(&world);
    let sub = work.path().join("sub");
    git(&sub, &["init", "-q"]);
    git(&sub, &["commit", "-q", "--allow-empty", "-m", "Inner"]);
    fs::write(sub.join("file"), "x").unwrap();
    git(&sub, &["config", "core.fsmonitor", trap.path()]);
    git(&sub, &["config", "core.sshCommand", trap.path()]);
    trap.prove(&sub, &["status"]);
    work.git(&["config", "submodule.sub.update", &format!("!{}", trap.path())]);
    all_deeds(&world, &mut work, &trap);
    let kept = git(world.bare(), &["ls-tree", "main", "sub"]);
    assert!(kept.starts_with(&format!("160000 commit {commit}")), "{kept}");
}
