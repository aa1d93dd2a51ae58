//! The page of one run: who worked on what, how it ended, and its log from the end.

use askama::Template;
use axum::body::{Body, Bytes};
use axum::extract::State as Shared;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use conductor::ports::store::RunRow;
use domain::event::RunResult;
use domain::ids::RunId;
use serde::Deserialize;
use std::io::Read as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::frame::{Frame, encoded};
use crate::api::State;
use crate::app::{App, GatewayState};
use crate::body::Segments;
use crate::desk::with_live_usage;
use crate::find;
use crate::log::{self, Found, Part};
use crate::problem::Problem;
use crate::show::{Age, Moment, bytes, cost, line, plain, span_in};
use crate::tongue::{Tongue, say};

/// Characters of what is looked for.
const LONGEST_SEARCH: usize = 200;
/// Read of a log at one time where the whole of it is fetched.
const CHUNK: usize = 64 * 1024;
/// Chunks on their way to one reader.
const CHUNKS: usize = 4;

#[derive(Template)]
#[template(path = "run.html")]
pub(crate) struct RunPage {
    pub(crate) frame: Frame,
    pub(crate) run: Run,
}

/// Which part of the log.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    before: Option<u64>,
    after: Option<u64>,
    q: Option<String>,
    wrap: Option<u8>,
}

/// All that the page says.
pub(crate) struct Run {
    id: u64,
    key: String,
    title: String,
    state: State,
    outcome: String,
    facts: Vec<(&'static str, String)>,
    since: Age,
    is_live: bool,
    wraps: bool,
    q: String,
    size: String,
    lines: Vec<Line>,
    /// Of the first line that looks like trouble.
    trouble: Option<u64>,
    /// Where the older part ends.
    older: Option<u64>,
    /// The page shows the end of the log.
    is_end: bool,
    end: u64,
    found: Option<String>,
    has_log: bool,
    /// When the log was removed.
    collected: Option<Moment>,
}

/// A line of the log.
struct Line {
    at: u64,
    text: String,
    goes_on: bool,
    is_trouble: bool,
}

impl Run {
    /// The same page with another part of the log.
    fn link(&self, change: &str) -> String {
        let wrap = if self.wraps { "" } else { "&wrap=0" };
        let q = if self.q.is_empty() { String::new() } else { format!("&q={}", encoded(&self.q)) };
        format!("/r/{}?{}", self.id, format!("{change}{q}{wrap}").trim_start_matches('&'))
    }

    /// The same part, wrapped the other way.
    fn turned(&self) -> String {
        let q = if self.q.is_empty() { String::new() } else { format!("&q={}", encoded(&self.q)) };
        format!("/r/{}?wrap={}{q}", self.id, u8::from(!self.wraps))
    }
}

pub(crate) fn read(state: &GatewayState, t: Tongue, run: &str, which: &Which) -> Result<Run, Problem> {
    let id: RunId = find::parse(run)?;
    let row = with_live_usage(&*state.desk, state.store.run(id)?);
    let task = state.store.task(row.task)?;
    let q = line(which.q.as_deref().unwrap_or_default(), LONGEST_SEARCH);
    let mut file = state.desk.run_log(id);
    let is_live = row.ended_at.is_none();
    let (mut part, mut found) = (Part::default(), None);
    if let Some(file) = &mut file {
        let broken = |error: std::io::Error| Problem::broken(&format!("the log of run {id} cannot be read: {error}"));
        if q.is_empty() {
            part = match which.after {
                Some(place) => log::after(file, place).map_err(broken)?,
                None => log::before(file, which.before).map_err(broken)?,
            };
        } else {
            found = Some(log::search(file, &q, which.before).map_err(broken)?);
            part.size = file.metadata().map_err(broken)?.len();
        }
    }
    let lines: Vec<Line> = found.as_ref().map_or(&part.pieces, |found| &found.pieces).iter().map(shown).collect();
    let (is, outcome) = ended(t, &row);
    Ok(Run {
        id: id.0,
        key: task.work_item.to_string(),
        title: line(&task.title, 140),
        state: is,
        outcome,
        facts: facts(t, &row),
        since: Age::of(t, row.started_at, state.now()),
        is_live,
        wraps: which.wrap != Some(0),
        size: bytes(part.size),
        trouble: lines.iter().find(|line| line.is_trouble).map(|line| line.at).filter(|_| found.is_none()),
        older: found.as_ref().map_or_else(|| Some(part.start).filter(|start| *start > 0), |found| found.older),
        is_end: found.is_none() && part.end >= part.size,
        end: part.end,
        found: found.as_ref().map(|found| found_words(t, found)),
        has_log: file.is_some(),
        collected: state.store.when_collected(id)?.map(Moment::of),
        lines,
        q,
    })
}

fn shown(piece: &log::Piece) -> Line {
    Line { at: piece.at, text: plain(&piece.text), goes_on: piece.goes_on, is_trouble: piece.is_trouble() }
}

fn found_words(t: Tongue, found: &Found) -> String {
    let lines = t.count(
        found.pieces.len() as u64,
        ["line has it", "lines have it"],
        ["строка нашлась", "строки нашлись", "строк нашлось"],
    );
    let searched = bytes(found.searched);
    say!(t, "{lines}, the last first; {searched} looked through", "{lines}, последние сначала; просмотрено {searched}")
}

/// How it stands, and in which words.
pub(super) fn ended(t: Tongue, row: &RunRow) -> (State, String) {
    // The code of its process says nothing of what it delivered, nor of who ended it: only rows that know no more are told by it.
    let state = match (row.ended_at, row.result, row.exit_code) {
        (None, ..) => State::Working,
        (Some(_), Some(result), _) => stands(result),
        (Some(_), None, Some(0)) => State::Done,
        _ if row.over_budget.is_some() => State::Held,
        _ => State::Failed,
    };
    let words = match (&row.outcome, row.ended_at, row.result, row.exit_code) {
        (Some(outcome), ..) => line(outcome, 300),
        (None, None, ..) => t.of("under way", "идёт").to_owned(),
        (None, Some(_), Some(result), _) => result_words(t, result).to_owned(),
        (None, Some(_), None, Some(code)) => say!(t, "exit {code}", "код {code}"),
        (None, Some(_), None, None) => t.of("ended by a signal", "прерван сигналом").to_owned(),
    };
    (state, words)
}

/// A failure is the work's, an error is the system's: as a task that the system failed is held, and not failed.
const fn stands(result: RunResult) -> State {
    match result {
        RunResult::Success => State::Done,
        RunResult::Failure | RunResult::Timeout => State::Failed,
        RunResult::Error => State::Held,
        RunResult::Cancellation => State::Stopped,
    }
}

const fn result_words(t: Tongue, result: RunResult) -> &'static str {
    match result {
        RunResult::Success => t.of("it delivered", "результат сдан"),
        RunResult::Failure => t.of("the work is bad", "работа не годится"),
        RunResult::Error => t.of("the system failed it", "подвела система"),
        RunResult::Timeout => t.of("its time was up", "время вышло"),
        RunResult::Cancellation => t.of("a person or a budget ended it", "прерван человеком или бюджетом"),
    }
}

