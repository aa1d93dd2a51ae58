//! `[roles.NAME]` and `[commands.NAME]`: who works, and what the host's actions run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;

use conductor::dialect::Dialect;
use conductor::project::{AgentSpec, CommandSpec, Figures, HookName, Pointers, UsageReader, Worker};
use domain::budget::Cap;
use domain::document::Role;
use domain::time::Milliseconds;

use crate::budget::{self, Placed};
use crate::diagnostic::{Problem, quoted};
use crate::environment;
use crate::keys;
use crate::known::{self, Kind, Known, Ladder};
use crate::limits;
use crate::near::misspelt;
use crate::network;
use crate::paths::Paths;
use crate::reader::{At, Node, Section, list_of_words};
use crate::worker_limits;

/// From TERM to KILL (catalogue E5).
const GRACE: Milliseconds = Milliseconds::from_seconds(20);
/// Bounds of a time budget in milliseconds.
const BUDGET: std::ops::RangeInclusive<u64> = 1000..=24 * 3_600_000;
/// Bounds of a grace in milliseconds.
const GRACES: std::ops::RangeInclusive<u64> = 0..=600_000;
/// A prompt is the beginning of every brief: what is larger is another file.
const PROMPT_BYTES: u64 = 64 * 1024;
/// What stands in an agent's command for what only the launch knows.
const PLACEHOLDERS: [&str; 6] = ["{brief}", "{workdir}", "{role}", "{work_item}", "{model}", "{effort}"];
/// A name of a model or of an effort is no longer.
const NAME_CHARACTERS: usize = 100;
/// Tokens that only a shell understands.
const SHELL_TOKENS: [&str; 8] = ["&&", "||", "|", ";", ">", ">>", "<", "&"];

/// What a file says of workers and hooks. What was named and is flawed stands in `named` alone, so that nobody is told
/// that it is missing.
#[derive(Debug, Default)]
pub(crate) struct Crew {
    pub(crate) workers: BTreeMap<Role, Worker>,
    pub(crate) named_roles: BTreeSet<Role>,
    pub(crate) hooks: BTreeMap<HookName, CommandSpec>,
    pub(crate) named_hooks: BTreeSet<HookName>,
    /// What runs of its agents may cost, with the places of what needs a price.
    pub(crate) caps: Vec<Placed>,
}

/// As files spell it.
pub(crate) const fn hook_word(hook: HookName) -> &'static str {
    match hook {
        HookName::Test => "test",
        HookName::Staging => "staging",
        HookName::Deploy => "deploy",
    }
}

/// Reads both tables.
pub(crate) fn read(file: &Section<'_>, paths: &Paths, repository: Option<&Path>, listener: Option<SocketAddr>) -> Crew {
    let mut crew = Crew::default();
    let ladder = known::ladder(file);
    if let Some(roles) = file.section("roles", &keys::ROLES) {
        crew.named_roles.extend(Role::ALL.into_iter().filter(|role| roles.has_slip_of(role.as_str())));
        for role in Role::ALL {
            let Some(node) = roles.get(role.as_str()) else { continue };
            crew.named_roles.insert(role);
            let worker = node
                .table(&format!("[roles.{role}]"), &keys::ROLE)
                .and_then(|section| worker(&section, role, paths, repository, listener, &ladder, &mut crew.caps));
            crew.workers.extend(worker.map(|worker| (role, worker)));
        }
    }
    if let Some(commands) = file.section("commands", &keys::COMMANDS) {
        let hooks = [HookName::Test, HookName::Staging, HookName::Deploy];
        crew.named_hooks.extend(hooks.into_iter().filter(|hook| commands.has_slip_of(hook_word(*hook))));
        for hook in [HookName::Test, HookName::Staging, HookName::Deploy] {
            let word = hook_word(hook);
            let Some(node) = commands.get(word) else { continue };
            crew.named_hooks.insert(hook);
            let budget = Milliseconds::from_seconds(30 * 60);
            let spec = node
                .table(&format!("[commands.{word}]"), &keys::COMMAND)
                .and_then(|section| command(&section, budget, paths, repository, listener));
            crew.hooks.extend(spec.map(|spec| (hook, spec)));
        }
    }
    crew
}

