//! Whose delivery is taken: who signed it, and which projects bind what it is about. Pure.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::ProjectName;
use webhooks::{Headers, Secret, Signature, Source, names_event};

use super::refusal::Refusal;

/// What of one sender a project takes.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Whose.
    pub project: ProjectName,
    /// Who sends.
    pub source: Source,
    /// What the sender calls the project, in lower case.
    pub about: String,
    /// Any of them will do.
    pub secrets: Vec<Secret>,
    /// What is not signed is taken from this machine.
    pub unsigned: bool,
}

/// All that is taken.
#[derive(Clone, Debug, Default)]
pub struct Hooks(Vec<Hook>);

impl Hooks {
    /// These.
    pub fn new(hooks: Vec<Hook>) -> Self {
        Self(hooks)
    }

    pub(super) fn takes(&self, source: Source) -> bool {
        self.0.iter().any(|hook| hook.source == source)
    }

    pub(super) fn projects(&self, source: Source) -> BTreeSet<&ProjectName> {
        self.0.iter().filter(|hook| hook.source == source).map(|hook| &hook.project).collect()
    }

    /// The projects that are bound to what a body names.
    pub(super) fn bound(&self, source: Source, about: Option<&str>) -> Vec<ProjectName> {
        let named = self.0.iter().filter(|hook| hook.source == source && about == Some(hook.about.as_str()));
        named.map(|hook| hook.project.clone()).collect()
    }

    /// Who sends no signature, or none that could fit, is refused before his body is waited for; unless it may come without one.
    pub(super) fn may_be_signed(&self, source: Source, headers: &Headers, is_here: bool) -> Result<(), Refusal> {
        let signature = Signature::of(source, headers);
        let is_open = || is_here && self.0.iter().any(|hook| hook.source == source && hook.unsigned);
        if matches!(signature, Signature::Given(_)) || is_open() {
            return Ok(());
        }
        // The body is not waited for, so it may be for whoever takes anything of this sender. What tells of no event is anybody's.
        let of = if names_event(source, headers) {
            self.projects(source).into_iter().cloned().collect()
        } else {
            Vec::new()
        };
        Err(Refusal::Signature { signature, of })
    }

    /// Who signed these bytes. Each secret is tried once, and all of them whatever the first says; nothing of the body is read
    /// before.
    pub(super) fn sender(
        &self,
        source: Source,
        headers: &Headers,
        signed: &[u8],
        is_here: bool,
    ) -> Result<Sender<'_>, Refusal> {
        let signature = Signature::of(source, headers);
        let mut tried = BTreeMap::<&Secret, bool>::new();
        let mut bound = Vec::new();
        for hook in self.0.iter().filter(|hook| hook.source == source) {
            let mut fits = false;
            for secret in &hook.secrets {
                fits |= *tried.entry(secret).or_insert_with(|| signature.fits(secret, signed));
            }
            bound.push((hook, fits, hook.unsigned && is_here));
        }
        if bound.iter().any(|(_, fits, open)| *fits || *open) {
            return Ok(Sender { bound, signature });
        }
        Err(Refusal::Signature { signature, of: Vec::new() })
    }
}

/// A sender who may send something.
pub(super) struct Sender<'h> {
    /// Each hook, whether the signature fits it, and whether it takes this sender without one.
    bound: Vec<(&'h Hook, bool, bool)>,
    signature: Signature,
}

/// What becomes of a delivery.
pub(super) enum Admission {
    /// It is for these, and whether its sender proved to be theirs.
    For(Vec<(ProjectName, bool)>),
    /// It is in order and for nobody here, for this reason; these may look whether it was for them.
    Ignored { why: String, of: Vec<ProjectName> },
}

impl Sender<'_> {
    /// The projects whose secret it knows.
    pub(super) fn proven(&self) -> Vec<ProjectName> {
        self.bound.iter().filter(|(_, fits, _)| *fits).map(|(hook, ..)| hook.project.clone()).collect()
    }

    /// `is_known`: what it tells is an event that is read. Another one may name its project in a way that nobody knows yet.
    pub(super) fn admit(&self, about: Option<&str>, is_known: bool) -> Result<Admission, Refusal> {
        let Some(about) = about else {
            let proven = self.proven();
            if !is_known && !proven.is_empty() {
                return Ok(Admission::For(proven.into_iter().map(|project| (project, true)).collect()));
            }
            return Ok(Admission::Ignored {
                why: "it names no repository and no project, or one of them twice".to_owned(),
                of: proven,
            });
        };
        let named = self.bound.iter().filter(|(hook, ..)| hook.about == about).collect::<Vec<_>>();
        if named.is_empty() {
            // A tracker's webhook tells of all projects of a workspace; most of them are not ours.
            let shown: String = about.chars().take(200).collect();
            return Ok(Admission::Ignored { why: format!("no project here is bound to `{shown}`"), of: Vec::new() });
        }
        let taken = named.iter().filter(|(_, fits, open)| *fits || *open);
        let projects = taken.map(|(hook, fits, _)| (hook.project.clone(), *fits)).collect::<Vec<_>>();
        if !projects.is_empty() {
            return Ok(Admission::For(projects));
        }
        let of = named.iter().map(|(hook, ..)| hook.project.clone()).collect();
        Err(Refusal::Signature { signature: self.signature, of })
    }
}
