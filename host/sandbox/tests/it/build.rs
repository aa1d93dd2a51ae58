//! Components from hand-written core modules: exactly the instructions that a hostile guest needs, and no toolchain between.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve, WorldId};

/// The request that asks for nothing.
pub(crate) const NO_CAPABILITY: &str = "version = 1";

/// A component of a world of `wit/`, from the fields of a core module.
pub(crate) fn component(world: &str, request: &str, fields: &str) -> Vec<u8> {
    let mut module = wat::parse_str(module(request, fields)).unwrap();
    let (resolve, package) = resolve();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    encode(&mut module, &resolve, world)
}

fn module(request: &str, fields: &str) -> String {
    format!("(module (@custom \"gatewright:request\" \"{}\") {fields})", quoted(request))
}

/// Bytes as the inside of a string of WebAssembly's text form.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("\\{byte:02x}"))
}

/// A text as WebAssembly's text form quotes it.
pub(crate) fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// As [`component`] for a gate that also imports `subscribe-duration` of WASI's clock, as `$subscribe`.
pub(crate) fn gate_with_pollables(body: &str) -> Vec<u8> {
    let import = r#"(import "wasi:clocks/monotonic-clock@0.2.6" "subscribe-duration" (func $subscribe (param i64) (result i32)))"#;
    let gate = Gate { imports: import, body, ..Gate::default() };
    let mut module = wat::parse_str(gate.module()).unwrap();
    let (mut resolve, _) = resolve();
    let poll = "package wasi:io@0.2.6; interface poll { resource pollable { ready: func() -> bool; block: func(); } }";
    let clock = "package wasi:clocks@0.2.6; interface monotonic-clock { use wasi:io/poll@0.2.6.{pollable}; subscribe-duration: func(when: u64) -> pollable; }";
    let world = "package test:test; world gate { include gatewright:plugin/gate-plugin@0.1.0; import wasi:clocks/monotonic-clock@0.2.6; }";
    resolve.push_str("io.wit", poll).unwrap();
    resolve.push_str("clocks.wit", clock).unwrap();
    let package = resolve.push_str("test.wit", world).unwrap();
    encode(&mut module, &resolve, resolve.select_world(&[package], Some("gate")).unwrap())
}

fn resolve() -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")).unwrap();
    (resolve, package)
}

fn encode(module: &mut Vec<u8>, resolve: &Resolve, world: WorldId) -> Vec<u8> {
    embed_component_metadata(module, resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(module).unwrap().encode().unwrap()
}

/// A request for one capability.
pub(crate) fn asking_for(capability: &str) -> String {
    format!("version = 1\n[[capability]]\nname = \"{capability}\"\nreason = \"the test needs it\"")
}

/// Where a hand-written guest puts its answer, and where its texts begin.
pub(crate) const ANSWER: usize = 1024;

/// A gate that returns the bytes at `ANSWER`, after `body` ran. `fields` may import and define more; the memory is exported as
/// `memory`, its size in pages is given by `memory`.
pub(crate) struct Gate<'a> {
    pub(crate) request: &'a str,
    pub(crate) imports: &'a str,
    pub(crate) memory: &'a str,
    pub(crate) fields: &'a str,
    pub(crate) body: &'a str,
    pub(crate) post_return: &'a str,
    pub(crate) realloc: &'a str,
}

impl Default for Gate<'_> {
    fn default() -> Self {
        Self {
            request: NO_CAPABILITY,
            imports: "",
            memory: "(memory (export \"memory\") 2)",
            fields: "",
            body: PASS,
            post_return: "",
            realloc: REALLOC,
        }
    }
}

/// Gives out what lies from 64 KiB on, always the same place: enough for one call.
pub(crate) const REALLOC: &str = "i32.const 65536";

/// Writes a pass without a note as the answer.
pub(crate) const PASS: &str = "(i32.store8 (i32.const 1024) (i32.const 4))";

impl Gate<'_> {
    pub(crate) fn build(&self) -> Vec<u8> {
        component("gate-plugin", self.request, &self.core())
    }

    fn module(&self) -> String {
        module(self.request, &self.core())
    }

    fn core(&self) -> String {
        let Self { imports, memory, fields, body, post_return, realloc, .. } = self;
        format!(
            r#"{imports} {memory} {fields}
            (func (export "gatewright:gate/gate@0.1.0#validate") (param i32 i32) (result i32) i32.const 2048)
            (func (export "gatewright:gate/gate@0.1.0#evaluate") (param i32) (result i32)
                (local $i i32) (local $p i32)
                {body}
                i32.const {ANSWER})
            (func (export "cabi_post_gatewright:gate/gate@0.1.0#evaluate") (param i32) (local $i i32) {post_return})
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $i i32) {realloc})"#
        )
    }
}
