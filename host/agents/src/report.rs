//! What an agent says of its own work: the last JSON object that it printed. It is the agent's word, read defensively:
//! garbage is no usage, never an error.

use conductor::project::Pointers;
use domain::cost::Usage;
use serde_json::Value;
use shim::protocol::{Exit, ExitRecord};

/// What is read of a log's end at most.
pub const TAIL_BYTES: u64 = 4 * 1024 * 1024;
/// No agent's figure above this is believed.
const MOST: f64 = 1e15;

/// Reads a log's end: the figures of the last object that has one of them; all unknown where there is none.
pub fn last_usage(pointers: &Pointers, log: &[u8]) -> Usage {
    objects_from_the_end(log).map(|report| usage_of(pointers, &report)).find(Usage::is_known).unwrap_or_default()
}

/// The figures of one object. What is missing, negative or absurd is unknown.
pub(crate) fn usage_of(pointers: &Pointers, report: &Value) -> Usage {
    let found = |pointer: &Option<String>| report.pointer(pointer.as_deref()?);
    let tokens = |pointer| found(pointer)?.as_u64().filter(|figure| (*figure as f64) < MOST);
    Usage {
        input_tokens: tokens(&pointers.input_tokens),
        output_tokens: tokens(&pointers.output_tokens),
        cache_read_tokens: tokens(&pointers.cache_read_tokens),
        cache_creation_tokens: tokens(&pointers.cache_creation_tokens),
        cost_microusd: found(&pointers.cost_usd).and_then(microusd),
    }
}

fn microusd(cost: &Value) -> Option<u64> {
    let micros = cost.as_f64()? * 1e6;
    // A part of a millionth is a millionth: what costs something does not count as nothing.
    (0.0..MOST).contains(&micros).then(|| micros.ceil() as u64)
}

/// When a run counts as finished.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum SuccessRule {
    /// Exit code 0.
    #[default]
    ExitZero,
    /// Exit code 0, and the report has this value at this JSON pointer.
    ExitZeroAnd {
        /// Where.
        pointer: String,
        /// Which value.
        equals: Value,
    },
}

/// Whether a run finished its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It did.
    Finished,
    /// It did not.
    Unfinished {
        /// Why, for people.
        why: String,
    },
}

impl SuccessRule {
    /// Judges a run by its record and its log's end. A run that was ended is never finished, whatever it printed.
    pub fn judge(&self, record: &ExitRecord, log: &[u8]) -> Finish {
        let why = match (&record.exit, self) {
            (Exit::Exited { code: 0 }, Self::ExitZero) => return Finish::Finished,
            (Exit::Exited { code: 0 }, Self::ExitZeroAnd { pointer, equals }) => {
                match last_object(log).as_ref().map(|report| report.pointer(pointer)) {
                    Some(Some(found)) if found == equals => return Finish::Finished,
                    Some(Some(found)) => {
                        format!("its report has {found} at {pointer} and not {equals}")
                    }
                    Some(None) => format!("its report has nothing at {pointer}"),
                    None => "it printed no JSON report".to_owned(),
                }
            }
            (exit, _) => describe(exit),
        };
        Finish::Unfinished { why }
    }
}

/// An ending in words.
pub fn describe(exit: &Exit) -> String {
    match exit {
        Exit::Exited { code } => format!("it ended with code {code}"),
        Exit::Signaled { signal } => format!("it was ended by signal {signal}"),
        Exit::TimedOut => "its time was up".to_owned(),
        Exit::Cancelled => "it was cancelled".to_owned(),
        Exit::OverBudget => "a budget was spent".to_owned(),
        Exit::LogLimit => "its log was full".to_owned(),
        Exit::OverLimit { limit, allowed } => crate::limits::limit(*limit).passed(*allowed),
        Exit::RightExpired => "no host prolonged its right to run".to_owned(),
        Exit::Interrupted => "the machine went down".to_owned(),
        Exit::NotStarted { error } => format!("it never started: {error}"),
    }
}

/// The last JSON object in a log: the last line that is one, or else the whole log (an array's last element).
pub fn last_object(log: &[u8]) -> Option<Value> {
    objects_from_the_end(log).next()
}