/// Catalogue E5.
const fn budget_of(role: Role) -> Milliseconds {
    match role {
        Role::Developer => Milliseconds::from_seconds(3600),
        Role::Reviewer => Milliseconds::from_seconds(3000),
        Role::Analyst | Role::Architect | Role::Tester | Role::Deployer => Milliseconds::from_seconds(1800),
    }
}

fn worker(
    section: &Section<'_>,
    role: Role,
    paths: &Paths,
    repository: Option<&Path>,
    listener: Option<SocketAddr>,
    ladder: &Ladder,
    caps: &mut Vec<Placed>,
) -> Option<Worker> {
    let report = section.report;
    if Kind::of(section).is_none() {
        known::tell_unused(section);
    }
    // Whose values they are is not known; what is wrong with them is told all the same.
    let mut unclear = |section: &Section<'_>| {
        drop(agent(section, role, paths, repository, listener, ladder, caps));
        None
    };
    match (section.get("command"), section.get("run")) {
        (Some(_), None) => agent(section, role, paths, repository, listener, ladder, caps).map(Worker::Agent),
        (None, None) if Kind::of(section).is_some() => {
            agent(section, role, paths, repository, listener, ladder, caps).map(Worker::Agent)
        }
        (None, Some(node)) => {
            for key in ["prompt", "usage", "driver", "transient", "model", "effort", "budget"] {
                if let Some(foreign) = section.get(key) {
                    report.add(Problem::at(
                        foreign.span,
                        format!("`{key}` belongs to an agent, and `run` is a plain command"),
                    ));
                }
            }
            // What else is wrong is told beside who may not do this.
            let command = command(section, budget_of(role), paths, repository, listener).map(Worker::Command);
            // From an exit code the host makes a test report, and no other role's document.
            if role != Role::Tester {
                let problem = Problem::at(node.span, format!("the {role} cannot be a plain command"));
                report.add(
                    problem
                        .help("only the tester can; an agent may be a script: command = [\"my-script\", \"{brief}\"]"),
                );
                return None;
            }
            command
        }
        (Some(_), Some(node)) => {
            let problem = Problem::at(node.span, format!("{} has `command` and `run`", section.name));
            report.add(problem.help(
                "`command` is an agent that gets a brief; `run` is a plain command whose exit code is the verdict",
            ));
            unclear(section)
        }
        (None, None) => {
            report.add(nobody(section));
            unclear(section)
        }
    }
}

/// What to say where nobody works.
fn nobody(section: &Section<'_>) -> Problem {
    let problem = match section.get("driver").filter(Node::is_text).and_then(|node| node.text()) {
        None => Problem::at(section.span.clone(), format!("{} does not say who works", section.name)),
        Some(driver) => {
            let named = quoted(&driver.value);
            let message = format!("{} has no `command`, and the host composes none for {named}", section.name);
            Problem::at(driver.span, message).choices("it composes one for", &driver.value, Kind::WORDS)
        }
    };
    problem
        .help("an agent that is known by name: driver = \"claude-code\", or driver = \"codex\"")
        .help("any other: command = [\"my-agent\", \"{brief}\"]")
        .help("a plain command whose exit code is the verdict: run = [\"cargo\", \"test\"]")
}