fn facts(t: Tongue, row: &RunRow) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        (t.of("role", "роль"), row.role.to_string()),
        (t.of("stage", "этап"), row.stage.to_string()),
        (t.of("visit", "заход"), row.visit.to_string()),
        (t.of("attempt", "попытка"), row.attempt.to_string()),
    ];
    let stamps = [(t.of("model", "модель"), &row.model), (t.of("effort", "усилие"), &row.effort)];
    facts.extend(stamps.into_iter().filter_map(|(name, stamp)| Some((name, line(stamp.as_ref()?, 100)))));
    facts.extend(row.doing.as_ref().map(|doing| (t.of("last step", "последний шаг"), line(doing, 200))));
    if row.steps > 0 {
        facts.push((t.of("tools used", "вызовов инструментов"), row.steps.to_string()));
    }
    let resumed = row.conversation.as_ref().and_then(|conversation| conversation.resumed);
    facts.extend(resumed.map(|before| (t.of("goes on with run", "продолжает запуск"), before.to_string())));
    if let Some(end) = row.ended_at {
        facts.push((t.of("took", "длился"), span_in(t, end.since(row.started_at))));
    }
    facts.push((t.of("command", "команда"), line(&row.command, 200)));
    facts.extend(
        row.spent.as_ref().map(|spent| (t.of("cost", "стоимость"), cost(spent))).filter(|(_, cost)| !cost.is_empty()),
    );
    if row.steps > 0 {
        facts.push((t.of("tools used", "вызовов инструментов"), row.steps.to_string()));
    }
    facts.extend(row.doing.as_ref().map(|doing| (t.of("last seen doing", "последнее дело"), line(doing, 300))));
    facts.extend(row.over_budget.as_ref().map(|why| (t.of("over budget", "сверх бюджета"), line(why, 300))));
    facts.extend(row.pid.filter(|_| row.ended_at.is_none()).map(|pid| (t.of("process", "процесс"), pid.to_string())));
    facts
}

/// The whole log as a file. It is read as fast as it is taken, and never held.
pub(crate) async fn raw(Shared(app): Shared<App>, Segments(run): Segments<String>) -> Result<Response, Problem> {
    let run: RunId = find::parse(&run)?;
    let file = app.ask(move |state| {
        let id = state.store.run(run)?.id;
        match (state.desk.run_log(id), state.store.when_collected(id)?) {
            (Some(file), _) => Ok(file),
            (None, Some(at)) => {
                Err(Problem::not_found(format!("the log of run {id} was removed {}", Moment::of(at).text)))
            }
            (None, None) => Err(Problem::not_found(format!("run {id} has no log yet"))),
        }
    });
    let mut file = file.await?;
    let permit = std::sync::Arc::clone(&app.downloads)
        .try_acquire_owned()
        .map_err(|_| Problem::busy("too many logs are being fetched; ask again when one is through"))?;
    let (sender, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(CHUNKS);
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = match file.read(&mut chunk) {
                Ok(0) => return,
                Ok(read) => Ok(Bytes::copy_from_slice(&chunk[..read])),
                Err(error) => Err(error),
            };
            let failed = read.is_err();
            if sender.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"run-{run}.log\"")),
    ];
    Ok((headers, Body::from_stream(ReceiverStream::new(receiver))).into_response())
}
