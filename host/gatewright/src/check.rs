//! `gatewright check`: all that is wrong with the files, each finding with its line, what was meant and what may stand there.
//!
//! The crate `configuration` reads the files; what only this machine and the components know is added here: branches, programs,
//! and what a component says of its settings. All of it is told at once.

use std::path::{Path, PathBuf};

use configuration::{Code, Complaint, Diagnostic, HOST_FILE, Loaded, Looked, ProjectFile, Severity, complain, render};
use domain::plugin::Flaw;

use crate::output::Output;
use crate::readiness::Look;
use crate::repository;
use crate::state::FORGES;
use crate::wiring;

/// Runs the command. No: there are errors.
pub(crate) fn run(dir: &Path, out: &Output) -> anyhow::Result<bool> {
    let looked = configuration::look(dir, &wiring::surroundings());
    let found = beyond_the_files(dir, &looked);
    let Looked { readable, mut diagnostics, .. } = looked;
    let is_whole = diagnostics.is_empty();
    diagnostics.extend(found);
    in_order(&mut diagnostics);
    let names = readable.projects.iter().map(|file| file.project.name.to_string());
    let projects: Vec<String> = names.filter(|_| is_whole).collect();
    let sound = diagnostics.iter().all(|diagnostic| diagnostic.severity != Severity::Error);
    let value = serde_json::json!({"ok": sound, "projects": projects, "diagnostics": diagnostics});
    out.value(&value, || {
        let color = std::io::IsTerminal::is_terminal(&std::io::stdout());
        let mut text = if diagnostics.is_empty() { String::new() } else { render(&diagnostics, color) };
        if sound {
            let of = if projects.is_empty() {
                format!("no project yet\n  → {}, in the repository of one", out.command("gatewright init"))
            } else {
                format!("projects: {}", projects.join(", "))
            };
            text.push_str(&format!("{}: all files are sound; {of}", dir.display()));
        }
        text.trim_end().to_owned()
    })?;
    Ok(sound)
}

/// Each file's findings together, from its top, and each once.
fn in_order(diagnostics: &mut Vec<Diagnostic>) {
    configuration::unique(diagnostics);
    let mut files: Vec<String> = Vec::new();
    for one in diagnostics.iter() {
        if !files.contains(&one.file) {
            files.push(one.file.clone());
        }
    }
    diagnostics.sort_by_key(|one| (files.iter().position(|file| *file == one.file), one.place));
}

/// What the files alone do not show: of all that could be read of them, whatever else is wrong.
fn beyond_the_files(dir: &Path, looked: &Looked) -> Vec<Diagnostic> {
    let loaded = &looked.readable;
    let flaws = wiring::check_plugins(dir, loaded).complaints;
    let waiting = waiting(dir, loaded);
    let of_host = waiting.iter().filter(|(source, _)| *source == dir.join(HOST_FILE));
    let of_host: Vec<Complaint> = of_host.map(|(_, complaint)| complaint.clone()).collect();
    let mut diagnostics = Vec::new();
    if !of_host.is_empty() {
        diagnostics.extend(complain(dir, &dir.join(HOST_FILE), of_host));
    }
    for file in &loaded.projects {
        let mut complaints = of_repository(dir, looked, file);
        let own = flaws.iter().chain(&waiting).filter(|(source, _)| *source == file.source);
        complaints.extend(own.map(|(_, complaint)| complaint.clone()));
        diagnostics.extend(complain(dir, &file.source, complaints));
    }
    diagnostics
}

fn complaint(key: &[&str], code: Code, severity: Severity, message: String) -> Complaint {
    let key = key.iter().map(|part| (*part).to_owned()).collect();
    Complaint { key, code, severity, message, helps: Vec::new(), choices: None }
}

/// What is wrong with the repository of a project, where its file says which branch is meant.
pub(crate) fn of_repository(dir: &Path, looked: &Looked, file: &ProjectFile) -> Vec<Complaint> {
    if looked.branchless.contains(&file.source) { Vec::new() } else { branches(dir, file) }
}

/// The base branch is in the user's repository, and is the one that the host's own was made for.
fn branches(dir: &Path, file: &ProjectFile) -> Vec<Complaint> {
    let wanted = file.project.base_branch.as_str();
    let mut complaints = Vec::new();
    let mut tell = |message: String, help: String, choices: Vec<String>| {
        let mut told = complaint(&["base-branch"], Code::MissingBranch, Severity::Error, message);
        told.helps.extend((!help.is_empty()).then_some(help));
        told.choices = (!choices.is_empty()).then(|| (wanted.to_owned(), choices));
        complaints.push(told);
    };
    let theirs = file.repository.display();
    match heads(&file.repository) {
        Ok(heads) if heads.iter().any(|head| head == wanted) => {}
        Ok(heads) if heads.is_empty() => {
            tell(format!("{theirs} has no branch yet"), "make a first commit there".to_owned(), Vec::new());
        }
        Ok(heads) => tell(format!("{theirs} has no branch `{wanted}`"), String::new(), heads),
        Err(why) => {
            let help =
                "`repository` names the folder of a git repository: put it back there, or write where it lies now";
            tell(format!("the branches of {theirs} cannot be read: {why}"), help.to_owned(), Vec::new());
        }
    }
    let ours = dir.join(FORGES).join(format!("{}.git", file.project.name));
    let file = file.source.display();
    let anew = format!(
        "restore a backup; or move {file} away, run `gatewright init` in {theirs}, and write into the new file what you had in the old one"
    );
    match repository::ask(&ours, &["symbolic-ref", "--short", "HEAD"]) {
        _ if !ours.is_dir() => tell("the host has no repository for this project".to_owned(), anew, Vec::new()),
        Ok(base) if base.trim() == wanted => {}
        Ok(base) => {
            let message = format!("the host's repository was made for the branch `{}`", base.trim());
            tell(message, format!("write that one; or remove {}, and {anew}", ours.display()), Vec::new());
        }
        Err(why) => tell(format!("the host's repository cannot be read: {why}"), String::new(), Vec::new()),
    }
    complaints
}