fn agent(
    section: &Section<'_>,
    role: Role,
    paths: &Paths,
    repository: Option<&Path>,
    listener: Option<SocketAddr>,
    ladder: &Ladder,
    caps: &mut Vec<Placed>,
) -> Option<AgentSpec> {
    let is_known = Kind::of(section).is_some();
    let known = known::read(section, role, ladder, listener);
    let argv = match &known {
        Some(known) => Some(vec![known.program.clone()]),
        None => section.get("command").and_then(|node| argv(&node)).map(|tokens| {
            for token in &tokens {
                tell_unknown_placeholders(section, token);
                tell_unset_placeholders(section, token);
            }
            tokens.into_iter().map(|token| token.value).collect()
        }),
    };
    let stamps = || (stamped(section, "model"), stamped(section, "effort"));
    let (model, effort) = if is_known { (None, None) } else { stamps() };
    let cap = section.get("budget").and_then(|node| node.table(&format!("`budget` of {}", section.name), &keys::CAP));
    let cap = cap.map_or_else(Cap::default, |table| {
        let (cap, places) = budget::cap(&table);
        caps.push(places);
        cap
    });
    if let Some(node) = section.get("sandboxed") {
        let problem = Problem::at(node.span, format!("`sandboxed` of {} is not for an agent to choose", section.name));
        section.report.add(problem.help("[sandbox] mode in gatewright.toml says it for all agents"));
    }
    let prompt = prompt(section, role, paths);
    let driver = argv.as_ref().and_then(|argv: &Vec<String>| limits::driver(section, argv.first()?));
    let transient = limits::transient(section);
    let usage = section.get("usage").and_then(|node| node.table("usage", &keys::USAGE)).map(|table| usage(&table));
    // All is read before anything is found wanting: whoever made three mistakes is told of three.
    let budget = section.duration("timeout", BUDGET, budget_of(role));
    let grace = section.duration("grace", GRACES, GRACE);
    let pass_environment = environment::read(section);
    let (readable, writable) = (paths.readable(section), paths.writable(section, repository));
    let network = network::read(section, listener);
    let limits = worker_limits::read(section);
    let mut spec = AgentSpec {
        argv: argv?,
        prompt: prompt?,
        budget,
        grace,
        usage: usage.unwrap_or_default(),
        model,
        effort,
        cap,
        pass_environment,
        readable,
        writable,
        network,
        driver: driver?,
        transient,
        limits,
        dialect: Dialect::Command,
    };
    if let Some(known) = known {
        take_over(section, &mut spec, known);
    }
    Some(spec)
}

/// What the host itself knows of an agent.
fn take_over(section: &Section<'_>, spec: &mut AgentSpec, known: Known) {
    spec.network = known::with_service(std::mem::take(&mut spec.network), known.reached);
    match (section.get("pass-environment"), known.dialect.held_key()) {
        (None, _) => spec.pass_environment = known.keys,
        (Some(node), Some(key)) if spec.pass_environment.contains(&key.variable) => {
            let problem = Problem::at(node.span, format!("the agent would see {} after all", quoted(&key.variable)));
            section.report.add(problem.help(
                "`api-key` keeps it from the agent: take it out here, or take out `api-key` if the agent may see it",
            ));
        }
        (Some(_), _) => {}
    }
    (spec.model, spec.effort) = (known.model, known.effort);
    (spec.usage, spec.dialect) = (known.usage, known.dialect);
}

fn command(
    section: &Section<'_>,
    budget: Milliseconds,
    paths: &Paths,
    repository: Option<&Path>,
    listener: Option<SocketAddr>,
) -> Option<CommandSpec> {
    let argv = section.need("run", "run = [\"cargo\", \"test\"]").and_then(|node| argv(&node));
    for token in argv.iter().flatten() {
        if let Some(placeholder) = PLACEHOLDERS.iter().find(|placeholder| token.value.contains(**placeholder)) {
            let message = format!("`{placeholder}` is only filled in for agents");
            let problem = Problem::at(token.span.clone(), message);
            section.report.add(problem.help("a plain command runs in the clone; it gets no brief"));
        }
    }
    let sandboxed = section.flag("sandboxed", true);
    for key in ["readable", "writable", "network"] {
        if let Some(node) = section.get(key).filter(|_| !sandboxed) {
            let problem = Problem::at(node.span, format!("`{key}` says nothing beside `sandboxed = false`"));
            section
                .report
                .add(problem.help("without a sandbox the command sees the whole machine; remove one of the two"));
        }
    }
    let spec = CommandSpec {
        argv: argv.iter().flatten().map(|token| token.value.clone()).collect(),
        budget: section.duration("timeout", BUDGET, budget),
        grace: section.duration("grace", GRACES, GRACE),
        pass_environment: environment::read(section),
        readable: paths.readable(section),
        writable: paths.writable(section, repository),
        network: network::read(section, listener),
        limits: worker_limits::read(section),
        sandboxed,
    };
    argv.map(|_| spec)
}

