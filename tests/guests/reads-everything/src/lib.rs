//! A gate that reads from every capability that reads, and says in figures what it saw.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict, documents, forge, history, repo, runs, tracker};
use gatewright_sdk::tasks::Fact;
use gatewright_sdk::{NoSettings, clock, export_gate, log, request};

request!(
    r#"version = 1

[[capability]]
name = "repo"
reason = "reads"

[[capability]]
name = "documents"
reason = "reads"

[[capability]]
name = "forge"
reason = "reads"

[[capability]]
name = "tracker"
reason = "reads"

[[capability]]
name = "runs"
reason = "reads"

[[capability]]
name = "history"
reason = "reads"
"#
);

struct ReadsEverything;

impl Gate for ReadsEverything {
    type Settings = NoSettings;

    fn evaluate(subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        log::info("reads everything");
        let report = match runs::list(100)?.first() {
            Some(run) => runs::report(run.id)?.is_some() && !runs::log_tail(run.id, 1024)?.is_empty(),
            None => false,
        };
        let work_item = tracker::current()?;
        let figures = [
            Fact::new("changed-files", repo::changes()?.len()),
            Fact::new("commits", repo::commits()?.len()),
            Fact::new("files", repo::list(repo::Revision::Subject, "**")?.len()),
            Fact::new("documents", documents::list()?.len()),
            Fact::new("checks", forge::checks()?.len()),
            Fact::new("pull-request", forge::code_pull_request()?.map(|pull_request| pull_request.number)),
            Fact::new("comments", tracker::comments(100)?.len()),
            Fact::new("title", work_item.title),
            Fact::new("runs", runs::list(100)?.len()),
            Fact::new("report", report),
            Fact::new("finished", history::finished(10)?.len()),
            Fact::new("now", clock::now()),
            Fact::new("asked-before", subject.asked_before),
        ];
        Ok(figures.into_iter().fold(Verdict::pass("read everything"), Verdict::with_figure))
    }
}

export_gate!(ReadsEverything);
