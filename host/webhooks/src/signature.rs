//! Who sent it: an HMAC-SHA256 over the bytes that were signed, compared in constant time.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::Source;
use crate::headers::Headers;

/// Bytes of the shortest secret: a shorter one can be guessed, and who guesses it may say what was merged.
pub const SHORTEST_SECRET: usize = 16;
/// Bytes of the longest one; what is longer is another file.
pub const LONGEST_SECRET: usize = 1024;

/// Under which names the senders put it, the first that is there and says something counts.
const PLANE: [&str; 1] = ["x-plane-signature"];
const GITEA: [&str; 4] = ["x-gitea-signature", "x-forgejo-signature", "x-gogs-signature", "x-hub-signature-256"];

/// What forges send beside it for receivers of old.
const GITEA_SHA1: &str = "x-hub-signature";

/// What both sides know. It is shown nowhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(Vec<u8>);

/// Why a secret is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It can be guessed.
    #[error("it is shorter than {SHORTEST_SECRET} bytes")]
    Short,
    /// It is something else.
    #[error("it is longer than {LONGEST_SECRET} bytes")]
    Long,
    /// A secret is one line.
    #[error("it has more than one line, or a control character")]
    Lines,
    /// Nobody sees it, and whoever gives the sender the same gives him another one.
    #[error("it begins or ends with a blank")]
    Blank,
    /// Some editors write one.
    #[error("it begins with a byte order mark")]
    Mark,
}

impl Secret {
    /// A secret, as it stands in its file; a line break at the end is the editor's.
    pub fn new(bytes: &[u8]) -> Result<Self, SecretError> {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if bytes.iter().any(u8::is_ascii_control) {
            return Err(SecretError::Lines);
        }
        if bytes.starts_with("\u{feff}".as_bytes()) {
            return Err(SecretError::Mark);
        }
        if [bytes.first(), bytes.last()].contains(&Some(&b' ')) {
            return Err(SecretError::Blank);
        }
        match bytes.len() {
            ..SHORTEST_SECRET => Err(SecretError::Short),
            SHORTEST_SECRET..=LONGEST_SECRET => Ok(Self(bytes.to_vec())),
            _ => Err(SecretError::Long),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

/// What a request says of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// Nothing. A sender without a secret may still send the header, empty.
    Missing,
    /// Something that is no signature.
    Malformed(&'static str),
    /// A signature, not checked yet.
    Given([u8; 32]),
}

impl Signature {
    /// What the headers say.
    pub fn of(source: Source, headers: &Headers) -> Self {
        let names: &[&str] = match source {
            Source::Plane => &PLANE,
            Source::Gitea => &GITEA,
        };
        let said = |name: &&str| headers.get(name).map_or("", |text| text.strip_prefix(prefix(name)).unwrap_or(text));
        // A name that comes twice says something, whatever its first value is.
        let Some(name) = names.iter().find(|name| !said(name).is_empty() || headers.count(name) > 1) else {
            let is_old = source == Source::Gitea && headers.first(&[GITEA_SHA1]).is_some();
            return if is_old { Self::Malformed("it is made with SHA-1 alone") } else { Self::Missing };
        };
        if headers.count(name) > 1 {
            return Self::Malformed("it comes more than once");
        }
        let text = said(name);
        hexadecimal(text).map_or(Self::Malformed("it is not 64 lower-case hexadecimal digits"), Self::Given)
    }

    /// Whether it was made with this secret over these bytes. How long the answer takes says nothing about either.
    pub fn fits(&self, secret: &Secret, signed: &[u8]) -> bool {
        let Self::Given(given) = self else { return false };
        // A key of any length is taken.
        let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(&secret.0) else { return false };
        hmac.update(signed);
        hmac.verify_slice(given).is_ok()
    }
}

/// What stands before the digits.
fn prefix(name: &str) -> &'static str {
    if name == "x-hub-signature-256" { "sha256=" } else { "" }
}

fn hexadecimal(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str, value: &str) -> Signature {
        let source = if name.to_ascii_lowercase().contains("plane") { Source::Plane } else { Source::Gitea };
        Signature::of(source, &Headers::new([(name, value)]))
    }

    #[test]
    fn a_signature_fits_its_secret_and_bytes_and_nothing_else() {
        // RFC 4231, test case 2; its key is shorter than any that is taken from a file.
        let hex = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let (secret, bytes) = (Secret(b"Jefe".to_vec()), b"what do ya want for nothing?");
        for (name, value) in [
            ("x-plane-signature", hex.to_owned()),
            ("x-gitea-signature", hex.to_owned()),
            ("x-hub-signature-256", format!("sha256={hex}")),
        ] {
            assert!(given(name, &value).fits(&secret, bytes), "{name}");
        }
        let Signature::Given(right) = given("x-plane-signature", hex) else { panic!("it is one") };
        assert!(!Signature::Given(right).fits(&secret, &bytes[1..]));
        assert!(!Signature::Given(right).fits(&Secret::new(b"another secret here").unwrap(), bytes));
        assert!(!Signature::Missing.fits(&secret, bytes));
        for bit in 0..256 {
            let mut wrong = right;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!Signature::Given(wrong).fits(&secret, bytes));
        }
    }

