//! One hostile program, once as an agent and once as the project's own suite: it reads, writes, reaches and outlives nothing.

use std::collections::BTreeSet;
use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::PathBuf;

use crate::fixture::{DEVELOPER, Place, REVIEWER, Serving, processes_with};

/// Says of each attempt whether it was a `BREACH` or was `HELD`, and of what an attempt is made of that it is `ABLE` to it at all.
/// Its paths, names and addresses are filled in.
const ATTACK: &str = r#"#!/bin/bash
exec 2> /dev/null
attempt() { if eval "$2"; then echo "BREACH: $1"; else echo "HELD: $1"; fi; }
able() { eval "$2" && echo "ABLE: $1"; }
objects() { GIT_OBJECT_DIRECTORY="$1" git cat-file --batch-all-objects --batch; }
# Every store of objects that it has or can think of.
stores() { echo .git/objects; cat .git/objects/info/alternates; echo FORGE/objects; echo BORROWED/objects; echo OTHER_CLONE/.git/objects; }
committed() { for at in $(stores); do objects "$at" | grep -qa "UNTOLD_WORDS" && return 0; done; return 1; }
known() { for at in $(stores); do GIT_OBJECT_DIRECTORY="$at" git cat-file -e UNTOLD_COMMIT && return 0; done; return 1; }

able "reads" 'cat greeting.txt > /dev/null'
able "finds" 'find . -name greeting.txt | grep -q .'
able "sees itself" 'cat /proc/[0-9]*/environ | tr "\0" "\n" | grep -q "^GATEWRIGHT_ROLE="'
able "signals itself" 'kill -0 $$'
able "has git" 'git rev-parse HEAD > /dev/null'
able "reads all objects" 'objects .git/objects | grep -qa hello'
able "leaves its session" 'setsid true'

# What it may not read.
for file in operator-token operator-address gatewright.db gatewright.db-wal gatewright.toml projects/repository.toml; do
  attempt "read $file" 'cat "STATE/$file" > /dev/null'
done
attempt "found the token" 'find / STATE -xdev -name operator-token -not -path "/proc/*" | grep -q .'
attempt "another task's clone" 'grep -q "UNTOLD_WORDS" OTHER_CLONE/untold.txt'
attempt "found another task's clone" 'find STATE -path "$PWD" -prune -o -name untold.txt -print | grep -q .'
attempt "what another task committed" committed
attempt "another task's commit by its id" known
attempt "the runs' folders" 'ls STATE/runs | grep -q .'
attempt "the user's own work tree" 'cat REPOSITORY/greeting.txt > /dev/null'
attempt "the environment of the host" 'tr "\0" "\n" < /proc/HOST_PID/environ | grep -q "^UNTOLD_VARIABLE=UNTOLD_WORDS"'
attempt "the environment of anybody" 'cat /proc/[0-9]*/environ | tr "\0" "\n" | grep -q "UNTOLD_WORDS"'
attempt "the host's process" 'cat /proc/[0-9]*/cmdline | tr "\0" " " | grep -q "gatewrigh[t] .*serve"'
attempt "a signal for the host" 'kill -0 HOST_PID'

# What it may not reach.
attempt "connected to the host" '(exec 3<>/dev/tcp/LISTEN_ADDRESS/LISTEN_PORT)'
for to in 127.0.0.1/22 169.254.169.254/80 192.0.2.1/443; do
  attempt "connected to $to" '(exec 3<>/dev/tcp/$to)'
done
attempt "no proxy to refuse anything" '! (exec 3<>/dev/tcp/127.0.0.1/17080)'
for to in blocked.example:443 LISTEN_ADDRESS:LISTEN_PORT 169.254.169.254:80 localhost:LISTEN_PORT; do
  answer=$(exec 3<>/dev/tcp/127.0.0.1/17080 && printf 'CONNECT %s HTTP/1.1\r\n\r\n' "$to" >&3 && head -n 1 <&3)
  attempt "no refusal by the proxy for $to" '! echo "$answer" | grep -q " 403 "'
done
attempt "a name was resolved" 'getent hosts blocked.example | grep -q .'
attempt "an abstract socket of the host" 'grep -q "@ABSTRACT" /proc/net/unix'
attempt "a way out beside the loopback" '[ "$(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " ")" != lo ]'

# What it may not write.
attempt "pushed past the host" 'git push -q FORGE "HEAD:refs/heads/pushed-$GATEWRIGHT_ROLE"'
attempt "moved a ref of the host's repository" 'git -C FORGE update-ref refs/heads/moved HEAD'
for file in objects/new objects/info/alternates; do
  attempt "wrote $file of the host's repository" 'echo broken >> "FORGE/$file"'
  attempt "wrote $file of what is borrowed" 'echo broken >> "BORROWED/$file"'
done
# In their places there is at most memory of the run's own to write to: the host looks at the real ones.
mkdir -p FORGE/hooks
for file in config HEAD hooks/pre-receive refs/heads/main; do
  echo broken >> "FORGE/$file"
