//! From an empty folder to files that load.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use conductor::dialect::Dialect;
use conductor::project::Worker;
use domain::document::Role;
use domain::ids::BranchName;

use crate::tests::world::World;
use crate::{
    AgentChoice, AgentProgram, IfThere, InitError, InitPlan, InitRequest, Preset, RootListing, WriteError, init,
    prefix_of, project_name, split_words, write_plan,
};

fn request(world: &World, preset: Preset) -> InitRequest {
    let name = project_name("app");
    let words = |line: &str| split_words(line).ok();
    let full = preset == Preset::Full;
    InitRequest {
        prefix: prefix_of(&name),
        name,
        dir: world.dir(),
        repository: world.repository(),
        base_branch: BranchName::new("main").unwrap(),
        root: RootListing { names: ["Cargo.toml".to_owned()].into(), ..RootListing::default() },
        preset,
        detected: vec![AgentProgram::Claude],
        set: ["ANTHROPIC_API_KEY".to_owned()].into(),
        agent: None,
        agents: BTreeMap::new(),
        test: None,
        staging: words("./to \"staging\"").filter(|_| full).map(|_| vec!["sh".to_owned(), "to staging.sh".to_owned()]),
        deploy: words("sh deploy.sh").filter(|_| full),
    }
}

fn empty() -> World {
    let world = World::new();
    std::fs::remove_dir_all(world.dir()).unwrap();
    world
}

fn project_text(plan: &InitPlan) -> &str {
    &plan.files.last().unwrap().content
}

#[test]
fn what_is_planned_loads_without_a_word_in_both_presets() {
    for preset in Preset::ALL {
        for agent in [
            AgentChoice::Program(AgentProgram::Claude),
            AgentChoice::Program(AgentProgram::Codex),
            AgentChoice::Command(vec!["agent \"x\\y".replace(' ', "-")]),
        ] {
            let world = empty();
            let mut request = request(&world, preset);
            request.agent = Some(agent.clone());
            request.agents.insert(Role::Tester, agent);
            let plan = init(&request).unwrap();
            let written = write_plan(&world.dir(), &plan).unwrap();
            assert_eq!(written.written.len(), plan.files.len());
            let loaded = world.load().unwrap_or_else(|_| panic!("{}", world.complaints()));
            assert_eq!(loaded.projects[0].project.pipeline.name(), preset.as_str());
            assert_eq!(loaded.projects[0].repository, world.repository());
        }
    }
}

#[test]
fn the_files_teach() {
    let world = World::new();
    let place =
        |plan: &InitPlan| project_text(plan).replace(&world.repository().display().to_string(), "/home/ann/src/app");
    insta::assert_snapshot!("init_quick", place(&init(&request(&world, Preset::Quick)).unwrap()));
    let mut request = request(&world, Preset::Full);
    request.detected = vec![AgentProgram::Codex];
    insta::assert_snapshot!("init_full", place(&init(&request).unwrap()));
}

#[test]
fn the_tester_is_the_suite_unless_an_agent_is_named() {
    let world = empty();
    let plan = init(&request(&world, Preset::Quick)).unwrap();
    write_plan(&world.dir(), &plan).unwrap();
    let settings = &world.load().unwrap().projects[0].settings;
    assert!(matches!(&settings.workers[&Role::Tester], Worker::Command(command) if command.argv == ["cargo", "test"]));
    assert!(
        matches!(&settings.workers[&Role::Developer], Worker::Agent(agent) if agent.dialect != Dialect::Command && agent.writable.is_empty())
    );
}

#[test]
fn all_that_is_missing_is_told_at_once() {
    let world = World::new();
    let mut request = request(&world, Preset::Full);
    request.root = RootListing::default();
    request.detected = Vec::new();
    request.staging = None;
    request.dir = world.repository().join("state");
    let errors = init(&request).unwrap_err();
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 4, "{said:#?}");
    for word in ["--agent CMD", "--test CMD", "--staging CMD", "--dir"] {
        assert!(said.iter().any(|sentence| sentence.contains(word)), "{word}: {said:#?}");
    }
    let mut control = self::request(&world, Preset::Quick);
    control.test = Some(vec!["make\u{7}".to_owned()]);
    assert!(matches!(init(&control).unwrap_err()[0], InitError::Unwritable { .. }));
}

#[test]
fn nothing_is_written_over() {
    let world = empty();
    let plan = init(&request(&world, Preset::Quick)).unwrap();
    write_plan(&world.dir(), &plan).unwrap();
    let file = world.dir().join("projects/app.toml");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(world.dir().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(matches!(write_plan(&world.dir(), &plan), Err(WriteError::Exists { path }) if path == file));

    // A second project of the same folder shares the host's file and the prompts.
    world.write("prompts/developer.md", "Mine.");
    let mut second = request(&world, Preset::Quick);
    second.name = project_name("other");
    second.prefix = "OTH".to_owned();
    let plan = init(&second).unwrap();
    let written = write_plan(&world.dir(), &plan).unwrap();
    assert_eq!(written.written, [world.dir().join("projects/other.toml")]);
    assert_eq!(written.kept.len(), plan.files.len() - 1);
    assert_eq!(std::fs::read_to_string(world.dir().join("prompts/developer.md")).unwrap(), "Mine.");
    assert_eq!(world.load().unwrap().projects.len(), 2);
    let left: Vec<_> = std::fs::read_dir(world.dir().join("projects")).unwrap().collect();
    assert_eq!(left.len(), 2, "no draft is left");
}

#[test]
fn a_plan_that_cannot_be_written_leaves_nothing_behind() {
    let world = empty();
    let plan = init(&request(&world, Preset::Quick)).unwrap();
    assert_eq!(plan.files.last().unwrap().if_there, IfThere::Refuse);
    std::fs::create_dir_all(world.dir()).unwrap();
    // A file where a folder must be.
    std::fs::write(world.dir().join("projects"), "").unwrap();
    assert!(matches!(write_plan(&world.dir(), &plan), Err(WriteError::Io { .. })));
    assert!(!world.dir().join("gatewright.toml").exists());
}
