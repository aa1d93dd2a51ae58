//! What only this machine knows of a repository's suite: where its user's package manager takes packages from, and whether python
//! has pytest. Each is a short question to a program that changes nothing, and never in the repository: its settings may name a
//! program of its own, which the package manager would start outside the sandbox (yarn's `yarnPath`).

use std::path::Path;

use agents::preflight;
use configuration::{PackageTool, Registry, RootListing};

use crate::doctor::program::first_line_with;
use crate::readiness::own_environment;

/// The home of somebody who has settings of no kind.
const NOBODYS: &str = "/nonexistent";

/// Adds to what lies in a root what programs say of it.
pub(super) fn ask(root: &mut RootListing) {
    if root.has_javascript_suite() && !root.names_registry {
        root.registry = registry(PackageTool::of(root));
    }
    if root.has_python_suite() {
        root.has_pytest = answer("python3", &["-I", "-c", "import pytest"], &[]).map(|said| said.is_ok());
    }
}

/// In a run nobody but the repository itself says where packages come from: what this user says beyond that must be written down.
fn registry(manager: PackageTool) -> Option<Registry> {
    let (program, question) = match manager.asks_registry() {
        Some(question) => (manager.program(), question),
        None => (PackageTool::Npm.program(), PackageTool::Npm.asks_registry()?),
    };
    let own = own_environment().into_iter();
    let of_user: Vec<_> = own
        .filter(|(name, _)| name.to_ascii_lowercase().starts_with("npm_config_") || name.starts_with("YARN_"))
        .collect();
    let said = |more: &[(String, String)]| answer(program, question, more)?.ok();
    let url = said(&of_user)?;
    let without = said(&[("HOME".to_owned(), NOBODYS.to_owned())]);
    let is_of_user = without.is_some_and(|without| without != url);
    url.starts_with("http").then_some(Registry { url, is_of_user })
}

/// What a program of the `PATH` says; none: it is not there.
fn answer(program: &str, arguments: &[&str], more: &[(String, String)]) -> Option<Result<String, String>> {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = preflight::find(program, Path::new("/"), &path).ok()?;
    Some(first_line_with(&found, arguments, more))
}
