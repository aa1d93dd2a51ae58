//! What one run sees of the file system.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::getuid;

use super::{Bubblewrap, expand_home};
use crate::config::{LaunchSpec, RunnerConfig};
use crate::error::SandboxError;
use crate::toolchains;

/// Of `/etc` only what programs need to run at all: names, certificates, the loader's cache. The rest may hold secrets,
/// and where the host is root's, a run can read what is root's.
const ETC: [&str; 42] = [
    "alternatives",
    "bash.bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "gai.conf",
    "group",
    "host.conf",
    "hosts",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "login.defs",
    "magic",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "perl",
    "pki/ca-trust",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "profile",
    "protocols",
    "python3",
    "redhat-release",
    "resolv.conf",
    "rpc",
    "services",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
    "xdg",
];
/// The home of a run whose host has none that could be used.
const HOME: &str = "/home/agent";

fn text(path: &Path) -> Result<String, SandboxError> {
    let unusable = || SandboxError::Unusable { path: path.to_owned(), reason: "its name is not UTF-8".to_owned() };
    path.to_str().map(str::to_owned).ok_or_else(unusable)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// An empty folder in memory, which holds `size` bytes at most.
fn in_memory(arguments: &mut Vec<String>, folder: &str, permissions: &str, size: Option<u64>) {
    if let Some(size) = size {
        arguments.extend(words(&["--size", &size.to_string()]));
    }
    arguments.extend(words(&["--perms", permissions, "--tmpfs", folder]));
}

/// The system: read-only, with a `/proc`, `/dev` and `/tmp` of its own. `size` is what each of its folders in memory holds.
pub(super) fn system(size: Option<u64>) -> Vec<String> {
    let mut arguments = Vec::new();
    for folder in ["/usr", "/nix/store", "/gnu/store"] {
        if Path::new(folder).is_dir() {
            arguments.extend(words(&["--ro-bind", folder, folder]));
        }
    }
    for folder in ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] {
        match std::fs::read_link(folder) {
            Ok(target) => arguments.extend(words(&["--symlink", &target.to_string_lossy(), folder])),
            Err(_) if Path::new(folder).is_dir() => arguments.extend(words(&["--ro-bind", folder, folder])),
            Err(_) => {}
        }
    }
    // Each Java keeps its security settings in a folder named after its version.
    let all = std::fs::read_dir("/etc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    for name in all.filter(|name| name.starts_with("java")).chain(ETC.map(str::to_owned)) {
        let path = format!("/etc/{name}");
        if Path::new(&path).exists() {
            arguments.extend(words(&["--ro-bind", &path, &path]));
        }
    }
    arguments.extend(words(&["--proc", "/proc", "--dev", "/dev", "--dir", "/run"]));
    // It is in memory too, and nobody writes there but into devices.
    in_memory(&mut arguments, "/dev/shm", "1777", size);
    arguments.extend(words(&["--remount-ro", "/dev"]));
    // Where the host is root's, a run is root's user too, and the kernel asks who owns a setting, not what rights are left: a
    // name written into `core_pattern` would be run by the kernel itself, outside every sandbox.
    for switches in
        ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi", "/proc/scsi"]
    {
        if Path::new(switches).exists() {
            arguments.extend(words(&["--ro-bind", switches, switches]));
        }
    }
    for folder in ["/tmp", "/var/tmp"] {
        in_memory(&mut arguments, folder, "1777", size);
    }
    arguments
}

/// Shows paths under their own names.
fn bind(arguments: &mut Vec<String>, option: &str, paths: &[PathBuf]) -> Result<(), SandboxError> {
    for path in paths {
        arguments.extend([option.to_owned(), text(path)?, text(path)?]);
    }
    Ok(())
}

