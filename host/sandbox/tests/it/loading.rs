//! Contract sections 1 and 2: what does not load, in the order of the checks, each with its sentence.

use domain::ids::Digest;
use domain::plugin::{Family, PluginKind, Warning};
use sandbox::{LoadError, RequestError};

use crate::build::{Gate, NO_CAPABILITY, asking_for, component, quoted};
use crate::scene::{Scene, project, shared};

const GATE: &str = r#"(instance $kind) (export "gatewright:gate/gate@0.1.0" (instance $kind))"#;

fn text(fields: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {fields})")).unwrap()
}

fn section(request: &str) -> String {
    format!("(@custom \"gatewright:request\" \"{}\")", quoted(request))
}

/// A component that is a gate by its export and asks for nothing.
fn gate(fields: &str) -> Vec<u8> {
    text(&format!("{} {fields} {GATE}", section(NO_CAPABILITY)))
}

fn repeated(numbers: std::ops::Range<u32>, text: impl Fn(u32) -> String) -> String {
    numbers.map(text).collect::<Vec<_>>().concat()
}

fn refused(bytes: &[u8]) -> LoadError {
    shared().inspect(bytes).expect_err("it must not load")
}

fn says(bytes: &[u8], part: &str) {
    let sentence = refused(bytes).to_string();
    assert!(sentence.contains(part), "`{sentence}` does not say `{part}`");
}

#[test]
fn what_is_no_component_is_called_by_its_name() {
    let module = wat::parse_str("(module)").unwrap();
    says(&module, "a core module");
    says(&module, "wasm-tools component new");
    says(b"(component)", "text");
    says(b"PK\x03\x04rest", "a zip file");
    says(b"\x1f\x8b\x08rest", "a gzip file");
    says(b"\x7fELF rest", "an ELF file");
    says(b"\x7fELF and .wasmtime.engine in it", "precompiled");
    says(b"MZ\x90", "a Windows program");
    says(b"", "an empty file");
    says(b"\x00asm\x0e\x00\x01\x00", "a version that this host does not know");
    says(b"\xff\xfe\xfd\xfc", "without the mark of WebAssembly");
}

#[test]
fn the_first_thing_that_is_wrong_is_the_one_that_is_said() {
    let spec = |bytes: Vec<u8>| Scene::of(bytes).spec();
    let mut wrong_digest = spec(b"not even a component".to_vec());
    wrong_digest.digest = Digest::of(b"other bytes");
    assert!(matches!(shared().load(&project(), wrong_digest), Err(LoadError::WrongDigest { .. })));

    let mut too_large = spec(vec![0; 32 * 1024 * 1024 + 1]);
    too_large.digest = Digest::of(b"other bytes");
    assert!(matches!(shared().load(&project(), too_large), Err(LoadError::TooLarge { .. })));

    let unknown = r#"(import "acme:thing/thing@1.0.0" (instance))"#;
    assert!(matches!(refused(&text(unknown)), LoadError::NoKind { .. }), "kind before imports");
    assert!(
        matches!(refused(&text(&format!("{unknown} {GATE}"))), LoadError::UnknownImport { .. }),
        "imports before request"
    );
    let two = format!("{} {}", section(NO_CAPABILITY), section(NO_CAPABILITY));
    assert!(matches!(refused(&text(&format!("{two} {GATE}"))), LoadError::Request(RequestError::Many(2))));
    let ungranted = Scene::of(text(&format!("{} {GATE}", section(&asking_for("forge")))));
    assert!(matches!(ungranted.load(), Err(LoadError::NotAccepted { .. })), "grant before compile");
    let granted = ungranted.granting(&["forge"]);
    assert!(matches!(granted.load(), Err(LoadError::Link(_))), "an instance without functions is no gate");
}

