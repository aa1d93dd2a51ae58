//! What a token lets its bearer do at the operator's listener.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Each right holds those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// See everything but the tokens.
    Read,
    /// Decide about tasks, cards, freezes.
    Operate,
    /// Make and revoke tokens, go over steps that hold.
    Admin,
}

/// What audit and timelines write where no token acted: the host itself, whoever has no token, and those who tell it things.
const HOSTS_OWN: [&str; 6] = ["host", "nobody", "board", "plane", "gitea", "gatewright"];

/// Whether a line of the audit by this name could be taken for one of the host's own, in whatever letters it is written.
pub fn is_hosts_own(name: &str) -> bool {
    HOSTS_OWN.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// A word that is no right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no right; there are: read, operate, admin")]
pub struct NoSuchRight(String);

impl Right {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Operate, Self::Admin];

    /// As files, the command line and the API spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Right {
    type Err = NoSuchRight;

    fn from_str(text: &str) -> Result<Self, NoSuchRight> {
        let found = Self::ALL.into_iter().find(|right| right.as_str() == text);
        found.ok_or_else(|| NoSuchRight(text.chars().take(80).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::Right;

    #[test]
    fn a_right_holds_those_before_it_and_is_spelled_one_way() {
        assert!(Right::Admin > Right::Operate && Right::Operate > Right::Read);
        for right in Right::ALL {
            assert_eq!(right.as_str().parse(), Ok(right));
            assert_eq!(serde_json::to_value(right).unwrap(), right.as_str());
        }
        let refused = "Admin".parse::<Right>().unwrap_err().to_string();
        assert_eq!(refused, "`Admin` is no right; there are: read, operate, admin");
    }
}
