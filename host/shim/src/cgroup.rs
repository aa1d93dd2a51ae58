//! A control group (version 2) for a run's tree, where one can be made: it is killed as a whole by one write, and no
//! member leaves it by changing its session or its parent; and where its place allows it, the kernel counts its memory and its
//! processes. Where none can be made, the tree is walked instead.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::procfs::{halves, unescaped};
use crate::protocol::Limits;

/// The controllers that limits need.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];
/// How systemd marks a group below which it leaves everything to its user (`Delegate=`).
const DELEGATED: [&str; 2] = ["user.delegate", "trusted.delegate"];

/// A control group of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    path: PathBuf,
    limited: bool,
}

impl Cgroup {
    /// Makes one where it can be given limits, else below this process's own, where it can at least be killed as a whole; `None`
    /// where neither is allowed.
    pub fn create(name: &str) -> Option<Self> {
        let mounts = std::fs::read("/proc/self/mountinfo").ok()?;
        let own = std::fs::read("/proc/self/cgroup").ok()?;
        let own = own.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::/"))?;
        let top = mount_point(&mounts)?;
        let own = top.join(OsStr::from_bytes(own));
        let with_limits = place_with_limits(&own, &top).and_then(|place| Self::create_in(&place, name, true));
        with_limits.or_else(|| Self::create_in(&own, name, false))
    }

    /// Whether a group that is made here has limits; none remains.
    pub fn limits_work_here() -> bool {
        let limits = Limits {
            memory_bytes: 1 << 30,
            processes: 1024,
            disk_bytes: 0,
            open_files: 0,
            lent: Vec::new(),
            first_walk_ms: 0,
        };
        let group = Self::create(&format!("gatewright-probe-{}", std::process::id()));
        group.is_some_and(|mut group| {
            group.limit(&limits);
            group.remove();
            group.has_limits()
        })
    }

    fn create_in(place: &Path, name: &str, limited: bool) -> Option<Self> {
        let path = place.join(name);
        std::fs::create_dir(&path).ok()?;
        let group = Self { path, limited };
        if group.path.join("cgroup.kill").exists() {
            return Some(group);
        }
        group.remove();
        None
    }

    /// Tells the kernel what all members together may take. Where that fails, they have no limits by the kernel.
    pub fn limit(&mut self, limits: &Limits) {
        if !self.limited {
            return;
        }
        let write = |file: &str, value: String| std::fs::write(self.path.join(file), value);
        // What goes to the swap is memory too. Where there is no swap there is no such file.
        let _ = write("memory.swap.max", "0".to_owned());
        // One member alone would leave the others in the middle of their work.
        let set = write("memory.max", limits.memory_bytes.to_string())
            .and_then(|()| write("memory.oom.group", "1".to_owned()))
            .and_then(|()| write("pids.max", limits.processes.to_string()));
        self.limited = set.is_ok();
    }

    /// The kernel counts the members' memory and processes.
    pub fn has_limits(&self) -> bool {
        self.limited
    }

    /// The kernel ended members because all together had no more memory.
    pub fn ran_out_of_memory(&self) -> bool {
        self.counted("memory.events", "oom_kill")
    }

    /// The kernel refused one more process.
    pub fn refused_a_process(&self) -> bool {
        self.counted("pids.events", "max")
    }

    fn counted(&self, file: &str, event: &str) -> bool {
        let events = std::fs::read_to_string(self.path.join(file)).unwrap_or_default();
        let count = |line: &str| line.strip_prefix(event)?.trim().parse::<u64>().ok();
        self.limited && events.lines().filter_map(count).any(|count| count > 0)
    }

