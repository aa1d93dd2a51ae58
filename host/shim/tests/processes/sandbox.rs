//! The sandbox: what a run sees, and above all what it does not. These tests fail, and do not skip, without bubblewrap.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use agents::preflight::ProgramProblem;
use agents::{Confinement, LaunchError, LaunchSpec, Runner, SandboxError, SandboxMode};
use shim::protocol::Exit;

use crate::scene::{World, environment, exit, log};

fn write(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn program(path: &Path, script: &str) {
    write(path, &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs a script in the sandbox to its end and gives what it printed.
fn run(runner: &Runner, spec: &LaunchSpec) -> String {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let job = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    runner.launch(job, spec).unwrap();
    assert_eq!(exit(runner, job), Exit::Exited { code: 0 }, "{}", log(runner, job));
    log(runner, job)
}

fn tests_for(paths: &[PathBuf]) -> String {
    let lines = paths.iter().map(|path| format!("[ -e '{0}' ] && echo 'seen: {0}'", path.display()));
    lines.collect::<Vec<_>>().join("\n") + "\nexit 0\n"
}

#[test]
fn a_run_sees_neither_state_nor_home_nor_other_clones() {
    let world = World::new();
    let runner = world.runner(SandboxMode::Bubblewrap);
    let secrets =
        ["state/gatewright.db", "state/clones/other/file", "home/.ssh/id", "home/.cargo/credentials.toml", "beside"];
    for secret in secrets {
        write(&world.path(secret), "secret");
    }
    let mut hidden: Vec<PathBuf> = secrets.iter().map(|secret| world.path(secret)).collect();
    hidden.extend([
        runner.config().runs_dir.clone(),
        "/etc/shadow".into(),
        "/var/lib".into(),
        "/sys".into(),
        "/boot".into(),
    ]);
    let mut spec = world.script(&tests_for(&hidden));
    // The clone stands inside the state folder, as it does in life.
    spec.cwd = world.path("state/clones/mine");
    write(&spec.cwd.join("file"), "mine");
    assert_eq!(run(&runner, &spec), "");
    spec.argv[2] = "cat file; pwd; ls ..; ls -A ~".into();
    assert_eq!(run(&runner, &spec), format!("mine{}\nmine\n", spec.cwd.display()));
}

/// Where the tests are root's, the run is root's user too, and only a read-only mount keeps it from the kernel's own settings.
#[test]
fn no_setting_of_the_kernel_can_be_opened_for_writing() {
    let world = World::new();
    let runner = world.runner(SandboxMode::Bubblewrap);
    let script = "for file in /proc/sys/kernel/core_pattern /proc/sys/vm/overcommit_memory /proc/sys/kernel/hostname \
        /proc/sysrq-trigger /proc/sys/net/ipv4/ip_forward; do
        if [ -e $file ] && (exec 3>>$file) 2>/dev/null; then echo \"$file can be written\"; fi
    done; cat /proc/sys/kernel/ostype";
    assert_eq!(run(&runner, &world.script(script)), "Linux\n");
}

#[test]
fn what_is_hidden_stays_hidden_inside_what_is_shown() {
    let world = World::new();
    write(&world.path("shared/tool"), "tool");
    write(&world.path("shared/state/db"), "secret");
    write(&world.path("shared/token"), "secret");
    let mut config = world.config(SandboxMode::Bubblewrap);
    config.readable = vec![world.path("shared")];
    config.hidden.extend([world.path("shared/state"), world.path("shared/token")]);
    let runner = Runner::new(config).unwrap();
    let shared = world.path("shared");
    let said = run(
        &runner,
        &world.script(&format!("cd {}; cat tool; ls state; cat token 2>/dev/null; true", shared.display())),
    );
    assert_eq!(said, "tool");
}

#[test]
fn a_run_sees_no_process_of_the_host_and_has_no_rights() {
    let world = World::new();
    let runner = world.runner(SandboxMode::Bubblewrap);
    let said = run(
        &runner,
        &world.script("cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'; grep CapEff /proc/self/status; hostname"),
    );
    assert!(!said.contains("gatewright-shim") && !said.contains(&world.path("state").display().to_string()), "{said}");
    assert!(said.contains("CapEff:\t0000000000000000\n"), "{said}");
    assert!(said.ends_with("localhost\n"), "{said}");
}

#[test]
fn the_environment_is_what_the_contract_says_and_nothing_of_the_host() {
    let world = World::new();
    let runner = world.runner(SandboxMode::Bubblewrap);
    let mut spec = world.script("env; cat $GATEWRIGHT_BRIEF");
    spec.env = agents::environment::contract("developer", "ET-7", &world.path("clone/docs/work-items/ET-7"));
    spec.env.extend(environment(&[("ANTHROPIC_API_KEY", "key")]));
    spec.brief = Some("Do it well.".into());
    let said = run(&runner, &spec);
    assert!(said.ends_with("Do it well."), "{said}");
    let names: BTreeSet<&str> = said.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let contract =
        ["GATEWRIGHT_BRIEF", "GATEWRIGHT_DOCUMENTS", "GATEWRIGHT_ROLE", "GATEWRIGHT_RUN", "GATEWRIGHT_WORK_ITEM"];
    let expected = ["ANTHROPIC_API_KEY", "HOME", "LANG", "PATH", "PWD", "TERM"].into_iter().chain(contract);
    let proxied = agents::environment::proxied();
    let expected = expected.chain(proxied.keys().map(String::as_str));
    let own = ["_", "OLDPWD", "SHLVL"];
    assert_eq!(names.into_iter().filter(|name| !own.contains(name)).collect::<BTreeSet<_>>(), expected.collect());
    assert!(said.contains(&format!("HOME={}\n", world.path("home").display())), "{said}");
    assert!(said.contains("PATH=/usr/bin:/bin\n"), "{said}");
}

#[test]
fn only_the_clone_and_what_was_lent_can_be_written() {
    let world = World::new();
    let runner = world.runner(SandboxMode::Bubblewrap);
    for folder in ["objects", "lent"] {
        write(&world.path(folder).join("there"), folder);
    }
    let brief = runner.config().briefs_dir.clone();
    let places = ["/usr", "/etc", "/", "/run", "/var", "/opt"].map(PathBuf::from);
    let places = places.into_iter().chain([world.path("objects"), world.path("objects/there")]);
    let tries: Vec<String> = places
        .map(|place| {
            format!(
                "(echo x > {0}/new) 2>/dev/null && echo wrote {0}; (echo x >> {0}) 2>/dev/null && echo wrote {0}",
                place.display()
            )
        })
        .collect();
    let script = format!(
        "{}; echo x > $(dirname $GATEWRIGHT_BRIEF)/new; echo x >> $GATEWRIGHT_BRIEF; echo ok > new; echo ok > {}; echo ok > ~/new; echo ok > /tmp/new; cat {}",
        tries.join("; "),
        world.path("lent/new").display(),
        world.path("objects/there").display(),
    );
    let mut spec = world.script(&format!("({script}) 2>/dev/null"));
    spec.brief = Some("brief".into());
    spec.readable = vec![world.path("objects")];
    spec.writable = vec![world.path("lent")];
    assert_eq!(run(&runner, &spec), "objects");
    assert_eq!((world.read("clone/new"), world.read("lent/new")), ("ok\n".into(), "ok\n".into()));
    let of_one_run = std::fs::read_dir(brief).unwrap().next().unwrap().unwrap().path();
    assert_eq!(std::fs::read_dir(of_one_run).unwrap().count(), 1);
    assert!(!world.path("home/new").exists() && !Path::new("/tmp/new").exists());
    assert_eq!(world.read("objects/there"), "objects");
}

#[test]
fn the_network_can_be_taken_away() {
    let world = World::new();
    let runner = world.runner(SandboxMode::Bubblewrap);
    let spec = world.script("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '");
    assert_eq!(run(&runner, &spec), "lo\n");
}

#[test]
fn a_toolchain_on_the_path_is_there_and_the_home_around_it_is_not() {
    let world = World::new();
    let home = world.path("home");
    program(
        &home.join(".local/share/agent/1/agent"),
        "echo agent; ls -A ~ ~/.local; [ -e ~/.cargo/credentials.toml ] && echo secret; cargo",
    );
    std::fs::create_dir_all(home.join(".local/bin")).unwrap();
    symlink(home.join(".local/share/agent/1/agent"), home.join(".local/bin/agent")).unwrap();
    program(&home.join(".cargo/bin/cargo"), "cat ~/.rustup/toolchain");
    write(&home.join(".rustup/toolchain"), "rust\n");
    write(&home.join(".cargo/credentials.toml"), "secret");
    write(&home.join(".ssh/id"), "secret");
    write(&home.join(".local/share/keyrings/login"), "secret");
    let mut config = world.config(SandboxMode::Bubblewrap);
    config.path = format!("{0}/.local/bin:{0}/.cargo/bin:/usr/bin:/bin", home.display());
    let runner = Runner::new(config.clone()).unwrap();
    let mut spec = world.script("");
    spec.argv = vec!["agent".into()];
    let said = run(&runner, &spec);
    let shown = format!("agent\n{0}:\n.cargo\n.local\n.rustup\n\n{0}/.local:\nbin\nshare\nrust\n", home.display());
    assert_eq!(said, shown);
    // Not shown, it is told from a missing one.
    config.detect_toolchains = false;
    let refused = Runner::new(config).unwrap().launch(100, &spec).unwrap_err();
    let LaunchError::Program { problem, .. } = &refused else { panic!("{refused:?}") };
    assert!(matches!(problem, ProgramProblem::Hidden { .. }), "{refused:?}");
}

#[test]
fn what_must_not_be_shown_is_refused() {
    let world = World::new();
    write(&world.path("state/clones/a/file"), "");
    write(&world.path("clone/inside/file"), "");
    let never = |readable: &[PathBuf], writable: &[PathBuf]| {
        let mut config = world.config(SandboxMode::Bubblewrap);
        config.readable = readable.to_vec();
        config.writable = writable.to_vec();
        match Runner::new(config).unwrap().launch(1, &world.script("true")) {
            Err(LaunchError::Sandbox(error)) => error,
            other => panic!("{readable:?} {writable:?}: {other:?}"),
        }
    };
    symlink(world.path("state"), world.path("innocent")).unwrap();
    for path in ["state", "state/clones", "home", "", "innocent"] {
        let refused = never(&[world.path(path)], &[]);
        assert!(matches!(refused, SandboxError::NeverShown { .. }), "{path}: {refused:?}");
    }
    assert!(matches!(never(&["~".into()], &[]), SandboxError::NeverShown { .. }));
    assert!(matches!(never(&["/".into()], &[]), SandboxError::NeverShown { .. }));
    assert!(matches!(never(&[], &[world.path("")]), SandboxError::NeverShown { .. }));
    assert!(matches!(never(&[world.path("clone/inside")], &[]), SandboxError::InsideWritable { .. }));
    assert!(matches!(never(&[world.path("missing")], &[]), SandboxError::Unusable { .. }));
    let runner = world.runner(SandboxMode::Bubblewrap);
    for (cwd, readable) in [("state", "clone"), ("home", "clone"), ("", "clone"), ("clone", "state"), ("clone", "")] {
        let mut spec = world.script("true");
        spec.cwd = world.path(cwd);
        spec.readable = vec![world.path(readable)];
        let refused = runner.launch(1, &spec).unwrap_err();
        assert!(
            matches!(refused, LaunchError::Sandbox(SandboxError::NeverShown { .. })),
            "{cwd} {readable}: {refused:?}"
        );
    }
    let mut spec = world.script("true");
    spec.env = environment(&[("LD_PRELOAD", "/x.so")]);
    assert!(matches!(runner.launch(1, &spec), Err(LaunchError::Invalid(_))));
}

#[test]
fn a_trusted_hook_runs_outside() {
    let world = World::new();
    let runner = world.runner(SandboxMode::Bubblewrap);
    write(&world.path("home/deploy.key"), "key");
    let mut spec = world.script("cat ~/deploy.key");
    spec.confinement = Confinement::Trusted;
    assert_eq!(run(&runner, &spec), "key");
}

#[test]
fn a_git_clone_with_borrowed_objects_works_inside() {
    let world = World::new();
    let setup = "git init -q -b main bare-src && cd bare-src && echo hello > f && git add f \
        && git -c user.name=a -c user.email=a@b commit -qm one && cd .. \
        && git clone -q --bare bare-src state/main.git && git clone -q -s state/main.git state/clones/mine";
    let done = std::process::Command::new("sh").args(["-ec", setup]).current_dir(world.path("")).status().unwrap();
    assert!(done.success());
    let runner = world.runner(SandboxMode::Bubblewrap);
    let commit =
        "echo new > g && git add g && git -c user.name=a -c user.email=a@b commit -qm two && git log --oneline | wc -l";
    let mut spec = world.script(&format!("{commit}; ls {}", world.path("state/main.git").display()));
    spec.cwd = world.path("state/clones/mine");
    spec.readable = vec![world.path("state/main.git/objects")];
    assert_eq!(run(&runner, &spec), "2\nobjects\n");
}
