//! Named tokens, as the page about the host shows them to who may make them: all of them, the form of a new one, and the page that
//! tells its secret this once.

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use domain::access::Right;
use domain::time::Milliseconds;
use serde::Deserialize;

use super::Refused;
use super::frame::{Frame, Here, Reader};
use crate::api::{MadeToken, TokenView, WantedToken};
use crate::app::{App, GatewayState};
use crate::body::Segments;
use crate::keyring::Keyring;
use crate::problem::Problem;
use crate::routes::tokens;
use crate::said::both;
use crate::show::{Age, Moment, line};
use crate::tongue::{Tongue, say};
use crate::visitor::{Form, Operator};
use crate::words;

const DAY: u64 = 24 * 60 * 60;
/// As the route that makes one bounds it.
const LONGEST_DAYS: u64 = tokens::LONGEST.0 / (DAY * 1000);

/// A token without its secret.
pub(crate) struct Row {
    pub(super) name: String,
    pub(super) right: &'static str,
    pub(super) made_by: String,
    pub(super) made: Moment,
    pub(super) used: Option<Age>,
    /// How it stands, where that is not: until it is revoked.
    pub(super) ends: Option<String>,
    /// It opens something.
    pub(super) opens: bool,
    /// Browsers that are logged in with it now.
    pub(super) sessions: usize,
}

pub(super) fn read(state: &GatewayState, keyring: &Keyring, t: Tongue) -> Result<Vec<Row>, Problem> {
    let now = state.now();
    let row = |token: TokenView| {
        let expired = token.expires_at.is_some_and(|end| end <= now);
        let ends = match (token.revoked_at, token.revoked_by, token.expires_at) {
            (Some(at), by, _) => {
                let (at, by) = (Moment::of(at).text, by.map(|by| by.to_string()).unwrap_or_default());
                Some(say!(t, "revoked {at} by {by}", "отозван {at}, отозвал {by}"))
            }
            (None, _, Some(end)) => {
                let end = Moment::of(end).text;
                let over = || say!(t, "ended {end}", "истёк {end}");
                Some(if expired { over() } else { say!(t, "until {end}", "до {end}") })
            }
            (None, _, None) => None,
        };
        Row {
            opens: token.revoked_at.is_none() && !expired,
            name: token.name.to_string(),
            right: word(t, token.right),
            made_by: line(&token.made_by.to_string(), 100),
            made: Moment::of(token.made_at),
            used: token.used_at.map(|at| Age::of(t, at, now)),
            ends: ends.map(|ends| line(&ends, 200)),
            sessions: token.sessions,
        }
    };
    let mut rows: Vec<Row> = tokens::all(state, keyring)?.into_iter().map(row).collect();
    rows.sort_by(|one, other| other.opens.cmp(&one.opens).then_with(|| one.name.cmp(&other.name)));
    Ok(rows)
}

fn word(t: Tongue, right: Right) -> &'static str {
    words::right(t, right.as_str())
}

/// What the form of a new one sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    name: String,
    right: Right,
    /// In days; empty: until it is revoked.
    #[serde(default)]
    days: String,
}

impl Wanted {
    fn wanted(self) -> Result<WantedToken, Problem> {
        let expires_in = match self.days.trim() {
            "" => None,
            days => {
                let days: u64 = days.parse().map_err(|_| {
                    Problem::invalid(both!("`days` is a whole number, or nothing", "`days` — целое число или ничего"))
                })?;
                if !(1..=LONGEST_DAYS).contains(&days) {
                    return Err(Problem::invalid(both!(
                        "a token lasts from 1 to {LONGEST_DAYS} days, or until it is revoked; {days} is neither",
                        "токен живёт от 1 до {LONGEST_DAYS} дней или до отзыва; {days} — ни то ни другое"
                    )));
                }
                Some(Milliseconds(days.saturating_mul(DAY * 1000)))
            }
        };
        Ok(WantedToken { name: self.name.trim().to_owned(), right: self.right, expires_in })
    }
}

/// The answer to the form: nothing leads to it, and nobody keeps it.
#[derive(Template)]
#[template(path = "token.html")]
struct MadePage {
    frame: Frame,
    name: String,
    right: &'static str,
    secret: String,
}

pub(crate) async fn make(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Form(form): Form<Wanted>,
) -> Result<Response, Refused> {
    let keyring = app.keyring.clone();
    let made = app.ask(move |state| tokens::made(state, &keyring, &actor, &form.wanted()?)).await;
    let shown = made.and_then(|MadeToken { token, secret }| {
        let frame = Frame::bare(reader.clone(), Here::System);
        let page = MadePage { right: word(frame.t, token.right), name: token.name.to_string(), secret, frame };
        page.render().map_err(|error| Problem::broken(&error))
    });
    match shown {
        Ok(text) => Ok(([(header::CACHE_CONTROL, "no-store")], Html(text)).into_response()),
        Err(problem) => Err(Refused::of(problem, reader.at("/system"))),
    }
}

/// What the button of a revocation sends beside its key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revocation {}

pub(crate) async fn revoke(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Segments(name): Segments<String>,
    Form(Revocation {}): Form<Revocation>,
) -> Result<Response, Refused> {
    let keyring = app.keyring.clone();
    let revoked = app.ask(move |state| match tokens::revoked(state, &keyring, &actor, &name)? {
        (_, false) => Ok(()),
        (TokenView { name, revoked_by, .. }, true) => {
            let (by, from) = revoked_by.map(|by| (format!(" by {by}"), format!(": {by}"))).unwrap_or_default();
            Err(Problem::conflict(both!(
                "changed since you looked: `{name}` was revoked meanwhile{by}",
                "изменилось, пока вы смотрели: `{name}` тем временем отозван{from}"
            )))
        }
    });
    match revoked.await {
        Ok(()) => Ok(reader.done(&app, "/system", "token-revoked", None)),
        Err(problem) => Err(Refused::of(problem, reader.at("/system"))),
    }
}
