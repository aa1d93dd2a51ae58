//! The page of one work item: what happens next, what a person can do, and all that happened so far.

use std::fmt::Write as _;

use askama::Template;
use conductor::ports::store::{BoardComment, BoardItem, EvaluationRow, RunRow, Store};
use domain::document::Document;
use domain::ids::{Digest, WorkItemId};
use domain::task::Task;
use domain::time::Timestamp;
use domain::verdict::Verdict;

use crate::api::State;
use crate::app::GatewayState;
use crate::desk::with_live_usage;
use crate::find;
use crate::problem::Problem;
use crate::routes::events::Cursor;
use crate::show::{Moment, cost, line, plain, span};
use crate::standing::Scene;
use crate::timeline;

/// Entries on the page: the newest. The API has all.
const ENTRIES: usize = 300;
const ROWS: u32 = 50;
/// Failed evaluations whose findings are spelled out.
const FAILED: usize = 3;
const FINDINGS: usize = 20;
const LONGEST_TEXT: usize = 20_000;

#[derive(Template)]
#[template(path = "ticket.html")]
pub(crate) struct Whole {
    pub(crate) ticket: Ticket,
}

#[derive(Template)]
#[template(path = "ticket_fragment.html")]
pub(crate) struct Fragment {
    pub(crate) ticket: Ticket,
}

/// All that the page says.
pub(crate) struct Ticket {
    pub(crate) cursor: Cursor,
    pub(crate) at: Moment,
    pub(crate) key: String,
    project: String,
    title: String,
    description: String,
    labels: String,
    status: Option<String>,
    state: State,
    sentence: String,
    commands: Vec<String>,
    pull: Option<String>,
    task: Option<Way>,
    comments: Vec<Line>,
}

