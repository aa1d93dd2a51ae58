//! A notifier that notes each notice once: under its id in the store, and in the log.

use gatewright_sdk::notifier::{Failure, Notice, Notifier, kv};
use gatewright_sdk::{NoSettings, export_notifier, log, request};

request!(
    r#"version = 1

[[capability]]
name = "kv"
reason = "remembers what it told already"
"#
);

struct Notes;

impl Notifier for Notes {
    type Settings = NoSettings;

    fn notify(notice: Notice, _settings: NoSettings) -> Result<(), Failure> {
        if kv::put(&notice.id.to_string(), notice.text.as_bytes(), None)? {
            log::info(&notice.text);
        }
        Ok(())
    }
}

export_notifier!(Notes);
