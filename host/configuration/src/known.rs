//! `driver = "claude-code"` and `driver = "codex"`: agents whose command the host composes itself. And `[ladder]`, which says for
//! a whole project what model they use and how hard they think.

use std::net::SocketAddr;

use conductor::dialect::claude_code::{self, TOOLS};
use conductor::dialect::{ClaudeCode, Codex, Dialect, HeldKey, PermissionMode, rung};
use conductor::project::UsageReader;
use domain::document::Role;
use domain::network::{Destination, Network};
use domain::time::Milliseconds;

use crate::diagnostic::{Problem, quoted};
use crate::keys;
use crate::reader::{At, Node, Section};

mod api;

/// Where Codex finds a key that it sees.
const CODEX_KEY: &str = "OPENAI_API_KEY";
/// How often an agent's program tries a call again by itself: the host knows better when to come again, and holds others of the
/// same service back meanwhile.
const RETRIES: u64 = 2;
const MOST_RETRIES: u64 = 10;
/// How long a program waits for the service: as long as both do by themselves at most.
const PATIENCE: Milliseconds = Milliseconds::from_seconds(600);
const PATIENCES: std::ops::RangeInclusive<u64> = 1000..=3_600_000;
/// Keys that only an agent has whose command the host composes.
pub(crate) const KEYS: [&str; 9] =
    ["program", "api", "api-key", "api-retries", "api-timeout", "permission-mode", "tools", "fallback-model", "resume"];
/// Names that stand for the newest model of a kind.
const ALIASES: [&str; 6] = ["default", "fable", "haiku", "opus", "opusplan", "sonnet"];

/// An agent that is known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ClaudeCode,
    Codex,
}

/// What a role's table comes to.
pub(crate) struct Known {
    pub(crate) program: String,
    pub(crate) model: Option<String>,
    pub(crate) effort: Option<String>,
    pub(crate) dialect: Dialect,
    pub(crate) usage: UsageReader,
    /// Where its service is, where it asks that itself; none: it has the door to it.
    pub(crate) reached: Option<Destination>,
    /// Names of the environment that hold its key, unless it never sees that.
    pub(crate) keys: Vec<String>,
}

/// What a project says for all roles of a driver.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ladder {
    claude_code: Rung,
    codex: Rung,
}

/// An empty word is kept: it says nothing, and takes nothing away from what stands below.
#[derive(Clone, Debug, Default)]
struct Rung {
    model: Option<String>,
    effort: Option<String>,
}

impl Kind {
    const ALL: [Self; 2] = [Self::ClaudeCode, Self::Codex];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
        }
    }

    const fn program(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude",
            Self::Codex => "codex",
        }
    }

    const fn efforts(self) -> [&'static str; 5] {
        match self {
            Self::ClaudeCode => ["low", "medium", "high", "xhigh", "max"],
            Self::Codex => ["minimal", "low", "medium", "high", "xhigh"],
        }
    }

    /// As files spell them.
    pub(crate) const WORDS: [&'static str; 2] = [Self::ClaudeCode.word(), Self::Codex.word()];

    /// The driver that a role names and has no command beside.
    pub(crate) fn of(section: &Section<'_>) -> Option<Self> {
        if section.get("command").is_some() || section.get("run").is_some() {
            return None;
        }
        let named = section.get("driver").filter(Node::is_text)?.text()?.value;
        Self::ALL.into_iter().find(|kind| kind.word() == named)
    }
}

/// The effort that is used where nobody names one. Only the developer has a floor: his is the work that a model does badly in haste
/// (catalogue E4).
const fn floor(role: Role) -> Option<&'static str> {
    match role {
        Role::Developer => Some("xhigh"),
        _ => None,
    }
}

/// `[ladder]`.
pub(crate) fn ladder(file: &Section<'_>) -> Ladder {
    let Some(section) = file.section("ladder", &keys::LADDER) else { return Ladder::default() };
    let of = |kind: Kind| {
        let table =
            section.get(kind.word()).and_then(|node| node.table(&format!("[ladder.{}]", kind.word()), &keys::RUNG));
        table.map_or_else(Rung::default, |table| step(&table, kind, false))
    };
    Ladder { claude_code: of(Kind::ClaudeCode), codex: of(Kind::Codex) }
}

