//! A gate that runs the command `unit` and waits for it: passes when it exits with 0, fails with the end of its output otherwise.

use gatewright_sdk::gate::exec::{End, Progress};
use gatewright_sdk::gate::{Finding, Gate, Infrastructure, Severity, Subject, Verdict, Wake, exec};
use gatewright_sdk::{NoSettings, clock, export_gate, request};

request!(
    r#"version = 1

[[capability]]
name = "exec:unit"
reason = "runs the tests"
"#
);

struct RunsCommand;

impl Gate for RunsCommand {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        let output = match exec::run("unit", &["--all".to_owned()])? {
            Progress::Pending => return Ok(Verdict::wait(clock::now() + 60_000, Wake::EXEC, "unit runs")),
            Progress::Ended(output) => output,
        };
        match output.end {
            End::Exited(0) => Ok(Verdict::pass(format!("unit took {} ms", output.wall_ms))),
            End::Exited(code) => Ok(Verdict::fail(vec![
                Finding::new("unit", Severity::Blocker, format!("unit ended with {code}"))
                    .with_detail(String::from_utf8_lossy(&output.stdout.tail)),
            ])),
            End::Killed(_) | End::TimedOut | End::NotStarted(_) => {
                Err(Infrastructure::new("unit did not end by itself"))
            }
        }
    }
}

export_gate!(RunsCommand);
