//! Pages for people: whole without JavaScript, and kept up to date by a little of it.

mod audit;
mod deliveries;
pub(crate) mod forms;
mod frame;
mod living;
pub(crate) mod login;
mod now;
mod places;
mod plugins;
mod project;
mod queue;
mod repositories;
mod row;
mod run;
mod search;
mod system;
mod ticket;
pub(crate) mod tokens;

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

use crate::app::App;
use crate::body::{Parameters, Segments};
use crate::problem::Problem;
use crate::said::both;
use crate::show::marked;
use crate::tongue::{Part, Tongue};

use frame::{Frame, Here};
pub(crate) use frame::{Lines, Reader, language, wants_page};
pub(crate) use run::raw;

/// Characters of why something was refused.
pub(crate) const LONGEST_DETAIL: usize = 1000;

const CSS: &str = include_str!("../static/page.css");
const SCRIPT: &str = include_str!("../static/page.js");
const ICON: &str = include_str!("../static/icon.svg");

pub(crate) async fn now(State(app): State<App>, reader: Reader) -> Page {
    let frame = Frame::live(&app, &reader, Here::Now);
    let read = app.ask(move |state| now::read(state, reader.tongue)).await;
    page(frame, read, |frame, now| now::NowPage { frame, now })
}

pub(crate) async fn queue(State(app): State<App>, reader: Reader) -> Page {
    let frame = Frame::live(&app, &reader, Here::Queue);
    let read = app.ask(move |state| queue::read(state, reader.tongue)).await;
    page(frame, read, |frame, queue| queue::QueuePage { frame, queue })
}

pub(crate) async fn ticket(
    State(app): State<App>,
    reader: Reader,
    Segments(item): Segments<String>,
    Parameters(which): Parameters<ticket::Which>,
) -> Page {
    let frame = Frame::live(&app, &reader, Here::Beyond);
    let read = app.ask(move |state| ticket::read(state, reader.tongue, &item, &which)).await;
    page(frame, read, |frame, ticket| ticket::TicketPage { frame, ticket })
}

pub(crate) async fn run(
    State(app): State<App>,
    reader: Reader,
    Segments(run): Segments<String>,
    Parameters(which): Parameters<run::Which>,
) -> Page {
    // A search may read all of a long log: what it found stands until it is asked for anew.
    let around = if which.is_search() { Frame::still } else { Frame::live };
    let frame = around(&app, &reader, Here::Beyond);
    let read = app.ask(move |state| run::read(state, reader.tongue, &run, &which)).await;
    page(frame, read, |frame, run| run::RunPage { frame, run })
}

pub(crate) async fn project(State(app): State<App>, reader: Reader, Segments(name): Segments<String>) -> Page {
    let frame = Frame::live(&app, &reader, Here::Repositories);
    let read = app.ask(move |state| project::read(state, reader.tongue, &name)).await;
    page(frame, read, |frame, project| project::ProjectPage { frame, project })
}

pub(crate) async fn repositories(State(app): State<App>, reader: Reader) -> Page {
    let frame = Frame::live(&app, &reader, Here::Repositories);
    let read = app.ask(move |state| repositories::read(state, reader.tongue)).await;
    page(frame, read, |frame, repositories| repositories::RepositoriesPage { frame, repositories })
}

pub(crate) async fn plugins(State(app): State<App>, reader: Reader) -> Page {
    let frame = Frame::live(&app, &reader, Here::Plugins);
    let read = app.ask(move |state| plugins::read(state, reader.tongue)).await;
    page(frame, read, |frame, plugins| plugins::PluginsPage { frame, plugins })
}

pub(crate) async fn system(State(app): State<App>, reader: Reader) -> Page {
    let frame = Frame::live(&app, &reader, Here::System);
    let keyring = frame.admin().is_some().then(|| app.keyring.clone());
    let read = app.ask(move |state| system::read(state, reader.tongue, keyring.as_deref())).await;
    page(frame, read, |frame, system| system::SystemPage { frame, system })
}

pub(crate) async fn deliveries(
    State(app): State<App>,
    reader: Reader,
    Parameters(shown): Parameters<deliveries::Shown>,
) -> Page {
    let frame = Frame::live(&app, &reader, Here::Deliveries);
    let read = app.ask(move |state| deliveries::read(state, reader.tongue, &shown.into())).await;
    page(frame, read, |frame, deliveries| deliveries::DeliveriesPage { frame, deliveries })
}

pub(crate) async fn delivery(State(app): State<App>, reader: Reader, Segments(id): Segments<String>) -> Page {
    let frame = Frame::live(&app, &reader, Here::Deliveries);
    let read = app.ask(move |state| deliveries::whole(state, reader.tongue, &id)).await;
    page(frame, read, |frame, delivery| deliveries::DeliveryPage { frame, delivery })
}

pub(crate) async fn audit(
    State(app): State<App>,
    reader: Reader,
    Parameters(which): Parameters<crate::routes::audit::Which>,
) -> Page {
    app.settle().await;
    let frame = Frame::live(&app, &reader, Here::Audit);
    let read = app.ask(move |state| audit::read(state, reader.tongue, which)).await;
    page(frame, read, |frame, audit| audit::AuditPage { frame, audit })
}

