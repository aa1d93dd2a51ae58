//! Random walks: whatever arrives in whatever order, no invariant breaks. One walk for each, named after it.

use domain::event::{Answer, Event, FailureClass, Intent, Observation, RunOutcome, Spent, StepFacts, Withholder};
use domain::ids::{BranchName, Digest, Epoch, FenceToken, RunId, TaskId, WorkItemId};
use domain::pipeline::Pipeline;
use domain::task::{Activity, HoldKind, Track};
use domain::time::Milliseconds;
use domain::verdict::{GateHold, InfraCause, WakeKind, WakeSet};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::invariants::{self, Transition};
use crate::pipelines::{full, full_with_one_lease, full_with_security, lease, quick, step};
use crate::world::{World, commit, person};

/// What happens next, before it is known where the task stands.
#[derive(Clone, Debug)]
enum Move {
    /// The live job is performed, and it goes well; a person who is asked consents.
    Good,
    /// The step that is asked answers so.
    Answers(Answer, Option<u32>, bool),
    /// The run ends so.
    Runs(RunOutcome),
    /// The lease that is asked for is granted.
    Leased,
    Wants(Intent),
    Sees(Observation),
    Wakes(WakeKind),
    /// Some event of an activity that is over.
    Late(Late),
    /// The pipeline is another one.
    Pipeline(usize),
    Panics,
    Aftermath,
    /// A guard holds the run that is wanted.
    Withheld,
    /// A person wanted what they may not decide.
    Refused,
    /// An edge to that task comes, goes, or will never be met; or it closes a cycle.
    Needs(Need, u64),
    /// Time passes.
    Minutes(u64),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    Added,
    Removed,
    Cancelled,
    Cycle,
}

#[derive(Clone, Copy, Debug)]
enum Late {
    Run,
    Answer,
    Timer,
    CleanUp,
    Branch,
}

fn pipelines() -> [Pipeline; 4] {
    [quick(), full(), full_with_security(), full_with_one_lease()]
}

fn intents() -> impl Strategy<Value = Intent> {
    prop::sample::select(vec![
        Intent::Start,
        Intent::Approve,
        Intent::Reject,
        Intent::ConfirmDeploy,
        Intent::Estimate,
        Intent::Resume,
        Intent::Resume,
        Intent::Waive,
        Intent::Pause,
    ])
}

fn answers() -> impl Strategy<Value = Answer> {
    let digest = Digest::of(b"findings");
    let stuck = prop::sample::select(vec![
        HoldKind::FateUnknown,
        HoldKind::NotProven,
        HoldKind::DeployedNotInMain,
        HoldKind::MergedUntested,
        HoldKind::Blocked,
    ]);
    prop_oneof![
        3 => Just(Answer::Fail { findings: digest, count: 1, title: "red".to_owned() }),
        3 => Just(Answer::Infra { cause: InfraCause::Time, message: "slow".to_owned(), retry_after: None }),
        2 => (0..200u64).prop_map(|minutes| Answer::Wait {
            until: domain::time::Timestamp(1_000_000 + minutes * 60_000),
            wake: WakeSet::from_iter([WakeKind::Checks]),
            why: "not yet".to_owned(),
        }),
        1 => prop::sample::select(vec![GateHold::NeedsInput, GateHold::Blocked])
            .prop_map(|kind| Answer::Hold { kind, reason: "look".to_owned() }),
        1 => Just(Answer::NotApplicable { why: "nothing to see".to_owned() }),
        1 => stuck.prop_map(|kind| Answer::Stuck { kind, reason: "stuck".to_owned() }),
        2 => (2..6u32).prop_map(|base| Answer::BaseMoved { base: commit(base) }),
        1 => (6..9u32).prop_map(|head| Answer::HeadMoved { head: commit(head) }),
        1 => Just(Answer::Pass { note: "and found nothing else".to_owned() }),
    ]
}

