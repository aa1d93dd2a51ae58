//! Gate `deploy-status` (catalogue F5): the deploy log says `deploy_status: SUCCESS`.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate, request};
use verdict_document::{judge_document, judge_outcome};

request!(
    r#"version = 1

[[capability]]
name = "documents"
reason = "reads how the deploy ended"
"#
);

struct DeployStatus;

impl Gate for DeployStatus {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        judge_document("deploy-log", |log| judge_outcome(log, "deploy_status", "deploy"))
    }
}

export_gate!(DeployStatus);
