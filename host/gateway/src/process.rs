//! What `/proc` says of processes: of this one for its own metrics, of a run's tree for who watches it.

use std::collections::HashMap;
use std::fs;

/// Clock ticks in a second: the unit of [`tree_ticks`].
pub(crate) fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second()
}

/// Processor time, user's and system's, of a process and all that descend from it, those that ended and were waited for among
/// them, in clock ticks; none: there is no such process.
pub fn tree_ticks(root: u32) -> Option<u64> {
    let mut stats = HashMap::new();
    for entry in fs::read_dir("/proc").ok()?.filter_map(Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may have ended since the folder was listed.
        if let Some(stat) = fs::read(entry.path().join("stat")).ok().as_deref().and_then(Stat::parse) {
            stats.insert(pid, stat);
        }
    }
    // What ended and was not waited for yet computes nothing.
    stats.get(&root).filter(|stat| stat.state != 'Z')?;
    let belongs = |pid: u32| {
        let mut at = pid;
        // A parent is never its own descendant, but the list is not of one moment.
        for _ in 0..stats.len() {
            if at == root {
                return true;
            }
            match stats.get(&at) {
                Some(stat) => at = stat.parent,
                None => return false,
            }
        }
        false
    };
    Some(stats.iter().filter(|(pid, _)| belongs(**pid)).map(|(_, stat)| stat.ticks).sum())
}

/// What this process takes, for the metrics that every exporter has.
pub(crate) struct Own {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: f64,
    pub(crate) virtual_bytes: f64,
    pub(crate) open_files: f64,
    pub(crate) threads: f64,
}

pub(crate) fn own() -> Option<Own> {
    let stat = Stat::parse(&fs::read("/proc/self/stat").ok()?)?;
    Some(Own {
        cpu_seconds: stat.own_ticks as f64 / ticks_per_second() as f64,
        resident_bytes: stat.resident_pages as f64 * rustix::param::page_size() as f64,
        virtual_bytes: stat.virtual_bytes as f64,
        open_files: fs::read_dir("/proc/self/fd").ok()?.count() as f64,
        threads: stat.threads as f64,
    })
}

struct Stat {
    state: char,
    parent: u32,
    /// Its own and those of its children that it waited for.
    ticks: u64,
    own_ticks: u64,
    threads: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    /// proc(5): behind the name, which may hold any bytes, stand the fields from the third on.
    fn parse(stat: &[u8]) -> Option<Self> {
        let rest = stat.get(stat.iter().rposition(|byte| *byte == b')')? + 1..)?;
        let fields: Vec<&str> = std::str::from_utf8(rest).ok()?.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let (user, system) = (number(14)?, number(15)?);
        Some(Self {
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            own_ticks: user + system,
            ticks: user + system + number(16)? + number(17)?,
            threads: number(20)?,
            virtual_bytes: number(23)?,
            resident_pages: number(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_process_is_a_trap() {
        for name in [&b"a) S 7 (b"[..], b"\xff", b") S 1 1", b"a\n) S 1"] {
            let rest = b") R 7 1 1 0 -1 4194304 1 2 3 4 100 20 3 4 20 0 5 0 99 4096 8 18446744073709551615\n";
            let stat = Stat::parse(&[&b"42 ("[..], name, rest].concat()).unwrap();
            assert_eq!((stat.state, stat.parent, stat.ticks, stat.own_ticks), ('R', 7, 127, 120));
            assert_eq!((stat.threads, stat.virtual_bytes, stat.resident_pages), (5, 4096, 8));
        }
    }
}