#[test]
fn reading_ends_before_a_file_that_is_too_large_is_read() {
    struct Endless(u64);
    impl std::io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 += buffer.len() as u64;
            assert!(self.0 < 2 * sandbox::COMPONENT_BYTES, "it reads on and on");
            Ok(buffer.len())
        }
    }
    assert!(matches!(sandbox::read_component(Endless(0)), Ok(Err(LoadError::TooLarge { .. }))));
    assert_eq!(sandbox::read_component(&b"abc"[..]).unwrap(), Ok(b"abc".to_vec()));
}

#[test]
fn exactly_one_kind_of_a_version_that_is_served() {
    let export = |name: &str| format!("{} (instance $i) (export \"{name}\" (instance $i))", section(NO_CAPABILITY));
    assert!(matches!(refused(&text(&section(NO_CAPABILITY))), LoadError::NoKind { .. }));
    assert!(matches!(refused(&text(&export("gatewright:gait/gait@0.1.0"))), LoadError::NoKind { .. }));
    assert!(matches!(refused(&text(&export("gatewright:gate/gate@0.1.1"))), LoadError::NewerHost { .. }));
    assert!(matches!(refused(&text(&export("gatewright:gate/gate@0.2.0"))), LoadError::NewerHost { .. }));
    assert!(matches!(refused(&text(&export("gatewright:gate/gate"))), LoadError::NewerHost { .. }));
    let both = format!("{GATE} (export \"gatewright:guard/guard@0.1.0\" (instance $kind)) {}", section(NO_CAPABILITY));
    assert_eq!(refused(&text(&both)), LoadError::ManyKinds(PluginKind::Gate, PluginKind::Guard));
    for kind in PluginKind::ALL {
        let bytes = text(&export(&format!("gatewright:{kind}/{kind}@0.1.0")));
        assert_eq!(shared().inspect(&bytes).unwrap().kind, kind);
    }
}

#[test]
fn every_import_is_checked_by_name_and_version() {
    let import = |name: &str| gate(&format!("(import \"{name}\" (instance))"));
    for served in [
        "gatewright:tasks/tasks@0.1.0",
        "gatewright:errors/errors@0.1.0",
        "gatewright:gate/gate@0.1.0",
        "gatewright:repo/repo@0.1.0",
        "wasi:io/streams@0.2.0",
        "wasi:cli/stdout@0.2.6",
        "wasi:filesystem/types@0.2.12",
    ] {
        assert!(shared().inspect(&import(served)).is_ok(), "{served}");
    }
    for (unknown, part) in [
        ("acme:thing/thing@1.0.0", "gatewright:*` and of WASI 0.2"),
        ("gatewright:secrets/secrets@0.1.0", "of `gatewright:*` there are"),
        ("gatewright:repo/repo", "this host serves gatewright:repo/repo@0.1.0"),
        ("gatewright:repo/repo@0.1.1", "needs a newer host"),
        ("gatewright:repo/repo@0.2.0", "needs a newer host"),
        ("wasi:io/streams@0.2.13", "0.2.0 to 0.2.12"),
        ("wasi:io/streams@0.3.0", "WASI 0.3"),
        ("wasi:sockets/tcp@0.2.6", "no sockets"),
        ("wasi:http/outgoing-handler@0.2.6", "no wasi:http"),
        ("wasi:keyvalue/store@0.2.0", "no wasi:keyvalue"),
        ("wasi:clocks/timezone@0.2.6", "not among those"),
    ] {
        says(&import(unknown), part);
        says(&import(unknown), unknown);
    }
    let many = repeated(0..200, |number| format!("(import \"acme:thing/thing{number}@1.0.0\" (instance))"));
    assert!(matches!(refused(&gate(&many)), LoadError::UnknownImport { .. }), "200 instances without functions");
}

