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

/// Where and what, of all that is told.
fn told(text: &str) -> Vec<(usize, String)> {
    let world = World::new();
    world.write("projects/app.toml", text);
    let diagnostics = world.load().unwrap_err();
    let place = |diagnostic: &crate::Diagnostic| diagnostic.place.map_or(0, |place| place.line);
    diagnostics.iter().map(|diagnostic| (place(diagnostic), diagnostic.message.clone())).collect()
}

#[test]
fn beside_a_line_that_is_no_toml_every_wrong_value_is_told_and_each_once() {
    let text = PROJECT
        .replace("\"quick\"", "\"quik\"")
        .replace("\"APP\"", "\"app-\"")
        .replace("timeout = \"60m\"", "timeout = 60m\nnetwork = [\"https://x\"]")
        .replace("[roles.tester]\nrun = [\"make\", \"test\"]", "[roles.tester\nrunn = [\"make\"]")
        .replace(
            "[commands.test]\nrun = [\"make\", \"test\"]",
            "[commands.test]\nrun = [\"make test\"]\ntimeout = \"5\"",
        );
    let told = told(&text);
    let line = |words: &str| text.lines().position(|line| line.contains(words)).unwrap() + 1;
    for (at, words) in [
        ("quik", "`pipeline` cannot be `quik`"),
        ("app-", "`prefix` cannot be `app-`"),
        ("60m", "not TOML"),
        ("https://x", "cannot be `https://x`"),
        ("[roles.tester", "not TOML"),
        ("make test", "has a space in it"),
        ("\"5\"", "`timeout` of [commands.test] must be"),
    ] {
        let found = told.iter().filter(|(number, said)| *number == line(at) && said.contains(words)).count();
        assert_eq!(found, 1, "{words}: {told:#?}");
    }
    assert_eq!(told.len(), 7, "{told:#?}");
}

#[test]
fn ends_of_lines_change_nothing_of_what_is_told_and_a_lone_one_is_told_once() {
    let flawed = PROJECT.replace("\"quick\"", "\"quik\"").replace("\"APP\"", "\"app-\"");
    assert_eq!(told(&flawed), told(&flawed.replace('\n', "\r\n")));
    let broken = flawed.replace("timeout = \"60m\"", "timeout = 60m");
    assert_eq!(told(&broken), told(&broken.replace('\n', "\r\n")));
    // One line ends with a lone return, and then all of them do.
    let lone = told(&PROJECT.replacen("prefix = \"APP\"\n", "prefix = \"APP\"\r", 1));
    assert_eq!(lone.len(), 1, "{lone:#?}");
    let all = told(&PROJECT.replace('\n', "\r"));
    assert_eq!(all.len(), 1, "{all:#?}");
    assert!(lone[0].1.contains("return") && all[0].1.contains("return"), "{lone:?} {all:?}");
}

#[test]
fn a_broken_file_keeps_no_other_from_being_looked_at() {
    let world = World::new();
    world.write("projects/app.toml", "name = \n");
    let other = PROJECT.replace("\"app\"", "\"other\"").replace("\"APP\"", "\"OTH\"");
    world.write("projects/other.toml", other);
    let looked = crate::look(&world.dir(), &world.surroundings());
    assert!(looked.is_host_sound() && looked.diagnostics.iter().all(|one| one.file == "projects/app.toml"));
    assert_eq!(looked.readable.projects.len(), 1);
    assert_eq!(looked.readable.projects[0].project.name.as_str(), "other");
}

#[test]
fn a_table_that_stands_twice_names_the_first_one_and_hides_nothing_below_it() {
    let world = World::new();
    let twice = format!("{PROJECT}\n[roles.reviewer]\ntimeuot = \"7m\"\nlevel = 3\nlevel = 4\n");
    world.write("projects/app.toml", twice);
    insta::assert_snapshot!(world.complaints());
}

#[test]
fn bytes_of_another_encoding_are_told_each_with_its_line_and_the_rest_is_read() {
    let world = World::new();
    let mut bytes = PROJECT.replace("\"quick\"", "\"quik\"").into_bytes();
    bytes.extend(b"# gr\xfc\xdfe\n");
    world.write("projects/app.toml", bytes);
    insta::assert_snapshot!(world.complaints());
}