    /// One that was made before, as its path was recorded.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), limited: false }
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that takes the number of a process that joins.
    pub fn members_file(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// KILL for every member, those that are being born too. A group that is gone has none.
    pub fn kill(&self) -> io::Result<()> {
        match std::fs::write(self.path.join("cgroup.kill"), "1") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// The members, as far as this process may know them.
    pub fn members(&self) -> Vec<u32> {
        let listed = std::fs::read_to_string(self.members_file()).unwrap_or_default();
        listed.lines().filter_map(|line| line.trim().parse().ok()).collect()
    }

    /// How many processes and threads there are in it, as far as this process may know them.
    pub fn tasks(&self) -> Option<u64> {
        Some(std::fs::read_to_string(self.path.join("cgroup.threads")).ok()?.lines().count() as u64)
    }

    /// Removes it; one that still has members stays.
    pub fn remove(&self) {
        // What is left is an empty folder in a virtual file system: nothing depends on it.
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// A group in which children may have limits: this process's own, where it may hold processes all the same; else the one above,
/// if it was left to us and holds none (`Delegate=yes` with `DelegateSubgroup=`).
fn place_with_limits(own: &Path, top: &Path) -> Option<PathBuf> {
    if hands_on(own) {
        return Some(own.to_owned());
    }
    let above = own.parent().filter(|above| above.starts_with(top))?;
    let delegated = DELEGATED.iter().any(|name| {
        let mut value = [0_u8; 8];
        rustix::fs::getxattr(above, *name, &mut value).is_ok_and(|read| value[..read] == *b"1")
    });
    (delegated && hands_on(above)).then(|| above.to_owned())
}

/// Whether children of a group have the controllers; they are handed on where that is allowed.
fn hands_on(group: &Path) -> bool {
    let words = |file: &str| std::fs::read_to_string(group.join(file)).unwrap_or_default();
    let has = |listed: &str| CONTROLLERS.iter().all(|wanted| listed.split_whitespace().any(|word| word == *wanted));
    if has(&words("cgroup.subtree_control")) {
        return true;
    }
    // Refused by the kernel where the group itself holds a process.
    let asked = CONTROLLERS.map(|name| format!("+{name}")).join(" ");
    has(&words("cgroup.controllers")) && std::fs::write(group.join("cgroup.subtree_control"), asked).is_ok()
}

/// Where the second version's tree is mounted: field 5 of the line whose type, behind ` - `, is `cgroup2`.
fn mount_point(mounts: &[u8]) -> Option<PathBuf> {
    mounts.split(|byte| *byte == b'\n').find_map(|line| {
        let (left, right) = halves(line)?;
        let is_ours = right.split(|byte| *byte == b' ').next()? == b"cgroup2";
        let point = left.split(|byte| *byte == b' ').nth(4).filter(|_| is_ours)?;
        Some(PathBuf::from(OsString::from_vec(unescaped(point))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_point_is_found_by_type_not_by_name() {
        let mounts = b"31 1 0:26 / /sys/fs/cgroup\xff ro - tmpfs tmpfs ro\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_point(mounts), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(mount_point(b"31 1 0:26 / / rw - ext4 cgroup2 rw\n"), None);
    }

    fn write(folder: &Path, file: &str, content: &str) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(file), content).unwrap();
    }

    #[test]
    fn limits_are_possible_only_where_the_controllers_are_handed_on() {
        let top = tempfile::tempdir().unwrap();
        let own = top.path().join("unit/host");
        write(&own, "cgroup.controllers", "cpuset memory pids");
        // In a true group of processes the kernel refuses this write; here the missing permission does.
        std::fs::create_dir(own.join("cgroup.subtree_control")).unwrap();
        write(&top.path().join("unit"), "cgroup.controllers", "cpuset memory pids");
        assert_eq!(place_with_limits(&own, top.path()), None, "the group above was not left to us");
        write(&own.join("child"), "cgroup.subtree_control", "cpu memory pids\n");
        assert_eq!(place_with_limits(&own.join("child"), top.path()), Some(own.join("child")));
        write(&own.join("other"), "cgroup.controllers", "hugetlb");
        assert_eq!(place_with_limits(&own.join("other"), top.path()), None);
        write(&own.join("third"), "cgroup.controllers", "memory pids");
        assert_eq!(place_with_limits(&own.join("third"), top.path()), Some(own.join("third")));
        let asked = std::fs::read_to_string(own.join("third/cgroup.subtree_control")).unwrap();
        assert_eq!(asked, "+memory +pids");
    }

    #[test]
    fn the_kernels_word_is_read_from_its_events() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let limits =
            Limits { memory_bytes: 5, processes: 6, disk_bytes: 7, open_files: 8, lent: Vec::new(), first_walk_ms: 0 };
        let mut group = Cgroup { path: path.to_owned(), limited: true };
        group.limit(&limits);
        assert!(group.has_limits());
        let read = |file: &str| std::fs::read_to_string(path.join(file)).unwrap();
        assert_eq!(
            (read("memory.max"), read("memory.swap.max"), read("pids.max")),
            ("5".into(), "0".into(), "6".into())
        );
        assert_eq!(read("memory.oom.group"), "1");
        write(path, "memory.events", "low 0\nmax 9\noom 1\noom_kill 0\noom_group_kill 0\n");
        write(path, "pids.events", "max 0\n");
        assert!(!group.ran_out_of_memory() && !group.refused_a_process());
        write(path, "memory.events", "low 0\nmax 9\noom 1\noom_kill 3\noom_group_kill 1\n");
        write(path, "pids.events", "max 2\n");
        assert!(group.ran_out_of_memory() && group.refused_a_process());
    }
}
