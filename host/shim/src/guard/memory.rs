//! What a tree takes of the memory: what no file on a disk stands for, each page once.
//!
//! The sum over the processes counts what they share several times, so it is asked first, being cheap, and only where it is too
//! much the kernel adds up each process's part of what is shared. Files that lie in memory are mapped or not; the larger of both
//! sums counts, for most are one and the same.

use crate::clock::steady_ms;
use crate::processes::Process;
use crate::procfs::read_lossy;

/// How long the exact sum may take. A tree that shares so much among so many that it takes longer counts as too large: else it would
/// grow unseen meanwhile.
const EXACT_MS: u64 = 3000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Taken {
    /// Anonymous memory, in the machine or swapped out.
    own: u64,
    /// Mapped files that lie in memory.
    mapped: u64,
}

impl Taken {
    fn plus(self, other: Self) -> Self {
        Self { own: self.own.saturating_add(other.own), mapped: self.mapped.saturating_add(other.mapped) }
    }

    fn total(self, held: u64) -> u64 {
        self.own.saturating_add(self.mapped.max(held))
    }
}

/// What the tree takes, or in words that it is more than `allowed`. `held` is what lies in memory as files; `None`: more than can
/// be counted.
pub(super) fn taken(tree: &[Process], held: Option<u64>, allowed: u64) -> Result<u64, String> {
    let held = held.ok_or("it has mounted more file systems in memory than are counted")?;
    let quick = tree.iter().filter_map(|process| at_first_sight(process.pid)).fold(Taken::default(), Taken::plus);
    if quick.total(held) <= allowed {
        return Ok(quick.total(held));
    }
    let until = steady_ms() + EXACT_MS;
    let mut exact = Taken::default();
    for process in tree {
        exact = exact.plus(part_of(process.pid).or_else(|| at_first_sight(process.pid)).unwrap_or_default());
        if exact.total(held) > allowed {
            return Err(format!("it took {} MiB or more", exact.total(held) >> 20));
        }
        if steady_ms() > until {
            return Err(format!(
                "its processes share {} MiB in a way that takes too long to add up",
                quick.mapped >> 20
            ));
        }
    }
    Ok(exact.total(held))
}

/// One field, in bytes.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    fields(text, &[name])
}

/// The sum of fields in kibibytes; `None` where none of them is there.
fn fields(text: &str, names: &[&str]) -> Option<u64> {
    let kibibytes = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        if !names.contains(&name) {
            return None;
        }
        value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    kibibytes.fold(None, |sum, kibibytes| Some(sum.unwrap_or(0) + kibibytes)).map(|sum| sum.saturating_mul(1024))
}

fn at_first_sight(pid: u32) -> Option<Taken> {
    let status = read_lossy(format!("/proc/{pid}/status")).ok()?;
    Some(Taken { own: fields(&status, &["RssAnon", "VmSwap"])?, mapped: fields(&status, &["RssShmem"]).unwrap_or(0) })
}

/// Each page divided by how many share it. `None` where the kernel does not say.
fn part_of(pid: u32) -> Option<Taken> {
    let rollup = read_lossy(format!("/proc/{pid}/smaps_rollup")).ok()?;
    Some(Taken {
        own: fields(&rollup, &["Pss_Anon", "SwapPss"])?,
        mapped: fields(&rollup, &["Pss_Shmem"]).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_added_up_and_absent_ones_are_none() {
        let status = "Name:\tx: y\nRssAnon:\t    12 kB\nRssFile:\t 7 kB\nVmSwap:\t 1 kB\n";
        assert_eq!(fields(status, &["RssAnon", "VmSwap"]), Some(13 * 1024));
        assert_eq!(fields(status, &["Pss_Anon"]), None);
    }

    #[test]
    fn both_looks_see_what_this_process_takes() {
        let filled = std::hint::black_box(vec![1_u8; 64 << 20]);
        let me = std::process::id();
        for seen in [at_first_sight(me).unwrap(), part_of(me).unwrap()] {
            assert!(seen.own >= filled.len() as u64, "{seen:?}");
        }
        let tree = [crate::processes::process(me).unwrap()];
        assert!(taken(&tree, Some(0), 32 << 20).is_err());
        assert!(taken(&tree, Some(0), 1 << 40).is_ok());
        assert!(taken(&tree, Some(1 << 41), 1 << 40).is_err());
        assert!(taken(&tree, None, 1 << 40).is_err());
    }
}