/// What came of it so far.
struct Way {
    id: u64,
    facts: Vec<(&'static str, String)>,
    feedback: Vec<(String, String)>,
    runs: Vec<Run>,
    evaluations: Vec<Judgement>,
    documents: Vec<Paper>,
    entries: Vec<Line>,
    older: usize,
}

struct Line {
    at: Moment,
    who: String,
    text: String,
}

struct Run {
    id: u64,
    what: String,
    at: Moment,
    took: String,
    outcome: String,
    cost: String,
}

struct Judgement {
    id: u64,
    at: Moment,
    step: String,
    plugin: String,
    digest: String,
    answer: String,
    summary: String,
    took: String,
    findings: Vec<String>,
}

struct Paper {
    id: u64,
    name: String,
    by: String,
    at: Moment,
    size: u64,
}

pub(crate) fn read(state: &GatewayState, life: Timestamp, item: &str) -> Result<Ticket, Problem> {
    let cursor = Cursor::of(life, state);
    let key: WorkItemId = find::parse(item)?;
    let scene = Scene::read(state)?;
    let (mut card, mut task) = (None, None);
    for project in &scene.projects {
        card = card.or(state.store.item(&project.name, &key)?);
        task = task.or(state.store.task_of(&project.name, &key)?);
    }
    let at = Moment::of(state.now());
    match task {
        Some(task) => started(state, &scene, task, card, cursor, at),
        None => match card {
            Some(card) => unstarted(state, card, cursor, at),
            None => {
                Err(Problem::not_found(format!("there is no work item {key}; the board lists those that are there")))
            }
        },
    }
}

fn started(
    state: &GatewayState,
    scene: &Scene,
    task: Task,
    card: Option<BoardItem>,
    cursor: Cursor,
    at: Moment,
) -> Result<Ticket, Problem> {
    let store = &*state.store;
    let standing = scene.standing(&task);
    let comments = match &card {
        Some(_) => store.comments(&task.project, &task.work_item, ROWS)?,
        None => Vec::new(),
    };
    Ok(Ticket {
        cursor,
        at,
        key: task.work_item.to_string(),
        project: task.project.to_string(),
        title: line(&task.title, 500),
        description: text(&store.blob(&task.description)?),
        labels: line(&task.labels.join(", "), 1000),
        status: card.map(|card| line(&card.status, 200)),
        state: standing.state,
        sentence: line(&standing.sentence, 1000),
        commands: standing.commands,
        pull: task.merged.as_ref().and_then(|_| state.desk.pull_command(&task.project)),
        comments: comments.iter().map(comment).collect(),
        task: Some(way(state, &task)?),
    })
}

fn unstarted(state: &GatewayState, card: BoardItem, cursor: Cursor, at: Moment) -> Result<Ticket, Problem> {
    let comments = state.store.comments(&card.project, &card.work_item, ROWS)?;
    let start = state.desk.start_status(&card.project);
    Ok(Ticket {
        cursor,
        at,
        key: card.work_item.to_string(),
        project: card.project.to_string(),
        title: line(&card.title, 500),
        description: text(card.description.as_bytes()),
        labels: line(&card.labels.join(", "), 1000),
        status: Some(line(&card.status, 200)),
        state: if card.gone.is_some() { State::Stopped } else { State::Skipped },
        sentence: match &card.gone {
            Some(actor) => line(&format!("removed from the board by {actor}"), 200),
            None => format!("nobody started it; a move to “{}” does", line(&start, 100)),
        },
        commands: Vec::new(),
        pull: None,
        task: None,
        comments: comments.iter().map(comment).collect(),
    })
}

fn way(state: &GatewayState, task: &Task) -> Result<Way, Problem> {
    let store = &*state.store;
    let rows = store.entries(task.id)?;
    let mut entries: Vec<Line> = rows
        .iter()
        .rev()
        .filter_map(|row| {
            let text = line(&timeline::words(&row.entry)?, 600);
            Some(Line { at: Moment::of(row.at), who: String::new(), text })
        })
        .collect();
    let older = entries.len().saturating_sub(ENTRIES);
    entries.truncate(ENTRIES);
    Ok(Way {
        id: task.id.0,
        facts: facts(task),
        feedback: task.feedback.iter().map(|row| (line(&row.source, 200), plain(&row.note))).collect(),
        runs: store.runs(task.id, ROWS)?.into_iter().map(|row| run(&with_live_usage(&*state.desk, row))).collect(),
        evaluations: judgements(store, store.evaluations(Some(task.id), ROWS)?),
        documents: store.documents(task.id)?.iter().map(paper).collect(),
        entries,
        older,
    })
}

fn facts(task: &Task) -> Vec<(&'static str, String)> {
    let position = &task.position;
    let stage = format!("{}, visit {}, {}", position.stage, position.visit, position.activity.name());
    let retries = format!("{} of the developer's, {} of this step's", task.retries, task.infra_retries);
    let mut facts = vec![("stage", stage), ("since", Moment::of(task.activity_entered_at).text), ("retries", retries)];
    let commits = [
        ("head", &task.head),
        ("base", &task.base),
        ("tested", &task.validated),
        ("merged", &task.merged),
        ("deployed", &task.deployed),
    ];
    facts.extend(task.branch.as_ref().map(|branch| ("branch", line(branch.as_str(), 200))));
    facts.extend(commits.into_iter().filter_map(|(name, commit)| Some((name, commit.as_ref()?.to_string()))));
    if !task.leases.is_empty() {
        let leases: Vec<String> = task.leases.iter().map(|(name, token)| format!("{name} (fence {token})")).collect();
        facts.push(("leases", leases.join(", ")));
    }
    let cost = cost(&task.spent);
    if !cost.is_empty() {
        facts.push(("cost", cost));
    }
    for (role, sum) in &task.by_role {
        let runs = if sum.runs == 1 { "run" } else { "runs" };
        facts.push((role.as_str(), format!("{} {runs}, {}", sum.runs, sum.spent.words())));
    }
    facts
}

fn run(row: &RunRow) -> Run {
    let took = row.ended_at.map(|end| span(end.since(row.started_at)));
    let outcome = match (&row.outcome, row.ended_at) {
        (Some(outcome), _) => line(outcome, 300),
        (None, None) => "under way".to_owned(),
        (None, Some(_)) => row.exit_code.map_or_else(|| "ended by a signal".to_owned(), |code| format!("exit {code}")),
    };
    Run {
        id: row.id.0,
        what: format!("{} in {}, visit {}, attempt {}{}", row.role, row.stage, row.visit, row.attempt, stamp(row)),
        at: Moment::of(row.started_at),
        took: took.unwrap_or_default(),
        outcome,
        cost: row.spent.as_ref().map(cost).unwrap_or_default(),
    }
}

/// The model and the effort that it was launched with.
fn stamp(row: &RunRow) -> String {
    [&row.model, &row.effort].into_iter().flatten().fold(String::new(), |all, stamp| all + ", " + &line(stamp, 100))
}

fn judgements(store: &dyn Store, rows: Vec<EvaluationRow>) -> Vec<Judgement> {
    let mut failed = 0;
    let mut judgements = Vec::new();
    for EvaluationRow { id, evaluation } in rows {
        let mut findings = Vec::new();
        if evaluation.answer == "fail" && failed < FAILED {
            failed += 1;
            findings = findings_of(store, &evaluation.verdict);
        }
        judgements.push(Judgement {
            id: id.0,
            at: Moment::of(evaluation.at),
            step: line(&evaluation.step, 100),
            plugin: evaluation.plugin.to_string(),
            digest: evaluation.digest.as_ref().map_or("not loaded", |digest| &digest.as_str()[..12]).to_owned(),
            answer: line(&evaluation.answer, 100),
            summary: line(&evaluation.summary, 300),
            took: format!("{}.{} ms", evaluation.micros / 1000, evaluation.micros % 1000 / 100),
            findings,
        });
    }
    judgements
}

/// The findings of a failed evaluation, a line each; a verdict that cannot be read has none to show.
fn findings_of(store: &dyn Store, verdict: &Digest) -> Vec<String> {
    let bytes = store.blob(verdict).unwrap_or_default();
    let Ok(Verdict::Fail { findings, .. }) = serde_json::from_slice(&bytes) else { return Vec::new() };
    let lines = findings.iter().take(FINDINGS).map(|finding| {
        let mut text = format!("{}: {}", finding.severity, finding.title);
        if let Some(path) = &finding.path {
            let _ = write!(text, " ({path}");
            let _ = finding.line.map(|line| write!(text, ":{line}"));
            text.push(')');
        }
        line(&text, 500)
    });
    lines.collect()
}

fn paper(row: &Document) -> Paper {
    let by = row.run.map_or_else(|| "the host".to_owned(), |run| format!("run {run}"));
    let name = line(&row.name, 200);
    Paper { id: row.id.0, name, by: format!("{by} in {}", row.stage), at: Moment::of(row.written_at), size: row.size }
}

fn comment(row: &BoardComment) -> Line {
    Line { at: Moment::of(row.at), who: line(&row.actor.to_string(), 100), text: text(row.text.as_bytes()) }
}

/// A text of several lines, cut where a page would be only that text.
fn text(bytes: &[u8]) -> String {
    let whole = String::from_utf8_lossy(bytes);
    let mut characters = whole.chars();
    let mut cut: String = characters.by_ref().take(LONGEST_TEXT).collect();
    if characters.next().is_some() {
        cut.push('…');
    }
    plain(&cut)
}
