//! The listener of trackers and forges outside: opened where a file asks for it, closed with the host.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use configuration::Loaded;
use domain::ids::ProjectName;
use gateway::{Hook, Hooks, Trust};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use webhooks::{Looks, Source};

use crate::serve::write_private;
use crate::state::WEBHOOKS_FILE;
use crate::wiring::Host;

/// Connections that wait in the kernel's line: who sends in bursts waits there, and is not refused.
const BACKLOG: u32 = 4096;

/// The open door.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    close: watch::Sender<bool>,
    serving: JoinHandle<Result<(), gateway::ServeError>>,
    file: PathBuf,
}

impl Door {
    /// None: no file asks for one.
    pub(crate) fn open(runtime: &Runtime, host: &Host, loaded: &Loaded, dir: &Path) -> anyhow::Result<Option<Self>> {
        let Some(asked) = loaded.host.webhooks else { return Ok(None) };
        let listener = runtime.block_on(async { listen(asked) });
        let told = || {
            format!("{asked} cannot be listened on for webhooks: name another port under [webhooks] in gatewright.toml")
        };
        let listener = listener.with_context(told)?;
        let address = listener.local_addr()?;
        host.runner.never_reach(address);
        let (close, mut closing) = watch::channel(false);
        let shutdown = async move {
            // An error is the sender's end, and that is the host's.
            drop(closing.wait_for(|closing| *closing).await);
        };
        let serving = runtime.spawn(gateway::serve_intake(listener, host.intake.clone(), shutdown));
        let file = dir.join(WEBHOOKS_FILE);
        write_private(&file, &format!("http://{address}\n"))?;
        Ok(Some(Self { address, close, serving, file }))
    }

    /// Lets what is being answered end.
    pub(crate) fn end(self, runtime: &Runtime) -> anyhow::Result<()> {
        self.close.send_replace(true);
        // What is gone already needs no removing.
        let _ = std::fs::remove_file(&self.file);
        Ok(runtime.block_on(self.serving)??)
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What of whom the files take.
pub(crate) fn hooks(loaded: &Loaded) -> Hooks {
    let mut hooks = Vec::new();
    for file in &loaded.projects {
        let bound = file.hooks.iter().cloned().map(|hook| Hook {
            project: file.project.name.clone(),
            source: hook.source,
            about: hook.about,
            secrets: hook.secrets,
            unsigned: hook.unsigned,
        });
        hooks.extend(bound);
    }
    Hooks::new(hooks)
}

/// The look that a delivery brings which is not kept, or which came before.
pub(crate) fn look(conductor: Arc<conductor::Conductor>, signal: Arc<crate::scheduler::Signal>) -> gateway::Look {
    Arc::new(move |project: &ProjectName, source: Source, trust: Trust| {
        match trust {
            Trust::Proven => conductor.ask_for_looks(project, Looks::at(source)),
            Trust::Anybody => conductor.ask_for_looks_seldom(project, Looks::at(source)),
        }
        signal.notify();
    })
}
