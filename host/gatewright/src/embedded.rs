//! What the build put into the binary: the plugins, the shim, and the demonstration's stranger.

use domain::ids::{Digest, PluginId};
use domain::plugin::PluginKind;

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// A component of ours.
pub(crate) struct Embedded {
    /// Under which projects name it.
    pub(crate) id: PluginId,
    /// What it is.
    pub(crate) kind: PluginKind,
    /// Of its bytes.
    pub(crate) digest: Digest,
    /// The component.
    pub(crate) bytes: &'static [u8],
}

/// All components of ours.
pub(crate) fn plugins() -> impl Iterator<Item = Embedded> {
    PLUGINS.iter().filter_map(|(id, kind, sha256, bytes)| {
        Some(Embedded {
            id: PluginId::new(*id).ok()?,
            kind: PluginKind::ALL.into_iter().find(|known| known.as_str() == *kind)?,
            digest: Digest::new(*sha256).ok()?,
            bytes,
        })
    })
}
