//! Named tokens: made, listed, revoked. A secret is answered once, when it is made, and is nowhere afterwards.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use conductor::ports::access::{NewToken, TokenRow};
use domain::access::is_hosts_own;
use domain::ids::{Actor, Digest, TokenName};
use domain::time::{Milliseconds, Timestamp};

use crate::api::{Listing, MadeToken, TokenView, WantedToken};
use crate::app::{App, GatewayState};
use crate::body::{Required, Segments};
use crate::find::{named, parse};
use crate::keyring::Keyring;
use crate::problem::Problem;
use crate::routes::Answer;
use crate::said::{Said, both};
use crate::visitor::Operator;

/// What people and scanners know a secret of ours by.
pub const SECRET_PREFIX: &str = "gwt_";
/// A token that outlives its maker's memory is revoked, not forgotten: ten years.
pub(crate) const LONGEST: Milliseconds = Milliseconds::from_seconds(10 * 366 * 24 * 60 * 60);
/// Shorter ones are over before they are pasted.
const SHORTEST: Milliseconds = Milliseconds::from_seconds(60);

/// Why a token is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The audit has this name for another.
    #[error(
        "`{0}` is a name that the audit has for the host's own doing, and nobody could tell the token from that; choose \
         another one, `{0}-token` for one"
    )]
    Name(TokenName),
    /// It would end too soon, or too late.
    #[error("`expires_in` is {}; it is milliseconds, from {} to {}", .0.0, SHORTEST.0, LONGEST.0)]
    Span(Milliseconds),
}

impl Unfit {
    fn said(&self) -> Said {
        match self {
            Self::Name(name) => Said::of(
                self.to_string(),
                format!(
                    "именем `{name}` аудит называет то, что делает сам хост, и токен было бы не отличить; выберите другое, \
                     например `{name}-token`"
                ),
            ),
            Self::Span(_) => Said::to_programs(self.to_string()),
        }
    }
}

/// A token of this secret, and its row.
pub fn new_token(
    name: TokenName,
    wanted: &WantedToken,
    hex: &str,
    now: Timestamp,
) -> Result<(String, NewToken), Unfit> {
    if is_hosts_own(name.as_str()) {
        return Err(Unfit::Name(name));
    }
    if let Some(span) = wanted.expires_in
        && !(SHORTEST.0..=LONGEST.0).contains(&span.0)
    {
        return Err(Unfit::Span(span));
    }
    let secret = format!("{SECRET_PREFIX}{hex}");
    let row = NewToken {
        name,
        right: wanted.right,
        secret: Digest::of(secret.as_bytes()),
        expires_at: wanted.expires_in.map(|span| now.plus(span)),
    };
    Ok((secret, row))
}

/// All that ever were.
pub(crate) fn all(state: &GatewayState, keyring: &Keyring) -> Result<Vec<TokenView>, Problem> {
    let now = state.now();
    let rows = state.access.tokens()?;
    Ok(rows.into_iter().map(|row| TokenView::of(row, |name| keyring.sessions_of(name, now))).collect())
}

/// Makes one; the answer alone has its secret.
pub(crate) fn made(
    state: &GatewayState,
    keyring: &Keyring,
    actor: &Actor,
    wanted: &WantedToken,
) -> Result<MadeToken, Problem> {
    let now = state.now();
    let name: TokenName = parse(&wanted.name)?;
    let (secret, row) =
        new_token(name.clone(), wanted, &state.secret()?, now).map_err(|unfit| Problem::invalid(unfit.said()))?;
    keyring.make(&row, actor, now)?;
    let row = state.access.tokens()?.into_iter().find(|row| row.name == name);
    let row = row.ok_or_else(|| Problem::broken(&"a token that was made is not there"))?;
    Ok(MadeToken { token: TokenView::of(row, |_| 0), secret })
}

/// Revokes one: how it stands now, and whether another hand had done so before.
pub(crate) fn revoked(
    state: &GatewayState,
    keyring: &Keyring,
    actor: &Actor,
    name: &str,
) -> Result<(TokenView, bool), Problem> {
    let name: TokenName = parse(name)?;
    let rows = state.access.tokens()?;
    if !rows.iter().any(|row| row.name == name) && name != *state.token.name() {
        let there = rows.iter().filter(|row| row.revoked.is_none()).map(|row| row.name.as_str());
        let there = named(there.map(str::to_owned));
        return Err(Problem::not_found(there.after(&both!("there is no token `{name}`; ", "токена `{name}` нет; "))));
    }
    let is_done = keyring.revoke(&name, actor, state.now())?;
    let row: Option<TokenRow> = state.access.tokens()?.into_iter().find(|row| row.name == name);
    let row = row.ok_or_else(|| Problem::broken(&"a token that was revoked is not there"))?;
    Ok((TokenView::of(row, |_| 0), !is_done))
}

pub(crate) async fn list(State(app): State<App>) -> Answer<Listing<TokenView>> {
    let keyring = app.keyring.clone();
    let items = app.ask(move |state| all(state, &keyring)).await?;
    Ok(Json(Listing { items, more: false }))
}

pub(crate) async fn make(
    State(app): State<App>,
    Operator(actor): Operator,
    Required(wanted): Required<WantedToken>,
) -> Result<(StatusCode, Json<MadeToken>), Problem> {
    let keyring = app.keyring.clone();
    let made = app.ask(move |state| made(state, &keyring, &actor, &wanted)).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

pub(crate) async fn revoke(
    State(app): State<App>,
    Operator(actor): Operator,
    Segments(name): Segments<String>,
) -> Answer<TokenView> {
    let keyring = app.keyring.clone();
    let (view, _) = app.ask(move |state| revoked(state, &keyring, &actor, &name)).await?;
    Ok(Json(view))
}