pub(crate) async fn search(
    State(app): State<App>,
    reader: Reader,
    Parameters(wanted): Parameters<search::Wanted>,
) -> Result<Response, Refused> {
    let frame = Frame::still(&app, &reader, Here::Beyond);
    let read = app.ask(move |state| search::read(state, reader.tongue, wanted)).await;
    if let Ok(search::Hits { only: Some(place), .. }) = &read {
        return Ok(axum::response::Redirect::to(place).into_response());
    }
    page(frame, read, |frame, hits| search::SearchPage { frame, hits }).map(IntoResponse::into_response)
}

pub(crate) async fn asset(Segments(file): Segments<String>) -> Result<Response, Problem> {
    let (kind, text) = match file.as_str() {
        "page.css" => ("text/css; charset=utf-8", CSS),
        "page.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => {
            return Err(Problem::not_found(both!(
                "there are: page.css, page.js, icon.svg",
                "есть: page.css, page.js, icon.svg"
            )));
        }
    };
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response())
}

/// A page, or the page that says why there is none.
type Page = Result<Html<String>, Refused>;

/// A no that a person reads in a browser.
pub(crate) struct Refused {
    problem: Problem,
    // Boxed: it is the rare end of a page.
    frame: Box<Frame>,
}

#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage {
    frame: Frame,
    title: &'static str,
    /// What one can do, in the reader's language.
    help: &'static str,
    detail: Vec<Part>,
}

impl Refused {
    /// Where there is no page around it yet.
    pub(crate) fn of(problem: Problem, reader: Reader) -> Self {
        Self { problem, frame: Box::new(Frame::bare(reader, Here::Beyond)) }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        if self.frame.is_for_program() {
            return self.problem.into_response();
        }
        let frame = self.frame.stilled();
        let detail = marked(&self.problem.detail_in(frame.t), LONGEST_DETAIL);
        let (title, help) = words(frame.t, self.problem.status().as_u16());
        match (RefusedPage { frame, title, help, detail }).render() {
            // With what a no says in its headers: when to come again, what is taken, how to say who one is.
            Ok(text) => as_page(self.problem.into_response(), Html(text).into_response()),
            Err(_) => self.problem.into_response(),
        }
    }
}

/// An answer as a browser reads it: of a no that is none of a page, the page that says it. Status and headers stay.
pub(crate) fn readable(response: Response, reader: Reader) -> Response {
    let Some(problem) = response.extensions().get::<Problem>().cloned() else { return response };
    as_page(response, Refused::of(problem, reader).into_response())
}

fn as_page(response: Response, page: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    let (made, body) = page.into_parts();
    parts.extensions.remove::<Problem>();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(made.headers);
    Response::from_parts(parts, body)
}

/// What a refusal is called, and what one can do about it.
fn words(t: Tongue, status: u16) -> (&'static str, &'static str) {
    match status {
        400 | 413 | 415 => (
            t.of("That is not understood", "Это непонятно"),
            t.of("Correct the address or the form and send it again.", "Исправьте адрес или форму и отправьте снова."),
        ),
        401 => (
            t.of("Sign in first", "Сначала войдите"),
            t.of("Log in with a token, and try once more.", "Войдите с токеном и попробуйте ещё раз."),
        ),
        403 => (
            t.of("Not allowed", "Нельзя"),
            t.of(
                "Nothing was done. This needs another right, or a page that is loaded anew.",
                "Ничего не сделано. Нужно другое право или заново загруженная страница.",
            ),
        ),
        404 | 410 => (
            t.of("Not there", "Этого здесь нет"),
            t.of("Look for it by its key or its title above.", "Поищите по ключу или названию — поле вверху."),
        ),
        405 => (
            t.of("Not by this way", "Не так"),
            t.of(
                "This address takes what a button sends; go back to its page.",
                "Этот адрес принимает то, что отправляет кнопка; вернитесь на её страницу.",
            ),
        ),
        409 => (
            t.of("Not as things stand", "Сейчас так нельзя"),
            t.of(
                "Nothing was done. Look at how it stands now, and decide again.",
                "Ничего не сделано. Посмотрите, как обстоит дело сейчас, и решите заново.",
            ),
        ),
        429 | 503 => (
            t.of("Not at this moment", "Не сейчас"),
            t.of("Try again in a moment.", "Попробуйте ещё раз немного позже."),
        ),
        500.. => (
            t.of("The host is at fault", "Виноват хост"),
            t.of(
                "Its log says why; the page “System” says how it feels.",
                "Почему — скажет его журнал; как он себя чувствует — страница «Система».",
            ),
        ),
        _ => (t.of("Refused", "Отказано"), t.of("Nothing was done.", "Ничего не сделано.")),
    }
}

fn page<T, P: Template>(frame: Frame, read: Result<T, Problem>, with: impl FnOnce(Frame, T) -> P) -> Page {
    let read = match read {
        Ok(read) => read,
        Err(problem) => return Err(Refused { problem, frame: Box::new(frame) }),
    };
    let again = Box::new(frame.clone());
    match with(frame, read).render() {
        Ok(text) => Ok(Html(again.lines.typed(text))),
        Err(error) => Err(Refused { problem: Problem::broken(&error), frame: again }),
    }
}
