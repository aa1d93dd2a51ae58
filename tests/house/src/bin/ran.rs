//! `ran LOG`: whether every test that docs/behaviours.md names ended well in this output of `cargo test`.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use house::{behaviours, not_run, root};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let log = std::env::args_os().nth(1).ok_or("name the file that holds the output of `cargo test`")?;
    let output = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
    let rows = behaviours(&std::fs::read_to_string(root().join("docs/behaviours.md"))?)?;
    let missing = not_run(&rows, &output);
    let mut told = std::io::stderr().lock();
    for line in &missing {
        writeln!(told, "{line}")?;
    }
    if !missing.is_empty() {
        writeln!(told, "docs/behaviours.md names {} tests that did not end well", missing.len())?;
        return Ok(ExitCode::FAILURE);
    }
    let tests = rows.iter().map(|row| row.tests.len()).sum::<usize>();
    writeln!(told, "{} behaviours: the {tests} tests that they name ran", rows.len())?;
    Ok(ExitCode::SUCCESS)
}
