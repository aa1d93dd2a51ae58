//! How the living host feels: what is wrong with each of its parts, told before anybody waits for it.

use std::collections::BTreeMap;

use conductor::ports::store::ClaimLimits;
use conductor::{Neighbour, Unreachable};
use gateway::{Condition, Part, Trouble};

use crate::edits::Edits;
use crate::ending::Ending;
use crate::footing::Footing;
use crate::scheduler::{Bounds, has_room};
use crate::wiring::Host;

/// All that is asked.
pub(crate) fn condition(
    host: &Host,
    (bounds, limits): (&Bounds, &ClaimLimits),
    footing: &Footing,
    must_confine: bool,
    edits: &Edits,
    ending: &Ending,
) -> Condition {
    let mut troubles = Vec::new();
    if let Some(problem) = host.runner.sandbox_problem() {
        troubles.push(Trouble::of(Part::Sandbox, without_sandbox(must_confine, &problem)));
    }
    if !has_room(bounds) {
        let floor = bounds.free_bytes;
        let why = format!("less than {floor} bytes are free on the disk: nothing is launched, the rest goes on");
        troubles.push(Trouble::of(Part::Disk, why));
    }
    troubles.extend(edits.waiting().into_iter().map(|why| Trouble::of(Part::Files, why)));
    troubles.extend(who_cannot_begin(limits).into_iter().map(|why| Trouble::of(Part::Workers, why)));
    let silent = host.conductor.unreachable().into_iter();
    troubles.extend(silent.map(|neighbour| Trouble::of(Part::Neighbours, silent_neighbour(&neighbour))));
    let failed = host.has_failed();
    if failed {
        troubles.push(Trouble::of(Part::Store, "the store failed; the host is ending"));
    }
    let lost = footing.trouble();
    let ends = ending.phase().sentence(host.conductor.left());
    let ok = !failed && lost.is_none() && ends.is_none();
    troubles.extend(lost.map(|why| Trouble::of(Part::Store, why)));
    troubles.extend(ends.map(|why| Trouble::of(Part::Ending, why)));
    Condition { ok, troubles }
}

fn silent_neighbour(Unreachable { project, neighbour, why, .. }: &Unreachable) -> String {
    let which = match neighbour {
        Neighbour::Forge => "repository",
        Neighbour::Tracker => "tracker",
    };
    format!("{project}: its {which} cannot be asked: {why}")
}

/// What it means that bubblewrap does not work here.
pub(crate) fn without_sandbox(must_confine: bool, problem: &str) -> String {
    if must_confine {
        return format!(
            "no agent is launched, for `[sandbox] mode` demands bubblewrap, and it does not work here: {problem}"
        );
    }
    format!("agents run without a sandbox: {problem}")
}

/// Who could not begin, before anybody asks for it: a sentence for each reason.
fn who_cannot_begin(limits: &ClaimLimits) -> Vec<String> {
    let mut waiting = BTreeMap::<(String, String), Vec<String>>::new();
    for (project, place) in limits.places.iter().flat_map(|places| places.iter()) {
        for (seat, sitter) in &place.seats {
            if let Some(why) = &sitter.missing {
                waiting.entry((project.to_string(), why.clone())).or_default().push(seat.to_string());
            }
        }
    }
    waiting.into_iter().map(|((project, why), seats)| format!("{project}: {}: {why}", seats.join(", "))).collect()
}
