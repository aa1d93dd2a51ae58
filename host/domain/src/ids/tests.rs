//! What is an identifier, and what is none.

use super::{BranchName, CommitId, Digest, Epoch, InvalidId, LeaseName, ProjectName, StageName, WorkItemId};

fn takes<T: std::str::FromStr<Err = InvalidId> + ToString>(good: &[&str], bad: &[&str]) {
    for text in good {
        assert_eq!(text.parse::<T>().map(|id| id.to_string()).as_deref(), Ok(*text));
    }
    for text in bad {
        assert!(text.parse::<T>().is_err(), "`{text}` was taken");
    }
}

#[test]
fn a_word_is_kebab_case() {
    takes::<StageName>(
        &["review", "deploy-staging", "a1"],
        &["", "Review", "deploy_staging", "-review", "review-", "a--b", "é", "a b"],
    );
    takes::<LeaseName>(&[&"a".repeat(64)], &[&"a".repeat(65)]);
}

#[test]
fn a_name_can_be_a_folder_and_leads_nowhere_else() {
    takes::<ProjectName>(&["shop", "Shop_2.0"], &["", ".", "..", "a..b", "../a", "a/b", ".hidden", "-rf", "a b", "a."]);
    takes::<WorkItemId>(&["ORCH-094"], &["ORCH-094/../../etc", "ORCH 094", "ORCH-094.lock", "ORCH-094.LOCK", "a\0b"]);
}

#[test]
fn a_branch_is_what_git_takes_and_no_option() {
    takes::<BranchName>(
        &["main", "feature/ORCH-094-cart", "a-b", "user@host", "é"],
        &[
            "",
            "-f",
            "--upload-pack=x",
            "HEAD",
            "a..b",
            "a//b",
            "/a",
            "a/",
            "a.lock",
            "a.lock/b",
            "a/.b",
            "a.",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[",
            "a\\b",
            "a\nb",
            "a@{1}",
        ],
    );
    takes::<BranchName>(&[&"a".repeat(200)], &[&"a".repeat(201)]);
}

#[test]
fn a_commit_is_whole_and_in_lower_case() {
    takes::<CommitId>(
        &[&"a".repeat(40), &"0".repeat(64)],
        &["", "abc", &"A".repeat(40), &"g".repeat(40), &"a".repeat(41)],
    );
    takes::<Digest>(&[&"0".repeat(64)], &[&"0".repeat(40)]);
}

#[test]
fn a_digest_is_the_sha256_of_its_bytes() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Digest::of(b"").as_str(), empty);
}

#[test]
fn a_number_is_whole() {
    takes::<Epoch>(&["0", "18446744073709551615"], &["", "-1", "1.0", "x", "18446744073709551616"]);
}

#[test]
fn reading_json_checks_the_form_too() {
    assert!(serde_json::from_str::<StageName>("\"review\"").is_ok());
    let refused = serde_json::from_str::<StageName>("\"Re view\"").unwrap_err().to_string();
    assert!(refused.contains("`Re view` is no stage name: kebab-case"), "{refused}");
}

#[test]
fn an_error_quotes_no_more_than_80_characters() {
    let InvalidId { text, .. } = StageName::new("é".repeat(500)).unwrap_err();
    assert_eq!(text.chars().count(), 80);
}
