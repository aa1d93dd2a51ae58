//! `gatewright token …`: who may do what at the operator's listener. Through the living host, or on its database when none lives.

use std::path::Path;

use anyhow::{Context as _, bail};
use conductor::ports::access::Access as _;
use conductor::ports::clock::Clock as _;
use domain::ids::{Actor, TokenName};
use domain::time::Timestamp;
use gateway::api::{Listing, MadeToken, TokenView, WantedToken};
use store::{SqliteStore, StoreConfig};

use crate::cli::Token;
use crate::client::{Client, ClientError, segment};
use crate::clock::{SystemClock, hex, incarnation, random_bytes};
use crate::output::{Output, ago, say};
use crate::state::OPERATOR;
use crate::task::visible;
use crate::when::moment;

/// Runs the command.
pub(crate) fn run(dir: &Path, command: &Token, out: &Output) -> anyhow::Result<()> {
    match command {
        Token::New { name, right, expires } => {
            let wanted = WantedToken { name: name.to_string(), right: *right, expires_in: *expires };
            let made = new(dir, &wanted)?;
            let until = made.token.expires_at.map_or_else(String::new, |at| format!(", until {}", moment(at)));
            if !out.json {
                say(&format!(
                    "The token {} may {}{until}. Its secret is shown this once:",
                    made.token.name, made.token.right
                ));
            }
            out.value(&made, || made.secret.clone())
        }
        Token::List => list(dir, out),
        Token::Revoke { name } => {
            let revoked = revoke(dir, name)?;
            out.value(&revoked, || format!("the token {name} opens nothing any more, nor do sessions that it opened"))
        }
    }
}

/// The living host, or none.
fn host(dir: &Path) -> anyhow::Result<Option<Client>> {
    match Client::find(dir) {
        Ok(client) => Ok(Some(client)),
        Err(ClientError::NotServing { .. }) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

/// The database, which nobody else has open.
fn store(dir: &Path) -> anyhow::Result<SqliteStore> {
    if !dir.join("gatewright.toml").is_file() {
        bail!("{} has no gatewright.toml: run `gatewright init` in a git repository first", dir.display());
    }
    SqliteStore::open(StoreConfig::new(dir, incarnation()?.host))
        .context("no host answers, and the database is not free")
}

/// Who has the folder has its token too.
fn owner() -> Actor {
    Actor::Token(OPERATOR.to_owned())
}

fn new(dir: &Path, wanted: &WantedToken) -> anyhow::Result<MadeToken> {
    if let Some(client) = host(dir)? {
        return Ok(client.post("/api/v1/tokens", wanted)?);
    }
    if wanted.name.eq_ignore_ascii_case(OPERATOR) {
        bail!("the token of the host's own file is called `{OPERATOR}`; choose another name");
    }
    let (store, now) = (store(dir)?, SystemClock.now());
    let name = TokenName::new(wanted.name.as_str())?;
    let (secret, row) = gateway::new_token(name.clone(), wanted, &hex(&random_bytes::<32>()?), now)?;
    store.put_token(&row, &owner(), now)?;
    Ok(MadeToken { token: one(&store, &name)?, secret })
}

fn one(store: &SqliteStore, name: &TokenName) -> anyhow::Result<TokenView> {
    let row = store.tokens()?.into_iter().find(|row| row.name == *name);
    Ok(TokenView::of(row.with_context(|| format!("there is no token `{name}`"))?, |_| 0))
}

fn revoke(dir: &Path, name: &TokenName) -> anyhow::Result<TokenView> {
    if let Some(client) = host(dir)? {
        return Ok(client.delete(&format!("/api/v1/tokens/{}", segment(name)), &())?);
    }
    let store = store(dir)?;
    store.revoke_token(name, &owner(), SystemClock.now())?;
    one(&store, name)
}

fn list(dir: &Path, out: &Output) -> anyhow::Result<()> {
    let tokens: Vec<TokenView> = match host(dir)? {
        Some(client) => client.get::<Listing<TokenView>>("/api/v1/tokens")?.items,
        None => store(dir)?.tokens()?.into_iter().map(|row| TokenView::of(row, |_| 0)).collect(),
    };
    let now = SystemClock.now();
    out.value(&tokens, || {
        if tokens.is_empty() {
            let make = out.command("gatewright token new NAME --right operate");
            return format!("No token but the one in the host's own file. Make one: {make}");
        }
        tokens.iter().map(|token| line(token, now)).collect::<Vec<_>>().join("\n")
    })
}

fn line(token: &TokenView, now: Timestamp) -> String {
    let TokenView { name, right, expires_at, used_at, revoked_at, revoked_by, sessions, .. } = token;
    let stands = match (revoked_at, revoked_by, expires_at) {
        (Some(at), Some(by), _) => format!("revoked {} by {}", moment(*at), visible(&by.to_string())),
        (_, _, Some(end)) if *end <= now => format!("expired {}", moment(*end)),
        (_, _, Some(end)) => format!("until {}", moment(*end)),
        _ => "until revoked".to_owned(),
    };
    let used = used_at.map_or_else(|| "never used".to_owned(), |at| format!("used {} ago", ago(at, now)));
    let open = if *sessions == 0 { String::new() } else { format!(", {sessions} logged in") };
    format!("{name:<24} {right:<8} {stands}, {used}{open}")
}