/// What one run sees, checked.
#[derive(Clone, Debug)]
pub struct View {
    /// The empty folder that is its `HOME`.
    home: PathBuf,
    /// What the host's configuration shows.
    readable: Vec<PathBuf>,
    writable: Vec<PathBuf>,
    /// What is covered where something shown contains it.
    hidden: Vec<PathBuf>,
    /// What this launch shows.
    own_readable: Vec<PathBuf>,
    own_writable: Vec<PathBuf>,
    /// The folder of its brief, which is made at the launch.
    brief: Option<PathBuf>,
    cwd: PathBuf,
}

/// Absolute and there. The answer is the path with all links resolved, for comparisons only.
fn resolve(path: &Path) -> Result<PathBuf, SandboxError> {
    let unusable = |reason: String| SandboxError::Unusable { path: path.to_owned(), reason };
    if !path.is_absolute() {
        return Err(unusable("it is not absolute".to_owned()));
    }
    path.canonicalize().map_err(|error| unusable(error.to_string()))
}

/// As much of a path resolved as exists: a hidden folder may be made later.
fn resolve_what_exists(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}

impl View {
    /// Works out and checks what a launch would see; the first thing that is wrong. `brief` is the folder of its brief.
    pub fn of(config: &RunnerConfig, spec: &LaunchSpec, brief: Option<&Path>) -> Result<Self, SandboxError> {
        Self::checked(config, spec, brief).map_err(|mut flaws| flaws.swap_remove(0))
    }

    /// Likewise; all that is wrong, and so at least one thing.
    pub fn checked(config: &RunnerConfig, spec: &LaunchSpec, brief: Option<&Path>) -> Result<Self, Vec<SandboxError>> {
        let real_home = resolve_what_exists(&config.home);
        let mut hidden: Vec<PathBuf> =
            config.hidden.iter().chain([&config.runs_dir, &config.briefs_dir, &config.homes_dir]).cloned().collect();
        hidden = hidden.iter().map(|path| resolve_what_exists(path)).filter(|path| *path != real_home).collect();
        let expand =
            |paths: &[PathBuf]| -> Vec<PathBuf> { paths.iter().map(|path| expand_home(path, &config.home)).collect() };
        let (mut readable, writable) = (expand(&config.readable), expand(&config.writable));
        let (own_readable, mut own_writable) = (expand(&spec.readable), expand(&spec.writable));
        let mut flaws = Vec::new();
        for (paths, write) in [(&readable, false), (&writable, true)] {
            for path in paths {
                let sound = refuse_hidden(path, &hidden, &real_home, write).and_then(|()| refuse_closed(path, write));
                flaws.extend(sound.err());
            }
        }
        for (paths, write) in [(&own_readable, false), (&own_writable, true)] {
            for path in paths {
                let sound = refuse_containing(path, &hidden, &real_home).and_then(|()| refuse_closed(path, write));
                flaws.extend(sound.err());
            }
        }
        flaws.extend(refuse_containing(&spec.cwd, &hidden, &real_home).err());
        own_writable.push(spec.cwd.clone());
        if config.detect_toolchains {
            let found = toolchains::detect(&config.path, &config.home);
            // What nobody asked for by name is left out where it may not be shown, or is shown already.
            let lent: Vec<PathBuf> =
                writable.iter().chain(&own_writable).map(|path| resolve_what_exists(path)).collect();
            readable.extend(found.into_iter().filter(|path| {
                let inside = resolve_what_exists(path);
                let writable = lent.iter().any(|lent| inside.starts_with(lent));
                !writable && refuse_hidden(path, &hidden, &real_home, false).is_ok()
            }));
        }
        let in_order = |mut paths: Vec<PathBuf>| {
            paths.sort_by_key(|path| path.components().count());
            paths.dedup();
            paths
        };
        let view = Self {
            home: inner_home(&config.home),
            readable: in_order(readable),
            writable: in_order(writable),
            hidden,
            own_readable: in_order(own_readable),
            own_writable: in_order(own_writable),
            brief: brief.map(Path::to_owned),
            cwd: spec.cwd.clone(),
        };
        if flaws.is_empty() {
            // Of what is not there nobody knows where it would lie.
            flaws.extend(view.refuse_inside_writable().err());
        }
        if flaws.is_empty() { Ok(view) } else { Err(flaws) }
    }