#[test]
fn only_functions_that_are_served_are_imported_and_nothing_but_functions() {
    let import = |name: &str, export: &str| gate(&format!("(import \"{name}\" (instance (export {export})))"));
    says(&import("gatewright:repo/repo@0.1.0", "\"erase\" (func)"), "gatewright:repo/repo@0.1.0#erase");
    says(&import("gatewright:tasks/tasks@0.1.0", "\"steal\" (func)"), "only types are imported");
    says(&import("wasi:cli/exit@0.2.6", "\"exit-badly\" (func)"), "`exit-badly` is not served");
    says(&import("gatewright:repo/repo@0.1.0", "\"inner\" (instance)"), "functions and types only");
    says(&gate("(import \"run\" (func))"), "it is a function");
    says(&gate("(import \"part\" (component))"), "it is a component");
    says(&gate("(import \"part\" (core module))"), "it is a core module");
    let mapper = r#"(instance $kind) (export "gatewright:status-mapper/status-mapper@0.1.0" (instance $kind))"#;
    let call = r#"(import "gatewright:kv/store@0.1.0" (instance (export "get" (func))))"#;
    let sentence = refused(&text(&format!("{} {call} {mapper}", section(&asking_for("kv"))))).to_string();
    assert!(
        sentence
            .contains("a status-mapper may not import gatewright:kv/store@0.1.0: its world has log/log, clock/clock"),
        "{sentence}"
    );
}

#[test]
fn proposals_that_are_off_are_refused_by_name() {
    let cases = [
        ("memory64", "(core module (memory i64 1))"),
        ("multi-memory", "(core module (memory 1) (memory 1))"),
        ("threads", "(core module (memory 1 1 shared))"),
        ("tail-call", "(core module (func $f return_call $f))"),
        ("exceptions", "(core module (tag))"),
        ("gc", "(core module (type (struct)))"),
        (
            "relaxed-simd",
            "(core module (func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1))))",
        ),
        ("stack-switching", "(core module (type $f (func)) (type (cont $f)))"),
        ("cm-async", "(type (future u8))"),
        ("cm-async", "(core func (canon backpressure.inc))"),
        ("cm-error-context", "(type $e error-context)"),
    ];
    for (name, fields) in cases {
        match refused(&gate(fields)) {
            LoadError::FeatureOff { feature, .. } => assert!(feature.contains(name), "{name}: {feature}"),
            other => panic!("{name}: {other}"),
        }
    }
    says(&gate("(type (future u8))"), "component-model async and WASI 0.3 are not served");
}

#[test]
fn compile_bombs_are_refused_before_the_compiler_sees_them() {
    let nested = format!("(core module (func {} {}))", "block ".repeat(6_000), "end ".repeat(6_000));
    says(&gate(&nested), "blocks within blocks");
    let jumps = format!("(core module (func (block (br_table {} (i32.const 0)))))", "0 ".repeat(1_000_002));
    says(&gate(&jumps), "targets of jump tables");
    let functions = format!("(core module {})", "(func)".repeat(100_001));
    says(&gate(&functions), "functions");
    let straight = format!("(core module (func {}))", "(drop (i32.const 0))".repeat(800_000));
    says(&gate(&straight), "bytes in one function");
    let deep = format!("{}{}", "(component ".repeat(20), ")".repeat(20));
    says(&gate(&deep), "levels of nesting");
    let wide = "(component) ".repeat(300);
    says(&gate(&wide), "nested parts");
    let sections = "(type (func)) (import \"a\" (func)) ".replace("\"a\"", "\"a$\"");
    let many: String = (0..5_001).map(|number| sections.replace('$', &number.to_string())).collect();
    says(&gate(&many), "sections");
    // Each component instantiates the one before it twice: 2^24 instances in a few hundred bytes.
    let mut doubling = "(component $c0) ".to_owned();
    for level in 1..=24 {
        let before = level - 1;
        doubling += &format!(
            "(component $c{level} (alias outer 1 $c{before} (component $p)) (instance (instantiate $p)) (instance (instantiate $p))) "
        );
    }
    says(&gate(&doubling), "instances");
}