/// Program and arguments. No shell reads them, and the mistakes that come from thinking of one are told.
fn argv(node: &Node<'_>) -> Option<Vec<At<String>>> {
    let items = node.items()?;
    let Some(first) = items.first() else {
        node.report.add(
            Problem::at(node.span.clone(), format!("{} is empty", node.what)).help("the first entry is the program"),
        );
        return None;
    };
    let before = node.report.count();
    let program = first.text()?;
    let spaced = program.value.contains(char::is_whitespace) && !program.value.starts_with('/');
    if spaced {
        let problem = Problem::at(program.span, "the program's name has a space in it").of_value();
        node.report
            .add(problem.label("one entry for each argument").help(format!("write {}", list_of_words(&program.value))));
    } else if program.value.starts_with('~') || (program.value.contains('/') && !program.value.starts_with('/')) {
        let problem = Problem::at(program.span, "the program is a relative path").of_value();
        node.report.add(problem.help(
            "a name is looked up in PATH; a path begins with `/`; a script of the repository is [\"sh\", \"./script\"]",
        ));
    }
    // An empty argument is an argument; only the program must be there.
    let tokens: Vec<At<String>> = items.iter().filter_map(Node::argument).collect();
    for token in &tokens {
        if SHELL_TOKENS.contains(&token.value.as_str()) {
            let problem = Problem::at(
                token.span.clone(),
                format!("`{}` means nothing here: no shell reads the command", token.value),
            )
            .of_value();
            node.report.add(problem.help("[\"sh\", \"-c\", \"…\"] runs one"));
        }
    }
    (node.report.count() == before).then_some(tokens)
}

fn tell_unknown_placeholders(section: &Section<'_>, token: &At<String>) {
    for (open, _) in token.value.match_indices('{') {
        let rest = &token.value[open..];
        // A doubled brace stands for a plain one.
        if rest.starts_with("{{") || token.value[..open].ends_with('{') {
            continue;
        }
        let Some(close) = rest.find('}') else { continue };
        let word = &rest[..=close];
        let inner = &word[1..close];
        let looks =
            !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'-');
        if looks && !PLACEHOLDERS.contains(&word) {
            let problem = Problem::at(token.span.clone(), format!("nothing is filled in for {}", quoted(word)));
            section.report.add(problem.choices("these are filled in", word, PLACEHOLDERS));
        }
    }
}

/// A placeholder whose value the role does not name.
fn tell_unset_placeholders(section: &Section<'_>, token: &At<String>) {
    for key in ["model", "effort"] {
        let plain = token.value.replace("{{", "");
        if plain.contains(&format!("{{{key}}}")) && section.get(key).is_none() && !section.has_slip_of(key) {
            let problem = Problem::at(token.span.clone(), format!("nothing is filled in for `{{{key}}}`"));
            section.report.add(problem.help(format!("{} has no `{key}`: add one, or take the word out", section.name)));
        }
    }
}

/// A name that stands in a command line and in the run's row, as the agent calls it.
fn stamped(section: &Section<'_>, key: &str) -> Option<String> {
    let text = section.text(key)?;
    let sound = text.value.chars().count() <= NAME_CHARACTERS
        && !text.value.starts_with('-')
        && !text.value.chars().any(|character| character.is_control() || character.is_whitespace());
    if sound {
        return Some(text.value);
    }
    let problem =
        Problem::at(text.span, format!("`{key}` of {} cannot be {}", section.name, quoted(&text.value))).of_value();
    section
        .report
        .add(problem.help(format!("one word of at most {NAME_CHARACTERS} characters that begins with no `-`")));
    None
}

