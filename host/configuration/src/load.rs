//! Loading: all files of a state folder, all that is wrong in them at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use conductor::ports::store::Project;
use conductor::project::ProjectSettings;
use domain::ids::PluginId;
use domain::plugin::{Ceiling, PluginKind};
use toml::de::DeTable;

use crate::binding::PluginBinding;
use crate::diagnostic::{Code, Diagnostic, Problem, Report, Severity, quoted};
use crate::doubled;
use crate::hooks::HookBinding;
use crate::host::{self, HostConfig};
use crate::keys;
use crate::limits;
use crate::paths::Paths;
use crate::project;
use crate::reader::{At, Section};

/// A file of the operator's is no longer than this.
const FILE_BYTES: u64 = 1024 * 1024;
/// So many bytes that are not UTF-8 are told each by itself.
const BYTES_TOLD: usize = 5;
/// The host's file.
pub const HOST_FILE: &str = "gatewright.toml";
/// The folder of the projects' files.
const PROJECTS: &str = "projects";

/// What the files are read against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// What `~` stands for.
    pub home: Option<PathBuf>,
    /// The plugins that the host brings.
    pub plugins: BTreeMap<PluginId, PluginKind>,
    /// Which of them maps statuses where a project names none.
    pub status_mapper: PluginId,
}

/// A state folder's files, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// `gatewright.toml`.
    pub host: HostConfig,
    /// `projects/*.toml`, by name.
    pub projects: Vec<ProjectFile>,
}

/// A project's file, read.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectFile {
    /// As the store keeps it.
    pub project: Project,
    /// As the conductor works with it.
    pub settings: ProjectSettings,
    /// The components that the operator added.
    pub plugins: Vec<PluginBinding>,
    /// What of trackers and forges outside it takes.
    pub hooks: Vec<HookBinding>,
    /// The operator's repository.
    pub repository: PathBuf,
    /// The file itself.
    pub source: PathBuf,
}

/// A state folder's files as far as they can be read, and all that is wrong with them.
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    /// What could be read of them. Where something is wrong, a value only fills its place: this is to be looked at, and never to be
    /// acted on.
    pub readable: Loaded,
    /// The files of projects that do not say which branch of which repository they are for.
    pub branchless: BTreeSet<PathBuf>,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

impl Looked {
    /// Nothing in the host's own file is wrong.
    pub fn is_host_sound(&self) -> bool {
        !self.diagnostics.iter().any(|one| one.file == HOST_FILE && one.severity == Severity::Error)
    }
}

/// Reads all files of a state folder; all of them are sound, or nothing is taken.
pub fn load(dir: &Path, surroundings: &Surroundings) -> Result<Loaded, Vec<Diagnostic>> {
    let Looked { readable, diagnostics, .. } = look(dir, surroundings);
    if diagnostics.is_empty() { Ok(readable) } else { Err(diagnostics) }
}

/// Reads all files of a state folder. What can be read can be looked at further, whatever is wrong with the rest.
pub fn look(dir: &Path, surroundings: &Surroundings) -> Looked {
    let paths = Paths::new(dir, surroundings.home.as_deref());
    let mut diagnostics = Vec::new();
    let host = read_host(dir, &paths, &mut diagnostics);
    let of_host = diagnostics.len();
    let (mut projects, mut branchless) = (Vec::new(), BTreeSet::new());
    let mut prefixes: BTreeMap<String, String> = BTreeMap::new();
    for source in project_files(dir, &mut diagnostics) {
        let shown = shown(dir, &source);
        let Some(text) = read_text(&source, &shown, &mut diagnostics) else { continue };
        let report = Report::new(shown.clone(), text);
        let read = parse_project(&report, &source, &paths, host.sound(), surroundings);
        if let Some(project::Read { prefix: Some(At { value: prefix, span }), .. }) = &read {
            match prefixes.get(prefix) {
                Some(owner) => {
                    let problem = Problem::at(span.clone(), format!("{owner} uses the prefix `{prefix}` already"));
                    report.add(problem.help("work items of two projects would bear the same names"));
                }
                None => {
                    prefixes.insert(prefix.clone(), shown);
                }
            }
        }
        diagnostics.extend(report.finish());
        branchless.extend(read.iter().filter(|read| !read.names_branch).map(|_| source.clone()));
        projects.extend(read.map(|read| read.file));
    }
    // A project that could not be read as a whole may have what its file lacks.
    if diagnostics.len() == of_host && !projects.is_empty() {
        check_drivers(dir, &projects, &mut diagnostics);
    }
    unique(&mut diagnostics);
    let host = match host {
        Host::Sound(host) | Host::Faulty(host) => host,
    };
    Looked { readable: Loaded { host, projects }, branchless, diagnostics }
}

