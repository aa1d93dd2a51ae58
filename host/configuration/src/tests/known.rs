//! Agents that the host knows by name, and the ladder of their models and efforts.

use conductor::dialect::claude_code::TOOLS;
use conductor::dialect::{Dialect, HeldKey, KeyHeader, PermissionMode, Place, Service, Transport};
use conductor::project::{AgentSpec, UsageReader, Worker};
use domain::document::Role;
use domain::network::{Destination, Network};
use domain::time::Milliseconds;

use crate::tests::world::{PROJECT, World};

const COMMAND: &str = "command = [\"agent\", \"{brief}\"]";

/// The sound project, whose developer and whose reviewer say this.
fn project(developer: &str, reviewer: &str, more: &str) -> String {
    let mut parts = PROJECT.splitn(3, COMMAND);
    let [before, between, after] = [(); 3].map(|()| parts.next().unwrap());
    format!("{before}{developer}{between}{reviewer}{after}\n{more}")
}

fn agent(world: &World, role: Role) -> AgentSpec {
    let loaded = world.load().unwrap_or_else(|_| panic!("{}", world.complaints()));
    match &loaded.projects[0].settings.workers[&role] {
        Worker::Agent(agent) => agent.clone(),
        Worker::Command(_) => panic!("it is an agent"),
    }
}

fn developer(says: &str, more: &str) -> AgentSpec {
    let world = World::new();
    world.write("projects/app.toml", project(says, COMMAND, more));
    agent(&world, Role::Developer)
}

fn complaints(says: &str, more: &str) -> String {
    let world = World::new();
    world.write("projects/app.toml", project(says, COMMAND, more));
    world.complaints()
}

#[test]
fn a_driver_that_is_known_needs_no_other_word() {
    let world = World::new();
    world.write("projects/app.toml", project("driver = \"claude-code\"", "driver = \"codex\"", ""));
    let (claude, codex) = (agent(&world, Role::Developer), agent(&world, Role::Reviewer));
    let Dialect::ClaudeCode(settings) = &claude.dialect else { panic!("{:?}", claude.dialect) };
    assert_eq!((settings.permission_mode, settings.retries, settings.resume), (PermissionMode::AcceptEdits, 2, true));
    assert_eq!((settings.tools.len(), &settings.api, settings.patience), (TOOLS.len(), &None, Milliseconds(600_000)));
    assert_eq!(
        (claude.argv, claude.usage, claude.driver.as_str()),
        (vec!["claude".to_owned()], UsageReader::ClaudeCode, "claude-code")
    );
    assert!(claude.pass_environment.contains(&"ANTHROPIC_API_KEY".to_owned()));
    assert_eq!(claude.network, Network(vec!["api.anthropic.com:443".parse().unwrap()]));
    let Dialect::Codex(settings) = &codex.dialect else { panic!("{:?}", codex.dialect) };
    assert!(settings.api.ends_with("openai.com/v1"), "{}", settings.api);
    assert_eq!(settings.key, "OPENAI_API_KEY");
    assert_eq!((codex.argv, codex.usage), (vec!["codex".to_owned()], UsageReader::Codex));
    assert_eq!(codex.network, Network(vec!["api.openai.com:443".parse().unwrap()]));
}

#[test]
fn its_service_is_reached_and_what_the_role_names_beside() {
    let says = "driver = \"claude-code\"\napi = \"https://gateway.example/claude/\"\nnetwork = [\"crates.example\"]";
    let agent = developer(says, "");
    let Dialect::ClaudeCode(settings) = &agent.dialect else { panic!() };
    assert_eq!(settings.api.as_deref(), Some("https://gateway.example/claude"));
    let expected = ["crates.example", "gateway.example:443"].map(|name| name.parse().unwrap()).to_vec();
    assert_eq!(agent.network, Network(expected));
    let local = developer("driver = \"codex\"\napi = \"http://127.0.0.1:9000/v1\"", "");
    assert_eq!(local.network, Network(vec!["127.0.0.1:9000".parse().unwrap()]));
    assert_eq!(local.pass_environment, ["OPENAI_API_KEY"]);
    // "open" leads nowhere on this machine: a service there is named all the same.
    let open = developer("driver = \"codex\"\napi = \"http://127.0.0.1:9000/v1\"\nnetwork = \"open\"", "");
    assert_eq!(open.network, Network(vec![Destination::Any, "127.0.0.1:9000".parse().unwrap()]));
}