/// `model` and `effort` of a table. `other_service`: its models have names of its own.
fn step(section: &Section<'_>, kind: Kind, other_service: bool) -> Rung {
    let text = |key: &str| section.get(key).and_then(|node| node.argument());
    let effort = text("effort").filter(|effort| {
        let is_one = effort.value.is_empty() || kind.efforts().contains(&effort.value.as_str());
        if !is_one {
            let problem = Problem::at(
                effort.span.clone(),
                format!("`effort` of {} cannot be {}", section.name, quoted(&effort.value)),
            )
            .of_value();
            section.report.add(problem.choices("it is one of", &effort.value, kind.efforts()));
        }
        is_one
    });
    let model = text("model").filter(|model| model.value.is_empty() || is_model(section, kind, model, other_service));
    Rung { model: model.map(|at| at.value), effort: effort.map(|at| at.value) }
}

/// A name that the driver knows to be none of its models' never reaches it.
fn is_model(section: &Section<'_>, kind: Kind, model: &At<String>, other_service: bool) -> bool {
    let name = model.value.as_str();
    let formed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/@[]".contains(&byte);
    let is_word = name.len() <= 100 && name.bytes().all(formed) && !name.starts_with('-');
    let is_its = match kind {
        Kind::ClaudeCode => other_service || name.contains("claude") || ALIASES.contains(&name),
        Kind::Codex => other_service || !name.contains("claude"),
    };
    if is_word && is_its {
        return true;
    }
    let problem =
        Problem::at(model.span.clone(), format!("`model` of {} cannot be {}", section.name, quoted(name))).of_value();
    section.report.add(match kind {
        Kind::ClaudeCode if is_word => problem.choices("a name with `claude` in it, or one of", name, ALIASES),
        Kind::Codex if is_word => problem.help("Codex has no such model"),
        _ => problem.help("one word of at most 100 letters, digits and `-._:/@[]` that begins with no `-`"),
    });
    false
}

/// A role's table, where it names such a driver.
pub(crate) fn read(section: &Section<'_>, role: Role, ladder: &Ladder, listener: Option<SocketAddr>) -> Option<Known> {
    let kind = Kind::of(section)?;
    for (key, why) in [
        ("usage", "the host knows how it says what it used"),
        ("transient", "the host knows by which signs its failures pass"),
    ] {
        if let Some(node) = section.get(key) {
            let problem = Problem::at(node.span, format!("`{key}` says nothing beside driver = \"{}\"", kind.word()));
            section.report.add(problem.help(why));
        }
    }
    let foreign: &[&str] = match kind {
        Kind::ClaudeCode => &[],
        Kind::Codex => &["permission-mode", "tools", "fallback-model"],
    };
    for node in foreign.iter().filter_map(|key| section.get(key)) {
        section.report.add(Problem::at(node.span, format!("{} is not for driver = \"{}\"", node.what, kind.word())));
    }
    let program = program(section, kind);
    let api = api::read(section, kind, listener)?;
    let own = step(section, kind, api.url.is_some());
    let below = match kind {
        Kind::ClaudeCode => &ladder.claude_code,
        Kind::Codex => &ladder.codex,
    };
    let named = |own: &Option<String>, below: &Option<String>, floor| {
        rung(own.as_deref(), below.as_deref(), floor).map(str::to_owned)
    };
    let patience = section.duration("api-timeout", PATIENCES, PATIENCE);
    let held = api::held_key(section, kind, &api, patience);
    let reached = held.is_none().then(|| api.destination());
    let (dialect, usage, keys) = match kind {
        Kind::ClaudeCode => claude(section, api.url, held, patience),
        Kind::Codex => codex(section, api.url, held, patience),
    };
    Some(Known {
        program: program?,
        model: named(&own.model, &below.model, None),
        effort: named(&own.effort, &below.effort, floor(role)),
        dialect,
        usage,
        reached,
        keys,
    })
}