/// Takes out what is told twice: two looks at one file find its secrets, and its wrong bytes, both.
pub fn unique(diagnostics: &mut Vec<Diagnostic>) {
    let mut told = BTreeSet::new();
    diagnostics.retain(|one| told.insert((one.file.clone(), one.place, one.message.clone())));
}

/// The host's file, read.
enum Host {
    Sound(HostConfig),
    /// Something in it is wrong: defaults fill the places, and nothing is forbidden to plugins.
    Faulty(HostConfig),
}

impl Host {
    fn sound(&self) -> Option<&HostConfig> {
        match self {
            Self::Sound(host) => Some(host),
            Self::Faulty(_) => None,
        }
    }
}

/// Reads the text of one project's file as if it stood at `source`: what an edit would lead to, before it is written.
pub fn load_project(
    dir: &Path,
    source: &Path,
    text: &str,
    surroundings: &Surroundings,
) -> Result<ProjectFile, Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let paths = Paths::new(dir, surroundings.home.as_deref());
    let host = read_host(dir, &paths, &mut diagnostics);
    let report = Report::new(shown(dir, source), text);
    let read = parse_project(&report, source, &paths, host.sound(), surroundings);
    diagnostics.extend(report.finish());
    match read {
        Some(read) if diagnostics.is_empty() => Ok(read.file),
        _ => Err(diagnostics),
    }
}

fn parse_project(
    report: &Report,
    source: &Path,
    paths: &Paths,
    host: Option<&HostConfig>,
    surroundings: &Surroundings,
) -> Option<project::Read> {
    let Some(table) = parse(report) else {
        salvage(report, |scratch, table| {
            let file = Section::of_file(scratch, table, &keys::PROJECT);
            // What it would be is not asked: only what is wrong.
            let _ = project::read(&file, source, paths, host, surroundings);
        });
        return None;
    };
    let file = Section::of_file(report, &table, &keys::PROJECT);
    project::read(&file, source, paths, host, surroundings)
}

/// The host's file.
fn read_host(dir: &Path, paths: &Paths, diagnostics: &mut Vec<Diagnostic>) -> Host {
    let before = diagnostics.len();
    let text = read_text(&dir.join(HOST_FILE), HOST_FILE, diagnostics);
    let report = Report::new(HOST_FILE, text.clone().unwrap_or_default());
    let config = parse(&report)
        .filter(|_| text.is_some())
        .map(|table| host::read(&Section::of_file(&report, &table, &keys::HOST), paths));
    if config.is_none() {
        salvage(&report, |scratch, table| {
            // What it would be is not asked: only what is wrong.
            let _ = host::read(&Section::of_file(scratch, table, &keys::HOST), paths);
        });
    }
    diagnostics.extend(report.finish());
    match config {
        Some(config) if diagnostics.len() == before => Host::Sound(config),
        faulty => {
            let nothing = Report::new(HOST_FILE, "");
            let filled = || host::read(&Section::of_file(&nothing, &DeTable::new(), &keys::HOST), paths);
            let mut config = faulty.unwrap_or_else(filled);
            config.plugins.ceiling = Ceiling::Open;
            Host::Faulty(config)
        }
    }
}

/// What of the host's file only all projects together show.
fn check_drivers(dir: &Path, projects: &[ProjectFile], diagnostics: &mut Vec<Diagnostic>) {
    let Some(text) = read_text(&dir.join(HOST_FILE), HOST_FILE, diagnostics) else { return };
    let report = Report::new(HOST_FILE, text);
    if let Some(table) = parse(&report) {
        let settings: Vec<_> = projects.iter().map(|project| &project.settings).collect();
        limits::tell_unused_drivers(&report, &Section::of_file(&report, &table, &keys::HOST), &settings);
    }
    diagnostics.extend(report.finish());
}

/// The file's tables. What is not TOML is told, all of it; then there are none.
pub(crate) fn parse(report: &Report) -> Option<DeTable<'_>> {
    let (table, errors) = DeTable::parse_recoverable(report.text());
    if errors.is_empty() {
        return Some(table.into_inner());
    }
    for error in errors {
        let message = format!("this is not TOML: {}", error.message());
        let first =
            error.span().filter(|_| is_duplicate(&error)).and_then(|span| doubled::first(report.text(), span.start));
        let problem = match error.span() {
            Some(span) => Problem::at(span, message),
            None => Problem::of_file(message),
        };
        let problem = match first {
            Some(line) => {
                problem.label("the second one").help(format!("the first one is in line {}: keep one of them", line + 1))
            }
            None => problem,
        };
        report.add(problem.code(Code::NotToml));
    }
    None
}

