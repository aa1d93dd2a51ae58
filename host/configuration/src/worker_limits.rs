//! `limits` of a worker: what its run may take of the machine.

use std::ops::RangeInclusive;

use domain::limits::{Bytes, RunLimits, UNITS};

use crate::diagnostic::{Problem, quoted};
use crate::keys;
use crate::reader::{Node, Section};

/// Less than this no interpreter starts in; more no machine has.
const MEMORY: RangeInclusive<u64> = 16 << 20..=64 << 40;
/// bubblewrap and a shell with its children need these; more no kernel numbers.
const PROCESSES: RangeInclusive<u64> = 16..=4_194_304;
/// Less than this holds no clone.
const DISK: RangeInclusive<u64> = 1 << 20..=64 << 40;
/// A program with its libraries opens these; more no kernel gives to one process without being told to.
const OPEN_FILES: RangeInclusive<u64> = 64..=1_048_576;

/// The table's values, and what holds without them.
pub(crate) fn read(section: &Section<'_>) -> RunLimits {
    let usual = RunLimits::default();
    let Some(limits) = section.get("limits").and_then(|node| node.table("limits", &keys::WORKER_LIMITS)) else {
        return usual;
    };
    let size = |key: &str, bounds: &RangeInclusive<u64>| limits.get(key).and_then(|node| size(&node, bounds));
    RunLimits {
        memory: size("memory", &MEMORY),
        processes: limits.whole("processes", PROCESSES, usual.processes),
        disk: size("disk", &DISK).unwrap_or(usual.disk),
        open_files: limits.whole("open-files", OPEN_FILES, usual.open_files),
    }
}

fn size(node: &Node<'_>, bounds: &RangeInclusive<u64>) -> Option<u64> {
    let text = node.text()?;
    let problem = match parse(&text.value) {
        Ok(bytes) if bounds.contains(&bytes) => return Some(bytes),
        Ok(_) => {
            let range = format!("{} and {}", Bytes(*bounds.start()), Bytes(*bounds.end()));
            Problem::at(text.span, format!("{} must lie between {range}", node.what)).of_value()
        }
        Err(why) => {
            let problem = Problem::at(text.span, format!("{} cannot be {}", node.what, quoted(&text.value))).of_value();
            let help = match in_place_of(&text.value) {
                Some(meant) => format!("write \"{meant}\""),
                None => "it is a size such as \"512MiB\" or \"4GiB\"".to_owned(),
            };
            problem.label(why).help(help)
        }
    };
    node.report.add(problem);
    None
}

/// Number and unit.
fn parse(text: &str) -> Result<u64, String> {
    let units = UNITS.map(|(name, _)| name);
    let digits = text.len() - text.trim_start_matches(|character: char| character.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().map_err(|_| "a whole number is missing or too large".to_owned())?;
    let unit = UNITS.iter().find(|(name, _)| *name == &text[digits..]).map(|(_, unit)| *unit);
    let unit = unit.ok_or_else(|| format!("the units are {}", units.join(", ")))?;
    number.checked_mul(unit).ok_or_else(|| "it is too large".to_owned())
}

/// The same with a unit that there is: `4G`, `4GB` and `4 gib` are meant well.
fn in_place_of(text: &str) -> Option<String> {
    let digits = text.len() - text.trim_start_matches(|character: char| character.is_ascii_digit()).len();
    let letter = text[digits..].trim_start().chars().next()?;
    let (name, _) = UNITS.iter().find(|(name, _)| name.starts_with(letter.to_ascii_uppercase()))?;
    (digits > 0).then(|| format!("{}{name}", &text[..digits]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_everything_else_is_refused() {
        for (text, bytes) in [("512MiB", 512 << 20), ("4GiB", 4 << 30), ("1TiB", 1 << 40), ("100KiB", 100 << 10)] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        for text in
            ["", "4", "GiB", "4 GiB", "4GB", "4G", "1.5GiB", "-1GiB", "99999999999999999999GiB", "99999999999TiB"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(in_place_of("4GB").as_deref(), Some("4GiB"));
        assert_eq!(in_place_of("512 mb").as_deref(), Some("512MiB"));
        assert_eq!(in_place_of("much"), None);
        assert_eq!(in_place_of("4x"), None);
    }
}
