//! `[roles.NAME]` and `[commands.NAME]`.

use conductor::project::{HookName, Pointers, TransientSigns, UsageReader, Worker};
use domain::document::Role;
use domain::limits::RunLimits;
use domain::network::{Destination, Network};
use domain::time::Milliseconds;

use crate::tests::world::{PROJECT, World, edits};

#[test]
fn what_is_not_written_has_a_default() {
    let world = World::new();
    world.write("projects/app.toml", PROJECT.replace("timeout = \"60m\"\n", ""));
    let settings = &world.load().unwrap().projects[0].settings;
    let Worker::Agent(developer) = &settings.workers[&Role::Developer] else { panic!() };
    let Worker::Agent(reviewer) = &settings.workers[&Role::Reviewer] else { panic!() };
    let Worker::Command(tester) = &settings.workers[&Role::Tester] else { panic!() };
    // Catalogue E5.
    assert_eq!(developer.budget, Milliseconds::from_seconds(3600));
    assert_eq!(reviewer.budget, Milliseconds::from_seconds(3000));
    assert_eq!(tester.budget, Milliseconds::from_seconds(1800));
    assert_eq!(developer.grace, Milliseconds::from_seconds(20));
    assert_eq!(developer.prompt, "Do it well.\n");
    assert_eq!(developer.usage, UsageReader::None);
    assert!(tester.sandboxed);
}

#[test]
fn everything_that_a_role_may_say_is_taken_over() {
    let world = World::new();
    world.write("prompts/own.md", "Mine.");
    let more = "prompt = \"prompts/own.md\"\ngrace = \"0s\"\npass-environment = [\"ANTHROPIC_API_KEY\"]\n\
                readable = [\"~/.rustup\"]\nwritable = [\"~/.claude\"]\n\
                usage = { format = \"json\", cost-usd = \"/total_cost_usd\", input-tokens = \"/usage/a~1b\" }\n\n[roles.reviewer]";
    world.write("projects/app.toml", PROJECT.replace("[roles.reviewer]", more));
    let settings = &world.load().unwrap().projects[0].settings;
    let Worker::Agent(developer) = &settings.workers[&Role::Developer] else { panic!() };
    assert_eq!((developer.prompt.as_str(), developer.grace), ("Mine.", Milliseconds(0)));
    assert_eq!(developer.argv, ["agent", "{brief}"]);
    assert_eq!(developer.readable, [world.home().join(".rustup")]);
    assert_eq!(developer.writable, [world.home().join(".claude")]);
    let UsageReader::Json(Pointers { cost_usd, input_tokens, output_tokens, .. }) = &developer.usage else { panic!() };
    assert_eq!(cost_usd.as_deref(), Some("/total_cost_usd"));
    assert_eq!((input_tokens.as_deref(), output_tokens.as_deref()), (Some("/usage/a~1b"), None));
    assert_eq!(settings.hooks[&HookName::Test].argv, ["make", "test"]);
}

#[test]
fn an_agent_counts_among_its_driver_and_names_signs_of_its_own() {
    let world = World::new();
    let more = "driver = \"second-account\"\ntransient = { exit-codes = [7, 9], words = [\"quota exceeded\"] }\n\n[roles.reviewer]";
    let text = PROJECT.replace("[roles.reviewer]", more) + "\n[limits]\nruns = 1\n";
    world.write("projects/app.toml", text);
    let settings = &world.load().unwrap().projects[0].settings;
    let Worker::Agent(developer) = &settings.workers[&Role::Developer] else { panic!() };
    let Worker::Agent(reviewer) = &settings.workers[&Role::Reviewer] else { panic!() };
    assert_eq!((developer.driver.as_str(), reviewer.driver.as_str()), ("second-account", "agent"));
    assert_eq!(developer.transient.exit_codes, [7, 9]);
    assert_eq!(developer.transient.words, ["quota exceeded"]);
    assert_eq!(reviewer.transient, TransientSigns::default());
    assert_eq!(settings.runs, Some(1));
    assert_eq!(settings.repository, world.repository().canonicalize().unwrap().to_string_lossy());
}

