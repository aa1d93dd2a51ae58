//! `gatewright plugin …`: a third party's component joins a project.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use configuration::{Anchor, Loaded, PluginAddition, PluginPlace, add_plugin};
use domain::ids::{Digest, PluginId, StageName, StepName};
use domain::plugin::{Capability, Ceiling, PluginInfo, PluginKind};
use sandbox::{Sandbox, SandboxConfig};

use crate::cli::Plugin;
use crate::output::{Output, say};
use crate::task::visible;
use crate::wiring::{check_plugins, load, surroundings};

/// The command was understood, and cannot be taken without a word from a person.
#[derive(Debug, thiserror::Error)]
#[error(
    "nobody is here to be asked: repeat it with --yes to grant what is listed above, or with --deny --yes to grant nothing"
)]
pub(crate) struct NobodyToAsk;

/// Runs the command.
pub(crate) fn run(dir: &Path, command: Plugin, out: &Output) -> anyhow::Result<()> {
    match command {
        Plugin::Inspect { file } => {
            let (_, info) = inspect(&file)?;
            out.value(&info, || shown(&file, &info))
        }
        Plugin::Request { file, request, output } => {
            let info = write_request(&file, &request, &output)?;
            out.value(&info, || shown(&output, &info))
        }
        Plugin::Add { file, gate, before, step, project, settings, deny, yes } => {
            let project = only_project(dir, project)?;
            let (bytes, info) = inspect(&file)?;
            say(&shown(&file, &info));
            if info.kind != PluginKind::Gate {
                bail!(
                    "{} is a {}; only a gate stands on an edge. Write its entry into the project's file",
                    file.display(),
                    info.kind
                );
            }
            if !yes {
                ask(&info, deny)?;
            }
            let id = plugin_id(&file, step.as_deref())?;
            let place = anchor(&gate, before.as_deref(), step.as_deref())?;
            let added = add(dir, &project, &bytes, &info, id, place, (deny, settings))?;
            let value = serde_json::json!({"project": project, "file": added, "sha256": info.digest, "granted": !deny});
            out.value(&value, || format!("added to {}; a living host takes it up by itself", added.display()))
        }
    }
}

/// Nothing is written unless a host would take it.
fn write_request(file: &Path, request: &Path, output: &Path) -> anyhow::Result<PluginInfo> {
    let text = std::fs::read_to_string(request).with_context(|| format!("{} cannot be read", request.display()))?;
    let refused = || format!("{} with what {} asks for cannot be taken", file.display(), request.display());
    let asking = sandbox::with_request(&read(file)?, &text);
    let asking = sandbox::read_component(asking.as_slice())?.with_context(refused)?;
    let info = Sandbox::new(SandboxConfig::default())?.inspect(&asking).with_context(refused)?;
    let written = || -> std::io::Result<()> {
        let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut half = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
        half.write_all(&asking)?;
        half.persist(output)?;
        Ok(())
    };
    written().with_context(|| format!("{} cannot be written", output.display()))?;
    Ok(info)
}

fn inspect(file: &Path) -> anyhow::Result<(Vec<u8>, PluginInfo)> {
    let bytes = read(file)?;
    let info = Sandbox::new(SandboxConfig::default())?
        .inspect(&bytes)
        .with_context(|| format!("{} cannot be taken", file.display()))?;
    Ok((bytes, info))
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let about = std::fs::metadata(file).with_context(|| format!("{} cannot be read", file.display()))?;
    if !about.is_file() {
        bail!("{} is no file", file.display());
    }
    let source = std::fs::File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    sandbox::read_component(source)?.with_context(|| format!("{} cannot be taken", file.display()))
}

fn shown(file: &Path, info: &PluginInfo) -> String {
    let mut text = format!("{}: a {}, {} bytes, sha256 {}\n", file.display(), info.kind, info.size, info.digest);
    if info.request.entries.is_empty() {
        text.push_str("It asks for nothing.");
    } else {
        text.push_str("It asks for:");
    }
    for entry in &info.request.entries {
        let credential = entry
            .credential
            .as_ref()
            .map(|name| format!(" with the credential `{}`", visible(name)))
            .unwrap_or_default();
        let optional = if entry.optional { " (it copes without)" } else { "" };
        text.push_str(&format!("\n  {}{credential}{optional}: “{}”", entry.capability, visible(&entry.reason)));
    }
    for warning in &info.warnings {
        text.push_str(&format!("\n  note: {}", visible(&warning.to_string())));
    }
    text
}

fn ask(info: &PluginInfo, deny: bool) -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        return Err(NobodyToAsk.into());
    }
    let question = match (info.request.entries.is_empty(), deny) {
        (true, _) => "Add it? [y/N] ",
        (false, true) => "Add it and grant nothing of this? [y/N] ",
        (false, false) => "Add it and grant all of this? [y/N] ",
    };
    write!(anstream::stderr(), "{question}")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if answer.trim().eq_ignore_ascii_case("y") { Ok(()) } else { bail!("not added") }
}

