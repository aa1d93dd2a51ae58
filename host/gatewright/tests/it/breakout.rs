//! One hostile program, once as an agent and once as the project's own suite: it reads, writes, reaches and outlives nothing.

use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::fixture::{Place, REVIEWER};

/// Says `BREACH` for whatever succeeds. Its paths, names and addresses are filled in.
const ATTACK: &str = r#"#!/bin/bash
exec 2> /dev/null
breach() { echo "BREACH: $*"; }

# What it may not read.
for file in operator-token operator-address gatewright.db gatewright.db-wal gatewright.toml projects/repository.toml; do
  cat "STATE/$file" > /tmp/read && breach "read $file"
done
find / -xdev -name operator-token -not -path '/proc/*' | grep -q . && breach "found the token"
find STATE -path "$PWD" -prune -o -name greeting.txt -print | grep -q . && breach "another clone"
ls STATE/runs | grep -q . && breach "the runs' folders"
cat REPOSITORY/greeting.txt > /tmp/read && breach "the user's own work tree"
cat /proc/[0-9]*/environ | tr '\0' '\n' | grep -q '^CARGO_MANIFEST_DI[R]=' && breach "the host's environment"
cat /proc/[0-9]*/cmdline | tr '\0' ' ' | grep -q 'gatewrigh[t] .*serve' && breach "the host's process"
kill -0 HOST_PID && breach "a signal for the host"

# What it may not reach.
try() { (exec 3<>"/dev/tcp/$1/$2") && breach "connected to $1:$2"; }
try LISTEN_ADDRESS LISTEN_PORT
try 127.0.0.1 22
try 169.254.169.254 80
try 192.0.2.1 443
for to in blocked.example:443 LISTEN_ADDRESS:LISTEN_PORT 169.254.169.254:80 localhost:LISTEN_PORT; do
  exec 3<>/dev/tcp/127.0.0.1/17080 || { breach "no proxy to refuse $to"; continue; }
  printf 'CONNECT %s HTTP/1.1\r\n\r\n' "$to" >&3
  head -n 1 <&3 | grep -q ' 403 ' || breach "the proxy led to $to"
  exec 3>&-
done
getent hosts blocked.example | grep -q . && breach "a name was resolved"
grep -q '@ABSTRACT' /proc/net/unix && breach "an abstract socket of the host"
[ "$(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ')" = lo ] || breach "a way out beside the loopback"

# What it may not write.
for file in objects/new objects/info/alternates; do
  echo broken >> "FORGE/$file" && breach "wrote $file of the host's repository"
done
# Beside the objects there is at most memory of the run's own to write to: the host looks at the real ones.
for file in config HEAD hooks/pre-receive refs/heads/main; do
  echo broken >> "FORGE/$file"
