//! What a round is played on: the demonstration's world in a folder of its own, with one agent more who never comes to an end, and
//! the folder in which the places count.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use kill_points::{HITS, ORDERS, PASSED};

use super::aside::{self, ASIDE, LEAVER};

/// The project whose ticket walks the whole way.
pub(super) const WALKED: &str = "slugify";
/// The first word of that project's keys, as the demonstration makes it.
pub(super) const WALKED_PREFIX: &str = "DEMO-";
/// The project whose ticket is stopped on its way.
pub(super) const STOPPED: &str = "visited";

/// An agent at whom a stop finds work under way.
const ENDLESS: &str = "#!/bin/sh
set -eu
printf '%s %s run=%s\\n' \"$GATEWRIGHT_ROLE\" \"$GATEWRIGHT_WORK_ITEM\" \"$GATEWRIGHT_RUN\" >> \"$1\"
while :; do sleep 1; done
";

/// The line of a project's file by which nothing is done for it.
const OBSERVED: &str = "mode = \"observe\"\n";
/// A forge outside tells the host of the project whose ticket is stopped.
const TOLD: &str = "\n[webhooks.gitea]\nrepository = \"else/visited\"\nunsigned = \"loopback\"\n";
const OF_THE_HOST: &str = "\n[keep]\nruns = \"1s\"\n\n[webhooks]\nlisten = \"127.0.0.1:0\"\n";

/// One round's world.
pub(super) struct Stage {
    root: PathBuf,
}

impl Stage {
    /// Lays it out. `cache` is one that another round's host left: compiling components anew would cost every round the most.
    pub(super) fn make(binary: &Path, root: &Path, cache: Option<&Path>) -> Result<Self, String> {
        let done = Command::new(binary).args(["demo", "--only-world", "--dir"]).arg(root).output();
        let done = done.map_err(|error| format!("{}: {error}", binary.display()))?;
        if !done.status.success() {
            return Err(format!("no world was made: {}", String::from_utf8_lossy(&done.stderr)));
        }
        let stage = Self { root: root.to_owned() };
        stage.furnish(cache).map_err(|error| format!("{}: {error}", root.display()))?;
        Ok(stage)
    }

    fn furnish(&self, cache: Option<&Path>) -> io::Result<()> {
        for folder in [ORDERS, PASSED] {
            fs::create_dir_all(self.places().join(folder))?;
        }
        let endless = self.root.join("agents/endless.sh");
        fs::write(&endless, ENDLESS)?;
        fs::set_permissions(&endless, fs::Permissions::from_mode(0o755))?;
        let file = self.state().join("projects").join(format!("{WALKED}.toml"));
        fs::write(&file, fs::read_to_string(&file)? + "\n[[notifier]]\nplugin = \"log\"\n")?;
        let file = self.state().join("projects").join(format!("{STOPPED}.toml"));
        self.found(ASIDE, &aside::file(&fs::read_to_string(&file)?))?;
        fs::copy(self.agent("reviewer"), self.agent(LEAVER))?;
        fs::write(&file, fs::read_to_string(&file)? + TOLD)?;
        let of_the_host = self.state().join("gatewright.toml");
        // Beside the ticket that walks there are those who never come to an end.
        fs::write(&of_the_host, fs::read_to_string(&of_the_host)?.replace("runs = 2", "runs = 4") + OF_THE_HOST)?;
        fs::write(&file, fs::read_to_string(&file)?.replace("agents/developer.sh", "agents/endless.sh"))?;
        if let Some(cache) = cache {
            copy_all(cache, &self.cache())?;
        }
        Ok(())
    }

    /// A project more: as the one that is stopped, with a repository and a file of its own.
    fn found(&self, project: &str, text: &str) -> io::Result<()> {
        copy_all(&self.root.join(STOPPED), &self.root.join(project))?;
        copy_all(&self.forge(STOPPED), &self.forge(project))?;
        fs::write(self.state().join("projects").join(format!("{project}.toml")), text)
    }

    fn agent(&self, name: &str) -> PathBuf {
        self.root.join("agents").join(format!("{name}.sh"))
    }

    /// The program of an agent goes away, as where somebody puts another one in its place.
    pub(super) fn agent_leaves(&self, name: &str) {
        // It may be gone already.
        let _ = fs::remove_file(self.agent(name));
    }

    /// Nothing more is done for a project; the host reads its file when it changes, or when it begins.
    pub(super) fn observe_from_now_on(&self, project: &str) {
        let path = self.state().join("projects").join(format!("{project}.toml"));
        let text = fs::read_to_string(&path).unwrap_or_default();
        if text.contains(OBSERVED) {
            return;
        }
        // A file that is half written is not read.
        let beside = self.root.join("observed.toml");
        let _ = fs::write(&beside, format!("{OBSERVED}{text}")).and_then(|()| fs::rename(&beside, &path));
    }

    /// Where trackers and forges are listened to; none: nobody does yet.
    pub(super) fn webhooks(&self) -> Option<String> {
        let text = fs::read_to_string(self.state().join("webhooks-address")).ok()?;
        Some(text.trim().to_owned())
    }

    pub(super) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    pub(super) fn cache(&self) -> PathBuf {
        self.state().join("cache")
    }

