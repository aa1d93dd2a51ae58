//! What a run's tree takes of the machine, looked at while it works. Where the kernel counts memory and processes by itself, in a
//! control group, its word is taken. Elsewhere nothing but looking is left: address space says nothing about memory, and the
//! kernel counts root's processes not at all.
//!
//! Two threads look, so that a clone with millions of files keeps nobody from seeing the memory go. Between two looks each asks
//! the machine itself, which takes two small reads or one call: once the machine lost more than the run may still take, it is
//! time to look again. Looking bounds its own part of the processor, and what cannot be counted counts as too much.

mod descriptors;
mod disk;
mod folder;
mod lent;
mod mapped;
mod memory;
mod mounts;

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use rustix::event::poll;
use rustix::pipe::{PipeFlags, pipe_with};

use self::descriptors::Removed;
use self::lent::{Lent, lost};
use crate::cgroup::Cgroup;
use crate::clock::{span, steady_ms};
use crate::processes::{self, Process};
use crate::protocol::{Limit, Limits, OPEN_FILES_OF_ALL};

/// How often the machine itself is asked between two looks at the tree: a core fills fifty megabytes meanwhile.
const ASK_MS: u64 = 25;
/// Between two looks at the tree, if nothing calls for one sooner.
const TREE_MS: u64 = 1000;
/// The same for a tree that is slow to look at.
const TREE_SLOW_MS: u64 = 2000;
/// Between two looks pass so many times the time that one takes: five of a hundred parts of one core, unless the machine calls.
const TREE_SHARE: u64 = 20;
/// The most that a thread can come before others: whoever starts a thousand processes must not keep the one that counts them
/// waiting. Only root may take it.
const FIRST: i32 = -20;
/// Too much memory is looked at a second time after this: a process that was just born shows its parent's memory as its own until
/// it becomes another program.
const AGAIN_MS: u64 = 40;
/// Between two walks through the clone, unless the disk itself fills faster.
const DISK_MS: u64 = 1000;
/// The same for a clone that takes long.
const DISK_SLOW_MS: u64 = 60_000;
/// Between two walks pass so many times the time that one takes.
const DISK_SHARE: u64 = 10;
/// How often the disk itself is asked between two walks: one call.
const DISK_ASK_MS: u64 = 250;
/// How long the walk at a run's end may take; what it has not seen by then was seen by the one before.
const LAST_WALK_MS: u64 = 5000;
/// The threads only read `/proc` and walk with a list of their own.
const STACK_BYTES: usize = 256 * 1024;

/// A limit that was passed.
#[derive(Clone, Debug)]
pub(crate) struct Over {
    pub(crate) limit: Limit,
    pub(crate) allowed: u64,
    /// For the run's log.
    pub(crate) words: String,
}

/// What both threads know.
struct Watch {
    limits: Limits,
    clone: PathBuf,
    lent: Vec<Lent>,
    cgroup: Option<Cgroup>,
    /// Files on disks that were removed and are still open, as the last look at the tree found them.
    unlinked: Mutex<Removed>,
    /// What the clone's disk had free before the command began, and what the first look then found taken.
    at_first: (Option<u64>, OnceLock<u64>),
    over: OnceLock<Over>,
    bell: OwnedFd,
}

/// Looks after one run.
pub(crate) struct Guard {
    watch: Arc<Watch>,
    /// Readable once a limit was passed.
    pub(crate) bell: OwnedFd,
}

impl Guard {
    /// Begins to look. The command is not there yet: what it is lent is measured before it can write.
    pub(crate) fn start(limits: &Limits, clone: PathBuf, cgroup: Option<&Cgroup>) -> io::Result<Self> {
        let (ours, bell) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let until = steady_ms() + limits.first_walk_ms;
        let watch = Arc::new(Watch {
            limits: limits.clone(),
            lent: limits.lent.iter().map(|folder| Lent::measure(folder.clone(), until)).collect(),
            at_first: (disk::free(&clone), OnceLock::new()),
            clone,
            cgroup: cgroup.cloned(),
            unlinked: Mutex::default(),
            over: OnceLock::new(),
            bell,
        });
        let slow = watch.lent.iter().any(Lent::is_slow).then_some(("lent", Watch::slow as fn(&Watch)));
        for (name, look) in [("tree", Watch::tree as fn(&Watch)), ("disk", Watch::disk)].into_iter().chain(slow) {
            let watch = Arc::clone(&watch);
            thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(move || look(&watch))?;
        }
        Ok(Self { watch, bell: ours })
    }

    /// The limit that was passed.
    pub(crate) fn over(&self) -> Option<&Over> {
        self.watch.over.get()
    }

    /// What is known only when the tree is gone: what the kernel did by itself, and what was written last.
    pub(crate) fn at_the_end(&self) -> Option<Over> {
        let watch = &self.watch;
        watch.set_unlinked(Removed::new());
        let kernel = watch.cgroup.as_ref().and_then(|group| watch.told_by(group));
        watch.over.get().cloned().or(kernel).or_else(|| watch.disk_taken(steady_ms() + LAST_WALK_MS).err())
    }
}

