//! A control group (version 2) for a run's tree, where one can be made: it is killed as a whole by one write, and no
//! member leaves it by changing its session or its parent. Where none can be made, the tree is walked instead.

use std::io;
use std::path::{Path, PathBuf};

/// A control group of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes one below this process's own; `None` where that is not allowed or cannot kill.
    pub fn create(name: &str) -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::"))?;
        let path = mount_point(&mounts)?.join(own.trim_start_matches('/')).join(name);
        std::fs::create_dir(&path).ok()?;
        let group = Self { path };
        if group.path.join("cgroup.kill").exists() {
            return Some(group);
        }
        group.remove();
        None
    }

    /// One that was made before, as its path was recorded.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
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

    /// Removes it; one that still has members stays.
    pub fn remove(&self) {
        // What is left is an empty folder in a virtual file system: nothing depends on it.
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// Where the second version's tree is mounted: field 5 of the line whose type, behind ` - `, is `cgroup2`.
fn mount_point(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        (right.split(' ').next()? == "cgroup2").then(|| left.split(' ').nth(4).map(PathBuf::from))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_point_is_found_by_type_not_by_name() {
        let mounts = "31 1 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_point(mounts), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(mount_point("31 1 0:26 / / rw - ext4 cgroup2 rw\n"), None);
    }
}