    pub(super) fn host_log(&self) -> PathBuf {
        self.root.join("host.log")
    }

    /// What the agents and the hooks wrote themselves.
    pub(super) fn effects(&self) -> String {
        fs::read_to_string(self.root.join("effects/log")).unwrap_or_default()
    }

    /// What the hook brought to production.
    pub(super) fn deployed(&self) -> String {
        let revision = fs::read_to_string(self.root.join("environments/production/revision"));
        revision.unwrap_or_default().trim().to_owned()
    }

    pub(super) fn forge(&self, project: &str) -> PathBuf {
        self.state().join("repositories").join(format!("{project}.git"))
    }

    /// The reflog of a branch: a line for each move.
    pub(super) fn reflog(&self, project: &str, branch: &str) -> Vec<String> {
        let path = self.forge(project).join("logs/refs/heads").join(branch);
        fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Another person's work reaches main, so that the ticket's branch must be rebased and tested anew.
    pub(super) fn somebody_pushes(&self) -> Option<()> {
        let repository = self.root.join(WALKED);
        fs::write(repository.join("NOTES.md"), "Written by another hand.\n").ok()?;
        git(&repository, &["add", "--all"])?;
        // A push that failed leaves the commit, and then there is nothing to commit.
        let _ = git(&repository, &["commit", "--quiet", "--message", "Notes"]);
        git(&repository, &["push", "--quiet", "gatewright", "main"]).map(drop)
    }

    pub(super) fn places(&self) -> PathBuf {
        self.root.join("places")
    }

    /// From now on whoever brings this place to that count dies.
    pub(super) fn order(&self, place: &str, count: u64) -> io::Result<()> {
        fs::write(self.places().join(ORDERS).join(place), count.to_string())
    }

    /// Whether somebody shall die yet at a place of such a name.
    pub(super) fn is_ordered(&self, part: &str) -> bool {
        names(&self.places().join(ORDERS)).iter().any(|place| place.contains(part))
    }

    /// Nobody dies any more. What was not reached.
    pub(super) fn countermand(&self) -> Vec<String> {
        let orders = names(&self.places().join(ORDERS));
        // One that is gone by now was taken by somebody.
        orders.into_iter().filter(|place| fs::remove_file(self.places().join(ORDERS).join(place)).is_ok()).collect()
    }

    /// Where somebody died, and as which process.
    pub(super) fn hits(&self) -> Vec<(String, u32)> {
        let hits = fs::read_to_string(self.places().join(HITS)).unwrap_or_default();
        hits.lines()
            .filter_map(|line| {
                line.split_once(' ').and_then(|(place, pid)| Some((place.to_owned(), pid.parse().ok()?)))
            })
            .collect()
    }

    /// How often each place was passed.
    pub(super) fn passed(&self) -> BTreeMap<String, u64> {
        let folder = self.places().join(PASSED);
        let size = |place: &String| fs::metadata(folder.join(place)).map_or(0, |found| found.len());
        names(&folder).into_iter().map(|place| (size(&place), place)).map(|(size, place)| (place, size)).collect()
    }

    /// Whether anybody passed this place.
    pub(super) fn was_passed(&self, place: &str) -> bool {
        self.places().join(PASSED).join(place).exists()
    }

    /// The shims that hold a run at this moment.
    pub(super) fn living_shims(&self) -> Vec<u32> {
        let holds = |line: &str| line.contains("gatewright-shim\0hold\0");
        self.processes().into_iter().filter(|(_, line)| holds(line)).map(|(pid, _)| pid).collect()
    }

    /// Every process whose command names this world.
    pub(super) fn processes(&self) -> Vec<(u32, String)> {
        let root = self.root.to_string_lossy().into_owned();
        let numbers = names(Path::new("/proc")).into_iter().filter_map(|name| name.parse::<u32>().ok());
        let command = |pid: u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            Some((pid, String::from_utf8_lossy(&line).into_owned())).filter(|(_, line)| line.contains(&root))
        };
        numbers.filter_map(command).collect()
    }

    /// Clones and task branches that are still there.
    pub(super) fn left_behind(&self) -> Vec<String> {
        let clones = names(&self.state().join("clones"));
        let mut left = clones
            .iter()
            .flat_map(|project| {
                let tasks = names(&self.state().join("clones").join(project));
                tasks
                    .into_iter()
                    .filter(|name| !name.starts_with('.'))
                    .map(move |name| format!("the clone {project}/{name}"))
            })
            .collect::<Vec<_>>();
        for project in [WALKED, STOPPED, ASIDE] {
            let listed =
                git(&self.forge(project), &["for-each-ref", "--format=%(refname:short)", "refs/heads/feature"]);
            left.extend(listed.unwrap_or_default().lines().map(|branch| format!("the branch {branch}")));
        }
        left
    }
}

/// What git says in a repository; none: it says no.
pub(super) fn git(at: &Path, arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    git.arg("-C").arg(at).args(["-c", "user.name=Else", "-c", "user.email=else@localhost"]).args(arguments);
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let done = git.output().ok().filter(|done| done.status.success())?;
    Some(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>();
    names.sort();
    names
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