    /// A mount inside what an earlier run could write might be led elsewhere by a link.
    fn refuse_inside_writable(&self) -> Result<(), SandboxError> {
        let shown = [&self.readable, &self.writable, &self.own_readable, &self.own_writable];
        for writable in self.writable.iter().chain(&self.own_writable) {
            let real = resolve(writable)?;
            for path in shown.into_iter().flatten() {
                let inside = resolve(path)?;
                if inside != real && inside.starts_with(&real) {
                    return Err(SandboxError::InsideWritable { path: path.clone(), writable: writable.clone() });
                }
            }
        }
        Ok(())
    }

    /// Folders beside its clone that it may write.
    pub(crate) fn lent(&self) -> Vec<PathBuf> {
        self.writable.iter().chain(self.own_writable.iter().filter(|path| **path != self.cwd)).cloned().collect()
    }

    /// The run's `HOME`.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Whether a path of the host is there inside.
    pub fn shows(&self, path: &Path) -> bool {
        let within = |paths: &[PathBuf]| paths.iter().any(|shown| path.starts_with(shown) || leads_into(path, shown));
        if within(&self.own_readable) || within(&self.own_writable) {
            return true;
        }
        if self.hidden.iter().any(|hidden| path.starts_with(hidden)) {
            return false;
        }
        within(&self.readable)
            || within(&self.writable)
            || (toolchains::is_system(path) && !path.starts_with(&self.home))
    }

    /// What of the host's `PATH` is there inside.
    pub fn path(&self, path: &str) -> String {
        let mut kept: Vec<&str> = Vec::new();
        for entry in path.split(':').filter(|entry| self.shows(Path::new(entry))) {
            if !kept.contains(&entry) {
                kept.push(entry);
            }
        }
        kept.join(":")
    }

    /// All options for bubblewrap. What comes later covers what came before.
    /// `in_memory_bytes` is what each folder in memory may hold.
    pub fn arguments(&self, bubblewrap: &Bubblewrap, in_memory_bytes: u64) -> Result<Vec<String>, SandboxError> {
        let size = bubblewrap.sizes.then_some(in_memory_bytes);
        let mut arguments = bubblewrap.namespaces();
        arguments.extend(system(size));
        in_memory(&mut arguments, &text(&self.home)?, "0700", size);
        bind(&mut arguments, "--ro-bind", &self.readable)?;
        bind(&mut arguments, "--bind", &self.writable)?;
        let mut covers = Vec::new();
        for hidden in self.hidden.iter().filter(|hidden| self.is_uncovered(hidden)) {
            if hidden.is_dir() {
                covers.push(text(hidden)?);
                arguments.extend(words(&["--tmpfs", &text(hidden)?]));
            } else {
                arguments.extend(words(&["--ro-bind", "/dev/null", &text(hidden)?]));
            }
        }
        bind(&mut arguments, "--ro-bind", &self.own_readable)?;
        bind(&mut arguments, "--ro-bind", self.brief.as_slice())?;
        bind(&mut arguments, "--bind", &self.own_writable)?;
        // What covers something is in memory too.
        for cover in &covers {
            arguments.extend(words(&["--remount-ro", cover]));
        }
        arguments.extend(words(&["--remount-ro", "/", "--chdir", &text(&self.cwd)?]));
        Ok(arguments)
    }

    /// A hidden path that exists inside something that the system or the configuration shows.
    fn is_uncovered(&self, hidden: &Path) -> bool {
        let shown =
            |paths: &[PathBuf]| paths.iter().any(|path| path.canonicalize().is_ok_and(|real| hidden.starts_with(real)));
        hidden.exists() && (toolchains::is_system(hidden) || shown(&self.readable) || shown(&self.writable))
    }
}

/// A folder may be shown under the name of a link to it.
fn leads_into(path: &Path, shown: &Path) -> bool {
    shown.canonicalize().is_ok_and(|real| path.starts_with(real)) && path.canonicalize().is_ok_and(|real| real == path)
}