fn outcomes() -> impl Strategy<Value = RunOutcome> {
    prop_oneof![
        Just(RunOutcome::Trespassed {
            head: None,
            findings: Digest::of(b"t"),
            count: 1,
            title: "another's document".to_owned()
        }),
        Just(RunOutcome::Undelivered {
            cause: "no document".to_owned(),
            retry_after: Some(Milliseconds(5000)),
            class: FailureClass::Permanent
        }),
        Just(RunOutcome::Undelivered {
            cause: "429".to_owned(),
            retry_after: Some(Milliseconds(7000)),
            class: FailureClass::Transient
        }),
        Just(RunOutcome::OverBudget { cause: "all is spent".to_owned() }),
    ]
}

fn observations() -> impl Strategy<Value = Observation> {
    let by = "bob".to_owned();
    let labels = prop::sample::select(vec!["bug", "autoApprove", "autoDeploy", "size-s"]);
    prop_oneof![
        Just(Observation::GoneFromBoard { by: by.clone() }),
        Just(Observation::RefusedAtForge { by: by.clone() }),
        (6..9u32).prop_map(|head| Observation::ForeignPush { head: commit(head) }),
        (2..200u32, any::<bool>()).prop_map(move |(number, tested)| Observation::MergedElsewhere {
            commit: commit(number),
            by: by.clone(),
            tested
        }),
        Just(Observation::WatchDegraded),
        prop::collection::vec(labels, 0..3)
            .prop_map(|labels| Observation::Labels { labels: labels.into_iter().map(str::to_owned).collect() }),
    ]
}

fn moves() -> impl Strategy<Value = Move> {
    let late = [Late::Run, Late::Answer, Late::Timer, Late::CleanUp, Late::Branch];
    let wakes = WakeKind::ALL.to_vec();
    prop_oneof![
        40 => Just(Move::Good),
        8 => (answers(), prop::option::weighted(0.2, 2..200u32), any::<bool>())
            .prop_map(|(answer, fact, woken)| Move::Answers(answer, fact, woken)),
        3 => outcomes().prop_map(Move::Runs),
        2 => Just(Move::Leased),
        8 => intents().prop_map(Move::Wants),
        1 => Just(Move::Wants(Intent::Stop)).boxed(),
        3 => observations().prop_map(Move::Sees),
        2 => prop::sample::select(wakes).prop_map(Move::Wakes),
        3 => prop::sample::select(late.to_vec()).prop_map(Move::Late),
        1 => (0..4usize).prop_map(Move::Pipeline),
        1 => Just(Move::Panics),
        1 => prop::sample::select(vec![Move::Aftermath, Move::Withheld, Move::Refused]),
        3 => (prop::sample::select(vec![Need::Added, Need::Removed, Need::Cancelled, Need::Cycle]), 1..4u64)
            .prop_map(|(need, task)| Move::Needs(need, task)),
        3 => (1..120u64).prop_map(Move::Minutes),
    ]
}

/// The event that a move is where the task stands; none where it means nothing there.
fn event(world: &mut World, what: &Move) -> Option<Event> {
    let epoch = world.task.epoch;
    let asked = matches!(world.task.position.activity, Activity::Judging { .. } | Activity::Acting { .. });
    Some(match what {
        Move::Answers(answer, fact, woken) if asked => {
            let mut facts = StepFacts::default();
            if let Some(number) = fact {
                let found = Some(commit(*number));
                match number % 5 {
                    0 => facts.head = found,
                    1 => facts.base = found,
                    2 => facts.validated = found,
                    3 => facts.merged = found,
                    _ => facts.deployed = found,
                }
            }
            let mut event = world.answered(answer.clone(), facts);
            if let Event::StepAnswered { woken: set, .. } = &mut event {
                *set = *woken;
            }
            event
        }
        Move::Runs(outcome) if matches!(world.task.position.activity, Activity::Running { .. }) => {
            world.run_ended(outcome.clone())
        }
        Move::Wants(intent) => Event::Intent { intent: *intent, actor: person(), note: "because".to_owned() },
        Move::Sees(observation) => Event::Observed { observation: observation.clone() },
        Move::Wakes(kind) => Event::Woken { kind: *kind },
        Move::Late(late) => late_event(*late, Epoch(epoch.0 - 1)),
        Move::Leased => Event::LeaseGranted { name: lease("merge"), token: FenceToken(1_000_000) },
        Move::Panics => Event::Panicked { message: "index out of bounds".to_owned(), unanswered: false },
        Move::Withheld => {
            let all = [Withholder::Guard, Withholder::Budget, Withholder::Pause];
            let by = all[(world.task.version.0 % 3) as usize];
            Event::Withheld { epoch: world.task.epoch, by, reason: "not tonight".to_owned() }
        }
        Move::Refused => {
            Event::IntentRefused { intent: Intent::Approve, actor: person(), why: "they may not".to_owned() }
        }
        Move::Needs(need, task) => need_event(*need, *task),
        Move::Aftermath => Event::AftermathEnded { note: "suppressed".to_owned() },
        Move::Pipeline(number) => {
            let [quick, full, security, one_lease] = pipelines();
            world.pipeline = [quick, full, security, one_lease][*number].clone();
            Event::PipelineChanged { digest: world.pipeline.digest().clone(), changed: Vec::new() }
        }
        Move::Good | Move::Minutes(_) | Move::Answers(..) | Move::Runs(_) => return None,
    })
}

