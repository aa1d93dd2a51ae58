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
use crate::said::both;
use crate::show::{Age, Moment, bytes, cost, line, logged, marked, plain, span_in};
use crate::tongue::{self, Tongue, say};
use crate::transcript::{self, Saying};
use crate::words;

/// Characters of what is looked for.
const LONGEST_SEARCH: usize = 200;
/// Characters of what is known of a run in one line.
const LONGEST_FACT: usize = 4000;
/// Read of a log at one time where the whole of it is fetched.
const CHUNK: usize = 64 * 1024;
/// Bytes of the lines of a page: a log of bytes that nobody sees would be spelled out at many times its length.
const LARGEST_PAGE: usize = 1 << 20;
/// The markup around a line, in bytes.
const PER_LINE: usize = 60;
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
    /// Every line as it was written, with its escapes spelled out.
    raw: Option<u8>,
}

impl Which {
    pub(super) fn is_search(&self) -> bool {
        self.q.as_ref().is_some_and(|q| !q.is_empty())
    }
}

/// All that the page says.
pub(crate) struct Run {
    id: u64,
    key: String,
    title: String,
    state: State,
    outcome: String,
    facts: Vec<(&'static str, Vec<tongue::Part>)>,
    since: Age,
    is_live: bool,
    wraps: bool,
    /// Lines stand as they were written.
    is_raw: bool,
    q: String,
    size: String,
    lines: Vec<Line>,
    /// Of the first line that looks like trouble.
    trouble: Option<u64>,
    /// Where the older part ends.
    older: Option<u64>,
    /// As a parameter of its address: where the part ends that is shown, if that is not the log's end.
    here: String,
    /// The page shows the end of the log.
    is_end: bool,
    /// From where on it is followed.
    follow: u64,
    found: Option<String>,
    has_log: bool,
    /// When the log was removed.
    collected: Option<Moment>,
}

/// A line of the log.
struct Line {
    at: u64,
    /// The end of a page on which it stands.
    until: u64,
    text: String,
    /// What an agent says by it, instead of the text.
    said: Vec<Saying>,
    goes_on: bool,
    is_trouble: bool,
}

impl Run {
    /// Where programs are told of it.
    fn told_at(&self, what: &str) -> String {
        format!("/api/v1/runs/{}{what}", self.id)
    }

    /// The same page with another part of the log.
    fn link(&self, change: &str) -> String {
        self.linked(change, self.wraps, self.is_raw)
    }

    fn linked(&self, change: &str, wraps: bool, is_raw: bool) -> String {
        let wrap = if wraps { "" } else { "&wrap=0" };
        let raw = if is_raw { "&raw=1" } else { "" };
        let q = if self.q.is_empty() { String::new() } else { format!("&q={}", encoded(&self.q)) };
        let query = format!("{change}{q}{wrap}{raw}");
        match query.trim_start_matches('&') {
            "" => format!("/r/{}", self.id),
            query => format!("/r/{}?{query}", self.id),
        }
    }

    /// The same part, wrapped the other way.
    fn turned(&self) -> String {
        self.linked(&self.here, !self.wraps, self.is_raw)
    }

    /// The same part, as it was written or as it is told.
    fn other_way(&self) -> String {
        self.linked(&self.here, self.wraps, !self.is_raw)
    }

    /// The part around a line that was found.
    fn around(&self, line: &Line) -> String {
        let raw = if self.is_raw { "&raw=1" } else { "" };
        format!("/r/{}?before={}{raw}#b{}", self.id, line.until, line.at)
    }
}

pub(crate) fn read(state: &GatewayState, t: Tongue, run: &str, which: &Which) -> Result<Run, Problem> {
    let id: RunId = find::parse(run)?;
    let row = with_live_usage(&*state.desk, state.store.run(id)?);
    let task = state.store.task(row.task)?;
    let q: String = which.q.as_deref().unwrap_or_default().chars().take(LONGEST_SEARCH).collect();
    let mut file = state.desk.run_log(id);
    let is_live = row.ended_at.is_none();
    let shown = Shown { t, is_raw: which.raw == Some(1) };
    let (mut part, mut found, mut lines) = (Part::default(), None, Vec::new());
    if let Some(file) = &mut file {
        let broken = |error: std::io::Error| Problem::broken(&format!("the log of run {id} cannot be read: {error}"));
        if q.is_empty() {
            part = match which.after {
                Some(place) => log::after(file, place).map_err(broken)?,
                None => log::before(file, which.before).map_err(broken)?,
            };
            lines = part.pieces.drain(..).flat_map(|piece| shown.lines(piece)).collect();
            part.start = keep_the_end(&mut lines).unwrap_or(part.start);
        } else {
            let hits = look_for(file, &q, which.before).map_err(broken)?;
            lines = shown.found(file, &hits, &q).map_err(broken)?;
            found = Some(hits);
            part.size = file.metadata().map_err(broken)?.len();
        }
    }
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
        is_raw: shown.is_raw,
        size: bytes(part.size),
        trouble: lines.iter().find(|line| line.is_trouble).map(|line| line.at).filter(|_| found.is_none()),
        older: found.as_ref().map_or_else(|| Some(part.start).filter(|start| *start > 0), |found| found.older),
        here: which.before.map(|end| format!("before={end}")).unwrap_or_default(),
        is_end: found.is_none() && part.end >= part.size,
        follow: part.follow,
        found: found.as_ref().map(|found| found_words(t, found)),
        has_log: file.is_some(),
        collected: state.store.when_collected(id)?.map(Moment::of),
        lines,
        q,
    })
}