#[test]
fn a_key_that_is_held_is_not_passed_and_its_service_is_behind_a_door_alone() {
    let name = |name: &str| Place::Name { name: name.to_owned(), port: 443 };
    for (says, variable, header, place, transport, base) in [
        ("claude-code\"", "ANTHROPIC_API_KEY", KeyHeader::XApiKey, name("api.anthropic.com"), Transport::Tls, ""),
        ("claude-code\"", "MY_KEY", KeyHeader::XApiKey, name("api.anthropic.com"), Transport::Tls, ""),
        ("claude-code\"", "CLAUDE_CODE_OAUTH_TOKEN", KeyHeader::Bearer, name("api.anthropic.com"), Transport::Tls, ""),
        ("claude-code\"", "ANTHROPIC_AUTH_TOKEN", KeyHeader::Bearer, name("api.anthropic.com"), Transport::Tls, ""),
        (
            "claude-code\"\napi = \"https://gateway.example/claude/\"",
            "KEY_2",
            KeyHeader::XApiKey,
            name("gateway.example"),
            Transport::Tls,
            "/claude",
        ),
        ("codex\"", "OPENAI_API_KEY", KeyHeader::Bearer, name("api.openai.com"), Transport::Tls, "/v1"),
        (
            "codex\"\napi = \"http://127.0.0.1:9000/v1\"",
            "MY_KEY",
            KeyHeader::Bearer,
            Place::Address("127.0.0.1:9000".parse().unwrap()),
            Transport::Plain,
            "/v1",
        ),
    ] {
        let agent = developer(&format!("driver = \"{says}\napi-key = \"{variable}\""), "");
        let service = Service { place, transport, base: base.to_owned() };
        let patience = Milliseconds::from_seconds(600);
        let held = HeldKey { variable: variable.to_owned(), header, service, patience };
        assert_eq!(agent.dialect.held_key(), Some(&held));
        assert_eq!((agent.pass_environment.as_slice(), agent.network), (&[][..], Network(Vec::new())), "{says}");
        let environment = agent.dialect.environment();
        assert!(environment.values().any(|value| value == "held-by-gatewright"), "{environment:?}");
        let ask = conductor::dialect::Ask {
            program: "agent",
            names_model: false,
            names_effort: false,
            session: conductor::dialect::Session::New("s"),
            cap_microusd: None,
        };
        let told = format!("{:?} {environment:?}", agent.dialect.compose(&ask));
        assert!(told.contains(&format!("http://127.0.0.1:17081{base}")) && !told.contains("gateway.example"), "{told}");
    }
    // What the operator names himself stays.
    let says = "driver = \"codex\"\napi-key = \"KEY\"\nnetwork = [\"api.openai.com\"]\npass-environment = [\"OTHER\"]";
    let agent = developer(says, "");
    assert_eq!((agent.network.0.len(), agent.pass_environment.as_slice()), (1, &["OTHER".to_owned()][..]));
}

#[test]
fn a_driver_beside_a_command_is_only_a_name() {
    let agent = developer("command = [\"my-claude\", \"{brief}\"]\ndriver = \"claude-code\"", "");
    assert_eq!((agent.dialect, agent.driver.as_str()), (Dialect::Command, "claude-code"));
}

#[test]
fn what_does_not_fit_a_driver_is_told_with_what_would() {
    for (says, expected) in [
        (
            "driver = \"claude-code\"\nusage = { format = \"none\" }",
            "`usage` says nothing beside driver = \"claude-code\"",
        ),
        ("driver = \"codex\"\ntransient = { exit-codes = [7] }", "`transient` says nothing beside"),
        ("driver = \"codex\"\ntools = [\"Read\"]", "is not for driver = \"codex\""),
        (
            "driver = \"claude-code\"\napi-key = \"sk-ant\"",
            "the name, never the key itself: api-key = \"ANTHROPIC_API_KEY\"",
        ),
        ("driver = \"claude-code\"\napi-key = \"GITHUB_TOKEN\"", "`GITHUB_TOKEN` is no key of an agent's"),
        ("driver = \"claude-code\"\napi-key = \"GATEWRIGHT_TOKEN\"", "the host sets these itself"),
        (
            "driver = \"claude-code\"\napi-key = \"KEY\"\npass-environment = [\"PATH2\", \"KEY\"]",
            "the agent would see `KEY` after all",
        ),
        ("command = [\"agent\"]\napi-key = \"KEY\"", "is for an agent whose command the host composes"),
        ("driver = \"claude-code\"\npermission-mode = \"acceptedits\"", "did you mean `acceptEdits`?"),
        ("driver = \"claude-code\"\ntools = [\"Read,Edit\"]", "names no tool"),
        ("driver = \"claude-code\"\nprogram = \"./claude\"", "a path begins with `/`"),
        ("driver = \"claude-code\"\napi = \"http://gateway.example\"", "unencrypted"),
        ("driver = \"claude-code\"\napi = \"https://user@gateway.example\"", "a URL without a user"),
        ("driver = \"claude-code\"\napi = \"gateway.example\"", "a URL, e.g."),
        ("driver = \"codex\"\napi-key = \"sk-abc\"", "the name, never the key itself"),
        ("command = [\"agent\"]\nresume = false", "is for an agent whose command the host composes"),
        ("driver = \"claud-code\"", "did you mean `claude-code`?"),
    ] {
        let said = complaints(says, "");
        assert!(said.contains(expected), "{says}: {said}");
    }
}

