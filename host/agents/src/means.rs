//! By what runs are held on this machine: measured, not supposed, so that an operator reads what he can rely on.

use shim::cgroup::Cgroup;

use crate::error::SandboxError;
use crate::sandbox::Bubblewrap;

/// Who sees to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBy {
    /// The kernel refuses what goes beyond.
    Kernel,
    /// The run's shim looks, again and again, and ends what goes beyond.
    Shim,
    /// Nobody.
    Nobody,
}

/// One thing that runs are held by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mean {
    /// `sandbox`, `network`, `memory`, `processes`, `disk`.
    pub name: &'static str,
    /// Who sees to it.
    pub held_by: HeldBy,
    /// How, or why not and what helps.
    pub how: String,
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Means(pub Vec<Mean>);

impl Means {
    /// From what was found here. `problem`: why there is no sandbox.
    pub(crate) fn of(sandbox: &Result<Option<Bubblewrap>, SandboxError>, problem: Option<String>) -> Self {
        Self::from_parts(sandbox, problem, Cgroup::limits_work_here())
    }

    fn from_parts(
        sandbox: &Result<Option<Bubblewrap>, SandboxError>,
        problem: Option<String>,
        has_group: bool,
    ) -> Self {
        let mean = |name, held_by, how: &str| Mean { name, held_by, how: how.to_owned() };
        let problem = problem.unwrap_or_default();
        let found = sandbox.as_ref().ok().and_then(Option::as_ref);
        let (inside, network) = match (found, sandbox) {
            (Some(_), _) => (
                mean("sandbox", HeldBy::Kernel, "bubblewrap: what is not shown to a run is not there"),
                mean("network", HeldBy::Kernel, "a network of its own; out of it only to what is named"),
            ),
            (None, Err(_)) => (
                mean(
                    "sandbox",
                    HeldBy::Nobody,
                    &format!("demanded, and it does not work here, so nothing is launched: {problem}"),
                ),
                mean("network", HeldBy::Nobody, "nothing is launched without the sandbox"),
            ),
            (None, Ok(_)) => (
                mean("sandbox", HeldBy::Nobody, &format!("a run sees what the host's user sees: {problem}")),
                mean("network", HeldBy::Nobody, "without the sandbox a run reaches all that the host reaches"),
            ),
        };
        let group = "a control group of the run's own";
        let alone = found.is_some_and(|found| found.counted_alone);
        let memory = if has_group {
            mean("memory", HeldBy::Kernel, group)
        } else {
            mean(
                "memory",
                HeldBy::Shim,
                "added up four times a second; under systemd, `Delegate=yes` and `DelegateSubgroup=host` let the kernel do it",
            )
        };
        let processes = match (has_group, alone) {
            (true, _) => mean("processes", HeldBy::Kernel, group),
            (false, true) => mean("processes", HeldBy::Kernel, "counted in the run's user namespace"),
            (false, false) => mean("processes", HeldBy::Shim, "counted four times a second"),
        };
        let disk = if found.is_some_and(|found| !found.sizes) {
            "the clone is walked through; folders in memory count as memory, and this bubblewrap (before 0.7) cannot bound them"
        } else {
            "the clone is walked through; one file ends at the limit by the kernel"
        };
        Self(vec![inside, network, memory, processes, mean("disk", HeldBy::Shim, disk)])
    }

    /// One line for the log of a host.
    pub fn line(&self) -> String {
        let parts = self.0.iter().map(|mean| {
            let by = match mean.held_by {
                HeldBy::Kernel => "kernel",
                HeldBy::Shim => "shim",
                HeldBy::Nobody => "NOBODY",
            };
            format!("{} by the {by} ({})", mean.name, mean.how).replace("by the NOBODY", "by NOBODY")
        });
        format!("runs are held: {}", parts.collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(means: &Means) -> Vec<HeldBy> {
        means.0.iter().map(|mean| mean.held_by).collect()
    }

    #[test]
    fn what_works_and_what_does_not_is_said() {
        use HeldBy::{Kernel, Nobody, Shim};
        let found =
            Bubblewrap { program: "/usr/bin/bwrap".into(), user_namespace: true, sizes: true, counted_alone: true };
        let all = Means::from_parts(&Ok(Some(found.clone())), None, true);
        assert_eq!(held(&all), [Kernel, Kernel, Kernel, Kernel, Shim]);
        let root = Bubblewrap { counted_alone: false, sizes: false, ..found };
        let some = Means::from_parts(&Ok(Some(root)), None, false);
        assert_eq!(held(&some), [Kernel, Kernel, Shim, Shim, Shim]);
        assert!(some.line().contains("DelegateSubgroup") && some.line().contains("before 0.7"), "{}", some.line());
        let none = Means::from_parts(&Ok(None), Some("no bwrap".to_owned()), false);
        assert_eq!(held(&none), [Nobody, Nobody, Shim, Shim, Shim]);
        assert!(none.line().starts_with("runs are held: sandbox by NOBODY ("), "{}", none.line());
        assert!(none.line().contains("no bwrap"), "{}", none.line());
        let demanded = Err(SandboxError::Unavailable { reason: "no bwrap".to_owned() });
        let demanded = Means::from_parts(&demanded, Some("no bwrap".to_owned()), false);
        assert!(demanded.0[0].how.contains("nothing is launched"), "{demanded:?}");
        assert_eq!(held(&demanded), [Nobody, Nobody, Shim, Shim, Shim], "what is not there holds nothing");
    }
}