/// In a file that is not TOML, what is wrong with the rest of it: keys that are unknown, and values that are wrong by themselves. What only the
/// whole file shows, and what a broken line may have changed, is not told: it would be a guess.
fn salvage(report: &Report, read: impl Fn(&Report, &DeTable<'_>)) {
    let text = report.text();
    let (table, errors) = DeTable::parse_recoverable(text);
    let line = |at: usize| text.get(..at).map_or(0, |before| before.matches('\n').count());
    let Some(broken) = errors.iter().map(|error| error.span().map(|span| line(span.start))).collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let scratch = Report::new("", text);
    read(&scratch, table.get_ref());
    // Of two tables with one name the parser keeps the first: the second is read without it.
    for span in errors.iter().filter(|error| is_duplicate(error)).filter_map(toml::de::Error::span) {
        let Some((alone, lines)) = doubled::second_table(text, span.start) else { continue };
        let second = Report::new("", alone);
        let (table, _) = DeTable::parse_recoverable(second.text());
        read(&second, table.get_ref());
        drop(table);
        report.take(second, |at| lines.contains(&line(at)) && !broken[..].contains(&line(at)));
    }
    let doubtful = below_broken_heads(text, &broken);
    report.take(scratch, |at| !broken.contains(&line(at)) && !doubtful.iter().any(|lines| lines.contains(&line(at))));
}

fn is_duplicate(error: &toml::de::Error) -> bool {
    error.message().contains("duplicate key")
}

/// Lines below a broken head, up to the next sound one: their keys belong to nobody knows what.
fn below_broken_heads(text: &str, broken: &[usize]) -> Vec<std::ops::Range<usize>> {
    let heads: Vec<usize> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.trim_start().starts_with('['))
        .map(|(number, _)| number)
        .collect();
    let sound_after = |number: usize| heads.iter().copied().find(|head| *head > number && !broken.contains(head));
    let doubtful = heads.iter().copied().filter(|head| broken.contains(head));
    doubtful.map(|head| head..sound_after(head).unwrap_or(usize::MAX)).collect()
}

fn project_files(dir: &Path, diagnostics: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let folder = dir.join(PROJECTS);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            tell(diagnostics, PROJECTS, Problem::of_file(format!("the folder cannot be read: {error}")));
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        // Editors leave `.#app.toml` and the like beside the file.
        .filter(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')))
        .collect();
    files.sort();
    files
}

pub(crate) fn read_text(path: &Path, shown: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<String> {
    // Opening a named pipe waits for whoever writes into it.
    let read = fs::metadata(path)
        .and_then(|about| if about.is_file() { File::open(path) } else { Err(io::Error::other("it is no file")) });
    let read = read.and_then(|file| {
        let mut bytes = Vec::new();
        file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map(|_| bytes)
    });
    let problem = match read {
        Ok(bytes) if bytes.len() as u64 > FILE_BYTES => Problem::of_file("the file is larger than 1 MiB"),
        Ok(bytes) => return Some(text_of(&bytes, shown, diagnostics)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = path.parent().map(|folder| quoted(&folder.to_string_lossy())).unwrap_or_default();
            Problem::of_file(format!("there is no {shown} in {folder}")).help("`gatewright init` writes one")
        }
        Err(error) => Problem::of_file(format!("the file cannot be read: {error}")),
    };
    tell(diagnostics, shown, problem.code(Code::UnreadableFile));
    None
}

/// The text, with a mark in the place of each byte that is none of UTF-8; the first of them are told.
fn text_of(bytes: &[u8], shown: &str, diagnostics: &mut Vec<Diagnostic>) -> String {
    let (mut text, mut wrong) = (String::new(), Vec::new());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if let Some(first) = chunk.invalid().first() {
            wrong.push((text.len(), *first));
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    if !wrong.is_empty() {
        let report = Report::new(shown, text.clone());
        let more = wrong.len().saturating_sub(BYTES_TOLD);
        for (at, byte) in wrong.into_iter().take(BYTES_TOLD) {
            let span = at..at + char::REPLACEMENT_CHARACTER.len_utf8();
            let problem = Problem::at(span, format!("the byte 0x{byte:02X} is not UTF-8")).code(Code::UnreadableFile);
            let meant = char::from(byte);
            let latin = format!("save the file as UTF-8; in Latin-1 this byte is `{meant}`");
            report.add(problem.help(if byte < 0xa0 { "save the file as UTF-8".to_owned() } else { latin }));
        }
        if more > 0 {
            report.add(Problem::of_file(format!("{more} more bytes are not UTF-8")).code(Code::UnreadableFile));
        }
        diagnostics.extend(report.finish());
    }
    text
}

fn tell(diagnostics: &mut Vec<Diagnostic>, file: &str, problem: Problem) {
    let report = Report::new(file, "");
    report.add(problem);
    diagnostics.extend(report.finish());
}

pub(crate) fn shown(dir: &Path, path: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned()
}