fn prompt(section: &Section<'_>, role: Role, paths: &Paths) -> Option<String> {
    let text = match section.get("prompt") {
        Some(node) => node.text()?,
        None => At { value: format!("prompts/{role}.md"), span: section.span.clone() },
    };
    let path = paths.beneath(section.report, &format!("`prompt` of {}", section.name), &text)?;
    let problem = match read_prompt(&path) {
        Ok(prompt) if prompt.trim().is_empty() => {
            Problem::at(text.span, format!("the prompt {} is empty", quoted(&text.value))).of_value()
        }
        Ok(prompt) => return Some(prompt),
        Err(why) => {
            let problem =
                Problem::at(text.span, format!("the prompt {} cannot be read: {why}", quoted(&text.value))).of_value();
            match sibling(&path) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem,
            }
        }
    };
    section.report.add(
        problem.help(format!("it is the first part of each brief of the {role}, relative to {}", "the state folder")),
    );
    None
}

fn read_prompt(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    })?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err("it is no file".to_owned());
    }
    file.take(PROMPT_BYTES + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > PROMPT_BYTES { Err("it is larger than 64 KiB".to_owned()) } else { Ok(text) }
}

/// A file beside a missing one whose name is near.
fn sibling(path: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_str()?;
    let names: Vec<String> = std::fs::read_dir(path.parent()?)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let list: Vec<&str> = names.iter().map(String::as_str).collect();
    misspelt(wanted, &list).map(str::to_owned)
}

/// What a word of `format` means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    None,
    Json,
    JsonLines,
}

fn usage(section: &Section<'_>) -> UsageReader {
    let formats = [("json", Format::Json), ("json-lines", Format::JsonLines), ("none", Format::None)];
    let format = section.need("format", "format = \"json\"").and_then(|node| node.word(&formats));
    let pointers = Pointers {
        input_tokens: pointer(section, "input-tokens"),
        output_tokens: pointer(section, "output-tokens"),
        cache_read_tokens: pointer(section, "cache-read-tokens"),
        cache_creation_tokens: pointer(section, "cache-creation-tokens"),
        cost_usd: pointer(section, "cost-usd"),
    };
    let kinds = [("cumulative", Figures::Cumulative), ("summed", Figures::Summed)];
    if format != Some(Format::JsonLines) {
        for node in ["figures", "id"].iter().filter_map(|key| section.get(key)) {
            let problem = Problem::at(node.span, format!("{} belongs to format = \"json-lines\"", node.what));
            section.report.add(problem.help("of one object at the end nothing is added up"));
        }
    }
    match format {
        Some(Format::Json) => UsageReader::Json(pointers),
        Some(Format::JsonLines) => {
            let figures = section.need("figures", "figures = \"summed\"").and_then(|node| node.word(&kinds));
            let id = pointer(section, "id");
            UsageReader::JsonLines { pointers, figures: figures.unwrap_or(Figures::Cumulative), id }
        }
        Some(Format::None) | None => UsageReader::None,
    }
}

fn pointer(section: &Section<'_>, key: &str) -> Option<String> {
    let text = section.text(key)?;
    let escapes =
        text.value.match_indices('~').all(|(at, _)| matches!(text.value.as_bytes().get(at + 1), Some(b'0' | b'1')));
    if text.value.starts_with('/') && escapes {
        return Some(text.value);
    }
    let problem = Problem::at(text.span, format!("`{key}` of usage cannot be {}", quoted(&text.value))).of_value();
    section
        .report
        .add(problem.help(
            "it is a JSON pointer (RFC 6901) into an object that the agent prints, e.g. \"/usage/input_tokens\"",
        ));
    None
}