done
rm -rf FORGE/objects/* FORGE/refs; ls FORGE/objects | grep -q . || breach "the host's objects are gone"
git push -q FORGE HEAD:refs/heads/main && breach "pushed past the host"
git -C FORGE update-ref refs/heads/main HEAD && breach "moved a ref of the host's repository"
echo broken >> REPOSITORY/.git/config && breach "wrote the user's own repository"
echo broken > STATE/projects/repository.toml && breach "wrote the host's files"

# What may not outlive it.
(setsid bash -c 'trap "" TERM HUP; exec -a OUTLIVING sleep 1000' > /dev/null &)
bash -c '(setsid bash -c "(setsid bash -c \"exec -a OUTLIVING sleep 1000\" &)" > /dev/null &)'

[ "$GATEWRIGHT_ROLE" = developer ] && echo more > "$GATEWRIGHT_WORK_ITEM.txt"
echo "the attack as $GATEWRIGHT_ROLE is over"
exit 0
"#;

/// Every run's log.
fn logs(place: &Place) -> Vec<String> {
    let runs = fs::read_dir(place.state().join("runs")).unwrap().filter_map(Result::ok);
    runs.filter_map(|run| fs::read_to_string(run.path().join("log")).ok()).collect()
}

fn processes_named(name: &str) -> usize {
    let all = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let carries = |line: Vec<u8>| line.split(|byte| *byte == 0).next() == Some(name.as_bytes());
    all.filter(|process| fs::read(process.path().join("cmdline")).is_ok_and(carries)).count()
}

#[test]
fn a_hostile_agent_and_a_hostile_suite_read_write_reach_and_outlive_nothing() {
    let place = Place::new("#!/bin/sh\n", REVIEWER);
    let suite = place.script("agents/suite.sh", "");
    place.init();
    let file = place.project_file();
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(r#"["sh", "check.sh"]"#), "{text}");
    fs::write(&file, text.replace(r#"["sh", "check.sh"]"#, &format!("['{}']", suite.display()))).unwrap();
    let own = format!("gatewright-test-{}", std::process::id());
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&own).unwrap()).unwrap();
    let forge = place.forge();
    let of_forge = move || ["config", "HEAD"].map(|name| fs::read_to_string(forge.join(name)).unwrap());
    let before = of_forge();
    let host = place.serve();
    let (address, port) = host.address.strip_prefix("http://").unwrap().rsplit_once(':').unwrap();
    let filled = [
        ("STATE", place.state().display().to_string()),
        ("REPOSITORY", place.repository().display().to_string()),
        ("FORGE", place.forge().display().to_string()),
        ("HOST_PID", host.pid().to_string()),
        ("LISTEN_ADDRESS", address.to_owned()),
        ("LISTEN_PORT", port.to_owned()),
        ("ABSTRACT", own.clone()),
        ("OUTLIVING", format!("outliving-{own}")),
    ];
    let attack = filled.iter().fold(ATTACK.to_owned(), |text, (name, value)| text.replace(name, value));
    place.script("agents/developer.sh", &attack);
    place.script("agents/suite.sh", &attack);
    // The first one's clone is there when the second one looks for it.
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
    assert!(over("tester") + over("deployer") >= 3, "{logs:#?}");
    let breaches: Vec<&str> = logs.iter().flat_map(|log| log.lines()).filter(|line| line.contains("BREACH")).collect();
    assert_eq!(breaches, Vec::<&str>::new());
    assert_eq!(of_forge(), before);
    assert!(!place.forge().join("hooks/pre-receive").exists());
    assert_eq!(processes_named(&format!("outliving-{own}")), 0);
    assert!(place.forge_git(&["fsck", "--no-dangling"]).is_empty());
    unheld(&place, &attack, &format!("outliving-{own}"));
    assert_eq!(host.get("/healthz").0, 200);
}

/// The same program under no sandbox succeeds with what it tries: a probe that finds nothing anywhere proves nothing.
fn unheld(place: &Place, attack: &str, outliving: &str) {
    let script = place.script("agents/unheld.sh", attack);
    let done = Command::new("bash")
        .arg(script)
        .current_dir(place.repository())
        .env("GATEWRIGHT_ROLE", "nobody")
        .env("GATEWRIGHT_WORK_ITEM", "NONE-1")
        .output()
        .unwrap();
    // They may still be on their way to their names.
    let began = Instant::now();
    while processes_named(outliving) < 2 && began.elapsed() < Duration::from_secs(60) {
        place.pause();
    }
    let outlived = processes_named(outliving);
    let _ = Command::new("pkill").args(["--signal", "KILL", "--full", outliving]).status();
    let said = String::from_utf8_lossy(&done.stdout);
    let files = [
        "operator-token",
        "operator-address",
        "gatewright.db",
        "gatewright.db-wal",
        "gatewright.toml",
        "projects/repository.toml",
    ];
    let mut wanted: Vec<String> = files.iter().map(|file| format!("read {file}")).collect();
    wanted.extend(
        [
            "the runs' folders",
            "the user's own work tree",
            "the host's process",
            "a signal for the host",
            "connected to 127.0.0.1:",
        ]
        .map(str::to_owned),
    );
    wanted.extend(
        [
            "an abstract socket of the host",
            "wrote objects/new of",
            "wrote the user's own repository",
            "wrote the host's files",
        ]
        .map(str::to_owned),
    );
    let missing: Vec<&String> = wanted.iter().filter(|wanted| !said.contains(&format!("BREACH: {wanted}"))).collect();
    assert!(missing.is_empty(), "these probes find nothing where nothing is held: {missing:#?}\n{said}");
    assert!(outlived >= 2, "{outlived} outlived it");
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
