//! The texts of the planned files. Their comments teach: whoever opens one for the first time should need no other page.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use domain::document::Role;

use crate::init::agent::{AgentChoice, Key, Profile, Who};
use crate::init::listing::TestCommand;
use crate::init::{InitError, InitRequest, Preset};

/// A longer list stands with one word a line.
const LINE_LENGTH: usize = 90;

/// `gatewright.toml`.
pub(crate) const HOST: &str = include_str!("host.toml");

/// `projects/NAME.toml`.
pub(crate) fn project(
    request: &InitRequest,
    agents: &BTreeMap<Role, AgentChoice>,
    test: &TestCommand,
) -> Result<String, InitError> {
    let mut text = head(request)?;
    let mut taught = false;
    for role in request.preset.roles() {
        let agent = agents.get(role);
        if *role == Role::Tester && !request.agents.contains_key(role) {
            tester(&mut text, agent, test)?;
        } else if let Some(agent) = agent {
            worker(&mut text, *role, &agent.profile(&request.set), test, &mut taught)?;
        }
    }
    text.push_str("# The project's own test suite: the step `retest` runs it on what will land.\n");
    needs(&mut text, test);
    command(&mut text, "test", &test.argv, &test.readable, &test.network)?;
    if request.preset == Preset::Full {
        hooks(&mut text, request)?;
    }
    text.push_str(TAIL);
    Ok(text)
}

/// Said beside an empty `network`.
const REACHED: &str =
    "Names that it may reach, as \"registry.example.com\" for its packages; \"open\": your whole network.";

const TAIL: &str = "# Settings of a gate, by the name of its step.
# [gates.checks-green]
# settings = { required = [\"build\"] }

# Plugins of yours: `gatewright plugin add FILE` writes their entries here.
";

fn head(request: &InitRequest) -> Result<String, InitError> {
    let repository = request.repository.to_string_lossy();
    let way = match request.preset {
        Preset::Quick => "development, review, testing, your approval, merge",
        Preset::Full => "analysis, architecture, development, review, testing, staging, deploy, merge",
    };
    Ok(format!(
        "# One project. docs/configuration.md explains every key; `gatewright check` checks the file.

# The project's name; the file bears it too.
name = {}
# Work items are {prefix}-1, {prefix}-2, …
prefix = {}
# Your repository. Nobody works in it: each task has a clone of its own.
repository = {}
# Where finished work lands: only as a fast-forward to the very commit that was tested.
base-branch = {}
# One task at a time: a new one begins when all earlier ones have ended, or are paused.
serial = false
# The way of a task. \"{}\": {way}.
# In its place [[stage]] tables may draw a way of your own.
pipeline = {}

",
        quote("the name", request.name.as_str())?,
        quote("the prefix", &request.prefix)?,
        quote("the repository's path", &repository)?,
        quote("the branch", request.base_branch.as_str())?,
        request.preset.as_str(),
        quote("the pipeline", request.preset.as_str())?,
        prefix = request.prefix,
    ))
}

fn worker(
    text: &mut String,
    role: Role,
    profile: &Profile,
    test: &TestCommand,
    taught: &mut bool,
) -> Result<(), InitError> {
    let teach = !std::mem::replace(taught, true);
    let comment = |text: &mut String, line: &str| {
        if teach {
            let _ = writeln!(text, "# {line}");
        }
    };
    let _ = writeln!(text, "[roles.{role}]");
    match &profile.who {
        Who::Driver(driver) => {
            comment(
                text,
                "The agent, whose command the host composes. Another: command = [\"my-agent\", \"{brief}\"].",
            );
            let _ = writeln!(text, "driver = \"{driver}\"");
            comment(
                text,
                "model = \"…\" and effort = \"…\" say which model works and how hard it thinks; [ladder] says it for all roles.",
            );
        }
        Who::Command(argv) => {
            comment(
                text,
                "The agent: program and arguments, no shell. Filled in: {brief} {workdir} {role} {work_item}.",
            );
            let _ = writeln!(text, "command = {}", list("the agent's command", argv)?);
        }
    }
    comment(text, "The beginning of each brief; relative to the folder of gatewright.toml.");
    let _ = writeln!(text, "prompt = \"prompts/{role}.md\"");
    comment(text, "After this long it is told to end (TERM); after the grace its whole process tree is ended.");
    let _ = writeln!(text, "timeout = \"{}\"\ngrace = \"20s\"", timeout(role));
    if let Some(usage) = profile.usage {
        comment(text, "Where the last JSON object that it prints says what it cost (JSON pointers).");
        let _ = writeln!(text, "usage = {usage}");
    }
    key(text, profile.key, comment);
    comment(text, "Paths beside its clone that it may read, and that it may write.");
    // A developer who cannot run the suite hands in what does not pass it.
    let runs_suite = matches!(role, Role::Developer | Role::Tester);
    let readable = if runs_suite { test.readable.as_slice() } else { &[] };
    let _ = writeln!(text, "readable = {}\nwritable = {}", list_of(readable), list_of(profile.writable));
    comment(
        text,
        match profile.who {
            Who::Driver(_) => {
                "Names that it may reach beside its own service, through a proxy and no other way; \"open\": your whole network."
            }
            Who::Command(_) => {
                "Names that it may reach, through a proxy and no other way; \"open\" gives it your whole network."
            }
        },
    );
    let mut network: Vec<String> = profile.network.iter().map(|name| (*name).to_owned()).collect();
    network.extend(test.network.iter().filter(|_| runs_suite).cloned());
    let _ = writeln!(text, "network = {}\n", list("a name", &network)?);
    Ok(())
}

