//! placeholder until the sandbox evaluates
fn main() {}