fn program(section: &Section<'_>, kind: Kind) -> Option<String> {
    let Some(node) = section.get("program") else { return Some(kind.program().to_owned()) };
    let text = node.text()?;
    if text.value.starts_with('/') || !text.value.contains(['/', '~']) && !text.value.contains(char::is_whitespace) {
        return Some(text.value);
    }
    let problem = Problem::at(text.span, format!("{} cannot be {}", node.what, quoted(&text.value))).of_value();
    section.report.add(problem.help("a name is looked up in PATH; a path begins with `/`"));
    None
}

fn claude(
    section: &Section<'_>,
    api: Option<String>,
    held: Option<HeldKey>,
    patience: Milliseconds,
) -> (Dialect, UsageReader, Vec<String>) {
    let mode = section.get("permission-mode").and_then(|node| node.word(&PermissionMode::ALL));
    let tools = match section.get("tools") {
        None => TOOLS.map(str::to_owned).to_vec(),
        Some(node) => node.texts().into_iter().filter(|tool| is_tool(section, tool)).map(|tool| tool.value).collect(),
    };
    let fallback = section
        .get("fallback-model")
        .and_then(|node| node.argument())
        .filter(|model| !model.value.is_empty() && is_model(section, Kind::ClaudeCode, model, api.is_some()));
    let keys = if held.is_some() { Vec::new() } else { claude_code::KEYS.map(|(name, _)| name.to_owned()).to_vec() };
    let dialect = ClaudeCode {
        permission_mode: mode.unwrap_or(PermissionMode::AcceptEdits),
        tools,
        fallback_model: fallback.map(|at| at.value),
        api,
        held,
        retries: section.whole("api-retries", 0..=MOST_RETRIES, RETRIES) as u32,
        patience,
        resume: section.flag("resume", true),
    };
    (Dialect::ClaudeCode(dialect), UsageReader::ClaudeCode, keys)
}

fn codex(
    section: &Section<'_>,
    api: Option<String>,
    held: Option<HeldKey>,
    patience: Milliseconds,
) -> (Dialect, UsageReader, Vec<String>) {
    let keys = if held.is_some() { Vec::new() } else { vec![CODEX_KEY.to_owned()] };
    let dialect = Codex {
        api: api.unwrap_or_else(|| "https://api.openai.com/v1".to_owned()),
        key: CODEX_KEY.to_owned(),
        held,
        retries: section.whole("api-retries", 0..=MOST_RETRIES, RETRIES) as u32,
        patience,
        resume: section.flag("resume", true),
    };
    (Dialect::Codex(dialect), UsageReader::Codex, keys)
}

fn is_tool(section: &Section<'_>, tool: &At<String>) -> bool {
    let name = tool.value.split('(').next().unwrap_or_default();
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_whole = tool.value.contains('(') == tool.value.ends_with(')');
    let is_one = is_name && is_whole && !tool.value.contains(',') && !tool.value.chars().any(char::is_control);
    if !is_one {
        let problem = Problem::at(tool.span.clone(), format!("{} names no tool", quoted(&tool.value))).of_value();
        section.report.add(problem.help("one entry for each: tools = [\"Read\", \"Edit\", \"Bash(cargo *)\"]"));
    }
    is_one
}

/// What it may reach: what the role names, and its service, unless it has a door of its own.
pub(crate) fn with_service(named: Network, service: Option<Destination>) -> Network {
    let Network(mut destinations) = named;
    destinations.extend(service.filter(|service| !destinations.contains(service)));
    Network(destinations)
}

/// Keys that belong to such a driver, where there is none.
pub(crate) fn tell_unused(section: &Section<'_>) {
    for node in KEYS.iter().filter_map(|key| section.get(key)) {
        let problem = Problem::at(node.span, format!("{} is for an agent whose command the host composes", node.what));
        section.report.add(problem.help(
            "write driver = \"claude-code\" or driver = \"codex\" in place of `command`, or put it into the command itself",
        ));
    }
}