pub(crate) fn need_event(need: Need, task: u64) -> Event {
    let (needs, on, actor) = (TaskId(task), WorkItemId::new(format!("SHOP-{task}")).unwrap(), person());
    match need {
        Need::Added => Event::DependencyAdded { needs, on, actor },
        Need::Removed => Event::DependencyRemoved { needs, on, actor },
        Need::Cancelled => Event::PrerequisiteCancelled { needs, on },
        Need::Cycle => Event::DependencyCycle { cycle: vec![WorkItemId::new("SHOP-7").unwrap(), on], alerts: true },
    }
}

fn late_event(late: Late, epoch: Epoch) -> Event {
    match late {
        Late::Run => Event::RunEnded {
            epoch,
            run: RunId(999_999),
            outcome: RunOutcome::Delivered { head: Some(commit(9)), documents: Vec::new(), validated: Some(commit(9)) },
            spent: Some(Spent { cost_microusd: 7, ..Spent::default() }),
            role: None,
        },
        Late::Answer => Event::StepAnswered {
            epoch,
            step: step("merge"),
            answer: Answer::Pass { note: String::new() },
            facts: StepFacts { merged: Some(commit(9)), ..StepFacts::default() },
            woken: false,
        },
        Late::Timer => Event::TimerFired { epoch },
        Late::CleanUp => Event::CleanedUp { epoch },
        Late::Branch => {
            Event::BranchCut { epoch, branch: BranchName::new("late").unwrap(), base: commit(9), documents: Vec::new() }
        }
    }
}

