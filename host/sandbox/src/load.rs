//! Loading: the checks in their order, each with a sentence of its own. Nothing is compiled before all of them passed.

pub(crate) mod error;
mod imports;
pub(crate) mod request;
mod shape;

use domain::ids::Digest;
use domain::plugin::{Ceiling, Grant, Limits, PluginInfo, Request, Warning};

use self::error::LoadError;
use crate::config::SandboxConfig;
use crate::policy::Policy;

/// Bytes that a component may have.
pub const COMPONENT_BYTES: u64 = 32 * 1024 * 1024;

/// Reads a component from where it lies, and ends before reading on when it is too large.
pub fn read_component(source: impl std::io::Read) -> std::io::Result<Result<Vec<u8>, LoadError>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    source.take(COMPONENT_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(sized(&bytes).map(|()| bytes))
}

fn sized(bytes: &[u8]) -> Result<(), LoadError> {
    let size = bytes.len() as u64;
    if size > COMPONENT_BYTES { Err(LoadError::TooLarge { size, limit: COMPONENT_BYTES }) } else { Ok(()) }
}

/// The digest of the bytes, if they are few enough and the pinned ones: before they are looked at.
pub(crate) fn digest(bytes: &[u8], pinned: Option<&Digest>) -> Result<Digest, LoadError> {
    sized(bytes)?;
    let digest = Digest::of(bytes);
    match pinned.filter(|pinned| **pinned != digest) {
        Some(pinned) => Err(LoadError::WrongDigest { found: digest, pinned: pinned.clone() }),
        None => Ok(digest),
    }
}

/// What a component says of itself, from its bytes alone: form, kind, imports, request.
pub(crate) fn inspect(bytes: &[u8], digest: Digest) -> Result<PluginInfo, LoadError> {
    let shape = shape::read(bytes)?;
    let kind = imports::kind(&shape)?;
    let called = imports::check(kind, &shape.imports)?;
    let request = request::read(&shape.requests)?;
    let mut warnings = request::covers(&request, &called)?;
    if shape.requests.is_empty() {
        warnings.push(Warning::NoRequest);
    }
    Ok(PluginInfo {
        id: None,
        digest,
        size: bytes.len() as u64,
        kind,
        request,
        functions: called.into_iter().map(|call| call.name).collect(),
        warnings,
    })
}

/// Whether the project has decided about all that is asked for, and what follows from it.
pub(crate) fn grant(
    request: &Request,
    grant: &Grant,
    ceiling: &Ceiling,
    limits: &Limits,
    config: &SandboxConfig,
) -> Result<Policy, LoadError> {
    for entry in request.entries.iter().filter(|entry| !entry.optional) {
        let decided = grant.capabilities.iter().chain(&grant.refused).any(|decided| {
            // A grant that narrows what was asked for is a decision about it too.
            decided.covers(&entry.capability) || entry.capability.covers(decided)
        });
        if !decided {
            let capability = entry.capability.to_string();
            return Err(LoadError::NotAccepted { capability, reason: entry.reason.clone() });
        }
    }
    let most = config.max_plugin_memory.min(config.pool_memory_bytes);
    if limits.memory_bytes > most {
        return Err(LoadError::LimitAbovePool { limit: limits.memory_bytes, most });
    }
    Policy::new(request, grant, ceiling).map_err(|error| LoadError::Glob(error.to_string()))
}
