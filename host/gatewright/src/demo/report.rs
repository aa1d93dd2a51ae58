//! What is told at the end: what happened by the database, and what happened by the other side's own records.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use conductor::ports::store::{BoardComment, EntryRow, EvaluationRow, RunRow};
use domain::ids::TaskId;
use domain::time::Timestamp;
use gateway::api::Listing;
use serde_json::{Value, json};

use crate::client::Client;
use crate::demo::story::Told;
use crate::demo::world::{PROJECT, World, git_says};
use crate::state::FORGES;

const KEPT: &str = "records.json";

/// Reads from the living host what the report needs, before the host ends.
pub(crate) fn keep(client: &Client, root: &Path, task: TaskId) -> anyhow::Result<()> {
    let entries: Listing<EntryRow> = client.get(&format!("/api/v1/tasks/{task}/entries?limit=1000"))?;
    let runs: Listing<RunRow> = client.get(&format!("/api/v1/tasks/{task}/runs?limit=1000"))?;
    let evaluations: Listing<EvaluationRow> = client.get(&format!("/api/v1/evaluations?task={task}&limit=500"))?;
    let view: gateway::api::TaskView = client.get(&format!("/api/v1/tasks/{task}"))?;
    let comments: Listing<BoardComment> =
        client.get(&format!("/api/v1/projects/{PROJECT}/items/{}/comments?limit=500", view.task.work_item))?;
    let kept = json!({
        "entries": entries.items, "runs": runs.items, "evaluations": evaluations.items, "comments": comments.items,
    });
    fs::write(root.join(KEPT), kept.to_string()).context("the records cannot be kept")
}

/// The whole report as one JSON object.
pub(crate) fn make(world: &World, told: &Told, wall_ms: u64) -> anyhow::Result<Value> {
    let kept: Value = serde_json::from_slice(&fs::read(world.root.join(KEPT))?)?;
    let entries: Vec<EntryRow> = serde_json::from_value(kept["entries"].clone())?;
    let runs: Vec<RunRow> = serde_json::from_value(kept["runs"].clone())?;
    let evaluations: Vec<EvaluationRow> = serde_json::from_value(kept["evaluations"].clone())?;
    let comments: Vec<BoardComment> = serde_json::from_value(kept["comments"].clone())?;
    let forge = world.state.join(FORGES).join(format!("{PROJECT}.git"));
    let main_head = git_says(&forge, &["rev-parse", "refs/heads/main"])?;
    let merges = merges(&forge)?;
    let effects = fs::read_to_string(&world.effects_log)?;
    let deploys = effects.lines().filter(|line| line.starts_with("deploy ")).count();
    let stagings = effects.lines().filter(|line| line.starts_with("staging ")).count();
    let deployed = fs::read_to_string(world.root.join("environments/production/revision")).unwrap_or_default();
    let task = &told.task;
    let inside = task.validated.as_ref().is_some_and(|commit| {
        git_says(&forge, &["merge-base", "--is-ancestor", commit.as_str(), "refs/heads/main"]).is_ok()
    });
    let same_commit = task.validated.as_ref().is_some_and(|commit| commit.as_str() == deployed.trim());
    let done = task.end() == Some(domain::task::Terminality::Done) && inside && same_commit;
    Ok(json!({
        "task": task.work_item,
        "title": task.title,
        "outcome": if done { "done" } else { "failed" },
        "scripted_agents": true,
        "stages": stages(&entries, task.activity_entered_at),
        "runs": runs.iter().rev().map(run).collect::<Vec<_>>(),
        "verdicts": evaluations.iter().rev().map(verdict).collect::<Vec<_>>(),
        "stranger": told.stranger.iter().rev().map(verdict).collect::<Vec<_>>(),
        "validated_commit": task.validated,
        "main_head": main_head,
        "deployed_commit": deployed.trim(),
        "validated_in_main": inside,
        "bounces": task.retries,
        "merges": merges,
        "stagings": stagings,
        "deploys": deploys,
        "comments": comments.iter().rev().map(|comment| json!({
            "by": comment.actor, "external_id": comment.external_id, "text": comment.text,
        })).collect::<Vec<_>>(),
        "cost_usd": task.spent.cost_microusd as f64 / 1e6,
        "restarts": told.restarts,
        "in_flight_at_kill": told.kills.iter().map(|kill| kill.effect.clone()).collect::<Vec<_>>(),
        "kill_points": told.kills.iter().map(|kill| format!("{}:{}", kill.effect, kill.point)).collect::<Vec<_>>(),
        "peak_host_kib": told.peak_kib,
        "wall_ms": wall_ms,
        "repository": world.repository,
        "forge": forge,
        "database": world.state.join("gatewright.db"),
        "effects_log": world.effects_log,
    }))
}

