//! What came of a work item so far: its runs, verdicts and documents, where its time went, and each thing that happened.

use std::fmt::Write as _;

use conductor::ports::store::{EntryRow, EvaluationRow, RunRow, Store};
use domain::document::Document;
use domain::entry::Entry;
use domain::ids::{Digest, EvaluationId, RunId};
use domain::task::{Activity, Task};
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::Verdict;

use super::super::run::ended;
use super::{Event, Judgement, Paper, ROWS, Rows, Run, Way, Which};
use crate::api::State;
use crate::app::GatewayState;
use crate::desk::with_live_usage;
use crate::problem::Problem;
use crate::show::{Moment, bytes, cost, line, plain, sentence, span_in};
use crate::timeline;
use crate::tongue::{Tongue, say};
use crate::words;

/// Entries on one page.
const ENTRIES: u32 = 300;
/// Entries of which the shares of time are told.
const COUNTED: u32 = 2000;
/// Failed evaluations whose findings are spelled out.
const FAILED: usize = 3;
const FINDINGS: usize = 20;

/// How much of its time something took.
pub(super) struct Share {
    pub(super) state: State,
    pub(super) name: &'static str,
    pub(super) took: String,
    /// Where its part of the bar begins, and how long it is, in thousandths of the whole.
    pub(super) from: u64,
    pub(super) wide: u64,
}

pub(super) fn way(state: &GatewayState, t: Tongue, task: &Task, which: &Which) -> Result<Way, Problem> {
    let store = &*state.store;
    let runs = store.run_page(task.id, which.runs.map(RunId), ROWS)?;
    let judged = store.evaluation_page(Some(task.id), which.verdicts.map(EvaluationId), ROWS)?;
    let newest = store.entry_page(task.id, None, COUNTED)?.rows;
    let told = store.entry_page(task.id, which.entries, ENTRIES)?;
    Ok(Way {
        id: task.id.0,
        facts: facts(t, task),
        time: shares(t, &newest, task.end().map_or_else(|| state.now(), |_| task.activity_entered_at)),
        feedback: task.feedback.iter().map(|row| (line(&row.source, 200), plain(&row.note))).collect(),
        runs: Rows::of(runs, which.runs.is_some(), |rows| {
            rows.into_iter().map(|row| run(t, &with_live_usage(&*state.desk, row))).collect()
        }),
        evaluations: Rows::of(judged, which.verdicts.is_some(), |rows| judgements(store, t, rows)),
        documents: store.documents(task.id)?.iter().map(|row| paper(t, row)).collect(),
        entries: Rows::of(told, which.entries.is_some(), |rows| rows.iter().filter_map(|row| event(t, row)).collect()),
    })
}

/// None: it says nothing to people.
fn event(t: Tongue, row: &EntryRow) -> Option<Event> {
    let text = sentence(&timeline::words_in(t, &row.entry)?, 600);
    Some(Event { at: Moment::of(row.at), text })
}

/// Where the time went, from the entries, newest first.
fn shares(t: Tongue, rows: &[EntryRow], until: Timestamp) -> Vec<Share> {
    let (mut sums, mut end) = ([0_u64; 4], until);
    for row in rows {
        let Entry::ActivityEntered { activity, at } = &row.entry else { continue };
        let kind = match activity {
            Activity::Running { .. } | Activity::Judging { .. } | Activity::Acting { .. } => 0,
            Activity::Waiting { .. } | Activity::Stopping => 1,
            Activity::AwaitingPerson { .. } => 2,
            Activity::Held { .. } => 3,
            Activity::Settled { .. } => {
                end = *at;
                continue;
            }
        };
        sums[kind] += end.since(*at).0;
        end = *at;
    }
    let whole = sums.iter().sum::<u64>().max(1);
    let names = [
        (State::Working, t.of("in turn or at work", "в очереди или в работе")),
        (State::Retrying, t.of("waited for others", "ждала других")),
        (State::NeedsYou, t.of("waited for a person", "ждала человека")),
        (State::Held, t.of("held", "удержана")),
    ];
    let mut from = 0;
    let mut shares = Vec::new();
    for ((state, name), sum) in names.into_iter().zip(sums) {
        let wide = sum.saturating_mul(1000) / whole;
        if sum >= 1000 {
            shares.push(Share { state, name, took: span_in(t, Milliseconds(sum)), from, wide });
        }
        from += wide;
    }
    shares
}

