//! A user's repository, a user's agents, and the binary between them.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A test that waits longer than this for the pipeline has found a stuck one.
pub(crate) const LONGEST: Duration = Duration::from_secs(90);

/// A developer that does what the ticket of these tests wants.
pub(crate) const DEVELOPER: &str = r#"#!/bin/sh
set -eu
cp "$GATEWRIGHT_BRIEF" "$NOTES/brief-$(ls "$NOTES" | grep -c '^brief-' || true)"
echo "line $(wc -l < greeting.txt)" >> greeting.txt
echo '{"total_cost_usd": 0.5, "usage": {"input_tokens": 10, "output_tokens": 2}}'
"#;

/// Where these agents say what they cost.
const USAGE: &str = r#"usage = { format = "json", cost-usd = "/total_cost_usd", input-tokens = "/usage/input_tokens", output-tokens = "/usage/output_tokens" }"#;

/// A reviewer that approves.
pub(crate) const REVIEWER: &str = r#"#!/bin/sh
set -eu
printf -- '---\nverdict: APPROVED\n---\n\n# Review\n\n## Findings\n\nNone.\n' > "$GATEWRIGHT_DOCUMENTS/12-review.md"
"#;

/// Where one test plays.
pub(crate) struct Place {
    root: TempDir,
}

/// A serving host that ends with its test.
pub(crate) struct Serving {
    child: Child,
    pub(crate) address: String,
    pub(crate) token: String,
}

impl Place {
    /// A repository with one file and a suite, and agents by role.
    pub(crate) fn new(developer: &str, reviewer: &str) -> Self {
        let place = Self { root: TempDir::new().unwrap() };
        let repository = place.repository();
        fs::create_dir_all(&repository).unwrap();
        fs::create_dir_all(place.notes()).unwrap();
        fs::create_dir_all(place.path("agents")).unwrap();
        fs::write(repository.join("greeting.txt"), "hello\n").unwrap();
        place.script("repository/check.sh", "#!/bin/sh\ngrep -q hello greeting.txt\n");
        place.git(&["init", "--quiet", "--initial-branch=main"]);
        place.git(&["add", "--all"]);
        place.git(&["-c", "user.name=U", "-c", "user.email=u@localhost", "commit", "--quiet", "--message", "first"]);
        let notes = place.notes().display().to_string();
        place.script("agents/developer.sh", &developer.replace("$NOTES", &notes));
        place.script("agents/reviewer.sh", &reviewer.replace("$NOTES", &notes));
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.path("repository")
    }

    /// A folder that agents may write beside their clone.
    pub(crate) fn notes(&self) -> PathBuf {
        self.path("notes")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn forge(&self) -> PathBuf {
        self.state().join("repositories/repository.git")
    }

    /// What clones borrow of it.
    pub(crate) fn borrowed(&self) -> PathBuf {
        self.state().join("repositories/repository.base")
    }

    pub(crate) fn project_file(&self) -> PathBuf {
        self.state().join("projects/repository.toml")
    }

    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        let file = self.path(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    /// git in the user's repository, with nobody's configuration.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.repository(), arguments)
    }

    /// git in the forge's bare repository.
    pub(crate) fn forge_git(&self, arguments: &[&str]) -> String {
        git(&self.forge(), arguments)
    }

    pub(crate) fn gatewright(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatewright"));
        command.current_dir(self.repository()).args(["--dir", self.state().to_str().unwrap()]).args(arguments);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").stdin(Stdio::null());
        command
    }

    /// `init` with this place's agents, which may write their notes.
    pub(crate) fn init(&self) {
        let developer = format!("developer={}", self.path("agents/developer.sh").display());
        let reviewer = format!("reviewer={}", self.path("agents/reviewer.sh").display());
        let done = self.gatewright(&[
            "init",
            "--role",
            &developer,
            "--role",
            &reviewer,
            "--test",
            "sh check.sh",
            "--agent",
            "false",
        ]);
        assert!(done.status.success(), "{}", said(&done));
        let file = self.project_file();
        let text = fs::read_to_string(&file).unwrap();
        let agents = format!("readable = []\nwritable = ['{}']\n{USAGE}\n", self.notes().display());
        let mut opened = String::new();
        for line in text.lines().filter(|line| !line.starts_with("readable =") && !line.starts_with("writable =")) {
            opened.push_str(line);
            opened.push('\n');
            if line == "[roles.developer]" || line == "[roles.reviewer]" {
                opened.push_str(&agents);
            }
        }
        fs::write(&file, opened).unwrap();
        let host = self.state().join("gatewright.toml");
        let text = fs::read_to_string(&host).unwrap().replace("127.0.0.1:8500", "127.0.0.1:0");
        fs::write(&host, text).unwrap();
    }

    pub(crate) fn serve(&self) -> Serving {
        self.serve_with(&[])
    }

    pub(crate) fn serve_with(&self, options: &[&str]) -> Serving {
        self.start(&mut self.command(&[&["serve"], options].concat()))
    }

    /// Starts a host by this very command.
    pub(crate) fn start(&self, command: &mut Command) -> Serving {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("host.log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .find_map(|line| line.ok()?.strip_prefix("listening ").map(str::to_owned))
            .unwrap_or_else(|| panic!("the host did not start:\n{}", self.log()));
        let token = fs::read_to_string(self.state().join("operator-token")).unwrap().trim().to_owned();
        Serving { child, address, token }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("host.log")).unwrap_or_default()
    }

    /// `--json` of a command that must succeed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let done = self.gatewright(&[arguments, &["--json"]].concat());
        assert!(done.status.success(), "{arguments:?}: {}\n{}", said(&done), self.log());
        serde_json::from_slice(&done.stdout).unwrap()
    }

