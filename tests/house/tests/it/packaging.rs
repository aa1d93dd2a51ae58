//! The image and the unit: what they name is there, and what a host needs of them stays.

use house::files;

fn text(path: &str) -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The instructions of the Dockerfile, each in one line.
fn instructions() -> Vec<String> {
    let joined = text("Dockerfile").replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn of<'i>(instructions: &'i [String], word: &str) -> Vec<&'i str> {
    let prefix = format!("{word} ");
    instructions.iter().filter_map(|line| line.strip_prefix(prefix.as_str())).collect()
}

#[test]
fn the_image_copies_only_what_is_there() {
    let instructions = instructions();
    let stages: Vec<&str> = of(&instructions, "FROM").iter().filter_map(|from| from.split(" AS ").nth(1)).collect();
    for copy in of(&instructions, "COPY") {
        let words: Vec<&str> = copy.split(' ').collect();
        if let Some(stage) = words[0].strip_prefix("--from=") {
            assert!(stages.contains(&stage), "COPY {copy}: no stage is named {stage}");
            let made = instructions.iter().any(|line| line.starts_with("RUN ") && line.contains(words[1]));
            assert!(made, "COPY {copy}: no instruction makes {}", words[1]);
            continue;
        }
        for source in &words[..words.len() - 1] {
            let there = *source == "."
                || files().iter().any(|file| file.path == *source || file.path.starts_with(&format!("{source}/")));
            let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(source);
            assert!(there || root.exists(), "COPY {copy}: {source} is not in the repository");
        }
    }
}

#[test]
fn the_image_is_built_in_stages_runs_as_a_user_of_its_own_and_asks_for_health() {
    let instructions = instructions();
    let bases = of(&instructions, "FROM");
    assert!(bases.len() >= 2, "one stage builds, another one runs");
    for base in &bases {
        let image = base.split(' ').next().unwrap();
        assert!(image.contains(':') && !image.ends_with(":latest"), "{image} is not pinned");
    }
    let user = of(&instructions, "USER");
    assert!(user.last().is_some_and(|user| *user != "root" && *user != "0"), "{user:?}");
    let entered = instructions.iter().position(|line| line.starts_with("USER ")).unwrap();
    assert!(!instructions[entered..].iter().any(|line| line.starts_with("RUN ")), "what needs root comes before USER");
    let health = of(&instructions, "HEALTHCHECK");
    assert!(health.len() == 1 && health[0].contains("CMD [\"gatewright\", \"health\""), "{health:?}");
    // The host would be the first process, which inherits every orphan, and it waits for its own children alone.
    let entered = of(&instructions, "ENTRYPOINT");
    assert!(entered.len() == 1 && entered[0].starts_with("[\"tini\", "), "zombies stay for ever: {entered:?}");
    let installed =
        of(&instructions, "RUN").iter().any(|run| run.contains("apt-get install") && run.contains(" tini "));
    assert!(installed, "the image has no tini");
    for exec in of(&instructions, "ENTRYPOINT").into_iter().chain(of(&instructions, "CMD")) {
        assert!(exec.starts_with('['), "`{exec}` runs under a shell, which gets the signals");
    }
    for run in of(&instructions, "RUN").into_iter().filter(|run| run.contains("apt-get install")) {
        assert!(run.contains("--no-install-recommends") && run.contains("rm -rf /var/lib/apt/lists"), "{run}");
    }
}

#[test]
fn the_unit_lets_runs_outlive_the_host_and_bubblewrap_work() {
    let unit = text("packaging/gatewright.service");
    let set = |key: &str| unit.lines().find_map(|line| line.strip_prefix(&format!("{key}=")));
    assert_eq!(set("KillMode"), Some("process"));
    assert!(set("Delegate").is_some_and(|controllers| controllers.contains("memory") && controllers.contains("pids")));
    assert!(set("ExecStart").is_some_and(|start| start.contains("gatewright serve --dir ")));
    assert!(set("User").is_some_and(|user| user != "root"));
    assert_eq!((set("NoNewPrivileges"), set("ProtectSystem")), (Some("yes"), Some("strict")));
    for needed in ["user", "mnt", "pid", "net"] {
        assert!(set("RestrictNamespaces").is_some_and(|kinds| kinds.split(' ').any(|kind| kind == needed)), "{needed}");
    }
    let written: Vec<&str> = set("ReadWritePaths").unwrap_or_default().split(' ').collect();
    for folder in ["/tmp", "/var/tmp"] {
        assert!(written.contains(&folder), "suites and hooks outside the sandbox write in {folder}");
    }
    let keys = set("EnvironmentFile").unwrap();
    assert!(keys.starts_with("-/"), "a host without keys starts too: {keys}");
    assert!(text("docs/operating.md").contains(&keys[1..]), "whoever operates is told where the agents' keys go");
    // Each would take something from the sandbox of runs, or from a host that must find what another one started.
    for harmful in [
        "ProtectKernelTunables",
        "ProtectKernelLogs",
        "ProtectHostname",
        "ProtectProc",
        "ProcSubset",
        "ProtectControlGroups",
        "PrivateTmp",
        "PrivateUsers",
        "MemoryDenyWriteExecute",
        // Both forbid openat2, without which bubblewrap shows a run nothing.
        "RestrictSUIDSGID",
        "DynamicUser",
    ] {
        assert_eq!(set(harmful), None, "{harmful}");
    }
}
