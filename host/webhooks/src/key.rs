//! Under which a delivery is taken once.
//!
//! **Plane** gives each retry another delivery id, and the same body: the key is the body. Two changes that say the very same, to the
//! microsecond, fall together; they ask for the same look.
//!
//! **Gitea** never retries; a replay by hand has another id and counts as another delivery. The key is the id *and* the body: the id
//! is not signed, so whoever replays a signed body under another's id would otherwise make that one's delivery look like a repeat.
//! Losing an event is worse than taking a hint twice.

use sha2::{Digest as _, Sha256};

use crate::Source;
use crate::headers::Headers;

/// The id that the sender gave it; none: it has none, or one that is no id.
pub fn delivery_id(source: Source, headers: &Headers) -> Option<&str> {
    let names: &[&str] = match source {
        Source::Plane => &["x-plane-delivery"],
        Source::Gitea => &["x-gitea-delivery", "x-forgejo-delivery", "x-gogs-delivery", "x-github-delivery"],
    };
    let id = headers.first(names)?;
    (id.len() <= 100 && id.bytes().all(|byte| byte.is_ascii_graphic())).then_some(id)
}

/// Sha256 of what makes a delivery the same as another one.
pub fn key(source: Source, headers: &Headers, body: &[u8]) -> [u8; 32] {
    let body = Sha256::digest(body);
    let id = match source {
        Source::Plane => None,
        Source::Gitea => delivery_id(source, headers),
    };
    let mut whole = Sha256::new();
    // Each part has its length before it, so that no two deliveries run into one.
    for part in [source.as_str().as_bytes(), id.unwrap_or_default().as_bytes(), &body] {
        whole.update((part.len() as u64).to_be_bytes());
        whole.update(part);
    }
    whole.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_is_known_by_its_body_or_by_its_id_and_body() {
        let plane = |id: &str, body: &[u8]| key(Source::Plane, &Headers::new([("X-Plane-Delivery", id)]), body);
        assert_eq!(plane("one", b"same"), plane("two", b"same"));
        assert_ne!(plane("one", b"same"), plane("one", b"other"));
        let gitea = |id: &str, body: &[u8]| key(Source::Gitea, &Headers::new([("X-Gitea-Delivery", id)]), body);
        assert_eq!(gitea("one", b"same"), gitea("one", b"same"));
        assert_ne!(gitea("one", b"same"), gitea("two", b"same"));
        assert_ne!(gitea("one", b"same"), gitea("one", b"other"));
        assert_ne!(plane("one", b"same"), gitea("", b"same"));
    }
}