/// How often main moved after it was made, by the forge's own reflog.
fn merges(forge: &Path) -> anyhow::Result<usize> {
    let log = fs::read_to_string(forge.join("logs/refs/heads/main")).context("the forge has no reflog of main")?;
    let zero = "0".repeat(40);
    Ok(log.lines().filter(|line| !line.starts_with(&zero)).count())
}

fn stages(entries: &[EntryRow], end: Timestamp) -> Vec<Value> {
    use domain::entry::Entry;
    let entered = entries
        .iter()
        .filter_map(|row| match &row.entry {
            Entry::StageEntered { stage, visit, at } => Some((stage, *visit, *at)),
            _ => None,
        })
        .collect::<Vec<_>>();
    let next = entered.iter().skip(1).map(|(_, _, at)| *at).chain([end]);
    entered
        .iter()
        .zip(next)
        .map(|((stage, visit, at), left)| json!({"stage": stage, "visit": visit, "entered_at": at, "ms": left.since(*at)}))
        .collect()
}

fn run(row: &RunRow) -> Value {
    json!({
        "run": row.id, "role": row.role, "stage": row.stage, "visit": row.visit, "attempt": row.attempt, "pid": row.pid,
        "outcome": row.outcome, "exit_code": row.exit_code,
        "ms": row.ended_at.map(|ended| ended.since(row.started_at)),
        "cost_usd": row.spent.map(|spent| spent.cost_microusd as f64 / 1e6),
        "input_tokens": row.spent.map(|spent| spent.input_tokens),
        "output_tokens": row.spent.map(|spent| spent.output_tokens),
    })
}

fn verdict(row: &EvaluationRow) -> Value {
    let kept = &row.evaluation;
    json!({
        "id": row.id, "step": kept.step, "plugin": kept.plugin, "digest": kept.digest, "answer": kept.answer,
        "summary": kept.summary, "micros": kept.micros,
    })
}

/// The report for people.
pub(crate) fn text(report: &Value) -> String {
    let mut lines = vec![String::new(), format!("{} {}", word(&report["task"]), word(&report["title"])), String::new()];
    lines.push("stage                visit       ms".to_owned());
    for stage in list(&report["stages"]) {
        lines.push(format!("{:<20} {:>5} {:>8}", word(&stage["stage"]), stage["visit"], stage["ms"]));
    }
    lines.push(String::new());
    lines.push("run  role         ms      cost  outcome (all agents are scripted)".to_owned());
    for run in list(&report["runs"]) {
        let cost = run["cost_usd"].as_f64().map_or_else(|| "-".to_owned(), |cost| format!("${cost:.3}"));
        lines.push(format!(
            "{:<4} {:<9} {:>6} {cost:>9}  {}",
            run["run"],
            word(&run["role"]),
            run["ms"],
            word(&run["outcome"])
        ));
    }
    lines.push(String::new());
    lines.push("verdict           plugin               answer            µs  sha256".to_owned());
    for verdict in list(&report["verdicts"]).chain(list(&report["stranger"])) {
        let digest = word(&verdict["digest"]).chars().take(12).collect::<String>();
        lines.push(format!(
            "{:<17} {:<20} {:<14} {:>5}  {digest}",
            word(&verdict["step"]),
            word(&verdict["plugin"]),
            word(&verdict["answer"]),
            verdict["micros"]
        ));
    }
    lines.push(String::new());
    for stranger in list(&report["stranger"]).take(1) {
        lines.push(format!("the stranger: {}", word(&stranger["summary"])));
    }
    lines.push(format!("merged     {} (main moved {} time)", word(&report["main_head"]), report["merges"]));
    lines.push(format!("deployed   {} ({} deploy)", word(&report["deployed_commit"]), report["deploys"]));
    if report["restarts"] != json!(0) {
        let points = list(&report["kill_points"]).map(word).collect::<Vec<_>>().join(", ");
        lines.push(format!("killed     {} times, with under way: {points}", report["restarts"]));
    }
    lines.push(format!("outcome    {} in {} ms", word(&report["outcome"]), report["wall_ms"]));
    lines.join("\n")
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn word(value: &Value) -> String {
    crate::task::visible(value.as_str().unwrap_or("-"))
}
