//! `gatewright init`: a state folder, a bare repository in it, and the remote `gatewright` in the user's own.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, anyhow, bail};
use configuration::{
    AgentChoice, AgentProgram, InitRequest, Preset, RootListing, init, prefix_of, project_name, split_words, write_plan,
};
use domain::document::Role;
use domain::ids::{BranchName, ProjectName};

use crate::cli::Init;
use crate::output::Output;
use crate::state;
use crate::wiring::init_forge;

/// Runs the command.
pub(crate) fn run(dir: Option<&Path>, options: &Init, out: &Output) -> anyhow::Result<()> {
    let repository = match &options.repository {
        Some(path) => state::top_of(path)
            .with_context(|| format!("{} is no git repository: run `git init` there first", path.display()))?,
        None => state::repository_here().context(
            "this folder is in no git repository: go to one, or make one with `git init` and a first commit",
        )?,
    };
    let folder = repository.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = match &options.name {
        Some(name) => ProjectName::new(name.clone())?,
        None => project_name(&folder),
    };
    let dir_was_found = dir.is_none() && name == project_name(&folder);
    let dir = state::for_project(dir, name.as_str())?;
    let base = base_branch(&repository, options.base.as_deref())?;
    let request = request(options, name.clone(), &dir, &repository, base)?;
    let plan = init(&request).map_err(|errors| {
        let lines = errors.iter().map(|error| format!("- {error}")).collect::<Vec<_>>().join("\n");
        anyhow!("the project cannot be set up:\n{lines}")
    })?;
    // The forge comes first: without commits there is nothing to set up, and no file shall say otherwise.
    std::fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    let forge = init_forge(&dir, &name, &request.base_branch, &repository)?;
    let written = write_plan(&dir, &plan)?;
    let loaded = crate::wiring::load(&dir)?;
    let found_from_here = dir_was_found && options.repository.is_none();
    let here = if found_from_here { String::new() } else { format!(" --dir {}", dir.display()) };
    let value = serde_json::json!({
        "project": name, "dir": dir, "repository": repository, "base_branch": request.base_branch,
        "forge": forge, "written": written.written, "kept": written.kept, "projects": loaded.projects.len(),
    });
    out.value(&value, || {
        let mut text = format!("{name} is set up in {}; nothing was committed.\n", dir.display());
        for file in &written.written {
            text.push_str(&format!("  wrote {}\n", file.display()));
        }
        text.push_str(&format!("  added the remote `gatewright` to {}\n\nNext:\n", repository.display()));
        text.push_str(&format!("  gatewright serve{here}\n"));
        text.push_str(&format!("  gatewright task create{here} \"what shall change\"\n"));
        text.push_str(&format!("  gatewright task approve{here} {}-001", request.prefix));
        text
    })
}

fn request(
    options: &Init,
    name: ProjectName,
    dir: &Path,
    repository: &Path,
    base_branch: BranchName,
) -> anyhow::Result<InitRequest> {
    let preset = Preset::ALL
        .into_iter()
        .find(|preset| preset.as_str() == options.pipeline)
        .with_context(|| format!("there is no pipeline `{}`; there are: quick, full", options.pipeline))?;
    let words = |what: &str, line: &Option<String>| -> anyhow::Result<Option<Vec<String>>> {
        line.as_deref().map(|line| split_words(line).map_err(|why| anyhow!("--{what}: {why}"))).transpose()
    };
    let mut agents = BTreeMap::new();
    for given in &options.role {
        let (role, line) =
            given.split_once('=').with_context(|| format!("--role {given}: write it as ROLE=COMMAND"))?;
        let role = Role::ALL.into_iter().find(|known| known.as_str() == role).with_context(|| {
            let known = Role::ALL.map(Role::as_str).join(", ");
            format!("--role {given}: there is no role `{role}`; there are: {known}")
        })?;
        let words = split_words(line).map_err(|why| anyhow!("--role {given}: {why}"))?;
        agents.insert(role, choice(words));
    }
    Ok(InitRequest {
        prefix: prefix_of(&name),
        name,
        dir: dir.to_owned(),
        repository: repository.to_owned(),
        base_branch,
        root: RootListing::read(repository),
        preset,
        detected: AgentProgram::ALL.into_iter().filter(|agent| on_path(agent.program())).collect(),
        agent: words("agent", &options.agent)?.map(choice),
        agents,
        test: words("test", &options.test)?,
        staging: words("staging", &options.staging)?,
        deploy: words("deploy", &options.deploy)?,
    })
}

/// A relative program means the one that lies here: a clone has another working directory.
fn choice(mut words: Vec<String>) -> AgentChoice {
    if let Some(program) = words.first_mut()
        && program.contains('/')
        && let Ok(whole) = std::fs::canonicalize(&*program)
    {
        *program = whole.to_string_lossy().into_owned();
    }
    AgentChoice::of_words(words)
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn base_branch(repository: &Path, given: Option<&str>) -> anyhow::Result<BranchName> {
    if let Some(name) = given {
        return Ok(BranchName::new(name)?);
    }
    let asked = Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(["symbolic-ref", "--quiet", "--short", "HEAD"])
        .output()
        .context("git could not be started: is it installed?")?;
    let name = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    if name.is_empty() {
        bail!("no branch is checked out in {}: name the one that tasks are for with --base", repository.display());
    }
    Ok(BranchName::new(name)?)
}
