//! Where components are compiled: in this process, or in a child with limits, and then what came of it is kept on disk.
//!
//! What is kept is machine code that this host will run: it is taken only if this host's own key signed it, over the component's
//! digest and the engine's compatibility; nothing compiled is ever taken from outside. A file is read once, and what was read is
//! what is checked and what is run.

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::ids::Digest;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rustix::process::{Resource, Rlimit, setrlimit};
use sha2::{Digest as _, Sha256};
use wasmtime::{Engine, InstanceAllocationStrategy};

use crate::config::SandboxConfig;
use crate::engine::engine_config;
use crate::text::{Lines, clean};

/// Bytes of native stack that the compiler gets: its recursion follows the nesting of types and blocks.
pub(crate) const COMPILER_STACK: usize = 64 * 1024 * 1024;
/// What the child may write to, of its own memory. Hostile components of half a megabyte were seen to ask for four gigabytes.
const CHILD_MEMORY: u64 = 512 * 1024 * 1024;
/// Seconds of processor time that the child may use, over all its threads. A component from a script language takes half of it.
const CHILD_SECONDS: u64 = 30;
/// How long the child may take by the clock: on a busy machine it gets its seconds late.
const CHILD_TIME: Duration = Duration::from_mins(2);
/// The largest component that is read, as the load checks have it.
const LARGEST_COMPONENT: u64 = 32 * 1024 * 1024;
/// The largest result that is taken.
const LARGEST_RESULT: u64 = 512 * 1024 * 1024;
const KEY: &str = "key";
const KEY_BYTES: usize = 32;
const MAC_BYTES: usize = 32;

/// Where components are compiled.
#[derive(Clone, Debug, Default)]
pub enum Compiler {
    /// In this process: for tools that end soon.
    #[default]
    Here,
    /// In a child, which must call [`compile_for_parent`]; the results are kept.
    Child {
        /// The child's program.
        program: PathBuf,
        /// And its arguments.
        arguments: Vec<String>,
        /// A folder of this host's alone; it is made if it is not there.
        cache: PathBuf,
    },
}

/// One child at a time: each uses all processors, and their memory adds up.
pub(crate) struct Workshop {
    compiler: Compiler,
    turn: Mutex<()>,
}

type Compiled = Result<Vec<u8>, String>;

impl Workshop {
    pub(crate) const fn new(compiler: Compiler) -> Self {
        Self { compiler, turn: Mutex::new(()) }
    }

    /// Machine code for this engine; `None`: it is to be compiled here.
    pub(crate) fn code(&self, engine: &Engine, digest: &Digest, bytes: &[u8]) -> Option<Compiled> {
        let Compiler::Child { program, arguments, cache } = &self.compiler else { return None };
        let place = match Place::open(cache, engine, digest) {
            Ok(place) => Some(place),
            Err(error) => {
                tracing::warn!(%error, cache = %cache.display(), "compiled components cannot be kept");
                None
            }
        };
        if let Some(code) = place.as_ref().and_then(Place::read) {
            return Some(Ok(code));
        }
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let compiled = in_child(program, arguments, bytes, CHILD_TIME);
        drop(turn);
        if let (Some(place), Ok(code)) = (&place, &compiled)
            && let Err(error) = place.write(code)
        {
            tracing::warn!(%error, "a compiled component could not be kept");
        }
        Some(compiled)
    }
}

/// Where one component's code lies.
struct Place {
    folder: PathBuf,
    name: String,
    mac: Hmac<Sha256>,
}