/// The last lines of a page that are not more than a browser shows at once; where they begin, where others were left out.
fn keep_the_end(lines: &mut Vec<Line>) -> Option<u64> {
    let mut room = LARGEST_PAGE;
    let kept = lines.iter().rev().take_while(|line| {
        let said = line.said.iter().map(|said| said.text.len()).sum::<usize>();
        room = room.saturating_sub(line.text.len() + said + PER_LINE);
        room > 0
    });
    let left_out = lines.len() - kept.count().max(1).min(lines.len());
    lines.drain(..left_out);
    lines.first().filter(|_| left_out > 0).map(|line| line.at)
}

/// A text letter by letter. Where it stands nowhere, it is looked for as a line of an agent's stream holds it: with its quotes and
/// line breaks escaped.
fn look_for(file: &mut std::fs::File, q: &str, before: Option<u64>) -> std::io::Result<Found> {
    let found = log::search(file, q, before)?;
    match transcript::as_written(q).filter(|_| found.pieces.is_empty()) {
        Some(written) => log::search(file, &written, before),
        None => Ok(found),
    }
}

/// Bytes after a place of a plain log that its page shows too.
const AFTER: u64 = 20_000;

/// How lines are shown.
#[derive(Clone, Copy)]
struct Shown {
    t: Tongue,
    is_raw: bool,
}

impl Shown {
    /// What an agent says by a line, or else the line, cut where it is long.
    fn lines(self, piece: log::Piece) -> Vec<Line> {
        match self.told(&piece) {
            Some(line) => vec![line],
            None => log::cut(piece).iter().map(|piece| self.plain(piece)).collect(),
        }
    }

    fn told(self, piece: &log::Piece) -> Option<Line> {
        let said = (!self.is_raw && !piece.goes_on).then(|| transcript::told(self.t, &piece.text)).flatten()?;
        let is_trouble = said.iter().any(Saying::is_error);
        let until = piece.at + piece.text.len() as u64 + 1;
        Some(Line { at: piece.at, until, text: String::new(), said, goes_on: false, is_trouble })
    }

    fn plain(self, piece: &log::Piece) -> Line {
        let text = if self.is_raw { plain(&piece.text) } else { logged(&piece.text) };
        let until = piece.at + piece.text.len() as u64 + AFTER;
        let is_trouble = piece.is_trouble();
        Line { at: piece.at, until, text, said: Vec::new(), goes_on: piece.goes_on, is_trouble }
    }

    /// What was found, told where that still has it; several places of a line that is told are one.
    fn found(self, file: &mut std::fs::File, found: &Found, q: &str) -> std::io::Result<Vec<Line>> {
        let has = |line: &Line| line.said.iter().any(|said| said.text.contains(q) || said.name.contains(q));
        let mut lines: Vec<Line> = Vec::new();
        for piece in &found.pieces {
            let whole = if self.is_raw { None } else { log::object_at(file, piece.at)? };
            let told = whole.and_then(|whole| self.told(&whole)).filter(has);
            let line = told.unwrap_or_else(|| self.plain(piece));
            if lines.last().is_none_or(|last| last.at != line.at) {
                lines.push(line);
            }
        }
        Ok(lines)
    }
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
        _ if row.over_budget.is_some() => State::Stopped,
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

/// What is known of it; in the words of whoever said it where it was no one here.
fn facts(t: Tongue, row: &RunRow) -> Vec<(&'static str, Vec<tongue::Part>)> {
    let shown = |(name, value): (&'static str, String)| (name, marked(&value, LONGEST_FACT));
    plain_facts(t, row).into_iter().map(shown).collect()
}

fn plain_facts(t: Tongue, row: &RunRow) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        (t.of("role", "роль"), words::role(t, row.role.as_str()).to_owned()),
        (t.of("stage", "этап"), words::stage(t, row.stage.as_str()).to_owned()),
        (t.of("visit", "заход"), row.visit.to_string()),
        (t.of("attempt", "попытка"), row.attempt.to_string()),
    ];
    let stamps = [(t.of("model", "модель"), &row.model), (t.of("effort", "усилие"), &row.effort)];
    facts.extend(stamps.into_iter().filter_map(|(name, stamp)| Some((name, line(stamp.as_ref()?, 100)))));
    let resumed = row.conversation.as_ref().and_then(|conversation| conversation.resumed);
    facts.extend(resumed.map(|before| (t.of("goes on with run", "продолжает запуск"), before.to_string())));
    if let Some(end) = row.ended_at {
        facts.push((t.of("took", "длился"), span_in(t, end.since(row.started_at))));
    }
    facts.push((t.of("command", "команда"), line(&row.command, LONGEST_FACT)));
    facts.extend(
        row.spent
            .as_ref()
            .map(|spent| (t.of("cost", "стоимость"), cost(t, spent)))
            .filter(|(_, cost)| !cost.is_empty()),
    );
    if row.steps > 0 {
        facts.push((t.of("tools used", "вызовов инструментов"), row.steps.to_string()));
    }
    facts.extend(
        row.doing.as_ref().map(|doing| (t.of("last seen doing", "последнее дело"), t.inner(&line(doing, 300)))),
    );
    facts.extend(row.over_budget.as_ref().map(|why| (t.of("over budget", "сверх бюджета"), t.inner(&line(why, 300)))));
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
                let at = Moment::of(at).text;
                Err(Problem::not_found(both!("the log of run {id} was removed {at}", "журнал запуска {id} убран {at}")))
            }
            (None, None) => Err(Problem::not_found(both!("run {id} has no log yet", "у запуска {id} ещё нет журнала"))),
        }
    });
    let mut file = file.await?;
    let permit = std::sync::Arc::clone(&app.downloads).try_acquire_owned().map_err(|_| {
        Problem::busy(both!(
            "too many logs are being fetched; ask again when one is through",
            "скачивается слишком много журналов; спросите снова, когда один будет готов"
        ))
    })?;
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
