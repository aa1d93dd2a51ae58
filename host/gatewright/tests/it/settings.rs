//! `config show --origin`: every setting that holds, with its value and from where it comes.

use std::fs;

use serde_json::{Value, json};

use crate::fixture::{DEVELOPER, Place, REVIEWER, said};

const HOST: &str = "gatewright.toml";
const PROJECT: &str = "projects/repository.toml";

/// What holds where no file says otherwise.
const DEFAULTS: [(&str, &str, &str); 41] = [
    (HOST, "operator.hosts", "[]"),
    (HOST, "operator.proxies", "[]"),
    (HOST, "operator.https", "false"),
    (HOST, "webhooks.listen", "none"),
    (HOST, "keep.runs", "\"30d\""),
    (HOST, "log.format", "\"text\""),
    (HOST, "log.level", "\"info\""),
    (HOST, "telemetry.otlp", "none"),
    (HOST, "shutdown.mode", "\"leave\""),
    (HOST, "reconcile.forges", "\"10s\""),
    (PROJECT, "mode", "\"act\""),
    (PROJECT, "deciders.approve", "everybody"),
    (PROJECT, "budget.task.cost-usd", "none"),
    (PROJECT, "budget.day.wall", "none"),
    (PROJECT, "budget.total.tokens", "none"),
    (PROJECT, "price.tokens-per-hour", "none"),
    (PROJECT, "price.usd-per-million-cache-read-tokens", "3"),
    (PROJECT, "status-mapper.settings", "{}"),
    (PROJECT, "roles.developer.effort", "\"xhigh\""),
    (PROJECT, "roles.developer.program", "\"claude\""),
    (PROJECT, "roles.developer.api", "the maker's"),
    (PROJECT, "roles.developer.api-key", "none"),
    (PROJECT, "roles.developer.api-retries", "2"),
    (PROJECT, "roles.developer.api-timeout", "\"10m\""),
    (PROJECT, "roles.developer.permission-mode", "\"acceptEdits\""),
    (PROJECT, "roles.developer.fallback-model", "none"),
    (PROJECT, "roles.developer.resume", "true"),
    (PROJECT, "roles.developer.prompt", "\"prompts/developer.md\""),
    (
        PROJECT,
        "roles.developer.pass-environment",
        "[\"ANTHROPIC_API_KEY\", \"ANTHROPIC_AUTH_TOKEN\", \"CLAUDE_CODE_OAUTH_TOKEN\"]",
    ),
    (PROJECT, "roles.developer.network", "[\"api.anthropic.com:443\"]"),
    (PROJECT, "roles.developer.readable", "[]"),
    (PROJECT, "roles.developer.budget.cost-usd", "none"),
    (PROJECT, "roles.developer.limits.processes", "2048"),
    (PROJECT, "roles.reviewer.model", "none"),
    (PROJECT, "roles.reviewer.effort", "none"),
    (PROJECT, "roles.reviewer.usage", "none"),
    (PROJECT, "roles.reviewer.transient.words", "[]"),
    (PROJECT, "roles.tester.sandboxed", "true"),
    (PROJECT, "roles.tester.writable", "[]"),
    (PROJECT, "commands.test.limits.open-files", "8192"),
    ("environment", "GATEWRIGHT_LOG", "none"),
];

/// A project whose file says little: the developer is an agent that the host knows.
fn sparse() -> Place {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let (repository, reviewer) = (place.repository(), place.path("agents/reviewer.sh"));
    let (repository, reviewer) = (repository.display(), reviewer.display());
    let text = format!(
        "name = \"repository\"\nprefix = \"REPO\"\nrepository = \"{repository}\"\nbase-branch = \"main\"\npipeline = \"quick\"\n\
         [ladder.claude-code]\nmodel = \"opus\"\n[roles.developer]\ndriver = \"claude-code\"\neffort = \"\"\n\
         [roles.reviewer]\ncommand = [\"{reviewer}\"]\n[roles.tester]\nrun = [\"true\"]\n[commands.test]\nrun = [\"true\"]\n\
         [price]\nusd-per-million-input-tokens = 3\n"
    );
    fs::write(place.project_file(), text).unwrap();
    place
}

fn of<'s>(shown: &'s Value, file: &str, key: &str) -> &'s Value {
    let mut found = shown.as_array().unwrap().iter().filter(|setting| setting["file"] == file && setting["key"] == key);
    let one = found.next().unwrap_or_else(|| panic!("{file}: {key} is not shown: {shown:#}"));
    assert!(found.next().is_none(), "{file}: {key} is shown twice");
    one
}

fn shown(place: &Place, log: Option<&str>) -> Value {
    let mut command = place.command(&["config", "show", "--origin", "--json"]);
    command.env_remove("GATEWRIGHT_LOG").env("GATEWRIGHT_TOKEN", "a-secret-that-nobody-sees");
    log.map(|log| command.env("GATEWRIGHT_LOG", log));
    let done = command.output().unwrap();
    assert!(done.status.success() && !said(&done).contains("a-secret-that"), "{}", said(&done));
    serde_json::from_slice(&done.stdout).unwrap()
}

#[test]
fn every_default_is_shown_with_its_value_and_as_a_default() {
    let place = sparse();
    let shown = shown(&place, None);
    for (file, key, value) in DEFAULTS {
        let setting = of(&shown, file, key);
        assert_eq!(
            (&setting["value"], &setting["line"], &setting["from"]),
            (&json!(value), &Value::Null, &json!("default")),
            "{key}"
        );
    }
    // What a ladder says stands where the ladder says it; an empty word says nothing.
    let model = of(&shown, PROJECT, "roles.developer.model");
    assert_eq!((&model["value"], &model["line"], &model["from"]), (&json!("\"opus\""), &json!(7), &json!("file")));
    let tools = of(&shown, PROJECT, "roles.developer.tools")["value"].as_str().unwrap();
    assert!(tools.contains("\"Bash\", \"Read\""), "{tools}");
    let command = of(&shown, PROJECT, "roles.reviewer.driver");
    assert_eq!(command["value"], "\"reviewer.sh\"");
    let token = of(&shown, "environment", "GATEWRIGHT_TOKEN");
    assert_eq!((&token["value"], &token["from"]), (&json!("set, and never shown"), &json!("environment")));
    let text = said(&place.gatewright(&["config", "show", "--origin"]));
    assert!(text.contains("projects/repository.toml:7") && text.contains("gatewright.toml (default)"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("environment") && line.contains("HOME = ")), "{text}");
}

#[test]
fn what_the_environment_overrules_is_shown_as_the_environments() {
    let place = sparse();
    let overruled = shown(&place, Some("conductor=debug,info"));
    let level = of(&overruled, "environment", "log.level");
    assert_eq!((&level["value"], &level["from"]), (&json!("\"conductor=debug,info\""), &json!("environment")));
    assert!(
        !overruled.as_array().unwrap().iter().any(|setting| setting["file"] == HOST && setting["key"] == "log.level")
    );
    let in_vain = shown(&place, Some("a=b=c\u{1b}[31m"));
    assert_eq!(of(&in_vain, HOST, "log.level")["from"], "default", "what is no filter overrules nothing");
    let said = of(&in_vain, "environment", "GATEWRIGHT_LOG")["value"].as_str().unwrap();
    assert!(said.contains("no filter of a log") && said.contains("\\u001b") && !said.contains('\u{1b}'), "{said}");
}