impl Place {
    fn open(folder: &Path, engine: &Engine, digest: &Digest) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut compatibility = Fingerprint::default();
        engine.precompile_compatibility_hash().hash(&mut compatibility);
        let compatibility = compatibility.0.finalize();
        let key = key(folder)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(io::Error::other)?;
        mac.update(digest.as_str().as_bytes());
        mac.update(&compatibility);
        let short = Digest::of(&compatibility);
        Ok(Self { folder: folder.to_owned(), name: format!("{digest}.{}", &short.as_str()[..16]), mac })
    }

    fn read(&self) -> Option<Vec<u8>> {
        let mut bytes = match fs::read(self.folder.join(&self.name)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%error, name = self.name, "a compiled component cannot be read");
                return None;
            }
        };
        let Some(code_bytes) = bytes.len().checked_sub(MAC_BYTES) else { return self.refuse() };
        let signature = bytes.split_off(code_bytes);
        if self.mac.clone().chain_update(&bytes).verify_slice(&signature).is_err() {
            return self.refuse();
        }
        Some(bytes)
    }

    fn refuse(&self) -> Option<Vec<u8>> {
        tracing::warn!(name = self.name, "a compiled component was not as this host left it: it is compiled anew");
        None
    }

    fn write(&self, code: &[u8]) -> io::Result<()> {
        let signature = self.mac.clone().chain_update(code).finalize().into_bytes();
        let half = self.folder.join(format!(".{}.{}", self.name, std::process::id()));
        let written =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half).and_then(|mut file| {
                file.write_all(code)?;
                file.write_all(&signature)
            });
        let done = written.and_then(|()| fs::rename(&half, self.folder.join(&self.name)));
        if done.is_err() {
            let _ = fs::remove_file(&half);
        }
        done
    }
}

/// The key of this cache, made at the first use. Whoever can read it is this host's user, and could do worse.
fn key(folder: &Path) -> io::Result<Vec<u8>> {
    let path = folder.join(KEY);
    match fs::read(&path) {
        Ok(key) if key.len() == KEY_BYTES => return Ok(key),
        Ok(_) => fs::remove_file(&path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut random = [0; KEY_BYTES];
    let mut filled = 0;
    while filled < KEY_BYTES {
        filled += rustix::rand::getrandom(&mut random[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    let half = folder.join(format!(".{KEY}.{}.{:02x}{:02x}", std::process::id(), random[0], random[1]));
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half)?.write_all(&random)?;
    // Two that make it at once: the first one's stays.
    let linked = fs::hard_link(&half, &path);
    fs::remove_file(&half)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::read(&path),
    }
}

/// What the engine hashes to, the same in each process.
#[derive(Default)]
struct Fingerprint(Sha256);

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

fn in_child(program: &Path, arguments: &[String], bytes: &[u8], time: Duration) -> Compiled {
    let said = |error: io::Error| format!("the compiler could not be asked: {error}");
    let mut command = Command::new(program);
    command.args(arguments).env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(said)?;
    let outcome = talk(&mut child, bytes, time);
    if outcome.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(said)?;
    let (code, complaint) = outcome?;
    if status.success() {
        return Ok(code);
    }
    let complaint = clean(String::from_utf8_lossy(&complaint).trim(), 1000, Lines::One);
    Err(match status.code() {
        Some(_) if !complaint.is_empty() => complaint,
        _ => format!("the compiler needs more than {} MiB or {CHILD_SECONDS} s for it", CHILD_MEMORY >> 20),
    })
}

/// Hands the bytes over and takes the answer, both at once, within the time.
fn talk(child: &mut Child, bytes: &[u8], time: Duration) -> Result<(Vec<u8>, Vec<u8>), String> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err("the compiler has no standard streams".to_owned());
    };
    let (tell, told) = channel();
    let bytes = bytes.to_vec();
    // They end with the child: each holds nothing but a pipe of it.
    std::thread::spawn(move || {
        // It may end before it has read all: its exit says why.
        let _ = stdin.write_all(&bytes);
        drop(stdin);
    });
    std::thread::spawn(move || {
        let read = |stream: &mut dyn Read, most: u64| {
            let mut taken = Vec::new();
            stream.take(most).read_to_end(&mut taken).map(|_| taken)
        };
        let mut stdout = stdout;
        let code = read(&mut stdout, LARGEST_RESULT);
        let mut stderr = stderr;
        let complaint = read(&mut stderr, 4096);
        let _ = tell.send(code.and_then(|code| complaint.map(|complaint| (code, complaint))));
    });
    match told.recv_timeout(time) {
        Ok(answer) => answer.map_err(|error| format!("the compiler's answer could not be read: {error}")),
        Err(RecvTimeoutError::Timeout) => Err(format!("the compiler needs more than {} s for it", time.as_secs())),
        Err(RecvTimeoutError::Disconnected) => Err("the compiler's answer could not be read".to_owned()),
    }
}

/// The child's whole life: limits itself, reads a component, writes the machine code.
pub fn compile_for_parent(input: &mut impl Read, output: &mut impl Write) -> Result<(), String> {
    let said = |error: io::Error| error.to_string();
    let limit = |resource, most| {
        let both = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, both).map_err(|error| format!("the compiler's limits cannot be set: {error}"))
    };
    limit(Resource::Data, CHILD_MEMORY)?;
    limit(Resource::Cpu, CHILD_SECONDS)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    let mut bytes = Vec::new();
    input.take(LARGEST_COMPONENT + 1).read_to_end(&mut bytes).map_err(said)?;
    if bytes.len() as u64 > LARGEST_COMPONENT {
        return Err("the component is too large".to_owned());
    }
    let mut config = engine_config(&SandboxConfig::default());
    // Nothing is run here: the pool's tables, which count as memory that is written to, are left to what needs it.
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    let engine = Engine::new(&config).map_err(|error| format!("{error:#}"))?;
    let code = on_large_stack(|| engine.precompile_component(&bytes).map_err(|error| format!("{error:#}")))?;
    output.write_all(&code).and_then(|()| output.flush()).map_err(said)
}