fn heads(folder: &Path) -> Result<Vec<String>, String> {
    let listed = repository::ask(folder, &["for-each-ref", "--count=100", "--format=%(refname:short)", "refs/heads/"])?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// Whoever could not begin on this machine: no program, no key, a path that cannot be shown. The jobs would wait.
pub(crate) fn waiting(dir: &Path, loaded: &Loaded) -> Vec<(PathBuf, Complaint)> {
    let look = match Look::around(dir, loaded) {
        Ok(look) => look,
        Err(error) => {
            let message = format!("whether the workers could begin was not looked at: {error:#}");
            let told = complaint(&[], Code::Invalid, Severity::Warning, message);
            return vec![(dir.join(HOST_FILE), told)];
        }
    };
    let mut told: Vec<(PathBuf, Complaint)> = Vec::new();
    for blocked in loaded.projects.iter().flat_map(|file| look.at(file)) {
        let found = look.complaints(&blocked, dir);
        // What the host's file shows to all is told once.
        if !told.contains(&found) {
            told.push(found);
        }
    }
    told
}

/// A component refuses a value of its settings, which stand under a key.
pub(crate) fn refused(what: &str, place: &[String], flaw: &Flaw) -> Complaint {
    let unescaped = |part: &str| part.replace("~1", "/").replace("~0", "~");
    let mut key = place.to_vec();
    key.extend(flaw.pointer.split('/').skip(1).map(unescaped));
    let choices = choices(&flaw.message);
    if let Some((word, _)) =
        choices.as_ref().filter(|(word, _)| flaw.message.contains("unknown field") && key.last() != Some(word))
    {
        key.push(word.clone());
    }
    // serde's own place is one in the JSON that the component got: nobody wrote that.
    let said = flaw.message.split(" at line ").next().unwrap_or_default();
    let at = if flaw.pointer.is_empty() { String::new() } else { format!("{}: ", flaw.pointer) };
    Complaint {
        key,
        code: Code::RefusedByComponent,
        severity: Severity::Error,
        message: format!("{what} are refused by the component: {at}{said}"),
        helps: Vec::new(),
        choices,
    }
}

/// The word that is wrong and those that are right, where a component says it as serde does.
fn choices(message: &str) -> Option<(String, Vec<String>)> {
    let (wrong, right) = message.split_once("expected ")?;
    let quoted = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let word = quoted(wrong).pop().filter(|_| wrong.contains("unknown "))?;
    let choices = quoted(right);
    (!choices.is_empty()).then_some((word, choices))
}

/// A component that failed when it was asked.
pub(crate) fn broken(what: &str, place: &[String], why: &str) -> Complaint {
    let key: Vec<&str> = place.iter().map(String::as_str).collect();
    complaint(&key, Code::BrokenComponent, Severity::Error, format!("{what} cannot be checked: {why}"))
}

/// A component that does not load: by the entry that names it, as far as the error says which.
pub(crate) fn not_loaded(file: &ProjectFile, error: &anyhow::Error) -> Complaint {
    let said = format!("{error:#}");
    let named = file.plugins.iter().position(|binding| said.contains(&format!("the plugin `{}`", binding.id)));
    let number = named.map(|number| number.to_string());
    let key: Vec<&str> = number.as_deref().map_or_else(Vec::new, |number| vec!["plugin", number, "file"]);
    let source: PathBuf = file.source.clone();
    let said = said.strip_prefix(&format!("{}: ", source.display())).unwrap_or(&said).to_owned();
    complaint(&key, Code::BrokenComponent, Severity::Error, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_that_names_the_choices_has_them_listed() {
        let flaw = |pointer: &str, message: &str| Flaw { pointer: pointer.to_owned(), message: message.to_owned() };
        let place = ["gates".to_owned(), "green".to_owned(), "settings".to_owned()];
        let unknown =
            refused("they", &place, &flaw("", "unknown field `requird`, expected one of `required`, `patience`"));
        assert_eq!(unknown.key, ["gates", "green", "settings", "requird"]);
        assert_eq!(unknown.choices, Some(("requird".to_owned(), vec!["required".to_owned(), "patience".to_owned()])));
        let word = refused("they", &place, &flaw("/mode", "unknown variant `fst`, expected `fast` or `slow`"));
        assert_eq!(word.key, ["gates", "green", "settings", "mode"]);
        assert_eq!(word.choices.unwrap().1, ["fast", "slow"]);
        let deep = refused("they", &place, &flaw("/required/1/a~1b", "a check is named twice"));
        assert_eq!((deep.key[3..].join(" "), deep.choices), ("required 1 a/b".to_owned(), None));
    }
}