/// One piece of a walk, under these checks.
fn walk_on(world: &mut World, what: &Move, checks: &[fn(&Transition<'_>)]) {
    match what {
        Move::Minutes(minutes) => world.pass_time(Milliseconds::from_seconds(minutes * 60)),
        Move::Good => {
            if let Some(event) = world.good_event() {
                world
                    .tell_under(&event, checks)
                    .unwrap_or_else(|rejected| panic!("{event:?} was rejected: {rejected}"));
            }
        }
        _ => {
            if let Some(event) = event(world, what) {
                let _ = world.tell_under(&event, checks);
            }
        }
    }
}

fn walks() -> impl Strategy<Value = (usize, bool, Vec<Move>)> {
    (0..4usize, any::<bool>(), prop::collection::vec(moves(), 1..120))
}

fn walk((pipeline, bug, moves): &(usize, bool, Vec<Move>), check: fn(&Transition<'_>)) -> World {
    let track = if *bug { Track::Bug } else { Track::Full };
    let mut world = World::with(pipelines()[*pipeline].clone(), track, &[]);
    for what in moves {
        walk_on(&mut world, what, &[check]);
    }
    world
}

/// The same walks on each run; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` ask for others and for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let rng_seed = match default.rng_seed {
        RngSeed::Random => RngSeed::Fixed(7),
        given @ RngSeed::Fixed(_) => given,
    };
    ProptestConfig { cases: default.cases / 2, rng_seed, failure_persistence: None, ..default }
}

macro_rules! hold_on_random_walks {
    ($($invariant:ident),* $(,)?) => {
        /// Each invariant has a walk of its own.
        #[test]
        fn every_invariant_is_walked() {
            assert_eq!([$(stringify!($invariant)),*].len(), invariants::ALL.len());
        }

        proptest! {
            #![proptest_config(config())]
            $(
                #[test]
                fn $invariant(moves in walks()) {
                    walk(&moves, invariants::$invariant);
                }
            )*
        }
    };
}

hold_on_random_walks![
    what_is_wanted_is_what_the_entries_fold_to,
    the_epoch_grows_exactly_when_the_activity_changes,
    leaving_an_activity_and_only_that_cancels_its_jobs_first,
    a_live_task_has_exactly_one_drive_job_or_a_person_to_wait_for,
    the_answer_to_a_drive_job_brings_the_next_activity,
    nothing_leaves_a_terminal,
    a_task_stands_in_a_terminal_stage_exactly_when_it_is_settled,
    never_done_while_the_validated_commit_is_not_in_main,
    an_event_of_another_epoch_records_at_most_a_cost,
    infrastructure_never_costs_a_developers_retry,
    a_transient_failure_costs_no_attempt,
    retries_never_exceed_what_is_granted,
    only_a_person_ends_a_hold,
    who_awaits_a_person_or_has_ended_holds_no_lease,
    who_is_held_stands_in_no_line,
    what_runs_unmerged_keeps_its_leases_through_a_hold,
    what_cannot_be_taken_back_runs_under_a_lease,
    lease_changes_are_what_the_entries_say,
    a_waive_never_goes_over_a_proof_a_consent_or_security,
    no_step_passes_that_nobody_answered,
    a_stage_is_left_forwards_only_over_its_whole_edge,
    needs_change_by_a_persons_word_and_move_nothing,
];

proptest! {
    #![proptest_config(config())]

    /// A store that folds the entries anew gets the same task: nothing but the entries changed it.
    #[test]
    fn folding_all_entries_anew_gives_the_same_task(moves in walks()) {
        let track = if moves.1 { Track::Bug } else { Track::Full };
        let mut rebuilt = World::with(pipelines()[moves.0].clone(), track, &[]).first;
        let world = walk(&moves, invariants::ALL[0]);
        for entry in &world.entries {
            rebuilt.fold(entry);
        }
        rebuilt.version = world.task.version;
        prop_assert_eq!(rebuilt, world.task);
    }

    /// From wherever a walk led, a person can bring the task to an end.
    #[test]
    fn a_person_can_always_stop_a_task(moves in walks()) {
        let mut world = walk(&moves, invariants::ALL[0]);
        for _ in 0..50 {
            if world.task.end().is_some() {
                break;
            }
            let _ = world.intent(Intent::Stop, "enough");
            if let Some(event) = world.good_event() {
                world.tell(&event).unwrap();
            }
        }
        prop_assert!(world.task.end().is_some(), "stuck: {}", world.stands());
    }

    /// From wherever a walk led, a task whose stage is still there comes to its end when all goes well and a person lets it on.
    #[test]
    fn a_person_who_resumes_brings_every_task_to_its_end(moves in walks()) {
        let mut world = walk(&moves, invariants::ALL[0]);
        for _ in 0..300 {
            if world.task.end().is_some() || world.pipeline.stage(&world.task.position.stage).is_none() {
                return Ok(());
            }
            match world.good_event() {
                Some(event) => world.tell(&event).unwrap(),
                None => world.intent(Intent::Resume, "look again").unwrap(),
            };
        }
        prop_assert!(false, "stuck: {}", world.stands());
    }

    /// A task stays small, however long its way.
    #[test]
    fn a_task_stays_under_64_kib(moves in walks()) {
        let world = walk(&moves, invariants::ALL[0]);
        prop_assert!(serde_json::to_vec(&world.task).unwrap().len() < 64 * 1024);
    }
}
