//! Which file is which document, and whose hand owns it.

use std::collections::BTreeSet;

use super::{DocumentKind, Role, documents_folder};
use crate::ids::WorkItemId;

#[test]
fn each_kind_has_a_word_and_a_file_of_its_own() {
    let words = DocumentKind::ALL.map(DocumentKind::word);
    let files = DocumentKind::ALL.map(DocumentKind::file_name);
    assert_eq!(words.into_iter().collect::<BTreeSet<_>>().len(), DocumentKind::ALL.len());
    assert_eq!(files.into_iter().collect::<BTreeSet<_>>().len(), DocumentKind::ALL.len());
}

#[test]
fn a_file_is_found_by_its_exact_name() {
    for kind in DocumentKind::ALL.into_iter().filter(|kind| *kind != DocumentKind::Adr) {
        assert_eq!(DocumentKind::of_file(kind.file_name()), Some(kind));
    }
    for name in ["", "12-Review.md", "12-review.md ", "a/12-review.md", "12-review", "06-adr"] {
        assert_eq!(DocumentKind::of_file(name), None, "`{name}`");
    }
}

#[test]
fn a_decision_record_is_a_file_right_in_its_folder() {
    assert_eq!(DocumentKind::of_file("06-adr/ADR-001-one-store.md"), Some(DocumentKind::Adr));
    for name in ["06-adr/notes.md", "06-adr/ADR-001.txt", "06-adr/ADR-001/../../12-review.md", "06-adr/a/ADR-1.md"] {
        assert_eq!(DocumentKind::of_file(name), None, "`{name}`");
    }
}

#[test]
fn a_role_must_deliver_only_what_it_owns() {
    for role in Role::ALL {
        let owned = role.owned_kinds().collect::<Vec<_>>();
        assert!(role.required_kinds().iter().all(|kind| owned.contains(kind)), "{role}");
    }
}

#[test]
fn no_verdict_is_written_by_the_hand_that_it_judges() {
    assert_eq!(Role::Developer.owned_kinds().count(), 0);
    for kind in [DocumentKind::Review, DocumentKind::TestReport, DocumentKind::StagingLog, DocumentKind::DeployLog] {
        assert!(kind.owner().is_some_and(Role::judges), "{}", kind.word());
    }
    for kind in [DocumentKind::SecurityReport, DocumentKind::CoverageReport, DocumentKind::BusinessRequest] {
        assert_eq!(kind.owner(), None, "{} is the host's", kind.word());
    }
}

#[test]
fn the_folder_is_named_after_the_work_item() {
    let folder = documents_folder(&WorkItemId::new("SHOP-7").unwrap());
    assert_eq!(folder, "docs/work-items/SHOP-7");
}
