//! Claude Code: `claude -p`, whose every word is a line of JSON.

use std::collections::BTreeMap;

use domain::event::FailureClass;
use domain::time::Milliseconds;

use super::{Ask, CUT_OFF, Complaint, HeldKey, KeyHeader, PLACEHOLDER, Session, passes};

/// Its own name for the end by `--max-budget-usd`.
pub(crate) const OVER_BUDGET: &str = "error_max_budget_usd";
/// What it says of a conversation that it does not know.
pub(crate) const FORGOTTEN: [&str; 1] = ["No conversation found with session ID"];
/// What it says where the service could not be reached, and no status came.
const UNREACHED: [&str; 6] = ["connection", "timed out", "timeout", "econn", "socket", "network"];
/// Likewise of an answer that was none, whatever its status: a proxy's page, or a stream that was cut.
const NO_ANSWER: &str = "empty or malformed response";
/// It waits no shorter for the next byte of an answer. In milliseconds.
const LEAST_IDLE: u64 = 10_000;
/// The tools that a role has unless its file says others: those that work on a clone. What waits for a time, reaches the web or
/// speaks with other sessions is not among them.
pub const TOOLS: [&str; 7] = ["Bash", "Read", "Edit", "Write", "Glob", "Grep", "Task"];

/// The names under which it looks for a key, each with how it shows that to the service; the first one stands for all others.
/// A subscription's token has a name of its own, for the program asks otherwise with it.
pub const KEYS: [(&str, KeyHeader); 3] = [
    ("ANTHROPIC_API_KEY", KeyHeader::XApiKey),
    ("ANTHROPIC_AUTH_TOKEN", KeyHeader::Bearer),
    ("CLAUDE_CODE_OAUTH_TOKEN", KeyHeader::Bearer),
];

/// How Claude Code is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaudeCode {
    /// Who says yes to its tools.
    pub permission_mode: PermissionMode,
    /// The tools that it has and may use, as `--allowedTools` takes them.
    pub tools: Vec<String>,
    /// A model that takes over while the first one is overloaded.
    pub fallback_model: Option<String>,
    /// The service's URL; none: its own default.
    pub api: Option<String>,
    /// Its key, where it does not see it itself.
    pub held: Option<HeldKey>,
    /// How often it tries a call again by itself before the host hears of the failure.
    pub retries: u32,
    /// How long it waits for the service's answer to one call.
    pub patience: Milliseconds,
    /// Whether a run may go on with the conversation of the one before.
    pub resume: bool,
}

/// Who says yes to a tool that is not on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermissionMode {
    /// Edits within the clone are allowed, all else that is not on the list is refused.
    AcceptEdits,
    /// What is not on the list is refused.
    DontAsk,
    /// Everything is allowed: the sandbox alone holds it.
    Bypass,
}

impl PermissionMode {
    /// As files and the program spell it.
    pub const ALL: [(&'static str, Self); 3] =
        [("acceptEdits", Self::AcceptEdits), ("dontAsk", Self::DontAsk), ("bypassPermissions", Self::Bypass)];

    fn word(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, mode)| *mode == self).map_or("", |(word, _)| word)
    }
}