    /// Makes a ticket and starts it; its key.
    pub(crate) fn ticket(&self, title: &str) -> String {
        let made = self.json(&["task", "create", title, "--description", "Add a line to greeting.txt."]);
        made["card"]["work_item"].as_str().unwrap().to_owned()
    }

    /// Waits until the task stands so; the whole `task show`.
    pub(crate) fn until(&self, key: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let done = self.gatewright(&["task", "show", key, "--json"]);
            let shown: Value = serde_json::from_slice(&done.stdout).unwrap_or(Value::Null);
            if holds(&shown) {
                return shown;
            }
            assert!(
                began.elapsed() < LONGEST,
                "{key} is not {what}: {}\n{}",
                serde_json::to_string_pretty(&shown["entries"]).unwrap(),
                self.log()
            );
            self.pause();
        }
    }

    /// Waits for a change of the database, at most a moment: the tests look from outside.
    pub(crate) fn pause(&self) {
        use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
        let watch = inotify::init(CreateFlags::CLOEXEC).unwrap();
        let _ = inotify::add_watch(&watch, self.state(), WatchFlags::MODIFY | WatchFlags::CREATE);
        let mut fds = [rustix::event::PollFd::new(&watch, rustix::event::PollFlags::IN)];
        let moment = rustix::event::Timespec { tv_sec: 0, tv_nsec: 300_000_000 };
        let _ = rustix::event::poll(&mut fds, Some(&moment));
    }

    pub(crate) fn until_phase(&self, key: &str, phase: &str) -> Value {
        self.until(key, phase, |shown| shown["phase"] == phase)
    }

    /// Runs one of this place's scripts as an agent would be run, but under no sandbox; what it said.
    pub(crate) fn unheld(&self, script: &str, at: &Path) -> String {
        let mut command = Command::new(self.path(script));
        command.current_dir(at).env("GATEWRIGHT_ROLE", "nobody").env("GATEWRIGHT_WORK_ITEM", "NONE-1");
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").stdin(Stdio::null());
        said(&command.output().unwrap())
    }

    /// Waits until a process has each of these arguments, and ends them: what would have lived on does so under no sandbox.
    pub(crate) fn live_on(&self, arguments: &[String]) {
        let began = Instant::now();
        for argument in arguments {
            // They may still be on their way to their names.
            while processes_with(argument).is_empty() {
                assert!(began.elapsed() < LONGEST, "{argument} does not live on under no sandbox either");
                self.pause();
            }
            for pid in processes_with(argument) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }

    /// The briefs that the developer got, in order.
    pub(crate) fn briefs(&self) -> Vec<String> {
        (0..).map_while(|number| fs::read_to_string(self.notes().join(format!("brief-{number}"))).ok()).collect()
    }
}

impl Serving {
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn tell_to_end(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits for the end; whether it ended well.
    pub(crate) fn ended_well(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }

    /// SIGKILL, and nobody asks after it.
    pub(crate) fn kill_and_leave(&mut self) {
        self.child.kill().unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_up(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The status of a GET.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let answer = reqwest::blocking::get(format!("{}{path}", self.address)).unwrap();
        let status = answer.status().as_u16();
        let mut body = String::new();
        answer.take(1 << 20).read_to_string(&mut body).unwrap();
        (status, body)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whoever was started with just this as one of its arguments.
pub(crate) fn processes_with(argument: &str) -> Vec<rustix::process::Pid> {
    let all = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let has = |line: Vec<u8>| line.split(|byte| *byte == 0).any(|one| one == argument.as_bytes());
    let found = all.filter(|process| fs::read(process.path().join("cmdline")).is_ok_and(has));
    found.filter_map(|process| rustix::process::Pid::from_raw(process.file_name().to_str()?.parse().ok()?)).collect()
}

pub(crate) fn git(at: &Path, arguments: &[&str]) -> String {
    let done = Command::new("git")
        .arg("-C")
        .arg(at)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(done.status.success(), "git {arguments:?}: {}", said(&done));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

pub(crate) fn said(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}
