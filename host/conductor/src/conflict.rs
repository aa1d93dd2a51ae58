//! A branch that conflicts with its base: the finding that says so, and how a later run is known to have been told of it.

use domain::effect::Feedback;
use domain::ids::{BranchName, CommitId};
use domain::task::Task;
use domain::verdict::Finding;

use crate::Conductor;
use crate::finish::host_finding;
use crate::ports::store::StoreError;

/// The finding's rule. Others may use the word, so [`onto`] looks who judged.
pub const RULE: &str = "rebase-conflict";

const BEGIN: &str = "Putting the branch upon ";

/// What the rebase step found.
pub fn finding(base: &BranchName, onto: &CommitId, files: &[String]) -> Finding {
    let title = format!("the branch conflicts with {base} in {}", files.join(", "));
    let detail = format!(
        "{BEGIN}{onto} ({base}) stopped: both changed the same lines of these files, and the branch must hold what both \
         wanted:\n{}",
        files.join("\n")
    );
    host_finding(RULE, title, detail)
}

/// The commit of the base that a finding of the host's own rebase stopped at; none: it is no such finding.
pub fn onto(feedback: &Feedback, finding: &Finding) -> Option<CommitId> {
    if feedback.plugin.is_some() || finding.rule != RULE {
        return None;
    }
    let (id, _) = finding.detail.strip_prefix(BEGIN)?.split_once(' ')?;
    CommitId::new(id).ok()
}

/// What a developer does about it. The host's own words: they stand outside all fences.
pub fn remedy(onto: &CommitId) -> String {
    format!(
        "Mend it by a merge, in spite of the rule against merging; this one the host asks you for. In your clone:\n\n\
         ```sh\ngit merge {onto}\n```\n\n\
         Git stops and marks the conflicts. Edit each of these files until it does what both sides wanted, with no marker left, \
         run the tests, then `git add` them and `git commit --no-edit`. Push nothing.\n\n\
         Two other ways are taken as well: `git rebase {onto}`, carried to its end; or, without git, an edit of each of these \
         files that holds both sides (see `git diff HEAD...{onto}`)."
    )
}

impl Conductor {
    /// The commit of the base that the newest conflict in a task's feedback is about.
    pub(crate) fn told_conflict(&self, task: &Task) -> Result<Option<CommitId>, StoreError> {
        for feedback in task.feedback.iter().rev() {
            let findings = self.findings_of(feedback)?;
            if let Some(onto) = findings.iter().find_map(|finding| onto(feedback, finding)) {
                return Ok(Some(onto));
            }
        }
        Ok(None)
    }

    /// A feedback's findings, read from their blob.
    pub(crate) fn findings_of(&self, feedback: &Feedback) -> Result<Vec<Finding>, StoreError> {
        let Some(digest) = &feedback.findings else { return Ok(Vec::new()) };
        serde_json::from_slice(&self.outside.store.blob(digest)?)
            .map_err(|error| StoreError::inside(format!("findings {digest} cannot be read: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::PluginId;

    use super::*;

    #[test]
    fn only_the_hosts_own_finding_names_a_commit_to_merge() {
        let commit = CommitId::new("b6f7".repeat(10)).unwrap();
        let told = finding(&BranchName::new("main").unwrap(), &commit, &["src/a.rs".to_owned(), "b".to_owned()]);
        assert_eq!(told.title, "the branch conflicts with main in src/a.rs, b");
        let mut feedback = Feedback { source: "rebase".to_owned(), plugin: None, findings: None, note: String::new() };
        assert_eq!(onto(&feedback, &told), Some(commit.clone()));
        assert!(remedy(&commit).contains(&format!("git merge {commit}\n")));
        let other = Finding { rule: "retest".to_owned(), ..told.clone() };
        assert_eq!(onto(&feedback, &other), None);
        let no_commit = Finding { detail: format!("{BEGIN}main; rm -rf / (main)"), ..told.clone() };
        assert_eq!(onto(&feedback, &no_commit), None);
        feedback.plugin = Some(PluginId::new("hostile").unwrap());
        assert_eq!(onto(&feedback, &told), None);
    }
}
