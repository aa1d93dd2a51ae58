//! Which kind a component is, and whether each of its imports is one that this host serves. By name and version, by us: wasmtime
//! links an unknown instance that holds no functions without a word.

use domain::plugin::{Family, PluginKind};

use super::error::LoadError;
use super::shape::{Import, Imported, Shape};
use crate::wasi;

/// The version of `gatewright:*` that this host serves.
const SERVED: (u64, u64, u64) = (0, 1, 0);

/// A function that a component may call, with the capability that covers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Called {
    /// E.g. `gatewright:repo/repo@0.1.0#read`.
    pub(crate) name: String,
    /// None: `log` and `clock` need none.
    pub(crate) family: Option<Family>,
}

struct Served {
    interface: &'static str,
    family: Option<Family>,
    functions: &'static [&'static str],
}

/// The interfaces with functions that a guest may import, with all their functions.
const INTERFACES: [Served; 11] = [
    Served { interface: "log/log", family: None, functions: &["write"] },
    Served { interface: "clock/clock", family: None, functions: &["now"] },
    Served {
        interface: "repo/repo",
        family: Some(Family::Repo),
        functions: &["read", "list", "changes", "diff", "commits", "last-change", "is-ancestor"],
    },
    Served { interface: "documents/documents", family: Some(Family::Documents), functions: &["list", "read"] },
    Served { interface: "forge/forge", family: Some(Family::Forge), functions: &["checks", "code-pull-request"] },
    Served { interface: "tracker/tracker", family: Some(Family::Tracker), functions: &["current", "comments"] },
    Served { interface: "runs/runs", family: Some(Family::Runs), functions: &["list", "log-tail", "report"] },
    Served { interface: "history/history", family: Some(Family::History), functions: &["finished"] },
    Served { interface: "kv/store", family: Some(Family::Kv), functions: &["get", "put", "delete", "keys"] },
    Served { interface: "http/client", family: Some(Family::Http), functions: &["send"] },
    Served { interface: "exec/exec", family: Some(Family::Exec), functions: &["run"] },
];

/// Interfaces of which only the types may be imported.
const TYPES: [&str; 7] = [
    "tasks/tasks",
    "errors/errors",
    "gate/gate",
    "guard/guard",
    "estimator/estimator",
    "notifier/notifier",
    "status-mapper/status-mapper",
];

/// What each kind's world imports, as in `wit/worlds.wit`.
fn world(kind: PluginKind) -> &'static [&'static str] {
    match kind {
        PluginKind::Gate => &[
            "log/log",
            "clock/clock",
            "repo/repo",
            "documents/documents",
            "forge/forge",
            "tracker/tracker",
            "runs/runs",
            "history/history",
            "kv/store",
            "http/client",
            "exec/exec",
        ],
        PluginKind::Guard => &["log/log", "clock/clock", "forge/forge", "tracker/tracker", "kv/store", "http/client"],
        PluginKind::Estimator => {
            &["log/log", "clock/clock", "tracker/tracker", "history/history", "kv/store", "http/client"]
        }
        PluginKind::Notifier => &["log/log", "clock/clock", "tracker/tracker", "kv/store", "http/client"],
        PluginKind::StatusMapper => &["log/log", "clock/clock"],
    }
}

/// The one kind whose interface a component exports.
pub(crate) fn kind(shape: &Shape<'_>) -> Result<PluginKind, LoadError> {
    let mut found = None;
    for export in &shape.exports {
        let Some(name) = Name::parse(export).filter(|name| name.namespace == "gatewright") else { continue };
        let own = |kind: &PluginKind| name.interface == format!("{kind}/{kind}");
        let Some(kind) = PluginKind::ALL.into_iter().find(own) else { continue };
        if name.version != Some(SERVED) {
            let served = format!("gatewright:{}@0.1.0", name.interface);
            return Err(LoadError::NewerHost { uses: "exports", name: export.clone(), served });
        }
        if let Some(first) = found.replace(kind) {
            return Err(LoadError::ManyKinds(first, kind));
        }
    }
    found.ok_or_else(|| {
        let exports = &shape.exports;
        let found = if exports.is_empty() {
            "it exports no interface".to_owned()
        } else {
            format!("it exports {}", exports.join(", "))
        };
        LoadError::NoKind { found }
    })
}