fn plugin_id(file: &Path, step: Option<&str>) -> anyhow::Result<PluginId> {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    let mut name = String::new();
    for character in step.unwrap_or(&stem).chars() {
        if character.is_ascii_lowercase() || character.is_ascii_digit() {
            name.push(character);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    PluginId::new(name.trim_matches('-')).context("the file's name makes no step's name: give one with --step")
}

fn anchor(gate: &str, before: Option<&str>, step: Option<&str>) -> anyhow::Result<Anchor> {
    let (from, to) = match gate.split_once(':') {
        Some((from, to)) => (from, Some(to)),
        None => (gate, None),
    };
    Ok(Anchor {
        from: StageName::new(from)?,
        to: to.map(StageName::new).transpose()?,
        step: step.map(StepName::new).transpose()?,
        before: before.map(StepName::new).transpose()?,
    })
}

fn only_project(dir: &Path, given: Option<String>) -> anyhow::Result<String> {
    if let Some(name) = given {
        return Ok(name);
    }
    let loaded = load(dir)?;
    match loaded.projects.as_slice() {
        [one] => Ok(one.project.name.to_string()),
        many => {
            let names = many.iter().map(|project| project.project.name.as_str()).collect::<Vec<_>>().join(", ");
            bail!("which project? --project with one of: {names}")
        }
    }
}

/// Keeps the component beside the state and writes its entry. The file's new text is checked before it takes the old one's place.
fn add(
    dir: &Path,
    project: &str,
    bytes: &[u8],
    info: &PluginInfo,
    id: PluginId,
    anchor: Anchor,
    (deny, settings): (bool, Option<String>),
) -> anyhow::Result<PathBuf> {
    let source = dir.join("projects").join(format!("{project}.toml"));
    let text = std::fs::read_to_string(&source).with_context(|| format!("{} cannot be read", source.display()))?;
    let kept = keep_component(dir, &info.digest, bytes)?;
    let asked = info.request.entries.iter().map(|entry| entry.capability.clone()).collect::<Vec<_>>();
    let ceiling = load(dir)?.host.plugins.ceiling;
    let (grants, refused): (Vec<_>, Vec<_>) = asked.into_iter().partition(|asked| !deny && is_below(&ceiling, asked));
    for above in refused.iter().filter(|_| !deny) {
        say(&format!("refused, for the host's ceiling in gatewright.toml does not allow it: {above}"));
    }
    let addition = PluginAddition {
        id,
        place: PluginPlace::Gate(Some(anchor)),
        file: kept,
        sha256: info.digest.clone(),
        grants,
        refused,
        settings,
    };
    let edited = add_plugin(&text, &addition).map_err(|error| anyhow!("{error}"))?;
    let file = configuration::load_project(dir, &source, &edited, &surroundings())
        .map_err(|diagnostics| anyhow!(configuration::render(&diagnostics, false)))?;
    let flaws = check_plugins(dir, &Loaded { host: load(dir)?.host, projects: vec![file] });
    if !flaws.told.is_empty() {
        bail!("{}\nnothing was added; give it what it needs with --settings '{{ … }}'", flaws.told.join("\n"));
    }
    replace(&source, &edited)?;
    Ok(source)
}

fn is_below(ceiling: &Ceiling, asked: &Capability) -> bool {
    match ceiling {
        Ceiling::Open => true,
        Ceiling::AtMost(allowed) => allowed.iter().any(|allowed| allowed.covers(asked)),
    }
}

/// The bytes lie under their hash, and stay there while an evaluation names them.
fn keep_component(dir: &Path, digest: &Digest, bytes: &[u8]) -> anyhow::Result<String> {
    let file = crate::verdict::kept_component(dir, digest);
    if !file.exists() {
        std::fs::create_dir_all(file.parent().unwrap_or(dir))?;
        let mut temporary = tempfile::NamedTempFile::new_in(file.parent().unwrap_or(dir))?;
        temporary.write_all(bytes)?;
        temporary.as_file().sync_all()?;
        temporary.persist(&file)?;
    }
    Ok(format!("components/{digest}.wasm"))
}

fn replace(file: &Path, text: &str) -> anyhow::Result<()> {
    let folder = file.parent().context("the file has no folder")?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(text.as_bytes())?;
    temporary.as_file().sync_all()?;
    temporary.persist(file).with_context(|| format!("{} cannot be replaced", file.display()))?;
    Ok(())
}

/// Adds a component as a gate and grants it nothing: for the demonstration's stranger.
pub(crate) fn add_denied(dir: &Path, project: &str, file: &Path, gate: &str, step: &str) -> anyhow::Result<()> {
    let (bytes, info) = inspect(file)?;
    add(dir, project, &bytes, &info, PluginId::new(step)?, anchor(gate, None, Some(step))?, (true, None)).map(|_| ())
}

/// Does the project's file name this plugin?
pub(crate) fn is_added(dir: &Path, project: &str, id: &str) -> anyhow::Result<bool> {
    let loaded = load(dir)?;
    let ids = loaded.projects.iter().filter(|file| file.project.name.as_str() == project);
    let ids = ids.flat_map(|file| file.plugins.iter().map(|plugin| plugin.id.as_str())).collect::<BTreeSet<_>>();
    Ok(ids.contains(id))
}
