//! What a plugin may do: request ∩ grant ∩ ceiling. Pure; the broker above remembers what was refused.

use domain::plugin::{Capability, Ceiling, Denial, Family, Grant, HttpOrigin, Refusal, Request};
use globset::{GlobBuilder, GlobMatcher};

use crate::text::{Lines, clean};

/// What a host call needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Any capability of the family.
    Family(Family),
    /// The repository, at this path.
    Path(String),
    /// A request to this origin.
    Origin(HttpOrigin),
    /// This command.
    Command(String),
}

impl Need {
    /// As a manifest would spell what allows it.
    fn capability(&self) -> String {
        match self {
            Self::Family(family) => family.as_str().to_owned(),
            // It goes into sentences for people, and the guest chose it.
            Self::Path(path) => format!("repo:{}", clean(path, 300, Lines::One)),
            Self::Origin(origin) => format!("http:{origin}"),
            Self::Command(name) => format!("exec:{name}"),
        }
    }
}

/// A refusal, and whether the request says that the plugin copes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) denial: Denial,
    pub(crate) optional: bool,
}

/// The three lists, with their globs compiled.
#[derive(Debug)]
pub(crate) struct Policy {
    requested: Vec<(Rule, bool)>,
    granted: Vec<Rule>,
    ceiling: Option<Vec<Rule>>,
}

#[derive(Clone, Debug)]
struct Rule {
    capability: Capability,
    glob: Option<GlobMatcher>,
}

impl Rule {
    fn new(capability: &Capability) -> Result<Self, GlobError> {
        let glob = match capability {
            Capability::Repo(Some(glob)) => Some(compile_glob(glob)?),
            _ => None,
        };
        Ok(Self { capability: capability.clone(), glob })
    }

    fn allows(&self, need: &Need) -> bool {
        match (need, &self.capability) {
            (Need::Family(family), capability) => capability.family() == *family,
            (Need::Path(path), Capability::Repo(_)) => self.glob.as_ref().is_none_or(|glob| glob.is_match(path)),
            (Need::Origin(origin), Capability::Http(allowed)) => allowed.covers(origin),
            (Need::Command(name), Capability::Exec(allowed)) => allowed == name,
            _ => false,
        }
    }
}

/// Bytes of one glob.
const GLOB_BYTES: usize = 1024;
/// Braces within braces. The library turns a glob into a regular expression and panics where that nests too deeply.
const GLOB_DEPTH: usize = 8;

/// A text that is no glob: why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct GlobError(String);

/// `*` within a folder, `**` over folders, `?`, `{a,b}`; matched in linear time.
pub(crate) fn compile_glob(glob: &str) -> Result<GlobMatcher, GlobError> {
    if glob.len() > GLOB_BYTES {
        return Err(GlobError(format!("a glob has at most {GLOB_BYTES} bytes")));
    }
    let mut depth = 0_usize;
    for byte in glob.bytes() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > GLOB_DEPTH {
            return Err(GlobError(format!("the braces of a glob nest at most {GLOB_DEPTH} deep")));
        }
    }
    let built = GlobBuilder::new(glob).literal_separator(true).backslash_escape(false).build();
    built.map(|glob| glob.compile_matcher()).map_err(|error| GlobError(clean(&error.to_string(), 300, Lines::One)))
}

impl Policy {
    /// Errors name the glob that does not compile.
    pub(crate) fn new(request: &Request, grant: &Grant, ceiling: &Ceiling) -> Result<Self, GlobError> {
        let rules = |list: &[Capability]| list.iter().map(Rule::new).collect::<Result<Vec<_>, _>>();
        let requested = request.entries.iter().map(|entry| Ok((Rule::new(&entry.capability)?, entry.optional)));
        // A refusal is as strong as the grant is: what stands in both is refused.
        let granted = grant.capabilities.iter().filter(|given| !grant.refused.contains(given));
        Ok(Self {
            requested: requested.collect::<Result<_, GlobError>>()?,
            granted: granted.map(Rule::new).collect::<Result<_, _>>()?,
            ceiling: match ceiling {
                Ceiling::Open => None,
                Ceiling::AtMost(list) => Some(rules(list)?),
            },
        })
    }