fn facts(t: Tongue, task: &Task) -> Vec<(&'static str, String)> {
    let position = &task.position;
    let (stage, visit) = (words::stage(t, position.stage.as_str()), position.visit);
    let (retries, infra) = (task.retries, task.infra_retries);
    let mut facts = vec![
        (t.of("stage", "этап"), say!(t, "{stage}, visit {visit}", "{stage}, заход {visit}")),
        (
            t.of("retries", "попытки"),
            say!(
                t,
                "{retries} of the developer's, {infra} of this step's",
                "разработчика: {retries}, этого шага: {infra}"
            ),
        ),
    ];
    let commits = [
        (t.of("head", "вершина"), &task.head),
        (t.of("base", "основа"), &task.base),
        (t.of("tested", "проверено"), &task.validated),
        (t.of("merged", "слито"), &task.merged),
        (t.of("deployed", "выложено"), &task.deployed),
    ];
    facts.extend(task.branch.as_ref().map(|branch| (t.of("branch", "ветка"), line(branch.as_str(), 200))));
    facts.extend(commits.into_iter().filter_map(|(name, commit)| Some((name, commit.as_ref()?.to_string()))));
    if !task.leases.is_empty() {
        let lease = |(name, token): (&domain::ids::LeaseName, &domain::ids::FenceToken)| {
            say!(t, "{name} (fence {token})", "{name} (ограда {token})")
        };
        facts.push((t.of("leases", "аренды"), task.leases.iter().map(lease).collect::<Vec<_>>().join(", ")));
    }
    facts.extend(Some((t.of("cost", "стоимость"), cost(t, &task.spent))).filter(|(_, cost)| !cost.is_empty()));
    for (role, sum) in &task.by_role {
        let runs = t.count(u64::from(sum.runs), ["run", "runs"], ["запуск", "запуска", "запусков"]);
        let spent = match t {
            Tongue::English => sum.spent.words(),
            Tongue::Russian => cost(t, &sum.spent),
        };
        facts.push((words::role(t, role.as_str()), format!("{runs}, {spent}")));
    }
    facts
}

fn run(t: Tongue, row: &RunRow) -> Run {
    let (state, outcome) = ended(t, row);
    let (role, stage) = (words::role(t, row.role.as_str()), words::stage(t, row.stage.as_str()));
    let (visit, attempt) = (row.visit, row.attempt);
    let stamp = [&row.model, &row.effort].into_iter().flatten().map(|stamp| line(stamp, 100));
    Run {
        id: row.id.0,
        state,
        what: say!(
            t,
            "{role} in {stage}, visit {visit}, attempt {attempt}",
            "{role}, этап {stage}, заход {visit}, попытка {attempt}"
        ),
        stamp: stamp.collect::<Vec<_>>().join(", "),
        at: Moment::of(row.started_at),
        took: row.ended_at.map(|end| span_in(t, end.since(row.started_at))).unwrap_or_default(),
        outcome,
        cost: row.spent.as_ref().map(|spent| cost(t, spent)).unwrap_or_default(),
    }
}

fn judgements(store: &dyn Store, t: Tongue, rows: Vec<EvaluationRow>) -> Vec<Judgement> {
    let mut failed = 0;
    let mut judgements = Vec::new();
    for EvaluationRow { id, evaluation } in rows {
        let mut findings = Vec::new();
        if evaluation.answer == "fail" && failed < FAILED {
            failed += 1;
            findings = findings_of(store, t, &evaluation.verdict);
        }
        let digest = evaluation.digest.as_ref().map(|digest| digest.as_str()[..12].to_owned());
        judgements.push(Judgement {
            id: id.0,
            at: Moment::of(evaluation.at),
            step: line(&evaluation.step, 100),
            plugin: evaluation.plugin.to_string(),
            digest: digest.unwrap_or_else(|| t.of("not loaded", "не загружен").to_owned()),
            state: verdict_state(&evaluation.answer),
            answer: line(words::verdict(t, &evaluation.answer), 100),
            summary: line(&evaluation.summary, 300),
            head: evaluation.head.as_ref().map(|head| head.as_str()[..12].to_owned()).unwrap_or_default(),
            took: format!("{}.{} ms", evaluation.micros / 1000, evaluation.micros % 1000 / 100),
            findings,
        });
    }
    judgements
}

/// The shape and colour of an answer.
pub(in crate::pages) fn verdict_state(answer: &str) -> State {
    match answer {
        "pass" | "not-applicable" | "allow" => State::Done,
        "fail" => State::Failed,
        "infra" => State::Held,
        "wait" | "delay" => State::Retrying,
        "hold" => State::NeedsYou,
        _ => State::Skipped,
    }
}

/// The findings of a failed evaluation, a line each; a verdict that cannot be read has none to show.
fn findings_of(store: &dyn Store, t: Tongue, verdict: &Digest) -> Vec<String> {
    let bytes = store.blob(verdict).unwrap_or_default();
    let Ok(Verdict::Fail { findings, .. }) = serde_json::from_slice(&bytes) else { return Vec::new() };
    let lines = findings.iter().take(FINDINGS).map(|finding| {
        let severity = finding.severity.to_string();
        let mut text = format!("{}: {}", words::severity(t, &severity), finding.title);
        if let Some(path) = &finding.path {
            let _ = write!(text, " ({path}");
            let _ = finding.line.map(|line| write!(text, ":{line}"));
            text.push(')');
        }
        line(&text, 500)
    });
    lines.collect()
}

fn paper(t: Tongue, row: &Document) -> Paper {
    let stage = words::stage(t, row.stage.as_str());
    let by = match row.run {
        Some(run) => say!(t, "run {run} in {stage}", "запуск {run}, этап {stage}"),
        None => say!(t, "the host in {stage}", "хост, этап {stage}"),
    };
    Paper { id: row.id.0, name: line(&row.name, 200), by, at: Moment::of(row.written_at), size: bytes(row.size) }
}