    #[test]
    fn what_a_sender_without_a_secret_sends_is_no_signature() {
        assert_eq!(given("x-gitea-signature", ""), Signature::Missing);
        assert_eq!(given("x-hub-signature-256", "sha256="), Signature::Missing);
        assert_eq!(Signature::of(Source::Plane, &Headers::default()), Signature::Missing);
        assert!(matches!(given("x-plane-signature", "abcd"), Signature::Malformed(_)));
        assert!(matches!(given("x-plane-signature", &"AB".repeat(32)), Signature::Malformed(_)));
        assert!(matches!(given("x-plane-signature", &"é".repeat(32)), Signature::Malformed(_)));
        let twice = Headers::new([("X-Plane-Signature", "ab".repeat(32)), ("x-plane-signature", "cd".repeat(32))]);
        assert!(matches!(Signature::of(Source::Plane, &twice), Signature::Malformed(_)));
    }

    #[test]
    fn an_empty_header_hides_no_signature_behind_it() {
        let hex = "ab".repeat(32);
        let empty = Headers::new([("X-Gitea-Signature", ""), ("X-Gogs-Signature", " "), ("X-Hub-Signature-256", &hex)]);
        assert_eq!(Signature::of(Source::Gitea, &empty), Signature::Given([0xab; 32]));
        let none = Headers::new([("X-Gitea-Signature", ""), ("X-Hub-Signature-256", "sha256=")]);
        assert_eq!(Signature::of(Source::Gitea, &none), Signature::Missing);
        let first = Headers::new([("X-Hub-Signature-256", "cd".repeat(32)), ("X-Gitea-Signature", hex)]);
        assert_eq!(Signature::of(Source::Gitea, &first), Signature::Given([0xab; 32]));
        let twice = Headers::new([("X-Gitea-Signature", ""), ("X-Gitea-Signature", "ab")]);
        assert!(matches!(Signature::of(Source::Gitea, &twice), Signature::Malformed(_)));
    }

    #[test]
    fn a_secret_has_a_length_and_is_shown_nowhere() {
        assert_eq!(Secret::new(b"0123456789abcde"), Err(SecretError::Short));
        assert_eq!(Secret::new(&[b'a'; 1025]), Err(SecretError::Long));
        assert_eq!(Secret::new(b"0123456789abcdef\nmore"), Err(SecretError::Lines));
        assert_eq!(Secret::new(b"0123456789abcdef \n"), Err(SecretError::Blank));
        assert_eq!(Secret::new(b" 0123456789abcdef"), Err(SecretError::Blank));
        assert_eq!(Secret::new("\u{feff}0123456789abcdef".as_bytes()), Err(SecretError::Mark));
        let secret = Secret::new(b"0123456789abcdef\r\n").unwrap();
        assert_eq!(secret, Secret::new(b"0123456789abcdef").unwrap());
        assert_eq!(format!("{secret:?}"), "Secret");
    }
}
