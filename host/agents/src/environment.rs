//! A run's environment: cleared, then a few names of our own, then what the operator lets through by name.

use std::collections::BTreeMap;
use std::path::Path;

use shim::protocol::{MARKER, PROXY_PORT};

/// The brief's file; absolute.
pub const BRIEF: &str = "GATEWRIGHT_BRIEF";
/// Who works: `developer`, `reviewer`, …
pub const ROLE: &str = "GATEWRIGHT_ROLE";
/// The work item's key.
pub const WORK_ITEM: &str = "GATEWRIGHT_WORK_ITEM";
/// The model that it shall use, where the project's file names one.
pub const MODEL: &str = "GATEWRIGHT_MODEL";
/// How hard it shall think, likewise.
pub const EFFORT: &str = "GATEWRIGHT_EFFORT";
/// Where this work item's documents lie in the clone; absolute.
pub const DOCUMENTS: &str = "GATEWRIGHT_DOCUMENTS";

/// What is wrong with an environment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// A name that the host uses for itself: its value may be a secret that no agent shall have.
    #[error("the project's file names `{name}`, which gatewright itself uses; it is for no run")]
    Reserved {
        /// Which.
        name: String,
    },
    /// A name that is none, or a value with a NUL.
    #[error("`{name}` cannot stand in an environment")]
    Malformed {
        /// Which.
        name: String,
    },
    /// It would be obeyed by the sandbox's own program, before it has closed anything.
    #[error("`{name}` steers the loader of the sandbox's own program; set it inside the agent's command instead")]
    Loader {
        /// Which.
        name: String,
    },
}

/// What every run has.
pub fn base(path: &str, home: &Path) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("PATH".to_owned(), path.to_owned()),
        ("HOME".to_owned(), home.to_string_lossy().into_owned()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ("TERM".to_owned(), "dumb".to_owned()),
    ])
}

/// The values of the names that the operator lets through, as `lookup` knows them; a name without a value is left out.
/// `reserved` are the names that the host's own configuration reads.
pub fn passed(
    names: &[String],
    reserved: &[String],
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, EnvironmentError> {
    let mut passed = BTreeMap::new();
    for name in names {
        if reserved.contains(name) || name.starts_with("GATEWRIGHT_") {
            return Err(EnvironmentError::Reserved { name: name.clone() });
        }
        if let Some(value) = lookup(name) {
            passed.insert(name.clone(), value);
        }
    }
    Ok(passed)
}

/// What an agent is told by name.
pub fn contract(role: &str, work_item: &str, documents: &Path) -> BTreeMap<String, String> {
    BTreeMap::from([
        (ROLE.to_owned(), role.to_owned()),
        (WORK_ITEM.to_owned(), work_item.to_owned()),
        (DOCUMENTS.to_owned(), documents.to_string_lossy().into_owned()),
    ])
}

/// Where the way out is, in every spelling that programs look for.
pub fn proxied() -> BTreeMap<String, String> {
    let proxy = format!("http://127.0.0.1:{PROXY_PORT}");
    let past = "localhost,127.0.0.1,::1".to_owned();
    let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, proxy.clone()));
    let both = |(name, value): (&str, String)| [(name.to_lowercase(), value.clone()), (name.to_owned(), value)];
    // Node reads the other names only where this one says so.
    let node = ("NODE_USE_ENV_PROXY".to_owned(), "1".to_owned());
    names.into_iter().chain([("NO_PROXY", past)]).flat_map(both).chain([node]).collect()
}

/// Refuses what could not be set or would reach the sandbox's own program.
pub(crate) fn check(environment: &BTreeMap<String, String>, sandboxed: bool) -> Result<(), EnvironmentError> {
    for (name, value) in environment {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') || name == MARKER {
            return Err(EnvironmentError::Malformed { name: name.clone() });
        }
        if sandboxed && name.starts_with("LD_") {
            return Err(EnvironmentError::Loader { name: name.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn only_named_values_pass_and_an_unset_one_is_left_out() {
        let lookup = |name: &str| (name != "UNSET").then(|| format!("value of {name}"));
        let passed = passed(&names(&["ANTHROPIC_API_KEY", "UNSET"]), &[], lookup).unwrap();
        assert_eq!(passed, BTreeMap::from([("ANTHROPIC_API_KEY".into(), "value of ANTHROPIC_API_KEY".into())]));
    }

    #[test]
    fn a_name_that_the_host_uses_does_not_pass() {
        let reserved = names(&["PLANE_TOKEN"]);
        for name in ["PLANE_TOKEN", "GATEWRIGHT_API_TOKEN"] {
            let refused = passed(&names(&[name]), &reserved, |_| Some("secret".into())).unwrap_err();
            assert_eq!(refused, EnvironmentError::Reserved { name: name.to_owned() });
        }
    }

    #[test]
    fn the_loader_of_the_sandbox_is_out_of_reach() {
        let environment = BTreeMap::from([("LD_PRELOAD".to_owned(), "/clone/x.so".to_owned())]);
        assert!(matches!(check(&environment, true), Err(EnvironmentError::Loader { .. })));
        assert_eq!(check(&environment, false), Ok(()));
        for name in ["", "A=B", "A\0", MARKER] {
            assert!(check(&BTreeMap::from([(name.to_owned(), String::new())]), false).is_err(), "{name:?}");
        }
    }
}
