//! `projects/NAME.toml`: one project, read as a whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use conductor::ports::store::Project;
use conductor::project::ProjectSettings;
use domain::event::Intent;
use domain::ids::{BranchName, ProjectName};
use domain::plugin::PluginKind;

use crate::binding::{self, Kinds};
use crate::budget;
use crate::check;
use crate::diagnostic::{Problem, quoted};
use crate::hooks;
use crate::host::HostConfig;
use crate::init::names::project_name;
use crate::keys;
use crate::limits;
use crate::load::{ProjectFile, Surroundings};
use crate::paths::{Paths, overlap};
use crate::pipeline;
use crate::reader::{At, Section};
use crate::worker;

/// Letters before the number of a work item, at most.
const PREFIX_LENGTH: usize = 10;

/// A project and where those of its words stand that no other project may use.
pub(crate) struct Read {
    pub(crate) file: ProjectFile,
    /// None: it could not be read.
    pub(crate) prefix: Option<At<String>>,
    /// It is known which branch of which repository is whose project's.
    pub(crate) names_branch: bool,
}

/// Reads the file. Where the report says that something is wrong, the value only fills its place: it may be looked at, and nothing
/// more. None: nothing can.
pub(crate) fn read(
    file: &Section<'_>,
    path: &Path,
    paths: &Paths,
    host: Option<&HostConfig>,
    surroundings: &Surroundings,
) -> Option<Read> {
    let report = file.report;
    let name = name(file, path);
    let prefix = prefix(file);
    let repository = repository(file, paths);
    let base_branch = file.need("base-branch", "base-branch = \"main\"").and_then(|node| node.parsed::<BranchName>());
    let observe = mode(file);
    let serial = file.flag("serial", false);
    let crew = worker::read(file, paths, repository.as_deref(), host.map(|host| host.operator));
    let plugins = binding::plugins(file, paths, host.map(|host| &host.plugins.ceiling));
    check::plugin_ids(report, &plugins, &surroundings.plugins);
    let own = plugins
        .iter()
        .filter_map(|entry| Some((entry.id.as_ref()?.value.clone(), entry.kind.unwrap_or(PluginKind::Gate))));
    let kinds: Kinds = surroundings.plugins.clone().into_iter().chain(own).collect();
    let own_settings = binding::gate_settings(file);
    let drawn = pipeline::read(file).and_then(|mut sketch| {
        for entry in &plugins {
            if let Some(placing) = &entry.placing {
                sketch.place(report, placing);
            }
        }
        check::workers(report, &sketch, &crew);
        check::hooks(report, &sketch, &crew, &plugins);
        check::judged(report, &sketch);
        check::gates(report, &sketch, &kinds);
        let settings = check::settings(report, &sketch, own_settings);
        Some((sketch.check(report)?, settings))
    });
    let guards = binding::guards(file, &kinds);
    let notifiers = binding::notifiers(file, &kinds);
    let status_mapper = binding::status_mapper(file, &kinds, &surroundings.status_mapper);
    let deciders = deciders(file);
    let hooks = hooks::of_project(file, paths, host);
    let runs = limits::of_project(file, host.map(|host| &host.limits));
    let (budgets, price) = budget::read(file, &crew);
    let names_branch = name.is_some() && repository.is_some() && base_branch.is_some();
    let (pipeline, gate_settings) = match drawn {
        Some(drawn) => drawn,
        None => (pipeline::nothing()?, BTreeMap::new()),
    };
    let name = name.unwrap_or_else(|| project_name(&path.file_stem().unwrap_or_default().to_string_lossy()));
    let base_branch = match base_branch {
        Some(branch) => branch.value,
        None => BranchName::new("main").ok()?,
    };
    let repository = repository.unwrap_or_default();
    let settings = ProjectSettings {
        name: name.clone(),
        workers: crew.workers,
        hooks: crew.hooks,
        gate_settings,
        guards,
        notifiers,
        status_mapper,
        deciders,
        observe,
        // Two files may name one repository by different links.
        repository: repository.canonicalize().unwrap_or_else(|_| repository.clone()).to_string_lossy().into_owned(),
        runs,
        budgets,
        price,
    };
    let shown_prefix = prefix.as_ref().map(|prefix| prefix.value.clone()).unwrap_or_default();
    let project = Project { name, prefix: shown_prefix, base_branch, pipeline, serial, observe };
    let plugins = plugins.into_iter().filter_map(|entry| entry.binding).collect();
    let file = ProjectFile { project, settings, plugins, hooks, repository, source: path.to_path_buf() };
    Some(Read { file, prefix, names_branch })
}

