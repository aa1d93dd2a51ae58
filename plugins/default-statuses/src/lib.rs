//! Status mapper `default-statuses` (catalogue K): the board of the onboarding, by the names of its columns.
//!
//! Names are compared trimmed and without regard to case. What is not on a board means nothing there: without a column
//! `Confirm Deploy` nobody confirms, without `STOP` nobody stops by moving a card.

mod names;

use gatewright_sdk::status_mapper::{Change, Failure, Intent, Standing, StatusMapper};
use gatewright_sdk::tasks::Status;
use gatewright_sdk::{NoSettings, export_status_mapper};

struct DefaultStatuses;

impl StatusMapper for DefaultStatuses {
    type Settings = NoSettings;

    fn inbound(change: Change, _settings: NoSettings) -> Result<Intent, Failure> {
        Ok(if change.by_us { Intent::None } else { intent(&change.to.name, &change.board) })
    }

    fn outbound(standing: Standing, _settings: NoSettings) -> Result<Vec<String>, Failure> {
        Ok(names::of_phase(&standing.phase).into_iter().map(|name| as_spelled(name, &standing.board)).collect())
    }
}

export_status_mapper!(DefaultStatuses);

fn intent(name: &str, board: &[Status]) -> Intent {
    match folded(name).as_str() {
        "to analyse" => Intent::Start,
        // The old board had one column for both; where the new one is, this is only how a task at work looks.
        "in progress" if !board.iter().any(|status| folded(&status.name) == "to analyse") => Intent::Start,
        "approved" => Intent::Approve,
        "rejected" => Intent::Reject,
        "confirm deploy" => Intent::ConfirmDeploy,
        "stop" => Intent::Stop,
        "оценка" | "estimate" => Intent::Estimate,
        _ => Intent::None,
    }
}

/// The board's own spelling of a name, where it has it.
fn as_spelled(name: String, board: &[Status]) -> String {
    let on_board = board.iter().find(|status| folded(&status.name) == folded(&name));
    on_board.map_or(name, |status| status.name.clone())
}

fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewright_sdk::tasks::StatusGroup;

    fn board(names: &[&str]) -> Vec<Status> {
        names.iter().map(|name| Status { name: (*name).to_owned(), group: StatusGroup::Unknown }).collect()
    }

    #[test]
    fn what_people_move_to_is_an_intent() {
        let canon = board(&["To Analyse", "In Progress"]);
        for (name, expected) in [
            ("To Analyse", Intent::Start),
            (" to analyse ", Intent::Start),
            ("In Progress", Intent::None),
            ("Approved", Intent::Approve),
            ("REJECTED", Intent::Reject),
            ("Confirm Deploy", Intent::ConfirmDeploy),
            ("STOP", Intent::Stop),
            ("Оценка", Intent::Estimate),
            ("ОЦЕНКА", Intent::Estimate),
            ("Estimate", Intent::Estimate),
            ("Done", Intent::None),
            ("Not approved", Intent::None),
            ("", Intent::None),
        ] {
            assert_eq!(intent(name, &canon), expected, "{name}");
        }
    }

    /// Catalogue K.2.
    #[test]
    fn k_2_an_old_board_starts_by_in_progress_and_keeps_its_names() {
        let old = board(&["Todo", "In Progress", "Done"]);
        assert_eq!(intent("In Progress", &old), Intent::Start);
        assert!(names::of_phase("analysis").contains(&"In Progress".to_owned()));
    }

    #[test]
    fn a_name_is_written_as_the_board_spells_it() {
        assert_eq!(as_spelled("In Review".to_owned(), &board(&["IN REVIEW "])), "IN REVIEW ");
        assert_eq!(as_spelled("In Review".to_owned(), &board(&["Done"])), "In Review");
    }
}