#[test]
fn e3_1_a_model_is_looked_up_from_the_role_to_the_project_and_one_of_another_maker_is_refused() {
    let ladder = "[ladder.claude-code]\nmodel = \"claude-opus-5-5\"\n[ladder.codex]\nmodel = \"gpt-x\"\n";
    let model = |says: &str| developer(says, ladder).model;
    assert_eq!(model("driver = \"claude-code\"\nmodel = \"sonnet\"").as_deref(), Some("sonnet"));
    assert_eq!(model("driver = \"claude-code\"").as_deref(), Some("claude-opus-5-5"));
    assert_eq!(model("driver = \"claude-code\"\nmodel = \"\"").as_deref(), Some("claude-opus-5-5"));
    assert_eq!(model("driver = \"codex\"").as_deref(), Some("gpt-x"));
    let said = complaints("driver = \"claude-code\"\nmodel = \"gpt-x\"", ladder);
    assert!(said.contains("cannot be `gpt-x`") && said.contains("app.toml:") && said.contains("`sonnet`"), "{said}");
    let said = complaints("driver = \"claude-code\"", "[ladder.claude-code]\nmodel = \"gpt-x\"\n");
    assert!(said.contains("`model` of [ladder.claude-code] cannot be `gpt-x`"), "{said}");
    let own = "driver = \"claude-code\"\napi = \"https://gateway.example\"\nmodel = \"large\"";
    assert_eq!(developer(own, "").model.as_deref(), Some("large"), "another service has names of its own");
}

#[test]
fn e3_2_where_nobody_names_a_model_none_is_passed() {
    let agent = developer("driver = \"claude-code\"", "");
    assert_eq!(agent.model, None);
    let ask = conductor::dialect::Ask {
        program: "claude",
        names_model: agent.model.is_some(),
        names_effort: agent.effort.is_some(),
        session: conductor::dialect::Session::New("s"),
        cap_microusd: None,
    };
    let argv = agent.dialect.compose(&ask).unwrap();
    assert!(!argv.contains(&"--model".to_owned()) && argv.contains(&"--effort".to_owned()), "{argv:?}");
}

#[test]
fn e4_1_an_effort_that_is_left_open_comes_to_the_developers_floor() {
    let effort = |says: &str, more: &str| developer(says, more).effort;
    for driver in ["claude-code", "codex"] {
        let says = |effort: &str| format!("driver = \"{driver}\"\n{effort}");
        assert_eq!(effort(&says(""), "").as_deref(), Some("xhigh"));
        assert_eq!(effort(&says("effort = \"\""), "").as_deref(), Some("xhigh"));
        let more = format!("[ladder.{driver}]\neffort = \"medium\"\n");
        assert_eq!(effort(&says("effort = \"\""), &more).as_deref(), Some("medium"));
    }
    let world = World::new();
    world.write("projects/app.toml", project(COMMAND, "driver = \"claude-code\"", ""));
    assert_eq!(agent(&world, Role::Reviewer).effort, None, "nobody else has one");
}

#[test]
fn e4_2_an_effort_that_is_none_is_refused_with_its_line() {
    let said = complaints("driver = \"claude-code\"\neffort = \"hihg\"", "");
    assert!(said.contains("did you mean `high`?") && said.contains("app.toml:"), "{said}");
    assert!(complaints("driver = \"codex\"\neffort = \"max\"", "").contains("`minimal`, `low`"));
}

#[test]
fn e4_3_an_effort_that_is_named_is_passed_on() {
    let agent = developer("driver = \"claude-code\"\neffort = \"low\"", "[ladder.claude-code]\neffort = \"max\"\n");
    assert_eq!(agent.effort.as_deref(), Some("low"));
}
