//! What a component built through the SDK carries: one export, no import that it does not call, and a request for each.
#![expect(clippy::unwrap_used, reason = "a test's own helpers")]

use std::collections::{BTreeMap, BTreeSet};

use test_artifacts::{GUESTS, PLUGINS};
use wasmparser::component_types::ComponentEntityType;
use wasmparser::{Parser, Payload, Validator};

struct Carried {
    /// Interfaces with the functions that are imported of each.
    imports: BTreeMap<String, BTreeSet<String>>,
    exports: BTreeSet<String>,
    requests: Vec<String>,
}

fn carried(path: &str) -> Carried {
    let bytes = std::fs::read(path).unwrap();
    let types = Validator::new().validate_all(&bytes).unwrap();
    let mut carried = Carried { imports: BTreeMap::new(), exports: BTreeSet::new(), requests: Vec::new() };
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let name = import.unwrap().name.name;
                    let item = types.as_ref().component_item_for_import(name).unwrap();
                    let ComponentEntityType::Instance(instance) = item.ty else { panic!("{name} is no instance") };
                    let functions = types[instance].exports.iter();
                    let functions = functions.filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)));
                    carried.imports.insert(name.to_owned(), functions.map(|(name, _)| name.clone()).collect());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                carried.exports.extend(section.into_iter().map(|export| export.unwrap().name.name.to_owned()));
            }
            Payload::CustomSection(section) if section.name() == "gatewright:request" => {
                carried.requests.push(String::from_utf8(section.data().to_vec()).unwrap());
            }
            _ => {}
        }
    }
    carried
}

impl Carried {
    /// The capabilities that the imported functions stand for: `documents`, `kv`, `http`…
    fn can_ask(&self) -> BTreeSet<&str> {
        let with_functions = self.imports.iter().filter(|(_, functions)| !functions.is_empty());
        with_functions
            .filter_map(|(interface, _)| interface.strip_prefix("gatewright:")?.split('/').next())
            .filter(|package| !matches!(*package, "log" | "clock"))
            .collect()
    }

    fn requested(&self) -> BTreeSet<String> {
        let Some(request) = self.requests.first() else { return BTreeSet::new() };
        let request: toml::Table = request.parse().unwrap();
        assert_eq!(request["version"].as_integer(), Some(1));
        let capabilities = request.get("capability").and_then(|value| value.as_array()).cloned().unwrap_or_default();
        capabilities
            .iter()
            .map(|capability| {
                assert!(!capability["reason"].as_str().unwrap().is_empty());
                capability["name"].as_str().unwrap().split(':').next().unwrap().to_owned()
            })
            .collect()
    }
}

#[test]
fn each_component_exports_one_kind_and_nothing_else() {
    for (name, path) in PLUGINS.iter().chain(GUESTS) {
        let carried = carried(path);
        assert_eq!(carried.exports.len(), 1, "{name}: {:?}", carried.exports);
        assert!(carried.exports.first().unwrap().starts_with("gatewright:"), "{name}");
    }
}

#[test]
fn a_component_imports_only_the_interfaces_that_it_calls() {
    let of = |path: &str| carried(path).can_ask().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let passes = test_artifacts::guest("passes");
    assert_eq!(of(passes.to_str().unwrap()), Vec::<String>::new());
    let review = test_artifacts::plugin("review-verdict");
    assert_eq!(of(review.to_str().unwrap()), ["documents"]);
}

#[test]
fn a_component_requests_exactly_what_it_can_ask() {
    // But for the guest that exists to be refused for it.
    let guests = GUESTS.iter().filter(|(name, _)| *name != "no-request");
    for (id, path) in PLUGINS.iter().chain(guests) {
        let carried = carried(path);
        assert!(carried.requests.len() <= 1, "{id} has {} requests", carried.requests.len());
        let can_ask: BTreeSet<String> = carried.can_ask().into_iter().map(str::to_owned).collect();
        assert_eq!(carried.requested(), can_ask, "{id}");
    }
}

#[test]
fn wasi_is_what_rusts_standard_library_brings() {
    for (name, path) in PLUGINS.iter().chain(GUESTS) {
        for import in carried(path).imports.keys().filter(|import| import.starts_with("wasi:")) {
            let known = ["wasi:io/", "wasi:cli/", "wasi:clocks/", "wasi:random/", "wasi:filesystem/"];
            assert!(known.iter().any(|prefix| import.starts_with(prefix)), "{name} imports {import}");
        }
    }
}

#[test]
fn each_guest_is_named_once() {
    let mut named = Vec::new();
    macro_rules! name {
        ($guest:ident) => {
            named.push(stringify!($guest).replace('_', "-"));
        };
    }
    test_artifacts::for_each_guest!(name);
    assert_eq!(named, GUESTS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}