#[test]
fn what_is_wrong_about_drivers_and_signs_is_told() {
    let role = "timeout = \"60m\"";
    let said = edits(
        PROJECT,
        "projects/app.toml",
        &[
            ("a driver that is none", role, "driver = \"my account\""),
            (
                "a driver of a plain command",
                "run = [\"make\", \"test\"]\n\n[commands",
                "run = [\"make\", \"test\"]\ndriver = \"make\"\n\n[commands",
            ),
            ("a sign that is too short", role, "transient = { words = [\"err\"] }"),
            ("a code that is none", role, "transient = { exit-codes = [0] }"),
            ("a key with a slip", role, "transient = { exit-code = [7] }"),
            ("a limit that is never reached", "", "\n[limits]\nruns = 3\n"),
            ("a key of the host's", "", "\n[limits]\nruns-per-driver = 1\n"),
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn a_worker_reaches_what_is_named_and_without_a_word_nothing() {
    let world = World::new();
    let named = "network = [\"API.example.com\", \"*.example.org\", \"127.0.0.1:9000\"]\n\n[roles.reviewer]";
    let text = PROJECT.replace("[roles.reviewer]", named) + "network = \"open\"\n";
    world.write("projects/app.toml", text);
    let settings = &world.load().unwrap().projects[0].settings;
    let Worker::Agent(developer) = &settings.workers[&Role::Developer] else { panic!() };
    let Worker::Agent(reviewer) = &settings.workers[&Role::Reviewer] else { panic!() };
    let expected = ["api.example.com", "*.example.org", "127.0.0.1:9000"].map(|text| text.parse().unwrap());
    assert_eq!(developer.network, Network(expected.to_vec()));
    assert_eq!(reviewer.network, Network(Vec::new()));
    assert_eq!(settings.hooks[&HookName::Test].network, Network(vec![Destination::Any]));
}

#[test]
fn limits_are_read_for_agents_and_commands_and_have_defaults() {
    let world = World::new();
    let said = "limits = { memory = \"4GiB\", processes = 512 }\n\n[roles.reviewer]";
    let text =
        PROJECT.replace("[roles.reviewer]", said) + "\n[commands.test.limits]\ndisk = \"512MiB\"\nopen-files = 1024\n";
    world.write("projects/app.toml", text);
    let settings = &world.load().unwrap().projects[0].settings;
    let Worker::Agent(developer) = &settings.workers[&Role::Developer] else { panic!() };
    let Worker::Agent(reviewer) = &settings.workers[&Role::Reviewer] else { panic!() };
    let usual = RunLimits::default();
    assert_eq!(developer.limits, RunLimits { memory: Some(4 << 30), processes: 512, ..usual });
    assert_eq!(reviewer.limits, usual);
    assert_eq!(settings.hooks[&HookName::Test].limits, RunLimits { disk: 512 << 20, open_files: 1024, ..usual });
}

#[test]
fn what_is_wrong_with_a_role_is_told() {
    let said = edits(
        PROJECT,
        "projects/app.toml",
        &[
            ("a role that is none", "[roles.reviewer]", "[roles.revewer]"),
            ("nobody works", "[roles.tester]\nrun = [\"make\", \"test\"]\n", "[roles.tester]\n"),
            ("two ways to work", "timeout = \"60m\"", "run = [\"make\"]"),
            ("a command as one line", "[\"agent\", \"{brief}\"]\ntimeout", "\"claude -p {brief}\"\ntimeout"),
            ("a command as one entry", "[\"agent\", \"{brief}\"]\ntimeout", "[\"claude -p {brief}\"]\ntimeout"),
            ("a placeholder with a slip", "\"{brief}\"]\ntimeout", "\"{breif}\", \"{{plain}}\"]\ntimeout"),
            ("a prompt that is not there", "timeout = \"60m\"", "prompt = \"prompts/develoer.md\""),
            ("a prompt outside", "timeout = \"60m\"", "prompt = \"../developer.md\""),
            (
                "three mistakes of one role",
                "timeout = \"60m\"",
                "timeout = \"60 lightyears\"\nprompt = \"prompts/none.md\"\nlimits = { memory = \"much\" }",
            ),
            ("a time without a unit", "\"60m\"", "\"60\""),
            ("a time that is a number", "\"60m\"", "3600"),
            ("a time that is too long", "\"60m\"", "\"25h\""),
            (
                "a variable of the host",
                "timeout = \"60m\"",
                "pass-environment = [\"GATEWRIGHT_TOKEN\", \"GITEA_TOKEN\", \"A=b\", \"a b\"]",
            ),
            ("the repository opened", "timeout = \"60m\"", "writable = [\"~/src\", \"~user/x\", \"/a/../b\"]"),
            ("usage by a word", "timeout = \"60m\"", "usage = \"json\""),
            (
                "usage by no pointer",
                "timeout = \"60m\"",
                "usage = { format = \"json\", cost-usd = \"total_cost_usd\" }",
            ),
            (
                "names that are none",
                "timeout = \"60m\"",
                "network = [\"https://api.example.com/v1\", \"*\", \"127.0.0.1\", \"a.example:0\", \"b\u{fc}cher.example\", 7]",
            ),
            (
                "limits that are none",
                "timeout = \"60m\"",
                "limits = { memory = \"4GB\", disk = \"much\", processes = 3, memroy = \"1GiB\" }",
            ),
            ("a limit that no run could live with", "timeout = \"60m\"", "limits = { memory = \"1MiB\" }"),
            ("a limit that is a number", "timeout = \"60m\"", "limits = { memory = 4096 }"),
            ("a name without a list", "timeout = \"60m\"", "network = \"api.example.com\""),
            ("a word that is none", "timeout = \"60m\"", "network = \"opne\""),
            (
                "the operator's listener",
                "timeout = \"60m\"",
                "network = [\"127.0.0.1:8500\", \"localhost:8500\", \"127.0.0.1:8501\"]",
            ),
            ("an agent outside the sandbox", "timeout = \"60m\"", "sandboxed = false"),
            ("a command with a prompt", "[roles.tester]", "[roles.tester]\nprompt = \"prompts/tester.md\""),
            ("an analyst that is a command", "[roles.tester]", "[roles.analyst]\nrun = [\"true\"]\n[roles.tester]"),
            (
                "a reviewer that is a command",
                "command = [\"agent\", \"{brief}\"]\n\n[roles.tester]",
                "run = [\"lint\"]\n[roles.tester]",
            ),
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn what_is_wrong_with_a_command_is_told() {
    let said = edits(
        PROJECT,
        "projects/app.toml",
        &[
            ("a command that is missing", "[commands.test]\nrun = [\"make\", \"test\"]\n", ""),
            ("a command that is none", "[commands.test]", "[commands.tests]"),
            ("an empty one", "[commands.test]\nrun = [\"make\", \"test\"]", "[commands.test]\nrun = []"),
            (
                "a shell's words",
                "[commands.test]\nrun = [\"make\", \"test\"]",
                "[commands.test]\nrun = [\"make\", \"&&\", \"make\", \"test\"]",
            ),
            (
                "a script of the repository",
                "[commands.test]\nrun = [\"make\", \"test\"]",
                "[commands.test]\nrun = [\"./test.sh\", \"{workdir}\"]",
            ),
            ("paths without a sandbox", "", "sandboxed = false\nwritable = [\"/srv/app\"]\nnetwork = []\n"),
            (
                "an entry that is no text",
                "[commands.test]\nrun = [\"make\", \"test\"]",
                "[commands.test]\nrun = [\"make\", 1]",
            ),
        ],
    );
    insta::assert_snapshot!(said);
}

/// Who works is not clear, and what else is wrong with the role is told beside that.
#[test]
fn a_role_of_which_nobody_knows_who_works_is_told_of_all_that_is_wrong_with_it() {
    let wrong = "timeout = \"60\"\ngrace = 7\nreadable = 5\n";
    let both = format!("run = [\"make\"]\n{wrong}");
    for (who, more) in [
        ("driver = \"claude\"", wrong),
        ("", wrong),
        ("command = [\"agent\", \"{brief}\"]", both.as_str()),
        ("run = [\"make\"]", wrong),
    ] {
        let world = World::new();
        let role = "command = [\"agent\", \"{brief}\"]\ntimeout = \"60m\"\n";
        assert!(PROJECT.contains(role));
        world.write("projects/app.toml", PROJECT.replacen(role, &format!("{who}\n{more}"), 1));
        let told = world.load().unwrap_err();
        assert_eq!(told.len(), 4, "{who}: {}", world.complaints());
    }
}
