//! `gatewright health`: yes only where the host of this folder is alive, listens itself, and says that it is well.
//!
//! An answer alone proves nothing: after a crash another program may have the port. So the listener must belong to the process that
//! holds the folder's lock, and only then is it asked; no token is sent.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use gateway::Health;

use crate::cli::HealthOptions;
use crate::listener;
use crate::output::Output;
use crate::state::ADDRESS_FILE;

/// An answer is a few sentences.
const ANSWER: u64 = 64 * 1024;

/// Runs the command. No: it is not well, for whatever reason.
pub(crate) fn run(dir: &Path, options: &HealthOptions, out: &Output) -> anyhow::Result<bool> {
    let asked = ask(dir, Duration::from_secs(options.timeout));
    let (ok, reasons) = match asked {
        Ok(health) => (health.ok, health.reasons),
        Err(error) => (false, vec![format!("{error:#}")]),
    };
    out.value(&serde_json::json!({"ok": ok, "reasons": reasons}), || {
        let word = if ok { "well" } else { "not well" };
        std::iter::once(word.to_owned())
            .chain(reasons.iter().map(|reason| format!("  {reason}")))
            .collect::<Vec<_>>()
            .join("\n")
    })?;
    Ok(ok)
}

fn ask(dir: &Path, patience: Duration) -> anyhow::Result<Health> {
    let address = std::fs::read_to_string(dir.join(ADDRESS_FILE));
    let address = address.with_context(|| format!("no host serves {}", dir.display()))?;
    let address = address.trim();
    let socket: SocketAddr = address
        .strip_prefix("http://")
        .and_then(|socket| socket.parse().ok())
        .with_context(|| format!("{ADDRESS_FILE} holds no address: `{address}`"))?;
    let holder = listener::holder(dir).context("nobody holds the folder's lock")?;
    if !listener::listens(holder, socket)? {
        bail!("the host of this folder, process {holder}, does not listen on {socket}");
    }
    let http =
        reqwest::blocking::Client::builder().timeout(patience).no_proxy().redirect(reqwest::redirect::Policy::none());
    let answered = http.build()?.get(format!("{address}/readyz")).send().context("it does not answer")?;
    let status = answered.status();
    let mut body = Vec::new();
    answered.take(ANSWER).read_to_end(&mut body).context("its answer does not come to an end")?;
    let health: Health =
        serde_json::from_slice(&body).with_context(|| format!("it answers {status}, and not as a host does"))?;
    if health.ok && !status.is_success() {
        bail!("it answers {status}");
    }
    Ok(health)
}
