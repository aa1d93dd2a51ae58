//! The outer form of the bytes: is it a component, how much is in it, what does it import and export. Everything here is linear in
//! the size of the bytes and holds native recursion out: the parser's nesting is a list, not a call stack.

use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::{
    ComponentExternalKind, ComponentInstance, Encoding, Operator, Parser, Payload, Validator, WasmFeatures,
};

use super::error::LoadError;
use crate::text::{Lines, clean};

/// The custom section that holds what a component asks for.
pub(crate) const REQUEST_SECTION: &str = "gatewright:request";

/// Sections, over all nested parts. A large component of a script language has some hundreds.
const SECTIONS: u64 = 10_000;
/// Components within components within components.
const DEPTH: u64 = 16;
/// Components and modules, over all levels.
const PARTS: u64 = 256;
/// Functions with a body: the compiler takes up to 3 KiB for an empty one.
const FUNCTIONS: u64 = 100_000;
/// Bytes of one function's body: the compiler's time grows faster than it.
const BODY_BYTES: u64 = 2 * 1024 * 1024;
/// Blocks within blocks. A compiled `switch` has one for each of its cases.
const BLOCKS: u64 = 5_000;
/// Targets of all jump tables.
const JUMPS: u64 = 1_000_000;
/// Instances when all instantiations of nested components are counted out: doubling is written in a few bytes.
const INSTANCES: u64 = 10_000;

/// What a component is made of, as far as loading cares.
#[derive(Debug)]
pub(crate) struct Shape<'a> {
    /// The request sections that count: of the component itself and of core modules directly inside it.
    pub(crate) requests: Vec<&'a [u8]>,
    /// Imports of the component itself.
    pub(crate) imports: Vec<Import>,
    /// Exports of the component itself that are instances.
    pub(crate) exports: Vec<String>,
}

/// One import.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) name: String,
    pub(crate) what: Imported,
}

/// What is imported.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Imported {
    /// An instance, with the functions and everything else in it that is not just a type.
    Instance { functions: Vec<String>, others: Vec<String> },
    /// Anything else.
    Other(&'static str),
}

/// Reads the form of a component.
pub(crate) fn read(bytes: &[u8]) -> Result<Shape<'_>, LoadError> {
    is_component(bytes)?;
    let outline = Outline::read(bytes)?;
    typed(bytes, outline)
}

/// By their first bytes: what people hand over instead of a component.
pub(crate) fn is_component(bytes: &[u8]) -> Result<(), LoadError> {
    const BUILD: &str = "build it for wasm32-wasip2 (`cargo build --target wasm32-wasip2`), or with your language's tool for components";
    let refuse = |what, help| Err(LoadError::NotAComponent { what, help });
    match bytes {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => refuse(
            "a core module",
            "make a component of it: `cargo build --target wasm32-wasip2` does it at once, `wasm-tools component new MODULE.wasm -o COMPONENT.wasm` afterwards",
        ),
        [0, b'a', b's', b'm', ..] => refuse("WebAssembly of a version that this host does not know", BUILD),
        [0x7f, b'E', b'L', b'F', ..] if contains(bytes, b".wasmtime") => refuse(
            "a precompiled component (.cwasm)",
            "hand over the component that it was compiled from: nothing precompiled is ever taken from outside",
        ),
        [0x7f, b'E', b'L', b'F', ..] => refuse("an ELF file", BUILD),
        [0x1f, 0x8b, ..] => refuse("a gzip file", "unpack it first"),
        [b'P', b'K', 3 | 5 | 7, 4 | 6 | 8, ..] => refuse("a zip file", "unpack it first"),
        [b'M', b'Z', ..] => refuse("a Windows program", BUILD),
        [] => refuse("an empty file", BUILD),
        _ if std::str::from_utf8(&bytes[..bytes.len().min(64)]).is_ok_and(is_text) => {
            refuse("text", "WebAssembly text is not taken: translate it (`wasm-tools parse`) or build a component")
        }
        _ => refuse("something without the mark of WebAssembly", BUILD),
    }
}

fn is_text(start: &str) -> bool {
    start.chars().all(|character| !character.is_control() || character.is_whitespace())
}

/// wasmtime's files carry section names of their own near the end; a linear look is enough to name them.
fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

struct Outline<'a> {
    requests: Vec<&'a [u8]>,
    imports: Vec<&'a str>,
    exports: Vec<&'a str>,
    sections: u64,
    parts: u64,
    functions: u64,
    jumps: u64,
    /// The most instances that any component so far would make.
    heaviest: u64,
    /// The parts that are open, from the outside in, with the instances that each makes.
    open: Vec<(Encoding, u64)>,
}