fn key(text: &mut String, key: Key, comment: impl Fn(&mut String, &str)) {
    match key {
        Key::Held { name, other } => {
            comment(
                text,
                "The name of your environment that holds its key. It never sees the key: its shim, outside the sandbox, adds it.",
            );
            if let Some(other) = other {
                let what = if other.ends_with("TOKEN") {
                    "a subscription in place of a key"
                } else {
                    "a key in place of a subscription"
                };
                comment(text, &format!("With {what}: api-key = \"{other}\"."));
            }
            let _ = writeln!(text, "api-key = \"{name}\"");
            comment(text, "Other names that it sees. It sees no other, and never a token of forge or tracker.");
            let _ = writeln!(text, "pass-environment = []");
        }
        Key::Seen(names) => {
            comment(
                text,
                "Names of your environment that it sees. It sees no other, and never a token of forge or tracker.",
            );
            let _ = writeln!(text, "pass-environment = {}", list_of(names));
        }
    }
}

/// The tester is the suite itself; how an agent takes its place stands beside it.
fn tester(text: &mut String, agent: Option<&AgentChoice>, test: &TestCommand) -> Result<(), InitError> {
    text.push_str(
        "[roles.tester]\n# A plain command: its exit code is the verdict, and the host writes the test report.\n",
    );
    needs(text, test);
    let _ = writeln!(text, "run = {}", list("the test command", &test.argv)?);
    let _ = writeln!(text, "timeout = \"{}\"\ngrace = \"20s\"", timeout(Role::Tester));
    let _ = writeln!(text, "readable = {}", list_of(&test.readable));
    let _ = writeln!(text, "# {REACHED}\nnetwork = {}", list("a name", &test.network)?);
    if let Some(agent) = agent {
        text.push_str("# An agent that also tries what the ticket asks for, in its place:\n");
        let who = match agent.profile(&BTreeSet::new()).who {
            Who::Driver(driver) => format!("driver = \"{driver}\""),
            Who::Command(argv) => format!("command = {}", list("the agent's command", &argv)?),
        };
        let _ = writeln!(text, "# {}", who.replace('\n', "\n# "));
        text.push_str("# prompt = \"prompts/tester.md\"\n");
    }
    text.push('\n');
    Ok(())
}

/// What is missing for a fresh clone.
fn needs(text: &mut String, test: &TestCommand) {
    for need in &test.needs {
        let _ = writeln!(text, "# To do: {need}.");
    }
}

fn hooks(text: &mut String, request: &InitRequest) -> Result<(), InitError> {
    for (word, argv, what) in [
        (
            "staging",
            &request.staging,
            "Brings the tested commit to staging. Exit code 0: done; 2: could not try, once more later; else: failed.",
        ),
        ("deploy", &request.deploy, "Brings the tested commit to production. Exit codes as above."),
    ] {
        let _ = writeln!(
            text,
            "# {what}\n# In its sandbox it writes only what `writable` names and reaches only what `network` names;\n# `sandboxed = false` gives it the whole machine."
        );
        command(text, word, argv.as_deref().unwrap_or_default(), &[], &[])?;
    }
    Ok(())
}

fn command(
    text: &mut String,
    word: &str,
    argv: &[String],
    readable: &[&str],
    network: &[String],
) -> Result<(), InitError> {
    let _ = writeln!(text, "[commands.{word}]\nrun = {}", list("a command", argv)?);
    let _ = writeln!(text, "timeout = \"30m\"\nsandboxed = true\nreadable = {}\nwritable = []", list_of(readable));
    let _ = writeln!(text, "# {REACHED}\nnetwork = {}\n", list("a name", network)?);
    Ok(())
}

/// Catalogue E5.
const fn timeout(role: Role) -> &'static str {
    match role {
        Role::Developer => "60m",
        Role::Reviewer => "50m",
        Role::Analyst | Role::Architect | Role::Tester | Role::Deployer => "30m",
    }
}

fn list(what: &'static str, words: &[String]) -> Result<String, InitError> {
    let words = words.iter().map(|word| quote(what, word)).collect::<Result<Vec<_>, _>>()?;
    let line = format!("[{}]", words.join(", "));
    if line.len() <= LINE_LENGTH { Ok(line) } else { Ok(format!("[\n  {},\n]", words.join(",\n  "))) }
}

/// Words of ours, which need no escape.
fn list_of(words: &[&str]) -> String {
    format!("[{}]", words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "))
}

fn quote(what: &'static str, text: &str) -> Result<String, InitError> {
    if text.chars().any(char::is_control) {
        let why = format!("it holds a control character: {text:?}");
        return Err(InitError::Unwritable { what, why });
    }
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}