/// An empty folder in the home's own place, so that paths in a run's configuration mean the same as outside.
fn inner_home(home: &Path) -> PathBuf {
    let root = |path: &Path| path.parent().is_none();
    let taken =
        ["/etc", "/proc", "/dev", "/sys", "/run", "/tmp", "/var/tmp"].iter().any(|path| home == Path::new(path));
    if !home.is_absolute() || root(home) || taken || toolchains::is_system(home) {
        return PathBuf::from(HOME);
    }
    home.to_owned()
}

/// What contains a hidden path or the home must not be shown by a launch.
fn refuse_containing(path: &Path, hidden: &[PathBuf], home: &Path) -> Result<(), SandboxError> {
    let real = resolve(path)?;
    match hidden.iter().map(PathBuf::as_path).chain([home]).find(|hidden| hidden.starts_with(&real)) {
        Some(found) => Err(SandboxError::NeverShown { path: path.to_owned(), hidden: found.to_owned() }),
        None => Ok(()),
    }
}

/// A run is nobody else than the host's user: what that one may not use, a run could not use either.
fn refuse_closed(path: &Path, write: bool) -> Result<(), SandboxError> {
    let unusable = |reason: String| SandboxError::Unusable { path: path.to_owned(), reason };
    let about = path.metadata().map_err(|error| unusable(error.to_string()))?;
    let wanted = match (about.is_dir(), write) {
        (true, true) => Access::WRITE_OK | Access::EXEC_OK,
        (true, false) => Access::EXEC_OK,
        (false, true) => Access::WRITE_OK,
        (false, false) => Access::READ_OK,
    };
    let verb = if write { "write" } else { "read" };
    access(path, wanted).map_err(|error| {
        if error == Errno::ROFS {
            return unusable("it lies on a file system that is mounted read-only".to_owned());
        }
        let (owner, mode) = (about.uid(), about.mode() & 0o7777);
        let me = getuid().as_raw();
        unusable(format!("the host's user ({me}) may not {verb} it: it is of the user {owner}, mode {mode:04o}"))
    })
}

/// What the configuration shows must not be hidden, nor be the home or contain it. What it lets a run write must not
/// contain a hidden path either; what it lets a run read may: that path is covered.
fn refuse_hidden(path: &Path, hidden: &[PathBuf], home: &Path, writable: bool) -> Result<(), SandboxError> {
    let real = resolve(path)?;
    let inside = hidden.iter().find(|hidden| real.starts_with(hidden) || (writable && hidden.starts_with(&real)));
    let found = inside.map(PathBuf::as_path).or_else(|| Some(home).filter(|home| home.starts_with(&real)));
    match found {
        Some(found) => Err(SandboxError::NeverShown { path: path.to_owned(), hidden: found.to_owned() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A root may use everything, so root asks here as nobody does.
    #[test]
    fn what_the_hosts_user_may_not_use_is_refused_with_its_owner_and_mode() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let (folder, file, open) = (dir.path().join("folder"), dir.path().join("file"), dir.path().join("open"));
        fs::create_dir(&folder).unwrap();
        fs::write(&file, "").unwrap();
        fs::write(&open, "").unwrap();
        for (path, mode) in [(&folder, 0o000), (&file, 0o000), (&open, 0o444)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        let asked = std::thread::spawn(move || {
            if getuid().is_root() {
                rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65534)).unwrap();
            }
            [(&folder, false), (&folder, true), (&file, false), (&open, false), (&open, true)]
                .map(|(path, write)| refuse_closed(path, write).err().map(|error| error.to_string()))
        });
        let [reading, writing, file, readable, writable] = asked.join().unwrap();
        assert!(reading.unwrap().contains("may not read it"));
        let writing = writing.unwrap();
        assert!(writing.contains("may not write it: it is of the user") && writing.contains("mode 0000"), "{writing}");
        assert!(file.unwrap().contains("may not read it"));
        assert_eq!(readable, None);
        assert!(writable.unwrap().contains("may not write it"));
    }
}