done
rm -rf FORGE/objects/* FORGE/refs BORROWED/objects/*
attempt "the borrowed objects are gone" '! ls BORROWED/objects | grep -q .'
attempt "wrote the user's own repository" 'echo broken >> REPOSITORY/.git/config'
attempt "wrote a hook of the user's own repository" 'echo broken > REPOSITORY/.git/hooks/pre-commit'
attempt "wrote the host's files" 'echo broken > STATE/projects/repository.toml'

# What may not outlive it.
(setsid bash -c 'trap "" TERM HUP; exec -a OUTLIVING-setsid sleep 1000' > /dev/null &)
bash -c '(setsid bash -c "(setsid bash -c \"exec -a OUTLIVING-forked sleep 1000\" &)" > /dev/null &)'

[ "$GATEWRIGHT_ROLE" = developer ] && echo more > "$GATEWRIGHT_WORK_ITEM.txt"
echo "the attack as $GATEWRIGHT_ROLE is over"
exit 0
"#;

/// What cannot succeed without a sandbox either: who is asked for is not there, or not on every machine.
const NOWHERE: [&str; 5] = [
    "connected to 127.0.0.1/22",
    "connected to 169.254.169.254/80",
    "connected to 192.0.2.1/443",
    "a name was resolved",
    "a way out beside the loopback",
];

/// Every run's log.
fn logs(place: &Place) -> Vec<String> {
    let runs = fs::read_dir(place.state().join("runs")).unwrap().filter_map(Result::ok);
    runs.filter_map(|run| fs::read_to_string(run.path().join("log")).ok()).collect()
}

/// What a log says of this.
fn told<'a>(log: &'a str, word: &str) -> BTreeSet<&'a str> {
    log.lines().filter_map(|line| line.split_once(word)).map(|(_, what)| what).collect()
}

/// A developer that commits words that nobody else shall read.
fn developer_of_another(words: &str) -> String {
    format!("{DEVELOPER}echo {words} > committed.txt\ngit add committed.txt\ngit commit --quiet --message words\n")
}

/// The clone of a task that waits for a person, with words in it that nobody else shall read, committed and not; the number of the
/// file of those that are not, which is the same as long as nobody made it anew; and the commit of the others.
fn clone_of_another(place: &Place, words: &str) -> (PathBuf, u64, String) {
    let key = place.ticket("Of nobody's business");
    place.until_phase(&key, "in-review");
    let mut folders = vec![place.state().join("clones")];
    let clone = loop {
        let folder = folders.pop().expect("the task keeps its clone");
        if folder.join("greeting.txt").exists() {
            break folder;
        }
        let inside = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        folders.extend(inside.filter(|path| path.is_dir() && !path.is_symlink()));
    };
    let file = clone.join("untold.txt");
    fs::write(&file, words).unwrap();
    let commit = place.forge_git(&["log", "--branches", "--not", "main", "--format=%H", "--", "committed.txt"]);
    assert!(commit.trim().len() == 40, "its commit is in the repository: {commit}");
    (clone, fs::metadata(file).unwrap().ino(), commit.trim().to_owned())
}

/// The attack with what it needs to know: all that would only be hard to find is told to it.
fn attack(place: &Place, host: &Serving, (other, commit): (&str, &str), (abstracted, words): (&str, &str)) -> String {
    let (address, port) = host.address.strip_prefix("http://").unwrap().rsplit_once(':').unwrap();
    let filled = [
        ("STATE", place.state().display().to_string()),
        ("REPOSITORY", place.repository().display().to_string()),
        ("FORGE", place.forge().display().to_string()),
        ("HOST_PID", host.pid().to_string()),
        ("LISTEN_ADDRESS", address.to_owned()),
        ("LISTEN_PORT", port.to_owned()),
        ("ABSTRACT", abstracted.to_owned()),
        ("OUTLIVING", format!("outliving-{abstracted}")),
        ("BORROWED", place.borrowed().display().to_string()),
        ("OTHER_CLONE", other.to_owned()),
        ("UNTOLD_COMMIT", commit.to_owned()),
        ("UNTOLD_WORDS", words.to_owned()),
    ];
    filled.iter().fold(ATTACK.to_owned(), |text, (name, value)| text.replace(name, value))
}

#[test]
fn a_hostile_agent_and_a_hostile_suite_read_write_reach_and_outlive_nothing() {
    let own = format!("gatewright-test-{}", std::process::id());
    let words = format!("words-of-{own}");
    let place = Place::new(&developer_of_another(&words), REVIEWER);
    let suite = place.script("agents/suite.sh", "#!/bin/sh\n");
    place.init();
    let file = place.project_file();
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(r#"["sh", "check.sh"]"#), "{text}");
    fs::write(&file, text.replace(r#"["sh", "check.sh"]"#, &format!("['{}']", suite.display()))).unwrap();
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&own).unwrap()).unwrap();
    let host = place.start(place.command(&["serve"]).env("UNTOLD_VARIABLE", &words));
    let (clone, number, commit) = clone_of_another(&place, &words);
    let attack = attack(&place, &host, (clone.to_str().unwrap(), &commit), (&own, &words));
    let of_forge = || ["config", "HEAD"].map(|name| fs::read_to_string(place.forge().join(name)).unwrap());
    let before = of_forge();
    place.script("agents/developer.sh", &attack);
    place.script("agents/suite.sh", &attack);
    let keys = [place.ticket("Greet once more"), place.ticket("And once more")];
    for key in &keys {
        place.until_phase(key, "in-review");
    }
    for key in &keys {
        place.gatewright(&["task", "approve", key]);
        place.until_phase(key, "done");
    }
    let logs = logs(&place);
    let over = |role: &str| logs.iter().filter(|log| log.contains(&format!("the attack as {role} is over"))).count();
    // Each developed and tested, and the second retested: what would land had moved.
    assert_eq!(over("developer"), 2, "{logs:#?}");
    assert!(over("tester") >= 2 && over("deployer") >= 1, "{logs:#?}");
    let breaches: Vec<&str> = logs.iter().flat_map(|log| log.lines()).filter(|line| line.contains("BREACH")).collect();
    assert_eq!(breaches, Vec::<&str>::new());
    assert_eq!(of_forge(), before);
    assert!(!place.forge().join("hooks/pre-receive").exists());
    assert!(place.forge_git(&["for-each-ref", "refs/heads/pushed*", "refs/heads/moved"]).is_empty());
    assert!(place.forge_git(&["fsck", "--no-dangling"]).is_empty());
    place.git(&["--git-dir", place.borrowed().to_str().unwrap(), "fsck", "--no-dangling"]);
    assert!(place.forge_git(&["cat-file", "-t", &commit]).contains("commit"), "it was there all the time");
    assert!(!place.repository().join(".git/hooks/pre-commit").exists());
    let outliving = ["setsid", "forked"].map(|way| format!("outliving-{own}-{way}"));
    for name in &outliving {
        assert_eq!(processes_with(name), [], "{name}");
    }
    assert_eq!(fs::metadata(clone.join("untold.txt")).unwrap().ino(), number, "it was there all the time");
    counterproof(&place, &logs, &outliving);
    assert_ne!(of_forge(), before, "it writes there, where it may");
    assert!(place.forge().join("hooks/pre-receive").exists());
    assert_eq!(host.get("/healthz").0, 200);
}

/// The same program under no sandbox succeeds with all it tries: a probe that finds nothing anywhere proves nothing. And whoever was
/// held tried all of it, with the same tools.
fn counterproof(place: &Place, logs: &[String], outliving: &[String]) {
    let said = place.unheld("agents/suite.sh", &place.repository());
    place.live_on(outliving);
    let held: Vec<&str> = told(&said, "HELD: ").into_iter().filter(|what| !NOWHERE.contains(what)).collect();
    assert_eq!(held, Vec::<&str>::new(), "these probes find nothing where nothing is held: {said}");
    let (able, breaches) = (told(&said, "ABLE: "), told(&said, "BREACH: "));
    assert_eq!((able.len(), breaches.len() >= 32), (7, true), "{said}");
    let tried: BTreeSet<&str> = breaches.iter().copied().chain(NOWHERE).collect();
    for log in logs.iter().filter(|log| log.contains("the attack as ")) {
        assert_eq!(told(log, "HELD: "), tried, "{log}");
        assert_eq!(told(log, "ABLE: "), able, "{log}");
    }
}

#[test]
fn a_suite_that_eats_the_memory_is_no_pass_and_its_task_says_what_to_set() {
    let place = Place::new("#!/bin/sh\necho more >> greeting.txt\n", REVIEWER);
    place.script("repository/check.sh", "#!/bin/sh\n(setsid tail /dev/zero &)\nsleep 1000\nexit 0\n");
    place.git(&["add", "--all"]);
    place.git(&["-c", "user.name=U", "-c", "user.email=u@localhost", "commit", "--quiet", "--message", "hungry"]);
    place.init();
    let file = place.project_file();
    let limits = "\n[roles.tester.limits]\nmemory = \"64MiB\"\n";
    fs::write(&file, fs::read_to_string(&file).unwrap() + limits).unwrap();
    let host = place.serve();
    let key = place.ticket("Greet once more");
    let shown = place.until_phase(&key, "blocked");
    let sentence = shown["standing"]["sentence"].as_str().unwrap();
    assert!(sentence.contains("it took more than 64MiB of memory and was ended"), "{sentence}");
    assert!(sentence.contains("set `memory` in `limits`"), "{sentence}");
    assert_eq!(shown["task"]["retries"], 0, "the developer is not blamed");
    // What holds runs here is said at the start, on the board and by the API.
    assert!(place.log().contains("runs are held: sandbox by the kernel"), "{}", place.log());
    let (status, system) = host.get("/api/v1/system");
    assert!(status == 200 && system.contains(r#""name":"memory","held_by":"#), "{system}");
    assert!(host.get("/system").1.contains("How runs are held here"));
}
