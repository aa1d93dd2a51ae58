//! How a standing looks on the board, in order of preference.

/// Every phase that the host can name. Later names are the ones that an older board has instead.
const OF_PHASE: &[(&str, &[&str])] = &[
    ("backlog", &["Backlog"]),
    // It was just moved here by a person; to move it again would be noise.
    ("created", &[]),
    ("analysis", &["Analysis", "In Progress"]),
    ("architecture", &["Architecture", "In Progress"]),
    ("development", &["Development", "In Progress"]),
    ("review", &["Review", "Code Review", "In Progress"]),
    ("testing", &["Testing", "In Progress"]),
    ("deploy-staging", &["Deploying", "In Progress"]),
    ("deploy", &["Deploying", "In Progress"]),
    ("in-review", &["In Review"]),
    ("needs-input", &["Needs Input", "Blocked"]),
    ("blocked", &["Blocked"]),
    ("awaiting-deploy", &["Awaiting Deploy", "In Review"]),
    ("deploying", &["Deploying", "In Progress"]),
    // A task that is watched is merged and deployed: an older board shows it as done.
    ("monitoring", &["Monitoring after Deploy", "Monitoring", "Done"]),
    // Where no column says so, the card stays where it is until the stop has taken hold.
    ("stopping", &["Stopping"]),
    ("done", &["Done"]),
    ("cancelled", &["Cancelled", "Canceled"]),
];

/// Names for a phase; for the stage of a pipeline that we do not know, a column of its name, else that it is at work.
pub(crate) fn of_phase(phase: &str) -> Vec<String> {
    match OF_PHASE.iter().find(|(known, _)| *known == phase) {
        Some((_, names)) => names.iter().map(|name| (*name).to_owned()).collect(),
        None => vec![titled(phase), "In Progress".to_owned()],
    }
}

/// `load-test` is the column `Load Test`.
fn titled(word: &str) -> String {
    let parts = word.split('-').filter(|part| !part.is_empty()).map(|part| {
        let mut letters = part.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    });
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_has_its_names_in_order() {
        assert_eq!(of_phase("analysis"), ["Analysis", "In Progress"]);
        assert_eq!(of_phase("in-review"), ["In Review"]);
        assert_eq!(of_phase("awaiting-deploy"), ["Awaiting Deploy", "In Review"]);
        assert!(of_phase("created").is_empty());
    }

    #[test]
    fn a_stage_of_somebody_elses_pipeline_is_its_column_or_at_work() {
        assert_eq!(of_phase("load-test"), ["Load Test", "In Progress"]);
    }
}
