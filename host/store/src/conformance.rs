//! What every driver of the store must do, as functions over a [`Site`]. A driver runs them all with one line in a test:
//! `store::conformance!(crate::site);`, where `site()` makes an empty site.

use conductor::ports::store::{Project, Store};

pub mod claims;
pub mod facts;
pub mod inbox;
mod scene;
pub mod slots;
pub mod tasks;

/// A place where a store lies. Opening it a second time, after the first one was dropped, is a restart of the host.
pub trait Site {
    /// Opens the store.
    fn open(&self) -> Box<dyn Store>;
}

/// The project that the cases play in: development under one gate, then a landing under the merge lease.
pub fn small_project() -> Project {
    scene::project_of("small")
}

/// Makes one test of each case; `$site` is the absolute path of a function that makes an empty [`Site`].
#[macro_export]
macro_rules! conformance {
    ($site:path) => {
        $crate::conformance! { @ $site;
            tasks {
                a_live_work_item_has_one_task
                a_stopped_work_item_may_begin_anew
                what_was_acknowledged_is_there_after_a_restart
                a_rejected_event_changes_nothing
                a_task_walks_to_the_end_and_stays_there
                a_changed_pipeline_is_told_to_live_tasks
                documents_belong_to_the_visit_that_delivered_them
                a_late_run_opens_nothing_and_costs_all_the_same
                names_that_nobody_knows_are_not_found
            }
            claims {
                a_task_is_driven_by_one_job_at_a_time
                slots_and_disk_hold_back_launches_only
                a_stale_token_changes_nothing
                what_is_given_back_comes_again_later
                a_job_survives_a_restart_with_its_token
                jobs_of_a_dead_owner_are_queued_again
                a_cancelled_claim_is_told_to_its_owner
                a_new_run_waits_for_the_end_of_the_cancelled_one
                a_cancelled_claim_of_a_dead_owner_is_anybodys
                what_a_dead_owner_began_is_ended_when_it_is_cancelled
                what_a_dead_owner_began_comes_first
                what_is_given_back_did_not_begin
                c1_3_racing_claimers_never_share_a_job
                aftermath_is_told_in_order
                a_freeze_admits_no_new_task
                a_lease_goes_to_the_smallest_task
                a_waiting_task_is_woken_by_its_timer
            }
            slots {
                c1_1_one_slot_is_never_shared
                c2_1_what_a_limit_holds_back_takes_no_slot
                c4_1_a_missing_program_holds_back_its_own_jobs
                a_run_counts_for_the_driver_that_launched_it
                c4_2_a_breaker_is_fed_by_outcomes_and_outlives_a_restart
                c4_2_a_probe_without_an_answer_leaves_its_way_to_another
                c7_1_a_dead_owners_job_is_queued_again_once
                c8_2_what_waits_for_its_time_takes_no_slot
            }
            facts {
                a_fact_that_arrives_while_asking_asks_again
                a_fact_wakes_the_tasks_that_wait_for_it
                what_people_do_at_a_card_wakes
                the_newest_report_of_a_check_counts
                an_evaluation_stands_in_the_entry
                evaluations_and_documents_need_their_bytes
                bytes_are_kept_under_their_hash
                runs_are_kept_with_what_is_known_later
                commits_are_counted
            }
            inbox {
                work_items_are_numbered_without_gaps_or_twins
                what_people_do_on_the_board_is_delivered
                what_the_host_does_on_the_board_is_not
                a_comment_is_written_once_per_external_id
                deliveries_are_serial_per_work_item
                a_poisoned_delivery_stands_in_nobodys_way
                an_intent_is_taken_once
                a_start_makes_the_task
                an_intent_too_late_is_recorded
                rule_b3_an_answer_from_before_the_question_does_not_count
            }
        }
    };
    (@ $site:path; $($module:ident { $($case:ident)* })*) => {
        $(mod $module {
            $(#[test]
            fn $case() {
                $crate::conformance::$module::$case(&$site());
            })*
        })*
    };
}