/// The file is found by the project's name, so it bears it.
fn name(file: &Section<'_>, path: &Path) -> Option<ProjectName> {
    let name = file.need("name", "name = \"app\"")?.parsed::<ProjectName>()?;
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if name.value.as_str() == stem {
        return Some(name.value);
    }
    let problem = Problem::at(
        name.span,
        format!("the file is named {}, and the project {}", quoted(&stem), quoted(name.value.as_str())),
    )
    .of_value();
    file.report.add(problem.help(format!("rename the file to projects/{}.toml, or the project", name.value)));
    None
}

fn prefix(file: &Section<'_>) -> Option<At<String>> {
    let text = file.need_text("prefix", "prefix = \"APP\"")?;
    let formed = text.value.len() <= PREFIX_LENGTH
        && text.value.starts_with(|first: char| first.is_ascii_uppercase())
        && text.value.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if formed {
        return Some(text);
    }
    let problem = Problem::at(text.span, format!("`prefix` cannot be {}", quoted(&text.value))).of_value();
    file.report
        .add(problem.help("upper-case letters and digits, a letter first, at most 10: \"APP\" makes APP-1, APP-2, …"));
    None
}

fn repository(file: &Section<'_>, paths: &Paths) -> Option<PathBuf> {
    let text = file.need_text("repository", "repository = \"~/src/app\"")?;
    let path = paths.outside(file.report, "`repository`", &text)?;
    let problem = if overlap(&path, paths.dir()) {
        Problem::at(text.span, "the repository and the state folder lie one in the other")
            .help("the host's files lie outside every work tree: an agent must not meet them")
    } else if !path.is_dir() {
        Problem::at(text.span, format!("there is no folder {}", quoted(&text.value)))
            .of_value()
            .help("put the repository back there, or write where it lies now")
    } else if !path.join(".git").exists() && !path.join("HEAD").is_file() {
        Problem::at(text.span, format!("{} is no git repository", quoted(&text.value)))
            .of_value()
            .help("name the folder in which `.git` is")
    } else {
        return Some(path);
    };
    file.report.add(problem);
    None
}

/// True: decisions are made and recorded, and nothing is done outside.
fn mode(file: &Section<'_>) -> bool {
    let Some(text) = file.text("mode") else { return false };
    match text.value.as_str() {
        "act" => false,
        "observe" => true,
        other => {
            let problem = Problem::at(text.span, format!("`mode` cannot be {}", quoted(other))).of_value();
            file.report.add(problem.choices("it is one of", other, ["act", "observe"]));
            // Nothing is taken from a file with an error; and what cannot be read is not acted on.
            true
        }
    }
}

fn deciders(file: &Section<'_>) -> BTreeMap<Intent, Vec<String>> {
    let Some(section) = file.section("deciders", &keys::DECIDERS) else { return BTreeMap::new() };
    let intents = [
        ("start", Intent::Start),
        ("approve", Intent::Approve),
        ("reject", Intent::Reject),
        ("confirm-deploy", Intent::ConfirmDeploy),
        ("stop", Intent::Stop),
        ("estimate", Intent::Estimate),
    ];
    let mut deciders = BTreeMap::new();
    for (word, intent) in intents {
        let Some(node) = section.get(word) else { continue };
        let names: Vec<String> = node.texts().into_iter().map(|at| at.value).collect();
        if names.is_empty() {
            let problem = Problem::at(node.span, format!("nobody may give the intent `{word}`"));
            file.report
                .add(problem.help("name who may, or remove the key: then everybody whom the tracker lets move cards"));
        }
        deciders.insert(intent, names);
    }
    deciders
}
