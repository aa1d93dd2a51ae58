//! `[webhooks]`: who listens, and whose secrets count.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use webhooks::{Secret, Source};

use super::world::{HOST, PROJECT, World};

const LISTEN: &str = "\n[webhooks]\nlisten = \"127.0.0.1:8502\"\n";
const GITEA: &str = "\n[webhooks.gitea]\nrepository = \"Acme/App\"\n";

fn secret(world: &World, name: &str, text: &str, mode: u32) {
    let file = world.dir().join("secrets").join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
}

/// What is said of a project's file that ends so, while the host listens there.
fn said(listen: &str, project: &str) -> String {
    let world = World::new();
    secret(&world, "good", "0123456789abcdef\n", 0o600);
    secret(&world, "open", "0123456789abcdef\n", 0o644);
    secret(&world, "short", "0123\n", 0o600);
    world.write("gatewright.toml", format!("{HOST}{listen}"));
    world.write("projects/app.toml", format!("{PROJECT}{project}"));
    match world.load() {
        Ok(_) => String::new(),
        Err(_) => world.complaints(),
    }
}

#[test]
fn a_project_names_its_repository_its_board_and_their_secrets() {
    let world = World::new();
    secret(&world, "new", "0123456789abcdef new\n", 0o600);
    secret(&world, "old", "0123456789abcdef old", 0o400);
    world.write("gatewright.toml", format!("{HOST}{LISTEN}"));
    let plane = "[webhooks.plane]\nproject = \"6A465D48-476b-4ce0-b92d-3d3a240d4678\"\nunsigned = \"loopback\"\n";
    let files = "secret-files = [\"secrets/new\", \"secrets/old\"]\n";
    world.write("projects/app.toml", format!("{PROJECT}{GITEA}{files}{plane}"));
    let loaded = world.load().unwrap();
    assert_eq!(loaded.host.webhooks.unwrap().port(), 8502);
    let [plane, gitea] = loaded.projects[0].hooks.as_slice() else { panic!("two of them") };
    assert_eq!((plane.source, plane.about.as_str()), (Source::Plane, "6a465d48-476b-4ce0-b92d-3d3a240d4678"));
    assert!(plane.unsigned && plane.secrets.is_empty());
    assert_eq!((gitea.source, gitea.about.as_str(), gitea.unsigned), (Source::Gitea, "acme/app", false));
    let secrets = ["0123456789abcdef new", "0123456789abcdef old"].map(|text| Secret::new(text.as_bytes()).unwrap());
    assert_eq!(gitea.secrets, secrets);
    assert!(gitea.secret_files[0].ends_with("secrets/new") && gitea.secret_files[1].ends_with("secrets/old"));
}

#[test]
fn a_project_without_a_secret_is_refused_unless_it_says_so() {
    let told = said(LISTEN, GITEA);
    assert!(told.contains("[webhooks.gitea] has no secret") && told.contains("unsigned = \"loopback\""), "{told}");
    let told = said(LISTEN, &format!("{GITEA}secret-files = []\n"));
    assert!(told.contains("has no secret"), "{told}");
    assert_eq!(said(LISTEN, &format!("{GITEA}unsigned = \"loopback\"\n")), "");
    let told = said(LISTEN, &format!("{GITEA}unsigned = \"yes\"\n"));
    assert!(told.contains("loopback"), "{told}");
    let told = said(LISTEN, &format!("{GITEA}unsigned = \"loopback\"\nsecret-files = [\"secrets/good\"]\n"));
    assert!(told.contains("has secrets and `unsigned`"), "{told}");
    let open = "\n[webhooks]\nlisten = \"0.0.0.0:8502\"\n";
    let told = said(open, &format!("{GITEA}unsigned = \"loopback\"\n"));
    assert!(told.contains("0.0.0.0:8502 is no loopback address"), "{told}");
}

#[test]
fn what_is_wrong_with_a_secret_or_a_name_is_told_where_it_stands() {
    for (project, expected) in [
        (format!("{GITEA}secret-files = [\"secrets/none\"]\n"), "cannot be read"),
        (format!("{GITEA}secret-files = [\"secrets/open\"]\n"), "others on this machine may read"),
        (format!("{GITEA}secret-files = [\"secrets/short\"]\n"), "shorter than 16 bytes"),
        (format!("{GITEA}secret-files = [\"../good\"]\n"), "leaves the state folder"),
        (format!("{GITEA}secret-files = [\"secrets\"]\n"), "is no file"),
        ("\n[webhooks.gitea]\nrepository = \"app\"\nunsigned = \"loopback\"\n".to_owned(), "OWNER/NAME"),
        ("\n[webhooks.plane]\nproject = \"app\"\nunsigned = \"loopback\"\n".to_owned(), "the project's id"),
        ("\n[webhooks.plane]\nunsigned = \"loopback\"\n".to_owned(), "project = "),
        ("\n[webhooks.github]\n".to_owned(), "gitea"),
        (format!("{GITEA}secret = \"a\"\n"), "secret-files"),
    ] {
        let told = said(LISTEN, &project);
        assert!(told.contains(expected) && told.contains("projects/app.toml:"), "{project}: {told}");
    }
    let told = said("", &format!("{GITEA}secret-files = [\"secrets/good\"]\n"));
    assert!(told.contains("nobody listens for [webhooks.gitea]"), "{told}");
    let told = said("\n[webhooks]\nlisten = \"8502\"\n", "");
    assert!(told.contains("an address and a port"), "{told}");
}

#[test]
fn a_secret_is_shown_nowhere() {
    let world = World::new();
    secret(&world, "bad", "0123456789 very secret\nwords", 0o600);
    world.write("gatewright.toml", format!("{HOST}{LISTEN}"));
    world.write("projects/app.toml", format!("{PROJECT}{GITEA}secret-files = [\"secrets/bad\"]\n"));
    assert!(world.load().is_err());
    assert!(!world.complaints().contains("very secret"));
}