/// Checks every import, and gives back the functions of `gatewright:*` among them.
pub(crate) fn check(kind: PluginKind, imports: &[Import]) -> Result<Vec<Called>, LoadError> {
    let mut called = Vec::new();
    for import in imports {
        let (functions, others) = match &import.what {
            Imported::Instance { functions, others } => (functions, others),
            Imported::Other(what) => {
                let why = format!("it is {what}; a plugin imports interfaces of `gatewright:*` and of WASI 0.2 only");
                return Err(LoadError::UnknownImport { name: import.name.clone(), why });
            }
        };
        if let Some(other) = others.first() {
            let why = "a plugin imports functions and types only".to_owned();
            return Err(LoadError::UnknownImport { name: format!("{}#{other}", import.name), why });
        }
        match Name::parse(&import.name) {
            Some(name) if name.namespace == "gatewright" => {
                called.extend(gatewright(kind, &import.name, &name, functions)?);
            }
            Some(name) if name.namespace == "wasi" => {
                wasi::check(&name.interface, name.version, functions)
                    .map_err(|why| LoadError::UnknownImport { name: import.name.clone(), why })?;
            }
            _ => {
                let why = "there are interfaces of `gatewright:*` and of WASI 0.2 only".to_owned();
                return Err(LoadError::UnknownImport { name: import.name.clone(), why });
            }
        }
    }
    Ok(called)
}

fn gatewright(kind: PluginKind, full: &str, name: &Name, functions: &[String]) -> Result<Vec<Called>, LoadError> {
    let interface = name.interface.as_str();
    let served = INTERFACES.iter().find(|served| served.interface == interface);
    let known = served.is_some() || TYPES.contains(&interface);
    if !known {
        let names: Vec<&str> = INTERFACES.iter().map(|served| served.interface).collect();
        let why = format!("of `gatewright:*` there are {}", names.join(", "));
        return Err(LoadError::UnknownImport { name: full.to_owned(), why });
    }
    match name.version {
        Some(version) if version == SERVED => {}
        Some((major, minor, patch)) if (major, minor, patch) > SERVED => {
            let served = format!("gatewright:{interface}@0.1.0");
            return Err(LoadError::NewerHost { uses: "imports", name: full.to_owned(), served });
        }
        _ => {
            let why = format!("this host serves gatewright:{interface}@0.1.0");
            return Err(LoadError::UnknownImport { name: full.to_owned(), why });
        }
    }
    if functions.is_empty() {
        return Ok(Vec::new());
    }
    let Some(served) = served else {
        let why = format!("of gatewright:{interface} only types are imported");
        return Err(LoadError::UnknownImport { name: format!("{full}#{}", functions[0]), why });
    };
    if !world(kind).contains(&interface) {
        return Err(LoadError::WrongWorld { kind, name: full.to_owned(), world: world(kind).join(", ") });
    }
    if let Some(unknown) = functions.iter().find(|function| !served.functions.contains(&function.as_str())) {
        let served = format!("of it: {}", served.functions.join(", "));
        return Err(LoadError::NewerHost { uses: "imports", name: format!("{full}#{unknown}"), served });
    }
    let call = |function: &String| Called { name: format!("{full}#{function}"), family: served.family };
    Ok(functions.iter().map(call).collect())
}

/// A name of the form `namespace:package/interface@version`.
struct Name {
    namespace: String,
    /// `package/interface`.
    interface: String,
    /// None: there is none, or it has another form.
    version: Option<(u64, u64, u64)>,
}

impl Name {
    fn parse(text: &str) -> Option<Self> {
        let (namespace, rest) = text.split_once(':')?;
        let (interface, version) = rest.split_once('@').map_or((rest, None), |(name, version)| (name, Some(version)));
        let version = version.and_then(|version| {
            let mut numbers = version.split('.').map(|number| number.parse::<u64>().ok());
            let parsed = (numbers.next()??, numbers.next()??, numbers.next()??);
            numbers.next().is_none().then_some(parsed)
        });
        Some(Self { namespace: namespace.to_owned(), interface: interface.to_owned(), version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table above says again what the WIT says, so that a newer function is refused by a sentence: they must agree.
    #[test]
    fn the_tables_hold_what_the_wit_holds() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        for served in &INTERFACES {
            let package = served.interface.split('/').next().unwrap();
            let text = std::fs::read_to_string(root.join(format!("deps/{package}/{package}.wit"))).unwrap();
            let declared: Vec<String> = text
                .lines()
                .filter_map(|line| {
                    line.trim().split_once(": func(").map(|(name, _)| name.trim_start_matches('%').to_owned())
                })
                .collect();
            assert_eq!(declared, served.functions, "{package}");
        }
        let worlds = std::fs::read_to_string(root.join("worlds.wit")).unwrap();
        for kind in PluginKind::ALL {
            let block = worlds.split(&format!("world {kind}-plugin {{")).nth(1).unwrap().split('}').next().unwrap();
            let imported: Vec<&str> = block
                .lines()
                .filter_map(|line| line.trim().strip_prefix("import gatewright:")?.strip_suffix("@0.1.0;"))
                .collect();
            assert_eq!(imported, world(kind), "{kind}");
        }
    }
}