#[test]
fn the_request_is_read_by_its_rules() {
    let with = |request: &str| match refused(&text(&format!("{} {GATE}", section(request)))) {
        LoadError::Request(error) => error,
        other => panic!("{other}"),
    };
    assert!(matches!(with("version = 2"), RequestError::Version(_)));
    assert!(matches!(with(""), RequestError::Field { field: "version", .. }));
    assert!(matches!(with("version = 1 ="), RequestError::Toml(_)));
    assert!(matches!(with("\u{feff}version = 1"), RequestError::Encoding));
    assert!(matches!(with("version = 1\nname = 'x'"), RequestError::UnknownField { .. }));
    let entry = |fields: &str| with(&format!("version = 1\n[[capability]]\n{fields}"));
    assert!(matches!(entry("name = 'forge'\nreason = 'r'\nscope = 1"), RequestError::UnknownField { .. }));
    assert!(matches!(entry("name = 'secrets'\nreason = 'r'"), RequestError::UnknownCapability(_)));
    assert!(matches!(entry("name = 'forge'"), RequestError::Field { field: "reason", .. }));
    assert!(matches!(entry("name = 'forge'\nreason = ' '"), RequestError::Field { field: "reason", .. }));
    assert!(matches!(entry(&format!("name = 'forge'\nreason = '{}'", "r".repeat(301))), RequestError::Field { .. }));
    assert!(matches!(
        entry("name = 'forge'\nreason = 'r'\noptional = 'yes'"),
        RequestError::Field { field: "optional", .. }
    ));
    assert!(matches!(
        entry("name = 'forge'\nreason = 'r'\ncredential = 'c'"),
        RequestError::Field { field: "credential", .. }
    ));
    let twice = "name = 'http:https://a.example.org'\nreason = 'r'\n[[capability]]\nname = 'http:https://A.example.org:443'\nreason = 'r'";
    assert!(matches!(entry(twice), RequestError::Duplicate(_)), "the same origin in another spelling is the same");
    let many = repeated(0..65, |number| format!("[[capability]]\nname = 'exec:c{number}'\nreason = 'r'\n"));
    assert!(matches!(with(&format!("version = 1\n{many}")), RequestError::TooMany(65)));
    assert!(matches!(with(&format!("version = 1\n#{}", "x".repeat(64 * 1024))), RequestError::TooLarge(_)));
    let deep = format!("version = 1\ncapability = {}{}", "[".repeat(9), "]".repeat(9));
    assert!(matches!(with(&deep), RequestError::TooDeep));
    let bottomless = format!("version = 1\ncapability = {}{}", "[".repeat(30_000), "]".repeat(30_000));
    assert!(matches!(with(&bottomless), RequestError::Toml(_) | RequestError::TooDeep));
    assert!(with("version = 1\nname = 'x'").to_string().contains("there are: version, capability"));
}

#[test]
fn exactly_one_section_over_both_places_that_count() {
    let one = section(NO_CAPABILITY);
    let inside = format!("(core module {one})");
    let nested = format!("(component {one})");
    let count = |fields: &str| match shared().inspect(&text(&format!("{fields} {GATE}"))) {
        Ok(info) => usize::from(!info.warnings.contains(&Warning::NoRequest)),
        Err(LoadError::Request(RequestError::Many(count))) => count,
        Err(other) => panic!("{other}"),
    };
    assert_eq!(count(""), 0);
    assert_eq!(count(&one), 1);
    assert_eq!(count(&inside), 1);
    assert_eq!(count(&nested), 0, "one inside a nested component counts for nothing");
    assert_eq!(count(&format!("{one} {nested}")), 1);
    assert_eq!(count(&format!("{one} {one}")), 2);
    assert_eq!(count(&format!("{one} {inside}")), 2);
}

#[test]
fn what_is_shown_to_an_operator_hides_nothing() {
    let request =
        "version = 1\n[[capability]]\nname = 'forge'\nreason = \"\\u202E\\u0007p\\u0430ypal\"\noptional = true";
    let info = shared().inspect(&text(&format!("{} {GATE}", section(request)))).unwrap();
    assert_eq!(info.request.entries[0].reason, "⟨U+202E⟩␇p⟨U+0430⟩ypal");
    assert!(info.warnings[0].to_string().contains("imports no function of it"), "{:?}", info.warnings);
}

