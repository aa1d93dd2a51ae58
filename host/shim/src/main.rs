//! `gatewright-shim`: holds the process tree of one run. What it does stands in the library; this file only calls it.

use std::process::ExitCode;

fn main() -> ExitCode {
    shim::main(std::env::args_os().skip(1))
}
