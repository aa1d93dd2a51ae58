//! `projects/NAME.toml` as a whole.

use domain::event::Intent;

use crate::tests::world::{HOST, PROJECT, World, edits};

#[test]
fn a_sound_file_is_read() {
    let world = World::new();
    world.write(
        "projects/app.toml",
        format!("{PROJECT}mode = \"act\"\n").replace("mode", "[deciders]\napprove = [\"ann\"]\n#"),
    );
    let loaded = world.load().unwrap();
    let file = &loaded.projects[0];
    assert_eq!(file.project.name.as_str(), "app");
    assert_eq!(file.project.prefix, "APP");
    assert_eq!(file.repository, world.repository());
    assert_eq!(file.project.pipeline.name(), "quick");
    assert_eq!(file.settings.deciders[&Intent::Approve], ["ann"]);
    assert_eq!(file.settings.status_mapper.0.as_str(), "board-words");
    assert!(!file.settings.observe);
    assert_eq!(file.source, world.dir().join("projects/app.toml"));
}

#[test]
fn what_is_wrong_is_told() {
    let said = edits(
        PROJECT,
        "projects/app.toml",
        &[
            ("a key with a slip", "base-branch", "base_branch"),
            ("a key that is missing", "prefix = \"APP\"\n", ""),
            ("a key twice", "prefix = \"APP\"", "prefix = \"APP\"\nprefix = \"APP\""),
            ("a name that is not the file's", "name = \"app\"", "name = \"api\""),
            ("a name that is none", "name = \"app\"", "name = \"../app\""),
            ("a prefix that is none", "\"APP\"", "\"app-\""),
            ("a relative repository", "~/src/app", "src/app"),
            ("a repository that is not there", "~/src/app", "/nowhere/app"),
            ("a folder that is no repository", "~/src/app", "~/src"),
            ("a branch that is none", "\"main\"", "\"ma in\""),
            ("a mode that is none", "pipeline =", "mode = \"acts\"\npipeline ="),
            ("a pipeline that is none", "\"quick\"", "\"quik\""),
            ("no pipeline", "pipeline = \"quick\"\n", ""),
            ("nobody may decide", "", "[deciders]\napprove = []\nmerge = [\"ann\"]\n"),
            ("a name that shows as another", "\"quick\"", "\"qu\u{202e}ick\""),
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn all_errors_of_all_files_are_told_at_once() {
    let world = World::new();
    world.write("gatewright.toml", HOST.replace("runs = 2", "runs = -1").replace("mode =", "moed ="));
    world.write("projects/app.toml", PROJECT.replace("60m", "60").replace("\"quick\"", "\"fulll\""));
    world.write(
        "projects/api.toml",
        PROJECT.replace("\"app\"", "\"api\"").replace("[roles.tester]\nrun", "[roles.tester]\nprogram"),
    );
    insta::assert_snapshot!(world.complaints());
}

#[test]
fn two_projects_do_not_share_a_prefix() {
    let world = World::new();
    world.write("projects/bpp.toml", PROJECT.replace("\"app\"", "\"bpp\""));
    insta::assert_snapshot!(world.complaints());
}

#[test]
fn the_state_folder_does_not_lie_in_the_repository() {
    let world = World::new();
    std::fs::create_dir_all(world.dir().join("app/.git")).unwrap();
    let text = PROJECT.replace("~/src/app", &world.dir().join("app").display().to_string());
    world.write("projects/app.toml", text);
    let complaints = world.complaints();
    assert!(complaints.contains("the repository and the state folder lie one in the other"), "{complaints}");
}

#[test]
fn a_secret_is_refused_and_shown_nowhere() {
    let key = "sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWxYz";
    let world = World::new();
    let text = PROJECT
        .replacen("\"{brief}\"]", &format!("\"--key={key}\"]"), 1)
        .replace("60m", key)
        .replace("\"quick\"", "\"quick\"\nmode = \"password=hunter2hunter2\"");
    world.write("projects/app.toml", text);
    let complaints = world.complaints();
    for secret in [key, &key[..20], "hunter2"] {
        assert!(!complaints.contains(secret), "{complaints}");
    }
    insta::assert_snapshot!(complaints);
}