#[test]
fn every_imported_function_must_be_asked_for() {
    let import = r#"(import "gatewright:forge/forge@0.1.0" "checks" (func (param i32)))"#;
    let bytes = Gate { imports: import, ..Gate::default() }.build();
    let refused = refused(&bytes);
    assert!(matches!(&refused, LoadError::NotRequested { family: Family::Forge, .. }), "{refused}");
    assert!(refused.to_string().contains("[[capability]]\nname = \"forge\""));
    let asks = Gate { imports: import, request: &asking_for("forge"), ..Gate::default() }.build();
    let info = shared().inspect(&asks).unwrap();
    assert_eq!(info.functions, ["gatewright:forge/forge@0.1.0#checks"]);
    assert!(info.warnings.is_empty());
}

#[test]
fn what_is_asked_for_must_be_decided_about() {
    let bytes = Gate { request: &asking_for("repo"), ..Gate::default() }.build();
    let scene = || Scene::of(bytes.clone());
    assert!(scene().load().unwrap_err().to_string().contains("`repo`"));
    assert!(scene().granting(&["forge"]).load().is_err());
    assert!(scene().granting(&["repo"]).load().is_ok());
    assert!(scene().granting(&["repo:docs/**"]).load().is_ok(), "a narrower grant is a decision");
    assert!(scene().refusing(&["repo"]).load().is_ok());
    let optional = format!("{}\noptional = true", asking_for("repo"));
    assert!(Scene::of(Gate { request: &optional, ..Gate::default() }.build()).load().is_ok());
    let greedy = scene().granting(&["repo"]).limited(|limits| limits.memory_bytes = 1 << 40);
    assert!(matches!(greedy.load(), Err(LoadError::LimitAbovePool { .. })));
    assert!(matches!(scene().granting(&["repo:{a"]).load(), Err(LoadError::Glob(_))));
}

#[test]
fn more_memories_than_a_slot_of_the_pool_holds_are_told_at_load() {
    let modules = repeated(0..9, |number| {
        format!("(core module $m{number} (memory 1)) (core instance (instantiate $m{number}))")
    });
    let sentence = Scene::of(gate(&modules)).load().unwrap_err().to_string();
    assert!(sentence.contains("memories"), "{sentence}");
}

#[test]
fn another_form_of_an_interface_does_not_link() {
    let bytes = gate(r#"(import "gatewright:clock/clock@0.1.0" (instance (export "now" (func (result string)))))"#);
    assert!(matches!(Scene::of(bytes).load(), Err(LoadError::Link(_))));
}

#[test]
fn a_failed_load_leaves_what_was_there() {
    let scene = Scene::of(Gate::default().build());
    scene.load().unwrap();
    let mut broken = scene.spec();
    broken.digest = Digest::of(b"other bytes");
    assert!(shared().load(&scene.project, broken).is_err());
    use conductor::ports::plugins::Plugins as _;
    let info = shared().info(&scene.project, &crate::scene::plugin()).unwrap();
    assert_eq!(info.digest, Digest::of(&scene.bytes));
    assert!(shared().unload(&scene.project, &crate::scene::plugin()));
    assert!(!shared().unload(&scene.project, &crate::scene::plugin()));
}

#[test]
fn random_bytes_after_the_mark_never_panic() {
    let good = component("status-mapper-plugin", NO_CAPABILITY, crate::other_kinds::MAPPER);
    let mut state = 1_u64;
    for _ in 0..2_000 {
        let mut bytes = good.clone();
        for _ in 0..4 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = 8 + (state >> 33) as usize % (bytes.len() - 8);
            bytes[at] = (state >> 20) as u8;
        }
        if let Err(error) = shared().inspect(&bytes) {
            assert!(!error.to_string().is_empty());
        }
    }
}
