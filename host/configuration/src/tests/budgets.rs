//! `[budget]`, `[price]`, and what a role says of its cost.

use conductor::project::{Figures, Pointers, UsageReader, Worker};
use domain::budget::{Budgets, Cap};
use domain::cost::Price;
use domain::document::Role;
use domain::time::Milliseconds;

use crate::tests::world::{PROJECT, World, edits};

const MORE: &str = r#"
[budget.task]
cost-usd = 20
wall = "8h"

[budget.day]
tokens = 50_000_000

[budget.total]
cost-usd = 1000.5

[price]
usd-per-hour = 10.0
tokens-per-hour = 5_000_000
usd-per-million-input-tokens = 3
usd-per-million-output-tokens = 15
usd-per-million-cache-read-tokens = 0.3
"#;

const ROLE: &str = r#"timeout = "60m"
model = "opus-4"
effort = "high"
budget = { cost-usd = 5.0, tokens = 2000000, wall = "45m" }
usage = { format = "json-lines", figures = "summed", id = "/message/id", cost-usd = "/total_cost_usd", input-tokens = "/message/usage/input_tokens", output-tokens = "/message/usage/output_tokens", cache-read-tokens = "/message/usage/cache_read_input_tokens" }"#;

#[test]
fn budgets_prices_and_streams_are_taken_over() {
    let world = World::new();
    let text = PROJECT.replacen("timeout = \"60m\"", ROLE, 1).replacen(
        "command = [\"agent\", \"{brief}\"]",
        "command = [\"agent\", \"{brief}\", \"--model\", \"{model}\"]",
        1,
    );
    world.write("projects/app.toml", text + MORE);
    let settings = &world.load().unwrap_or_else(|_| panic!("{}", world.complaints())).projects[0].settings;
    let cap = Cap::default();
    let task = Cap { cost_microusd: Some(20_000_000), wall: Some(Milliseconds::from_seconds(8 * 3600)), ..cap };
    let day = Cap { tokens: Some(50_000_000), ..cap };
    let total = Cap { cost_microusd: Some(1_000_500_000), ..cap };
    assert_eq!(settings.budgets, Budgets { task, day, total });
    // What the cache took and no price names counts as what went in.
    let expected = Price {
        microusd_per_hour: 10_000_000,
        tokens_per_hour: 5_000_000,
        microusd_per_million: [3_000_000, 15_000_000, 300_000, 3_000_000],
    };
    assert_eq!(settings.price, expected);
    let Worker::Agent(developer) = &settings.workers[&Role::Developer] else { panic!() };
    let wall = Some(Milliseconds::from_seconds(45 * 60));
    assert_eq!(developer.cap, Cap { cost_microusd: Some(5_000_000), tokens: Some(2_000_000), wall });
    assert_eq!((developer.model.as_deref(), developer.effort.as_deref()), (Some("opus-4"), Some("high")));
    let pointer = |text: &str| Some(text.to_owned());
    let pointers = Pointers {
        input_tokens: pointer("/message/usage/input_tokens"),
        output_tokens: pointer("/message/usage/output_tokens"),
        cache_read_tokens: pointer("/message/usage/cache_read_input_tokens"),
        cache_creation_tokens: None,
        cost_usd: pointer("/total_cost_usd"),
    };
    let reader = UsageReader::JsonLines { pointers, figures: Figures::Summed, id: pointer("/message/id") };
    assert_eq!(developer.usage, reader);
    let Worker::Agent(reviewer) = &settings.workers[&Role::Reviewer] else { panic!() };
    assert_eq!((&reviewer.model, reviewer.cap), (&None, Cap::default()));
}

#[test]
fn a_file_without_budgets_bounds_nothing() {
    let world = World::new();
    let settings = &world.load().unwrap().projects[0].settings;
    assert_eq!((settings.budgets, settings.price), (Budgets::default(), Price::default()));
}

/// E5.1: what is no time is refused with its line and what would be right; nothing falls back to a default.
#[test]
fn e5_1_a_time_of_a_role_is_a_time_or_an_error() {
    let world = World::new();
    world.write("projects/app.toml", PROJECT.replacen("[roles.reviewer]", "[roles.reviewer]\ntimeout = \"60s\"", 1));
    let settings = &world.load().unwrap().projects[0].settings;
    let Worker::Agent(reviewer) = &settings.workers[&Role::Reviewer] else { panic!() };
    assert_eq!(reviewer.budget, Milliseconds::from_seconds(60));
    let said = edits(
        PROJECT,
        "projects/app.toml",
        &[
            ("a time below nothing", "\"60m\"", "\"-5s\""),
            ("a number below nothing", "\"60m\"", "-5"),
            ("no time", "\"60m\"", "\"0s\""),
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn what_is_wrong_with_a_budget_is_told() {
    let said = edits(
        PROJECT,
        "projects/app.toml",
        &[
            ("money without a price", "", "[budget.task]\ncost-usd = 20\n"),
            ("money with another price", "", "[budget.task]\ncost-usd = 20\n[price]\ntokens-per-hour = 1000\n"),
            ("a run's money without a price", "timeout = \"60m\"", "budget = { cost-usd = 5.0 }"),
            (
                "an agent that says what it costs needs a price too",
                "timeout = \"60m\"",
                "budget = { cost-usd = 5.0 }\nusage = { format = \"json\", cost-usd = \"/usd\" }",
            ),
            ("tokens without a price", "", "[budget.day]\ntokens = 1000\n"),
            ("a budget that says nothing", "", "[budget.day]\n"),
            ("a word with a slip", "", "[budget.tsak]\nwall = \"1h\"\n[budget.day]\ncost = 3\n"),
            ("an amount that is a text", "", "[budget.task]\ncost-usd = \"20\"\n[price]\nusd-per-hour = 1\n"),
            (
                "amounts that are none",
                "",
                "[budget.task]\ncost-usd = 0\n[budget.day]\ncost-usd = -1.5\n[budget.total]\ncost-usd = inf\n[price]\nusd-per-hour = nan\n",
            ),
            ("a price with a slip", "", "[budget.task]\ncost-usd = 2\n[price]\nusd-per-huor = 1\n"),
            (
                "a budget of a plain command",
                "[roles.tester]",
                "[roles.tester]\nbudget = { wall = \"1h\" }\nmodel = \"opus\"",
            ),
            ("a model that is an option", "timeout = \"60m\"", "model = \"--dangerous\"\neffort = \"very high\""),
            (
                "a model that nobody names",
                "\"{brief}\"]\ntimeout",
                "\"{brief}\", \"{model}\", \"{{effort}}\"]\ntimeout",
            ),
            (
                "a stream that does not say what its figures are",
                "timeout = \"60m\"",
                "usage = { format = \"json-lines\", cost-usd = \"/usd\" }",
            ),
            (
                "figures that are none",
                "timeout = \"60m\"",
                "usage = { format = \"json-lines\", figures = \"sum\", id = \"message\" }",
            ),
            ("a stream's word without one", "timeout = \"60m\"", "usage = { format = \"json\", figures = \"summed\" }"),
        ],
    );
    insta::assert_snapshot!(said);
}
