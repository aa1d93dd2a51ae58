//! What every driver of the store must do, as functions over a [`Site`]. A driver runs them all with one line in a test:
//! `store::conformance!(crate::site);`, where `site()` makes an empty site.

use conductor::ports::store::{Project, Store};

pub mod claims;
pub mod dependencies;
pub mod ends;
pub mod facts;
pub mod inbox;
pub mod overview;
pub mod ownership;
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
            ownership {
                d1_1_a_lease_that_another_holds_defers_and_costs_no_retry
                d1_2_a_lease_that_is_anothers_is_not_given_back
                d4_1_three_tasks_of_a_serial_project_go_one_after_the_other
                d4_2_another_project_does_not_wait
                d4_3_a_project_that_is_not_serial_lets_all_in
                a10_nothing_of_a_new_task_is_asked_before_its_turn
                d5_1_a_freeze_outlives_a_restart
                d5_2_an_unfrozen_project_admits_again_and_says_who
                d5_3_a_freeze_stops_neither_other_projects_nor_who_is_inside
                b7_3_a_task_that_waits_for_an_answer_lets_others_by
                d6_1_a_blocked_predecessor_still_stands_before_others
                d6_2_a_paused_predecessor_lets_others_by
                d6_3_dependencies_and_freezes_ignore_a_pause
                c2_1_a_job_that_waits_for_others_takes_no_slot
                each_waiting_job_has_one_reason_and_the_first_is_told
            }
            dependencies {
                d7_1_a_task_runs_after_what_it_needs_and_waits_without_a_slot
                d7_2_a_cycle_is_refused_and_named
                d7_what_was_stopped_does_not_let_on_and_a_later_task_does
                d7_a_card_brings_its_needs_along
                d7_only_tasks_of_one_project_need_each_other
                d7_who_needs_another_keeps_nobody_from_a_lease
                d7_a_serial_project_does_not_wait_for_who_waits
                d7_what_a_dead_owner_began_is_found_though_it_needs_another
                d7_the_rows_beside_a_task_are_compared_too
            }
            slots {
                c1_1_one_slot_is_never_shared
                c1_1_an_observed_task_needs_no_slot
                c2_1_what_a_limit_holds_back_takes_no_slot
                c2_1_a_crowd_that_is_held_back_stands_in_nobodys_way
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
                of_reports_of_one_second_the_greatest_number_counts
                an_evaluation_stands_in_the_entry
                evaluations_and_documents_need_their_bytes
                bytes_are_kept_under_their_hash
                runs_are_kept_with_what_is_known_later
                what_runs_cost_is_summed_by_project_and_day
                only_who_has_the_job_ends_its_run_for_a_budget
                commits_are_counted
            }
            inbox {
                work_items_are_numbered_without_gaps_or_twins
                what_people_do_on_the_board_is_delivered
                what_the_host_does_on_the_board_is_not
                a_comment_is_written_once_per_external_id
                deliveries_are_serial_per_work_item
                rows_that_nobody_told_are_taken_once_and_in_their_order
                a_poll_goes_on_where_the_last_one_ended
                a_poisoned_delivery_stands_in_nobodys_way
                an_intent_is_taken_once
                a_start_makes_the_task
                an_intent_too_late_is_recorded
                rule_b3_an_answer_from_before_the_question_does_not_count
            }
            overview {
                tasks_are_told_by_how_they_stand
                the_newest_entries_come_first
                neighbours_answers_and_sizes_are_told
            }
            ends {
                d2_4_a_living_owner_keeps_its_job_however_long_it_takes
                h3_1_a_claim_that_outlives_its_task_is_not_queued_again
                d2_2_a_rollback_of_a_task_that_is_done_meanwhile_changes_nothing
                i4_5_a_stop_that_was_put_off_takes_hold_after_a_restart
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
