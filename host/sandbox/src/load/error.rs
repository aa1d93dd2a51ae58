//! Why a component does not load: what was meant, and what would be right.

use domain::ids::Digest;
use domain::plugin::{Family, PluginKind};

/// Why a component does not load. The cases stand in the order of the checks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// More bytes than a component may have.
    #[error("the component has {size} bytes, more than the {limit} that one may have")]
    TooLarge {
        /// Bytes that it has; where reading ended before, those read.
        size: u64,
        /// Bytes that it may have.
        limit: u64,
    },
    /// Not the bytes that the project pinned.
    #[error(
        "the component is not the one that was granted: its sha256 is {found}, pinned is {pinned}; \
         `gatewright plugin add FILE` shows what changed and asks again"
    )]
    WrongDigest {
        /// What the bytes have.
        found: Digest,
        /// What the project's file says.
        pinned: Digest,
    },
    /// Not WebAssembly, or not a component.
    #[error("this is no component but {what}; {help}")]
    NotAComponent {
        /// What it seems to be.
        what: &'static str,
        /// How to get a component.
        help: &'static str,
    },
    /// More, or more deeply nested, than any component of a toolchain.
    #[error("the component holds {found} {what}, more than the {limit} that one may hold")]
    TooComplex {
        /// What there is too much of.
        what: &'static str,
        /// How much there is at least.
        found: u64,
        /// How much there may be.
        limit: u64,
    },
    /// It needs a proposal that is off here.
    #[error("the component needs the WebAssembly proposal `{feature}`, which is off in this host; {help} ({detail})")]
    FeatureOff {
        /// The proposal's name.
        feature: String,
        /// How to do without.
        help: &'static str,
        /// What the validator said.
        detail: String,
    },
    /// It breaks a rule of the format.
    #[error("the component is not valid: {0}")]
    Malformed(String),
    /// It exports none of the five kinds.
    #[error(
        "the component exports none of the five kinds ({found}); a plugin exports exactly one of \
         gatewright:gate/gate@0.1.0, gatewright:guard/guard@0.1.0, gatewright:estimator/estimator@0.1.0, \
         gatewright:notifier/notifier@0.1.0, gatewright:status-mapper/status-mapper@0.1.0"
    )]
    NoKind {
        /// What it exports instead.
        found: String,
    },
    /// It exports more than one kind.
    #[error("the component exports {0} and {1}: a plugin is of exactly one kind, so build two components")]
    ManyKinds(PluginKind, PluginKind),
    /// It was built against a later version of an interface.
    #[error("the component needs a newer host: it {uses} {name}, and this host serves {served}")]
    NewerHost {
        /// `imports` or `exports`.
        uses: &'static str,
        /// What it names.
        name: String,
        /// What there is.
        served: String,
    },
    /// It imports what no plugin gets.
    #[error("the component imports {name}, which this host does not serve: {why}")]
    UnknownImport {
        /// The import, with the function where it is one.
        name: String,
        /// What there is instead.
        why: String,
    },
    /// It imports what its kind does not get.
    #[error("a {kind} may not import {name}: its world has {world}")]
    WrongWorld {
        /// What it is.
        kind: PluginKind,
        /// What it imports.
        name: String,
        /// The interfaces that its kind may import.
        world: String,
    },
    /// Its request section cannot be used.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// It imports a function that its request does not cover.
    #[error(
        "the component imports {function} but its request does not ask for it; add to its section gatewright:request\n\
         [[capability]]\nname = \"{family}\"\nreason = \"…\""
    )]
    NotRequested {
        /// The imported function.
        function: String,
        /// What would cover it.
        family: Family,
    },
    /// The project neither grants nor refuses what it asks for.
    #[error(
        "the component asks for `{capability}` (\"{reason}\"), and the project has not decided about it; \
         `gatewright plugin add FILE` asks, and writes it into the grant or among the refused"
    )]
    NotAccepted {
        /// What it asks for.
        capability: String,
        /// Why, in its author's words.
        reason: String,
    },
    /// A capability's glob cannot be matched.
    #[error("a glob of the request, the grant or the ceiling cannot be used: {0}")]
    Glob(String),
    /// Its memory limit is above what this host gives any plugin.
    #[error("a memory limit of {limit} bytes is above the {most} bytes that this host gives one plugin")]
    LimitAbovePool {
        /// What was set.
        limit: u64,
        /// What there is.
        most: u64,
    },
    /// The compiler refused it.
    #[error("the component does not compile: {0}")]
    Compile(String),
    /// A type that it imports or exports is not of the form that the WIT has.
    #[error("the component was built against another form of an interface: {0}")]
    Link(String),
}

/// What is wrong with a request section.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is more than one.
    #[error(
        "the component has {0} custom sections `gatewright:request`; it must have exactly one, so that nobody can add a second"
    )]
    Many(usize),
    /// Larger than it may be.
    #[error("the section gatewright:request has {0} bytes, more than 65,536")]
    TooLarge(usize),
    /// Not plain UTF-8.
    #[error("the section gatewright:request is not UTF-8 without byte order mark and NUL")]
    Encoding,
    /// No TOML.
    #[error("the section gatewright:request is no TOML: {0}")]
    Toml(String),
    /// Nested more deeply than it may be.
    #[error("the section gatewright:request is nested more than 8 deep")]
    TooDeep,
    /// No version, or one of a later host.
    #[error("the section gatewright:request says version {0}: it needs a newer host, this one knows `version = 1`")]
    Version(String),
    /// A field that does not exist.
    #[error("`{field}` is no field of {place} in gatewright:request; there are: {valid}")]
    UnknownField {
        /// What stands there.
        field: String,
        /// Where.
        place: &'static str,
        /// What may stand there.
        valid: &'static str,
    },
    /// A field that is missing or of another type.
    #[error("`{field}` of {place} in gatewright:request must be {expected}")]
    Field {
        /// Which.
        field: &'static str,
        /// Where.
        place: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A name that is no capability.
    #[error("gatewright:request asks for something that does not exist: {0}")]
    UnknownCapability(String),
    /// The same twice.
    #[error("gatewright:request asks for `{0}` twice")]
    Duplicate(String),
    /// More entries than there may be.
    #[error("gatewright:request has {0} entries, more than 64")]
    TooMany(usize),
}
