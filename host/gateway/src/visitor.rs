//! Who asks. Every handler can take a [`Visitor`]; the door has looked at the token or the session before.
//!
//! A page asks it which buttons to show: [`Visitor::form_key`] is the value of the hidden field `csrf` that each form needs, and
//! there is none for whoever may not press. What the page shows protects nothing: the route's own right does, and a form's field
//! is compared before its handler is called.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use domain::access::Right;
use domain::ids::{Actor, SessionId, TokenName};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::body;
use crate::problem::Problem;
use crate::said::both;
use crate::tongue::Tongue;

/// The field of a form that shows that our own page sent it.
pub(crate) const CSRF_FIELD: &str = "csrf";

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    who: Who,
    /// Somebody without a token on this very machine may look.
    may_look: bool,
}

#[derive(Clone, Debug)]
enum Who {
    Nobody,
    Token { name: TokenName, right: Right },
    Session { name: TokenName, right: Right, session: SessionId, csrf: String },
}

impl Visitor {
    pub(crate) fn nobody(may_look: bool) -> Self {
        Self { who: Who::Nobody, may_look }
    }

    pub(crate) fn token(name: TokenName, right: Right) -> Self {
        Self { who: Who::Token { name, right }, may_look: true }
    }

    pub(crate) fn session(name: TokenName, right: Right, session: SessionId, csrf: String) -> Self {
        Self { who: Who::Session { name, right, session, csrf }, may_look: true }
    }

    /// As events record it; nobody's deed is never recorded, for it is never done.
    pub(crate) fn actor(&self) -> Option<Actor> {
        match &self.who {
            Who::Nobody => None,
            Who::Token { name, .. } => Some(Actor::Token(name.to_string())),
            Who::Session { name, session, .. } => Some(Actor::Session { token: name.to_string(), session: *session }),
        }
    }

    /// The token's name.
    pub(crate) fn name(&self) -> Option<&TokenName> {
        match &self.who {
            Who::Nobody => None,
            Who::Token { name, .. } | Who::Session { name, .. } => Some(name),
        }
    }

    /// The right of the token, or of the one that the session was opened with; none: without a token.
    pub(crate) fn right(&self) -> Option<Right> {
        match self.who {
            Who::Nobody => None,
            Who::Token { right, .. } | Who::Session { right, .. } => Some(right),
        }
    }

    /// Which log-in; none: no browser that logged in.
    pub(crate) fn session_id(&self) -> Option<SessionId> {
        match self.who {
            Who::Session { session, .. } => Some(session),
            Who::Nobody | Who::Token { .. } => None,
        }
    }

    /// Whether a token lets them.
    pub(crate) fn may(&self, wanted: Right) -> bool {
        self.right().is_some_and(|right| right >= wanted)
    }

    /// Whether they may see what is to be seen: on this machine that needs no token.
    pub(crate) fn may_look(&self) -> bool {
        self.may_look
    }

    /// What the hidden field `csrf` of a form must say; none: this visitor has no form with that right.
    pub(crate) fn form_key(&self, wanted: Right) -> Option<&str> {
        match &self.who {
            Who::Session { right, csrf, .. } if *right >= wanted => Some(csrf),
            _ => None,
        }
    }

    /// The session's key, whatever it may.
    pub(crate) fn csrf(&self) -> Option<&str> {
        self.form_key(Right::Read)
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        // The door puts it there. Without the door nobody may anything.
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self::nobody(false)))
    }
}

/// Whose deed it is; a handler that takes it has nobody without a token before it, whatever the table of routes says.
pub(crate) struct Operator(pub(crate) Actor);

impl FromRequestParts<App> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let visitor = Visitor::from_request_parts(parts, app).await?;
        visitor.actor().map(Self).ok_or_else(Problem::no_token)
    }
}

/// The fields of a form, without its key, which was compared before.
pub(crate) struct Form<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        let (headers, bytes) = body::read(request).await?;
        let fields = body::fields(&headers, &bytes)?;
        let rest = fields.iter().filter(|(name, _)| name != CSRF_FIELD).collect::<Vec<_>>();
        let wrong = |error: &dyn std::fmt::Display| {
            let ours = Tongue::Russian.inner(&error.to_string());
            Problem::invalid(both!("the form does not fit: {error}", "форма не подходит: {ours}"))
        };
        let text = serde_urlencoded::to_string(&rest).map_err(|error| wrong(&error))?;
        serde_urlencoded::from_str(&text).map(Self).map_err(|error| wrong(&error))
    }
}
