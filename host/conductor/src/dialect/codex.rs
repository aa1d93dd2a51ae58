//! Codex: `codex exec --json`, whose every word is a line of JSON.

use std::collections::BTreeMap;

use domain::event::FailureClass;
use domain::time::Milliseconds;

use super::{Ask, CUT_OFF, Complaint, HeldKey, PLACEHOLDER, Session, passes};

/// What it says of a conversation that it does not know.
pub(crate) const FORGOTTEN: [&str; 3] = ["no rollout found", "No saved session found", "thread not found"];
/// What it says of failures that pass by themselves, where it tells no status.
const PASSING: [&str; 8] = [
    "high demand",
    "at capacity",
    "stream disconnected",
    "stream closed before",
    "idle timeout",
    "usage limit",
    "rate limit",
    "error sending request",
];

/// How Codex is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codex {
    /// The service's URL, up to `/v1`.
    pub api: String,
    /// The name of its environment under which it finds its key.
    pub key: String,
    /// Its key, where it does not see it itself: then a word that is none stands under that name.
    pub held: Option<HeldKey>,
    /// How often it tries a call again by itself before the host hears of the failure.
    pub retries: u32,
    /// How long it waits for the next word of the service.
    pub patience: Milliseconds,
    /// Whether a run may go on with the conversation of the one before.
    pub resume: bool,
}

impl Codex {
    pub(crate) fn compose(&self, ask: &Ask<'_>) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let mut argv = words(&[ask.program, "exec"]);
        if matches!(ask.session, Session::Resumed(_) | Session::CutOff(_)) {
            argv.push("resume".to_owned());
        }
        // Its own sandbox fails without a word inside ours, so ours alone holds it.
        argv.extend(words(&["--json", "--skip-git-repo-check", "--strict-config", "--ignore-user-config"]));
        argv.extend(words(&["--ignore-rules", "--dangerously-bypass-approvals-and-sandbox"]));
        let api = self.held.as_ref().map_or_else(|| self.api.clone(), HeldKey::door_url);
        let (key, retries, patience) = (&self.key, self.retries, self.patience.0);
        // The built-in provider speaks another protocol first and knows no other URL. Plugins, the snapshot of the shell, metrics and
        // the look for a newer version reach out or run what lies about; commands see no key.
        let settings = [
            "model_provider=\"gatewright\"".to_owned(),
            "model_providers.gatewright.name=\"gatewright\"".to_owned(),
            format!("model_providers.gatewright.base_url=\"{api}\""),
            "model_providers.gatewright.wire_api=\"responses\"".to_owned(),
            format!("model_providers.gatewright.env_key=\"{key}\""),
            format!("model_providers.gatewright.request_max_retries={retries}"),
            format!("model_providers.gatewright.stream_max_retries={retries}"),
            format!("model_providers.gatewright.stream_idle_timeout_ms={patience}"),
            "features.plugins=false".to_owned(),
            "features.shell_snapshot=false".to_owned(),
            "analytics.enabled=false".to_owned(),
            "check_for_update_on_startup=false".to_owned(),
            "shell_environment_policy.inherit=\"core\"".to_owned(),
        ];
        let effort = ask.names_effort.then(|| "model_reasoning_effort=\"{effort}\"".to_owned());
        argv.extend(settings.into_iter().chain(effort).flat_map(|setting| ["-c".to_owned(), setting]));
        if ask.names_model {
            argv.extend(words(&["-m", "{model}"]));
        }
        argv.extend(match ask.session {
            Session::New(_) => words(&["Read {brief} and do what it says."]),
            Session::Resumed(id) => words(&[
                id,
                "The work came back, and the clone may have changed since. Read the new brief {brief} and do what it says.",
            ]),
            Session::CutOff(id) => words(&[id, CUT_OFF]),
        });
        argv
    }

    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        self.held.iter().map(|_| (self.key.clone(), PLACEHOLDER.to_owned())).collect()
    }
}

/// What passes by itself, by the status that stands in its words, or by its words.
pub(crate) fn class(complaint: &Complaint) -> FailureClass {
    let words = complaint.words.to_lowercase();
    let is_passing = match complaint.status {
        Some(status) => passes(status),
        None => PASSING.iter().any(|sign| words.contains(sign)),
    };
    if is_passing { FailureClass::Transient } else { FailureClass::Permanent }
}