    /// Checks all three lists in order.
    pub(crate) fn check(&self, need: &Need) -> Result<(), Refused> {
        let refused_by = if !self.requested.iter().any(|(rule, _)| rule.allows(need)) {
            Refusal::NotRequested
        } else if !self.granted.iter().any(|rule| rule.allows(need)) {
            Refusal::NotGranted
        } else if self.ceiling.as_ref().is_some_and(|ceiling| !ceiling.iter().any(|rule| rule.allows(need))) {
            Refusal::AboveCeiling
        } else {
            return Ok(());
        };
        let denial = Denial { capability: need.capability(), refused_by };
        Err(Refused { denial, optional: self.is_optional(need) })
    }

    /// Whether the request says that the plugin copes with a denial of this: every entry that covers it is optional. Of a path that
    /// no entry covers: where all that it asks for of the repository is optional.
    pub(crate) fn is_optional(&self, need: &Need) -> bool {
        let all_optional = |covers: &dyn Fn(&Rule) -> bool| {
            let mut asked = self.requested.iter().filter(|(rule, _)| covers(rule)).peekable();
            asked.peek().is_some().then(|| asked.all(|(_, optional)| *optional))
        };
        let of_repo = |rule: &Rule| matches!(need, Need::Path(_)) && rule.capability.family() == Family::Repo;
        all_optional(&|rule| rule.allows(need)).or_else(|| all_optional(&of_repo)).unwrap_or(false)
    }

    /// Whether all three lists let this path be seen.
    pub(crate) fn sees(&self, path: &str) -> bool {
        let need = Need::Path(path.to_owned());
        self.check(&need).is_ok()
    }

    /// Whether any list narrows the repository to globs.
    pub(crate) fn narrows(&self) -> bool {
        let narrow = |rule: &Rule| rule.glob.is_some();
        self.requested.iter().any(|(rule, _)| narrow(rule))
            || self.granted.iter().any(narrow)
            || self.ceiling.iter().flatten().any(narrow)
    }
}

#[cfg(test)]
mod tests {
    use domain::plugin::RequestEntry;

    use super::*;

    fn list(texts: &[&str]) -> Vec<Capability> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn policy(request: &[&str], grant: &[&str], ceiling: &Ceiling) -> Policy {
        let entry = |capability: Capability| RequestEntry {
            capability,
            reason: "because".to_owned(),
            optional: false,
            credential: None,
        };
        let request = Request { entries: list(request).into_iter().map(entry).collect() };
        let grant = Grant { capabilities: list(grant), ..Grant::default() };
        Policy::new(&request, &grant, ceiling).unwrap()
    }

    fn who(policy: &Policy, need: &Need) -> Option<Refusal> {
        policy.check(need).err().map(|refused| refused.denial.refused_by)
    }

    #[test]
    fn all_three_lists_must_allow_and_the_first_that_does_not_is_named() {
        let forge = Need::Family(Family::Forge);
        assert_eq!(who(&policy(&[], &["forge"], &Ceiling::Open), &forge), Some(Refusal::NotRequested));
        assert_eq!(who(&policy(&["forge"], &[], &Ceiling::Open), &forge), Some(Refusal::NotGranted));
        let low = Ceiling::AtMost(list(&["repo"]));
        assert_eq!(who(&policy(&["forge"], &["forge"], &low), &forge), Some(Refusal::AboveCeiling));
        assert_eq!(who(&policy(&["forge"], &["forge"], &Ceiling::Open), &forge), None);
        let refused = Grant { capabilities: list(&["forge"]), refused: list(&["forge"]), ..Grant::default() };
        let request = Request {
            entries: vec![RequestEntry {
                capability: Capability::Forge,
                reason: String::new(),
                optional: true,
                credential: None,
            }],
        };
        let both = Policy::new(&request, &refused, &Ceiling::Open).unwrap();
        assert!(both.check(&forge).unwrap_err().optional);
    }