impl<'a> Outline<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, LoadError> {
        let mut outline = Self {
            requests: Vec::new(),
            imports: Vec::new(),
            exports: Vec::new(),
            sections: 0,
            parts: 0,
            functions: 0,
            jumps: 0,
            heaviest: 1,
            open: Vec::new(),
        };
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(|error| malformed(&error))?;
            outline.take(payload).map_err(|error| match error {
                Refused::Load(error) => error,
                Refused::Parse(error) => malformed(&error),
            })?;
        }
        Ok(outline)
    }

    fn take(&mut self, payload: Payload<'a>) -> Result<(), Refused> {
        match payload {
            Payload::Version { encoding, .. } => {
                self.open.push((encoding, 1));
                self.parts += 1;
                at_most("nested parts", self.parts, PARTS)?;
                return at_most("levels of nesting", self.open.len() as u64, DEPTH);
            }
            Payload::End(_) => {
                if let Some((Encoding::Component, instances)) = self.open.pop() {
                    self.heaviest = self.heaviest.max(instances);
                }
                return Ok(());
            }
            Payload::CodeSectionEntry(body) => {
                self.functions += 1;
                at_most("functions", self.functions, FUNCTIONS)?;
                let range = body.range();
                at_most("bytes in one function", range.end - range.start, BODY_BYTES)?;
                return self.look_into(body.get_operators_reader()?);
            }
            Payload::ComponentInstanceSection(reader) => {
                for instance in reader {
                    self.instance(&instance?)?;
                }
            }
            Payload::CustomSection(section) if section.name() == REQUEST_SECTION => {
                let counts = matches!(
                    self.open.as_slice(),
                    [(Encoding::Component, _)] | [(Encoding::Component, _), (Encoding::Module, _)]
                );
                if counts {
                    self.requests.push(section.data());
                }
            }
            Payload::ComponentImportSection(reader) if self.open.len() == 1 => {
                for import in reader {
                    self.imports.push(import?.name.name);
                }
            }
            Payload::ComponentExportSection(reader) if self.open.len() == 1 => {
                for export in reader {
                    let export = export?;
                    if export.kind == ComponentExternalKind::Instance {
                        self.exports.push(export.name.name);
                    }
                }
            }
            _ => {}
        }
        self.sections += 1;
        at_most("sections", self.sections, SECTIONS)
    }

    /// Instances are counted from above: whatever is instantiated makes at most as many as the heaviest component so far.
    fn instance(&mut self, instance: &ComponentInstance<'_>) -> Result<(), Refused> {
        if let (ComponentInstance::Instantiate { .. }, Some((_, instances))) = (instance, self.open.last_mut()) {
            *instances = instances.saturating_add(self.heaviest);
            at_most("instances", *instances, INSTANCES)?;
        }
        Ok(())
    }

    fn look_into(&mut self, operators: wasmparser::OperatorsReader<'_>) -> Result<(), Refused> {
        let mut depth = 0_u64;
        for operator in operators {
            match operator? {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    depth += 1;
                    at_most("blocks within blocks", depth, BLOCKS)?;
                }
                Operator::End => depth = depth.saturating_sub(1),
                Operator::BrTable { targets } => {
                    self.jumps += u64::from(targets.len());
                    at_most("targets of jump tables", self.jumps, JUMPS)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

enum Refused {
    Load(LoadError),
    Parse(wasmparser::Error),
}

impl From<wasmparser::Error> for Refused {
    fn from(error: wasmparser::Error) -> Self {
        Self::Parse(error)
    }
}

fn at_most(what: &'static str, found: u64, limit: u64) -> Result<(), Refused> {
    if found > limit { Err(Refused::Load(LoadError::TooComplex { what, found, limit })) } else { Ok(()) }
}

/// What exists in this host's WebAssembly: as the engine's configuration, said once more for the validator.
fn features() -> WasmFeatures {
    WasmFeatures::WASM1
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::SIMD
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::COMPONENT_MODEL
}

fn typed<'a>(bytes: &'a [u8], outline: Outline<'a>) -> Result<Shape<'a>, LoadError> {
    let types = Validator::new_with_features(features()).validate_all(bytes).map_err(invalid)?;
    let what = |name: &str| match types.component_item_for_import(name).map(|item| item.ty) {
        Some(ComponentEntityType::Instance(id)) => {
            let (mut functions, mut others) = (Vec::new(), Vec::new());
            for (name, item) in &types[id].exports {
                match item.ty {
                    ComponentEntityType::Func(_) => functions.push(name.clone()),
                    ComponentEntityType::Type { created: ComponentAnyTypeId::Instance(_), .. } => {
                        others.push(name.clone());
                    }
                    ComponentEntityType::Type { .. } => {}
                    _ => others.push(name.clone()),
                }
            }
            Imported::Instance { functions, others }
        }
        Some(ComponentEntityType::Func(_)) => Imported::Other("a function"),
        Some(ComponentEntityType::Component(_)) => Imported::Other("a component"),
        Some(ComponentEntityType::Module(_)) => Imported::Other("a core module"),
        Some(ComponentEntityType::Type { .. }) => Imported::Other("a type"),
        Some(ComponentEntityType::Value(_)) | None => Imported::Other("a value"),
    };
    Ok(Shape {
        requests: outline.requests,
        imports: outline.imports.iter().map(|name| Import { name: (*name).to_owned(), what: what(name) }).collect(),
        exports: outline.exports.into_iter().map(str::to_owned).collect(),
    })
}

fn invalid(error: wasmparser::Error) -> LoadError {
    let names = error.missing_wasm_feature().map(|missing| {
        let names = missing.iter_names().map(|(name, _)| name.to_ascii_lowercase().replace('_', "-"));
        names.collect::<Vec<_>>().join(", ")
    });
    let feature = match names {
        Some(names) => names,
        // The validator has no feature for this one where it counts memories.
        None if error.message().contains("multiple memories") => "multi-memory".to_owned(),
        None => return malformed(&error),
    };
    let help = if feature.starts_with("cm-") {
        "build against WASI 0.2 with synchronous exports (component-model async and WASI 0.3 are not served)"
    } else {
        "build without it (for Rust: the default features of wasm32-wasip2 are all there)"
    };
    LoadError::FeatureOff { feature, help, detail: shown(&error) }
}

fn malformed(error: &wasmparser::Error) -> LoadError {
    LoadError::Malformed(shown(error))
}

/// What the parser says may repeat names from the bytes.
fn shown(error: &wasmparser::Error) -> String {
    clean(&error.to_string(), 500, Lines::One)
}