/// Runs the compiler on a thread with the stack that it needs.
pub(crate) fn on_large_stack<T: Send>(compile: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("gatewright-compile".to_owned())
            .stack_size(COMPILER_STACK)
            .spawn_scoped(scope, compile)
            .map_err(|error| error.to_string())?
            .join()
            .unwrap_or_else(|panic| Err(format!("the compiler panicked: {}", crate::worker::panic_text(&*panic))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine() -> Engine {
        Engine::new(&engine_config(&SandboxConfig::default())).unwrap()
    }

    #[test]
    fn what_was_kept_is_taken_once_it_is_whole_and_ours() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, digest) = (engine(), Digest::of(b"a component"));
        let place = || Place::open(folder.path(), &engine, &digest).unwrap();
        assert_eq!(place().read(), None);
        place().write(b"code").unwrap();
        assert_eq!(place().read().as_deref(), Some(&b"code"[..]));
        let other = Place::open(folder.path(), &engine, &Digest::of(b"another")).unwrap();
        fs::rename(folder.path().join(place().name), folder.path().join(&other.name)).unwrap();
        assert_eq!(other.read(), None, "one component's code is not another's");
        place().write(b"code").unwrap();
        let file = folder.path().join(place().name);
        let mut bytes = fs::read(&file).unwrap();
        bytes[0] ^= 1;
        fs::write(&file, &bytes).unwrap();
        assert_eq!(place().read(), None, "one bit is enough");
        fs::write(&file, b"short").unwrap();
        assert_eq!(place().read(), None);
        place().write(b"code").unwrap();
        fs::remove_file(folder.path().join(KEY)).unwrap();
        assert_eq!(place().read(), None, "another key's word counts for nothing");
    }

    #[test]
    fn key_and_code_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("compiled");
        let place = Place::open(&folder, &engine(), &Digest::of(b"a component")).unwrap();
        place.write(b"code").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join(KEY)), mode(&folder.join(&place.name))), (0o700, 0o600, 0o600));
    }

    #[test]
    fn a_child_that_fails_says_why_and_one_that_hangs_is_not_waited_for() {
        let child = |script: &str, time| {
            let arguments = ["-c".to_owned(), script.to_owned()];
            in_child(Path::new("/bin/sh"), &arguments, b"bytes", Duration::from_secs(time))
        };
        assert_eq!(child("cat", 30), Ok(b"bytes".to_vec()));
        assert_eq!(child("echo it is odd >&2; exit 1", 30), Err("it is odd".to_owned()));
        assert!(child("kill -9 $$", 30).unwrap_err().contains("needs more than 512 MiB"));
        assert_eq!(child("exec tail -f /dev/null", 1), Err("the compiler needs more than 1 s for it".to_owned()));
    }
}
