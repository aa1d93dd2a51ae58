//! Gates: may this task pass this edge?
//!
//! ```
//! use gatewright_sdk::gate::{Finding, Gate, Infrastructure, Severity, Subject, Verdict, repo};
//! use gatewright_sdk::{NoSettings, export_gate, request};
//!
//! struct NoDebt;
//!
//! impl Gate for NoDebt {
//!     type Settings = NoSettings;
//!
//!     fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
//!         let mut findings = Vec::new();
//!         for file in repo::changes()? {
//!             let diff = repo::diff(&file.path)?;
//!             if String::from_utf8_lossy(&diff).lines().any(|line| line.starts_with('+') && line.contains("FIXME")) {
//!                 findings.push(Finding::new("debt", Severity::Major, "A FIXME was added").at(file.path));
//!             }
//!         }
//!         Ok(Verdict::pass_unless(findings, "nothing was left for later"))
//!     }
//! }
//!
//! export_gate!(NoDebt);
//! request!("version = 1\n[[capability]]\nname = \"repo\"\nreason = \"reads what the task changes\"");
//! # fn main() {}
//! ```

use serde::de::DeserializeOwned;

use crate::bindings::gate::exports::gatewright::gate::gate as generated;
use crate::errors::{Flaw, HostError};
use crate::export::{Exported, flaws_of, settings_or_cause};
use crate::tasks::{Fact, Timestamp};

pub use crate::capabilities::{documents, exec, forge, history, http, kv, repo, runs, tracker};
pub use generated::{
    Edge, Failed, Finding, Held, HoldKind, Infrastructure, Passed, Severity, Subject, Verdict, Waiting, Wake,
};

/// A plugin that judges a task at one step of an edge. Make it a component with [`export_gate!`](crate::export_gate).
pub trait Gate {
    /// Read from the manifest by serde. [`NoSettings`](crate::NoSettings) where there are none.
    type Settings: DeserializeOwned;

    /// What is wrong with settings that serde could read. Asked when the manifest is checked: no capability but `log` and
    /// `clock` answers here.
    fn flaws(settings: &Self::Settings) -> Vec<Flaw> {
        let _ = settings;
        Vec::new()
    }

    /// Judges. `fail` is for what the work did wrong and sends it back with the findings; an error (`?` on a capability) is
    /// `infra`, and the same question comes again.
    fn evaluate(subject: Subject, settings: Self::Settings) -> Result<Verdict, Infrastructure>;
}

impl<G: Gate> generated::Guest for Exported<G> {
    fn validate(settings: String) -> Vec<Flaw> {
        flaws_of(&settings, G::flaws)
    }

    fn evaluate(subject: Subject) -> Verdict {
        settings_or_cause(&subject.settings, G::flaws)
            .map_err(Infrastructure::new)
            .and_then(|settings| G::evaluate(subject, settings))
            .unwrap_or_else(Verdict::Infra)
    }
}

/// Makes a [`Gate`](crate::gate::Gate) this crate's component.
#[macro_export]
macro_rules! export_gate {
    ($gate:ty) => {
        const _: () = {
            type Component = $crate::export::Exported<$gate>;
            // A native build has no use for the exports, and their names do not link everywhere.
            #[cfg(target_family = "wasm")]
    $crate::bindings::gate::export_world!(Component with_types_in $crate::bindings::gate);
            const fn is_a_gate<G: $crate::gate::Gate>(_: ::core::marker::PhantomData<$crate::export::Exported<G>>) {}
            is_a_gate(::core::marker::PhantomData::<Component>)
        };
    };
}

impl Verdict {
    /// The work may go on.
    pub fn pass(note: impl Into<String>) -> Self {
        Self::Pass(Passed { note: note.into(), warnings: Vec::new(), figures: Vec::new() })
    }

    /// The work goes back, with these findings. None at all is an invalid answer: see [`Verdict::pass_unless`].
    pub fn fail(findings: Vec<Finding>) -> Self {
        Self::Fail(Failed { findings, figures: Vec::new() })
    }

    /// `fail` with the findings, or `pass` with the note where there are none.
    pub fn pass_unless(findings: Vec<Finding>, note: impl Into<String>) -> Self {
        if findings.is_empty() { Self::pass(note) } else { Self::fail(findings) }
    }

    /// The gate could not judge; the work is not to blame.
    pub fn infra(cause: impl Into<String>) -> Self {
        Self::Infra(Infrastructure::new(cause))
    }

    /// Ask again at this time, or sooner when one of these facts arrives.
    pub fn wait(until: Timestamp, wake: Wake, why: impl Into<String>) -> Self {
        Self::Wait(Waiting { until, wake, why: why.into() })
    }

    /// Somebody has questions to answer.
    pub fn needs_input(reason: impl Into<String>) -> Self {
        Self::Hold(Held { kind: HoldKind::NeedsInput, reason: reason.into(), findings: Vec::new() })
    }

    /// Somebody has something to mend.
    pub fn blocked(reason: impl Into<String>) -> Self {
        Self::Hold(Held { kind: HoldKind::Blocked, reason: reason.into(), findings: Vec::new() })
    }

    /// Counts as pass, and says why the gate has no say here.
    pub fn not_applicable(why: impl Into<String>) -> Self {
        Self::NotApplicable(why.into())
    }

    /// Adds a measured value where the verdict can carry one (`pass`, `fail`).
    pub fn with_figure(mut self, figure: Fact) -> Self {
        match &mut self {
            Self::Pass(passed) => passed.figures.push(figure),
            Self::Fail(failed) => failed.figures.push(figure),
            Self::Infra(_) | Self::Wait(_) | Self::Hold(_) | Self::NotApplicable(_) => {}
        }
        self
    }

    /// Adds a warning to a `pass`: what was not checked, and why that is let pass.
    pub fn with_warning(mut self, warning: Finding) -> Self {
        if let Self::Pass(passed) = &mut self {
            passed.warnings.push(warning);
        }
        self
    }
}

impl Infrastructure {
    /// Something that is not the work's fault stood in the way.
    pub fn new(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), retry_after_ms: None }
    }
}

impl From<HostError> for Infrastructure {
    fn from(error: HostError) -> Self {
        Self { cause: error.sentence(), retry_after_ms: error.retry_after_ms() }
    }
}

impl Finding {
    /// `rule` is a stable kebab-case name; statistics and deduplication go by it.
    pub fn new(rule: impl Into<String>, severity: Severity, title: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            severity,
            title: title.into(),
            detail: String::new(),
            path: None,
            line: None,
            help: None,
        }
    }

    /// What exactly, as plain text. The next run's brief carries it word for word.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The file, relative to the repository's root.
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The line in that file, from 1.
    pub fn on_line(mut self, line: u32) -> Self {
        self.line = Some(line);
        self
    }

    /// Where to read more, `http` or `https`.
    pub fn with_help(mut self, url: impl Into<String>) -> Self {
        self.help = Some(url.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_error_is_infra_with_its_cause() {
        let infrastructure = Infrastructure::from(HostError::TooLarge(1024));
        assert_eq!(infrastructure, Infrastructure::new("it is larger than 1024 bytes"));
    }

    #[test]
    fn no_findings_pass_and_one_fails() {
        assert_eq!(Verdict::pass_unless(Vec::new(), "fine"), Verdict::pass("fine"));
        let finding = Finding::new("rule", Severity::Minor, "Something").at("src/lib.rs").on_line(3);
        assert_eq!(Verdict::pass_unless(vec![finding.clone()], "fine"), Verdict::fail(vec![finding]));
    }
}
