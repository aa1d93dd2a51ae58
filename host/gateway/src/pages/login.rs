//! The log-in: a token is pasted once, and the browser keeps a session instead of it.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use domain::access::Right;
use domain::time::Milliseconds;
use serde::Deserialize;

use crate::app::App;
use crate::body::Parameters;
use crate::door::Peer;
use crate::keyring::LIFE;
use crate::pages::frame::{Frame, Here, Reader};
use crate::pages::{LONGEST_DETAIL, Page, Refused, page};
use crate::problem::Problem;
use crate::show::marked;
use crate::tongue::Part;
use crate::visitor::{Form, Visitor};

/// Where to go afterwards.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
}

/// What the page sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogIn {
    token: String,
    #[serde(default)]
    next: String,
}

/// What the button sends beside its key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogOut {}

#[derive(Template)]
#[template(path = "login.html")]
struct LogInPage {
    frame: Frame,
    next: String,
    wrong: Option<Vec<Part>>,
    name: Option<String>,
    right: Option<Right>,
    csrf: Option<String>,
}

pub(crate) async fn show(reader: Reader, visitor: Visitor, Parameters(next): Parameters<Next>) -> Page {
    let form = (local(&next.next), visitor.name().map(ToString::to_string), visitor.right());
    page(Frame::bare(reader, Here::Beyond), Ok(form), |frame, (next, name, right)| LogInPage {
        frame,
        next,
        wrong: None,
        name,
        right,
        csrf: visitor.csrf().map(str::to_owned),
    })
}

pub(crate) async fn log_in(State(app): State<App>, reader: Reader, peer: Peer, Form(form): Form<LogIn>) -> Response {
    let next = local(&form.next);
    match open(&app, peer, form.token.trim()).await {
        Ok(cookie) => (StatusCode::SEE_OTHER, [(header::LOCATION, next), (header::SET_COOKIE, cookie)]).into_response(),
        Err(problem) => again(reader, next, &problem),
    }
}

async fn open(app: &App, peer: Peer, offered: &str) -> Result<String, Problem> {
    let now = app.state.now();
    // The right token opens whatever came before it: others may share the address, and nobody guesses one.
    let Some(key) = app.keyring.token(offered, now) else {
        return Err(app.wrong_token(peer, now));
    };
    let secret = app.state.secret()?;
    let cookie = app.cookie(&secret, LIFE);
    let keyring = app.keyring.clone();
    app.ask(move |_| Ok(keyring.log_in(&key, &secret, &peer.0.to_string(), now)?)).await?;
    Ok(cookie)
}

/// The page once more, with what was wrong.
fn again(reader: Reader, next: String, problem: &Problem) -> Response {
    let frame = Frame::bare(reader, Here::Beyond);
    let shown = LogInPage {
        next,
        wrong: Some(marked(&problem.detail_in(frame.t), LONGEST_DETAIL)),
        frame,
        name: None,
        right: None,
        csrf: None,
    };
    let mut response = match shown.render() {
        Ok(text) => (problem.status(), Html(text)).into_response(),
        Err(error) => Problem::broken(&error).into_response(),
    };
    if let Some(wait) = problem.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    response
}

pub(crate) async fn log_out(State(app): State<App>, reader: Reader, visitor: Visitor, _: Form<LogOut>) -> Response {
    if let (Some(session), Some(actor)) = (visitor.session_id(), visitor.actor()) {
        let keyring = app.keyring.clone();
        let ended = app.ask(move |state| Ok(keyring.log_out(session, &actor, state.now())?)).await;
        if let Err(problem) = ended {
            return Refused::of(problem, reader).into_response();
        }
    }
    let gone = app.cookie("", Milliseconds(0));
    (StatusCode::SEE_OTHER, [(header::LOCATION, "/login".to_owned()), (header::SET_COOKIE, gone)]).into_response()
}

/// A path of this host and nothing else: a link to the log-in leads nobody away.
fn local(next: &str) -> String {
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let stays = next.starts_with('/') && !next.starts_with("//") && !next.starts_with("/login");
    if plain && stays { next.to_owned() } else { "/".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn a_log_in_leads_nowhere_else() {
        for stays in ["/", "/t/DEMO-001", "/audit?who=ada&task=1"] {
            assert_eq!(local(stays), stays);
        }
        for away in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\nb", "javascript:1", "/login"]
        {
            assert_eq!(local(away), "/", "{away:?}");
        }
    }
}
