//! A gate's verdict.

use domain::verdict::{Finding, GateHold, Severity, Verdict, WakeKind, WakeSet};

use super::{DETAIL, PROSE, Reading, TITLE};
use crate::bindings::exports::gatewright::gate::gate;
use crate::fault::Fault;
use crate::text::{Lines, is_tree_path, is_web_address, is_word};
use crate::transcript::Question;

/// Findings, and warnings, that one answer may hold.
const FINDINGS: usize = 1_000;

pub(super) fn read(verdict: gate::Verdict, reading: &mut Reading<'_>) -> Result<Verdict, Fault> {
    Ok(match verdict {
        gate::Verdict::Infra(infra) => Verdict::Infra {
            cause: Reading::cause(&infra.cause),
            message: reading.reason(&infra.cause)?,
            retry_after: Reading::retry_after(infra.retry_after_ms),
        },
        gate::Verdict::Fail(failed) => {
            let findings = reading.findings(failed.findings, "findings")?;
            if findings.is_empty() {
                return Err(Fault::invalid("it answered `fail` without a finding: a fail says what is to be mended"));
            }
            Verdict::Fail { findings, figures: reading.figures(failed.figures)? }
        }
        gate::Verdict::Wait(waiting) => {
            let Question::Evaluate { patience, .. } = reading.question else {
                return Err(Fault::invalid("it answered a question that was not asked"));
            };
            let until = reading.until(waiting.until, *patience);
            Verdict::Wait { until, wake: wake_set(waiting.wake), why: reading.reason(&waiting.why)? }
        }
        gate::Verdict::Hold(held) => Verdict::Hold {
            kind: match held.kind {
                gate::HoldKind::NeedsInput => GateHold::NeedsInput,
                gate::HoldKind::Blocked => GateHold::Blocked,
            },
            reason: reading.reason(&held.reason)?,
            findings: reading.findings(held.findings, "findings")?,
        },
        gate::Verdict::Pass(passed) => Verdict::Pass {
            note: reading.text(&passed.note, PROSE, Lines::Many)?,
            warnings: reading.findings(passed.warnings, "warnings")?,
            figures: reading.figures(passed.figures)?,
        },
        gate::Verdict::NotApplicable(why) => Verdict::NotApplicable { why: reading.reason(&why)? },
    })
}

fn wake_set(wake: gate::Wake) -> WakeSet {
    let kinds = [
        (gate::Wake::CHECKS, WakeKind::Checks),
        (gate::Wake::PULL_REQUEST, WakeKind::PullRequest),
        (gate::Wake::PUSH, WakeKind::Push),
        (gate::Wake::STATUS, WakeKind::Status),
        (gate::Wake::LABELS, WakeKind::Labels),
        (gate::Wake::COMMENT, WakeKind::Comment),
        (gate::Wake::EXEC, WakeKind::Exec),
    ];
    kinds.into_iter().filter(|(flag, _)| wake.contains(*flag)).map(|(_, kind)| kind).collect()
}

impl Reading<'_> {
    fn findings(&mut self, findings: Vec<gate::Finding>, what: &str) -> Result<Vec<Finding>, Fault> {
        let total = findings.len();
        let mut kept = Vec::with_capacity(total.min(FINDINGS));
        for finding in findings {
            if kept.len() < FINDINGS {
                kept.push(self.finding(finding)?);
            } else {
                // What is dropped counts all the same: the limit of text is on the answer, not on what is kept of it.
                self.count(&finding.title)?;
                self.count(&finding.detail)?;
            }
        }
        if total > FINDINGS {
            self.note(format!("{} {what} over the first {FINDINGS} were dropped", total - FINDINGS));
        }
        Ok(kept)
    }

    fn finding(&mut self, finding: gate::Finding) -> Result<Finding, Fault> {
        self.count(&finding.rule)?;
        let rule = if is_word(&finding.rule) { finding.rule } else { "unnamed".to_owned() };
        let title = self.text(&finding.title, TITLE, Lines::One)?;
        let detail = self.text(&finding.detail, DETAIL, Lines::Many)?;
        let path = self.kept("path", finding.path, is_tree_path)?;
        let help = self.kept("help", finding.help, is_web_address)?;
        let line = finding.line.filter(|line| *line >= 1);
        if line != finding.line {
            self.note(format!("the line of a finding of `{rule}` was left out: lines count from 1"));
        }
        let severity = match finding.severity {
            gate::Severity::Blocker => Severity::Blocker,
            gate::Severity::Major => Severity::Major,
            gate::Severity::Minor => Severity::Minor,
            gate::Severity::Note => Severity::Note,
        };
        Ok(Finding { rule, severity, title, detail, path, line, help })
    }

    fn kept(&mut self, field: &str, text: Option<String>, right: fn(&str) -> bool) -> Result<Option<String>, Fault> {
        let Some(text) = text else { return Ok(None) };
        self.count(&text)?;
        if right(&text) {
            return Ok(Some(text));
        }
        self.note(format!("the {field} of a finding was left out: it has not the form that one has"));
        Ok(None)
    }
}
