//! Gate `staging-status` (catalogue F4): the staging log says `staging_status: SUCCESS`.
//!
//! It always demands the log: where nothing is staged, the step does not stand on the edge.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate, request};
use verdict_document::{judge_document, judge_outcome};

request!(
    r#"version = 1

[[capability]]
name = "documents"
reason = "reads how the staging run ended"
"#
);

struct StagingStatus;

impl Gate for StagingStatus {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        judge_document("staging-log", |log| judge_outcome(log, "staging_status", "staging"))
    }
}

export_gate!(StagingStatus);