impl Watch {
    fn tell(&self, over: Over) {
        if self.over.set(over).is_ok() {
            // The reader looks at `over`; a byte only wakes it, and a pipe that is full has woken it.
            let _ = rustix::io::write(&self.bell, b"!");
        }
    }

    fn set_unlinked(&self, found: Removed) {
        *self.unlinked.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    fn is_over(&self) -> bool {
        self.over.get().is_some()
    }

    fn tree(&self) {
        come_first();
        let me = std::process::id();
        while !self.is_over() {
            let begun = steady_ms();
            let before = Machine::now();
            match self.tree_taken(me) {
                Ok(taken) => self.await_loss(&before, taken, begun),
                Err(over) => return self.tell(over),
            }
        }
    }

    /// What the tree takes, or that this is too much.
    fn tree_taken(&self, me: u32) -> Result<Taken, Over> {
        let limits = &self.limits;
        let more = || over(Limit::Processes, limits.processes, "it had more at one time");
        if self.listed() > limits.processes || processes::are_more_than(me, limits.processes).unwrap_or(false) {
            return Err(more());
        }
        // Where there is no list of processes for a moment, the next look finds one.
        let tree = &processes::descendants(me).unwrap_or_default()[..];
        let processes: u64 = tree.iter().map(|process| process.threads).sum();
        if processes > limits.processes {
            return Err(more());
        }
        if let Some(over) = self.cgroup.as_ref().and_then(|group| self.told_by(group)) {
            return Err(over);
        }
        let most = limits.open_files.saturating_mul(OPEN_FILES_OF_ALL);
        let open = descriptors::of(tree, most).ok_or_else(|| over(Limit::OpenFiles, most, "it had more"))?;
        self.set_unlinked(open.unlinked_on_disk);
        if self.cgroup.as_ref().is_some_and(Cgroup::has_limits) {
            return Ok(Taken { processes, memory: 0 });
        }
        let allowed = limits.memory_bytes;
        let look = |tree: &[Process]| {
            let held = mounts::held(tree).map(|mounted| mounted.saturating_add(open.unlinked_in_memory));
            memory::taken(tree, held, allowed)
        };
        let memory = look(tree).or_else(|_| {
            pause(AGAIN_MS);
            look(&processes::descendants(me).unwrap_or_default())
        });
        memory.map(|memory| Taken { processes, memory }).map_err(|words| over(Limit::Memory, allowed, &words))
    }

    /// How many there are as the control group tells it, which is soon read; nothing where there is none.
    fn listed(&self) -> u64 {
        self.cgroup.as_ref().and_then(Cgroup::tasks).unwrap_or(0)
    }

    /// Until the next look is due, or the machine lost more than the run may still take.
    fn await_loss(&self, before: &Machine, taken: Taken, begun: u64) {
        let looked = steady_ms();
        let took = looked - begun;
        let due = looked + took.saturating_mul(TREE_SHARE).clamp(TREE_MS, TREE_SLOW_MS);
        let (processes, memory) = (self.limits.processes - taken.processes, self.limits.memory_bytes - taken.memory);
        while steady_ms() < due && !self.is_over() {
            pause(ASK_MS);
            if self.listed() > self.limits.processes {
                return;
            }
            let now = Machine::now();
            let lost = now.threads.saturating_sub(before.threads) > processes
                || before.available.saturating_sub(now.available) > memory;
            // As long as the look took it waits all the same: it may be others that take.
            if lost && steady_ms() >= looked + took {
                return;
            }
        }
    }

    /// What the kernel itself held back.
    fn told_by(&self, group: &Cgroup) -> Option<Over> {
        let limits = &self.limits;
        if group.refused_a_process() {
            return Some(over(Limit::Processes, limits.processes, "the kernel refused one more"));
        }
        group
            .ran_out_of_memory()
            .then(|| over(Limit::Memory, limits.memory_bytes, "the kernel ended what asked for more"))
    }

    fn disk(&self) {
        let me = std::process::id();
        while !self.is_over() {
            let begun = steady_ms();
            let before = disk::free(&self.clone);
            match self.disk_taken(u64::MAX).and_then(|taken| self.with_mapped(taken, me)) {
                Ok(taken) => self.await_growth(before, self.limits.disk_bytes.saturating_sub(taken), begun),
                Err(over) => return self.tell(over),
            }
        }
    }

    /// Walks through the folders that are too slow for the walks between which the others are looked at.
    fn slow(&self) {
        while !self.is_over() {
            let begun = steady_ms();
            for lent in &self.lent {
                if let Err(words) = lent.walk(self.limits.disk_bytes) {
                    return self.tell(self.too_much_disk(&words));
                }
            }
            let walked = steady_ms();
            let due = due_after(walked, walked - begun);
            while steady_ms() < due && !self.is_over() {
                pause(DISK_ASK_MS);
            }
        }
    }

    fn too_much_disk(&self, words: &str) -> Over {
        over(Limit::Disk, self.limits.disk_bytes, words)
    }

    /// What it takes of the disk, or that this is too much.
    fn disk_taken(&self, until: u64) -> Result<u64, Over> {
        let allowed = self.limits.disk_bytes;
        let mut taken = descriptors::sum(&self.unlinked.lock().unwrap_or_else(PoisonError::into_inner));
        let clone = std::iter::once(None);
        for lent in clone.chain(self.lent.iter().map(Some)) {
            let most = allowed.saturating_sub(taken);
            let found = match lent {
                None => lent::bytes(&self.clone, most, until),
                Some(lent) => lent.grown(most, allowed, until),
            };
            taken = taken.saturating_add(found.map_err(|words| self.too_much_disk(&words))?);
            if taken > allowed {
                return Err(self.too_much_disk(&format!("it took {} or more", spelled(taken))));
            }
        }
        Ok(taken)
    }

    /// The same with removed files that are no longer open but mapped, or that this is too much.
    fn with_mapped(&self, taken: u64, me: u32) -> Result<u64, Over> {
        let allowed = self.limits.disk_bytes;
        // The other thread looked at another time, so its files are counted anew, each once.
        let open = self.unlinked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mapped = mapped::with(&open, &processes::descendants(me).unwrap_or_default());
        let all = taken.saturating_add(mapped.bytes.saturating_sub(descriptors::sum(&open)));
        if all > allowed {
            return Err(self.too_much_disk(&format!("it took {} or more, removed files among it", spelled(all))));
        }
        let (room, first) = &self.at_first;
        let grown = all.saturating_sub(*first.get_or_init(|| all));
        let unseen = lost(*room, disk::free(&self.clone)).saturating_sub(grown);
        // Where nothing says how large such a file is, what the disk lost does: others may have taken it too, so only what is by
        // itself more than the run may take counts.
        if mapped.may_be_more && unseen > allowed {
            let unseen = spelled(unseen);
            return Err(self.too_much_disk(&format!("it has mapped removed files, and the disk lost {unseen} unseen")));
        }
        Ok(all)
    }

    /// Until the next walk is due, or the disk lost more room than the run may still take.
    fn await_growth(&self, before: Option<u64>, margin: u64, begun: u64) {
        let walked = steady_ms();
        let took = walked - begun;
        let due = due_after(walked, took);
        while steady_ms() < due && !self.is_over() {
            pause(DISK_ASK_MS);
            let lost = lost(before, disk::free(&self.clone));
            // As long as the walk took it waits all the same: others may be filling the same disk.
            let calls = lost > margin && steady_ms() >= walked + took;
            if calls || self.lent.iter().any(|lent| lent.calls(self.limits.disk_bytes)) {
                return;
            }
        }
    }
}

/// When a walk is due again that ended at this time and took so long.
fn due_after(walked: u64, took: u64) -> u64 {
    walked + took.saturating_mul(DISK_SHARE).clamp(DISK_MS, DISK_SLOW_MS)
}

/// What a tree takes; never more than its limits.
#[derive(Clone, Copy, Default)]
struct Taken {
    processes: u64,
    memory: u64,
}

/// How the whole machine stands. What it does not say is nothing: then the tree is looked at as often as ever.
struct Machine {
    threads: u64,
    available: u64,
}

impl Machine {
    fn now() -> Self {
        let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
        // `0.20 0.18 0.12 1/80 11206`: behind the stroke all threads.
        let load = read("/proc/loadavg");
        let threads = load.split(' ').nth(3).and_then(|part| part.split('/').nth(1)?.parse().ok());
        Self {
            threads: threads.unwrap_or(0),
            available: memory::field(&read("/proc/meminfo"), "MemAvailable").unwrap_or(0),
        }
    }
}

/// This thread is not kept waiting by what it looks at.
pub(crate) fn come_first() {
    // Refused to whoever is not root, whose processes the kernel counts.
    let _ = rustix::process::setpriority_process(None, FIRST);
}

/// This thread waits for its turn again.
pub(crate) fn stand_back() {
    // Always allowed.
    let _ = rustix::process::setpriority_process(None, 0);
}

fn over(limit: Limit, allowed: u64, found: &str) -> Over {
    let (key, most) = match limit {
        Limit::Memory => ("memory", spelled(allowed)),
        Limit::Processes => ("processes", allowed.to_string()),
        Limit::Disk => ("disk", spelled(allowed)),
        Limit::OpenFiles => ("open-files", format!("{allowed} of all its processes")),
    };
    Over { limit, allowed, words: format!("the run went past its limit `{key}` ({most}): {found}") }
}

/// Bytes for people.
fn spelled(bytes: u64) -> String {
    if bytes < 1 << 20 { format!("{} KiB", bytes >> 10) } else { format!("{} MiB", bytes >> 20) }
}

fn pause(milliseconds: u64) {
    // Interrupted early is as good.
    let _ = poll(&mut [], Some(&span(milliseconds)));
}
