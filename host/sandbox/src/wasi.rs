//! WASI, linked by hand: interface by interface, and nothing that shows or changes anything outside. Clocks stand still at the
//! evaluation's time, random numbers come from the recorded seed, a poll returns at once, stdout and stderr are the log, stdin is at
//! its end, the file system has no folders, `exit` ends the call. There are no sockets, no environment and no arguments.
//!
//! Every resource is a name only: none has a state, so none needs a table. How many handles a guest may hold is the store's limit.

mod cli;
mod clocks;
mod filesystem;
mod io;
mod random;

use wasmtime::Result;
use wasmtime::component::{Linker, LinkerInstance, ResourceType};

use crate::state::State;

/// The newest WASI 0.2 whose names are served; what an older one has is there too.
const NEWEST: u64 = 12;

/// An interface and all functions of it that are served.
struct Interface {
    name: &'static str,
    functions: &'static [&'static str],
}

const INTERFACES: [Interface; 20] = [
    Interface { name: "io/error", functions: io::ERROR },
    Interface { name: "io/poll", functions: io::POLL },
    Interface { name: "io/streams", functions: io::STREAMS },
    Interface { name: "clocks/monotonic-clock", functions: clocks::MONOTONIC },
    Interface { name: "clocks/wall-clock", functions: clocks::WALL },
    Interface { name: "random/random", functions: random::RANDOM },
    Interface { name: "random/insecure", functions: random::INSECURE },
    Interface { name: "random/insecure-seed", functions: random::SEED },
    Interface { name: "cli/environment", functions: cli::ENVIRONMENT },
    Interface { name: "cli/exit", functions: cli::EXIT },
    Interface { name: "cli/stdin", functions: &["get-stdin"] },
    Interface { name: "cli/stdout", functions: &["get-stdout"] },
    Interface { name: "cli/stderr", functions: &["get-stderr"] },
    Interface { name: "cli/terminal-input", functions: &[] },
    Interface { name: "cli/terminal-output", functions: &[] },
    Interface { name: "cli/terminal-stdin", functions: &["get-terminal-stdin"] },
    Interface { name: "cli/terminal-stdout", functions: &["get-terminal-stdout"] },
    Interface { name: "cli/terminal-stderr", functions: &["get-terminal-stderr"] },
    Interface { name: "filesystem/types", functions: filesystem::TYPES },
    Interface { name: "filesystem/preopens", functions: &["get-directories"] },
];

/// Whether an import is served; else why not.
pub(crate) fn check(interface: &str, version: Option<(u64, u64, u64)>, functions: &[String]) -> Result<(), String> {
    let package = interface.split('/').next().unwrap_or_default();
    if matches!(version, Some((0, 3.., _) | (1.., ..))) {
        return Err("WASI 0.3 and later are not served: build against WASI 0.2".to_owned());
    }
    match package {
        "io" | "clocks" | "random" | "cli" | "filesystem" => {}
        "sockets" => return Err("a plugin has no sockets; what it may send goes through gatewright:http".to_owned()),
        "http" => return Err("a plugin has no wasi:http; what it may send goes through gatewright:http".to_owned()),
        "keyvalue" => return Err("a plugin has no wasi:keyvalue; what it keeps goes through gatewright:kv".to_owned()),
        _ => return Err("of WASI 0.2 there are io, clocks, random, cli and filesystem".to_owned()),
    }
    if !matches!(version, Some((0, 2, 0..=NEWEST))) {
        return Err(format!("of WASI there are the versions 0.2.0 to 0.2.{NEWEST}"));
    }
    let Some(served) = INTERFACES.iter().find(|served| served.name == interface) else {
        return Err(format!("of wasi:{package} it is not among those that are served"));
    };
    match functions.iter().find(|function| !served.functions.contains(&function.as_str())) {
        Some(unknown) => Err(format!("its function `{unknown}` is not served")),
        None => Ok(()),
    }
}

/// Links all of it. wasmtime takes one version for all that are compatible with it.
pub(crate) fn link(linker: &mut Linker<State>) -> Result<()> {
    io::link(linker)?;
    clocks::link(linker)?;
    random::link(linker)?;
    cli::link(linker)?;
    filesystem::link(linker)
}

fn instance<'a>(linker: &'a mut Linker<State>, interface: &str) -> Result<LinkerInstance<'a, State>> {
    linker.instance(&format!("wasi:{interface}@0.2.{NEWEST}"))
}

/// A resource without state: dropping it does nothing.
fn resource<R: 'static>(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<()> {
    instance.resource(name, ResourceType::host::<R>(), |_, _| Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_linked_is_served() {
        let served = |name: &str, patch| check(name, Some((0, 2, patch)), &[]).is_ok();
        assert!(served("io/streams", 0) && served("cli/stdout", 6) && served("filesystem/types", 12));
        assert!(!served("io/streams", 13) && !served("sockets/tcp", 6) && !served("http/types", 6));
        assert!(!served("keyvalue/store", 0) && !served("clocks/timezone", 6) && !served("nn/graph", 0));
        assert!(check("io/streams", Some((0, 3, 0)), &[]).unwrap_err().contains("WASI 0.3"));
        assert!(check("io/streams", None, &[]).is_err());
        let unknown = ["[method]output-stream.shred".to_owned()];
        assert!(check("io/streams", Some((0, 2, 6)), &unknown).unwrap_err().contains("shred"));
    }
}