impl ClaudeCode {
    pub(crate) fn compose(&self, ask: &Ask<'_>) -> Vec<String> {
        let tools = self.tools.join(",");
        // What it does not have it cannot be talked into; and each tool's description costs tokens in every call.
        let mut names: Vec<&str> =
            self.tools.iter().map(|tool| tool.split('(').next().unwrap_or_default().trim()).collect();
        names.dedup();
        let names = names.join(",");
        let mut argv = vec![ask.program, "-p", prompt(ask.session), "--output-format", "stream-json", "--verbose"];
        argv.extend(["--permission-mode", self.permission_mode.word(), "--tools", &names, "--allowedTools", &tools]);
        // A project's own settings run hooks and helpers, and may lead the key to another service. No file but ours says anything.
        argv.extend(["--setting-sources", "", "--strict-mcp-config", "--settings", "{\"disableAllHooks\":true}"]);
        if ask.names_model {
            argv.extend(["--model", "{model}"]);
        }
        if ask.names_effort {
            argv.extend(["--effort", "{effort}"]);
        }
        if let Some(model) = &self.fallback_model {
            argv.extend(["--fallback-model", model]);
        }
        match ask.session {
            Session::New(id) => argv.extend(["--session-id", id]),
            Session::Resumed(id) | Session::CutOff(id) => argv.extend(["--resume", id]),
        }
        let mut argv: Vec<String> = argv.into_iter().map(str::to_owned).collect();
        if let Some(cap) = ask.cap_microusd {
            // It knows what its calls cost sooner than anybody who reads its words.
            argv.extend(["--max-budget-usd".to_owned(), format!("{}.{:06}", cap / 1_000_000, cap % 1_000_000)]);
        }
        argv
    }

    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let on = ["DISABLE_AUTOUPDATER", "DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING"];
        let quiet =
            on.into_iter().chain(["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"]).map(|name| (name, "1".to_owned()));
        // Its own watch over an answer that has begun is off, and would be of five minutes.
        let bounds = [
            ("CLAUDE_CODE_MAX_RETRIES", self.retries.to_string()),
            ("API_TIMEOUT_MS", self.patience.0.to_string()),
            ("CLAUDE_ENABLE_BYTE_WATCHDOG", "1".to_owned()),
            ("CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS", self.patience.0.max(LEAST_IDLE).to_string()),
        ];
        let api = self.held.as_ref().map(HeldKey::door_url).or_else(|| self.api.clone());
        let api = api.map(|api| ("ANTHROPIC_BASE_URL", api));
        let key = self.held.as_ref().map(|held| (key(&held.variable).0, PLACEHOLDER.to_owned()));
        quiet.chain(bounds).chain(api).chain(key).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// How it takes a key that stands under this name of the host's environment.
pub fn key(variable: &str) -> (&'static str, KeyHeader) {
    KEYS.into_iter().find(|(name, _)| *name == variable).unwrap_or(KEYS[0])
}

fn prompt(session: Session<'_>) -> &'static str {
    match session {
        Session::New(_) => {
            "Read {brief} and do what it says. Where the repository has a CLAUDE.md or an AGENTS.md, it tells how one works there."
        }
        Session::Resumed(_) => {
            "The work came back, and the clone may have changed since. Read the new brief {brief} and do what it says."
        }
        Session::CutOff(_) => CUT_OFF,
    }
}

/// Whether a complaint without a status is about the service. Versions up to 2.1.197 call a run of which nothing came for that
/// `completed`, as they call any other; their own words for it begin so.
fn is_of_the_service(reason: Option<&str>, words: &str) -> bool {
    match reason {
        Some("api_error") => true,
        Some("completed") => {
            ["api error", "request timed out"].iter().any(|opening| words.trim_start().starts_with(opening))
        }
        _ => false,
    }
}

/// What passes by itself: what the service says so of by its status, and a service that was not reached.
pub(crate) fn class(complaint: &Complaint) -> FailureClass {
    let words = complaint.words.to_lowercase();
    let is_passing = match complaint.status {
        Some(status) => passes(status) || words.contains(NO_ANSWER),
        None if is_of_the_service(complaint.reason.as_deref(), &words) => {
            words.contains(NO_ANSWER) || UNREACHED.iter().any(|sign| words.contains(sign))
        }
        None => false,
    };
    if is_passing { FailureClass::Transient } else { FailureClass::Permanent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_was_not_reached_passes_in_the_words_of_each_version() {
        let class_of = |reason: &str, status: Option<u16>, words: &str| {
            class(&Complaint { words: words.to_owned(), status, reason: Some(reason.to_owned()) })
        };
        let unreached = "API Error: Unable to connect to API (ECONNRESET)";
        for (reason, words) in [
            ("api_error", unreached),
            ("api_error", "Connection error."),
            // 2.1.197, of a service that hung up, and of one that hung.
            ("completed", unreached),
            ("completed", "Request timed out"),
        ] {
            assert_eq!(class_of(reason, None, words), FailureClass::Transient, "{reason}: {words}");
        }
        for (reason, status, words) in [
            ("completed", None, "The connection of the two modules times out in the tests."),
            ("completed", None, "API Error: the key is not known"),
            ("max_turns", None, unreached),
            ("api_error", Some(401), unreached),
        ] {
            assert_eq!(class_of(reason, status, words), FailureClass::Permanent, "{reason}: {words}");
        }
    }
}