fn objects_from_the_end(log: &[u8]) -> impl Iterator<Item = Value> + '_ {
    let line = |line: &[u8]| object(serde_json::from_slice(line.trim_ascii()).ok()?);
    let whole = std::iter::once_with(move || object(serde_json::from_slice(log).ok()?)).flatten();
    log.rsplit(|byte| *byte == b'\n')
        .filter(|text| text.trim_ascii_start().starts_with(b"{"))
        .filter_map(line)
        .chain(whole)
}

fn object(value: Value) -> Option<Value> {
    match value {
        Value::Object(_) => Some(value),
        Value::Array(elements) => elements.into_iter().rfind(Value::is_object),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where Claude Code's `--output-format json` has them.
    fn claude(log: &str) -> Usage {
        let pointer = |pointer: &str| Some(pointer.to_owned());
        let pointers = Pointers {
            input_tokens: pointer("/usage/input_tokens"),
            output_tokens: pointer("/usage/output_tokens"),
            cache_read_tokens: pointer("/usage/cache_read_input_tokens"),
            cache_creation_tokens: pointer("/usage/cache_creation_input_tokens"),
            cost_usd: pointer("/total_cost_usd"),
        };
        last_usage(&pointers, log.as_bytes())
    }

    #[test]
    fn the_last_object_counts_and_noise_around_it_does_not() {
        let log = "working\n{\"type\":\"assistant\"}\n\
            {\"total_cost_usd\":0.125,\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":5,\"output_tokens\":7}}\n\
            warning: {not json\n";
        let expected = Usage {
            input_tokens: Some(10),
            output_tokens: Some(7),
            cache_read_tokens: Some(5),
            cost_microusd: Some(125_000),
            ..Usage::default()
        };
        assert_eq!(claude(log), expected);
    }

    #[test]
    fn a_whole_document_over_several_lines_and_an_array_are_read_too() {
        let pretty = "{\n \"total_cost_usd\": 1,\n \"usage\": { \"output_tokens\": 2 }\n}\n";
        let expected = Usage { output_tokens: Some(2), cost_microusd: Some(1_000_000), ..Usage::default() };
        assert_eq!(claude(pretty), expected);
        let array = r#"[{"type":"system"},{"total_cost_usd":1,"usage":{"output_tokens":2}}]"#;
        assert_eq!(claude(array), expected);
    }

    #[test]
    fn e7_2_garbage_gives_no_usage() {
        let deep = "[".repeat(100_000);
        for log in [
            "",
            "plain words",
            "{\"total_cost_usd\":\"free\"}",
            "{\"total_cost_usd\":-1}",
            "{\"total_cost_usd\":1e300}",
            "{\"usage\":{\"input_tokens\":-5}}",
            "{\"usage\":{\"input_tokens\":18446744073709551615}}",
            "{",
            "null",
            &deep,
        ] {
            assert_eq!(claude(log), Usage::default(), "{}", &log[..log.len().min(80)]);
        }
        assert_eq!(claude("\u{0}\u{fffd}{}"), Usage::default());
    }

    fn record(exit: Exit) -> ExitRecord {
        ExitRecord {
            version: 1,
            exit,
            started_at_ms: 0,
            ended_at_ms: 1,
            forced: false,
            peak_rss_bytes: None,
            log_bytes: 0,
            log_truncated: false,
        }
    }

    #[test]
    fn a_run_that_was_ended_is_not_salvaged_by_what_it_printed() {
        let rule = SuccessRule::ExitZeroAnd { pointer: "/is_error".into(), equals: Value::Bool(false) };
        let good = b"{\"is_error\":false}\n";
        assert_eq!(rule.judge(&record(Exit::Exited { code: 0 }), good), Finish::Finished);
        for exit in
            [Exit::TimedOut, Exit::Cancelled, Exit::LogLimit, Exit::Exited { code: 1 }, Exit::Signaled { signal: 9 }]
        {
            assert!(matches!(rule.judge(&record(exit.clone()), good), Finish::Unfinished { .. }), "{exit:?}");
        }
        for log in [&b"{\"is_error\":true}"[..], b"{}", b"no report"] {
            assert!(matches!(rule.judge(&record(Exit::Exited { code: 0 }), log), Finish::Unfinished { .. }));
        }
        assert_eq!(SuccessRule::ExitZero.judge(&record(Exit::Exited { code: 0 }), b""), Finish::Finished);
    }
}
