//! Pages for people: whole without JavaScript, and kept up to date by a little of it.

mod board;
pub(crate) mod login;
mod ticket;

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

use crate::app::App;
use crate::body::Segments;
use crate::problem::Problem;

const CSS: &str = include_str!("../static/page.css");
const SCRIPT: &str = include_str!("../static/page.js");

pub(crate) async fn board(State(app): State<App>) -> Page {
    page(app.ask(move |state| board::read(state, app.life)).await.map(|board| board::Whole { board }))
}

pub(crate) async fn board_fragment(State(app): State<App>) -> Page {
    page(app.ask(move |state| board::read(state, app.life)).await.map(|board| board::Fragment { board }))
}

pub(crate) async fn ticket(State(app): State<App>, Segments(item): Segments<String>) -> Page {
    page(app.ask(move |state| ticket::read(state, app.life, &item)).await.map(|ticket| ticket::Whole { ticket }))
}

pub(crate) async fn ticket_fragment(State(app): State<App>, Segments(item): Segments<String>) -> Page {
    page(app.ask(move |state| ticket::read(state, app.life, &item)).await.map(|ticket| ticket::Fragment { ticket }))
}

pub(crate) async fn asset(Segments(file): Segments<String>) -> Result<Response, Problem> {
    let (kind, text) = match file.as_str() {
        "page.css" => ("text/css; charset=utf-8", CSS),
        "page.js" => ("text/javascript; charset=utf-8", SCRIPT),
        _ => return Err(Problem::not_found("there are: page.css, page.js")),
    };
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response())
}

/// A page, or the page that says why there is none.
type Page = Result<Html<String>, Refused>;

/// A no that a person reads in a browser.
pub(crate) struct Refused(pub(crate) Problem);

#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage<'a> {
    title: &'a str,
    detail: String,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let detail = crate::show::line(self.0.detail(), 1000);
        match (RefusedPage { title: self.0.title(), detail }).render() {
            Ok(text) => (self.0.status(), Html(text)).into_response(),
            Err(_) => self.0.into_response(),
        }
    }
}

fn page(template: Result<impl Template, Problem>) -> Page {
    let text = template.and_then(|template| template.render().map_err(|error| Problem::broken(&error)));
    text.map(Html).map_err(Refused)
}