    #[test]
    fn a_denial_is_optional_only_where_every_entry_that_covers_it_is() {
        let entry = |text: &str, optional: bool| RequestEntry {
            capability: text.parse().unwrap(),
            reason: "because".to_owned(),
            optional,
            credential: None,
        };
        let nothing_granted = |entries: &[(&str, bool)]| {
            let request = Request { entries: entries.iter().map(|(text, optional)| entry(text, *optional)).collect() };
            Policy::new(&request, &Grant::default(), &Ceiling::Open).unwrap()
        };
        let optional = |policy: &Policy, path: &str| policy.check(&Need::Path(path.to_owned())).unwrap_err().optional;
        let mixed = nothing_granted(&[("repo:docs/**", true), ("repo:src/**", false)]);
        assert!(optional(&mixed, "docs/x.md"));
        assert!(!optional(&mixed, "src/x.rs"), "it is required");
        assert!(!optional(&mixed, "tests/x.rs"), "never asked for, and not all of the repository is optional");
        assert!(!mixed.check(&Need::Family(Family::Repo)).unwrap_err().optional, "a listing sees what is required too");
        let both = nothing_granted(&[("repo:docs/**", true), ("repo:docs/adr/**", false)]);
        assert!(!optional(&both, "docs/adr/1.md"));
        let free = nothing_granted(&[("repo:docs/**", true), ("repo:src/**", true), ("forge", false)]);
        assert!(optional(&free, "src/x.rs") && optional(&free, "tests/x.rs"));
        assert!(free.check(&Need::Family(Family::Repo)).unwrap_err().optional);
        assert!(!nothing_granted(&[]).check(&Need::Family(Family::Forge)).unwrap_err().optional);
    }

    #[test]
    fn a_path_must_match_a_glob_of_each_list() {
        let ceiling = Ceiling::AtMost(list(&["repo:**/*.toml", "repo:docs/**"]));
        let policy = policy(&["repo"], &["repo:docs/**", "repo:Cargo.*"], &ceiling);
        assert!(policy.sees("docs/a/b.md"));
        assert!(policy.sees("Cargo.toml"));
        assert!(!policy.sees("Cargo.lock"), "above the ceiling");
        assert!(!policy.sees("src/x.toml"), "not granted");
        assert_eq!(who(&policy, &Need::Family(Family::Repo)), None);
        assert!(policy.narrows());
    }

    #[test]
    fn a_glob_that_would_backtrack_for_ever_is_matched_at_once() {
        let stars = compile_glob(&format!("{}b", "*a".repeat(500))).unwrap();
        let started = std::time::Instant::now();
        assert!(!stars.is_match("a".repeat(4_000)));
        let braces = |depth: usize| compile_glob(&format!("{}{}", "{a,".repeat(depth), "}".repeat(depth)));
        assert!(braces(8).is_ok());
        assert!(braces(200).unwrap_err().to_string().contains("nest at most 8 deep"));
        assert!(compile_glob(&"{a,b}".repeat(204)).unwrap().is_match("ab".repeat(102)));
        assert!(compile_glob(&"a".repeat(1025)).is_err());
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
    }

    #[test]
    fn a_star_stays_in_its_folder() {
        let glob = compile_glob("src/*.rs").unwrap();
        assert!(glob.is_match("src/a.rs"));
        assert!(!glob.is_match("src/deep/a.rs"));
        let either = compile_glob("**/{a,b}?.md").unwrap();
        assert!(either.is_match("x/y/a1.md") && either.is_match("b2.md") && !either.is_match("c1.md"));
    }
}
