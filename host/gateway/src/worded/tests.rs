//! Each value has a sentence of its own in Russian.

use std::collections::BTreeSet;

use domain::ids::{DeliveryId, DriverName, JobId, LeaseName, ProjectName, StepName, TaskId, TokenName};

use super::*;

fn item(text: &str) -> WorkItemId {
    WorkItemId::new(text).unwrap()
}

/// Its English is the value's own, and its Russian is Russian. What quotes a library is in English there, and marked.
fn is_worded(said: &Said, own: &str) -> String {
    assert_eq!(said.english(), own);
    let russian = said.in_tongue(Tongue::Russian);
    let first = crate::tongue::parts(&russian).remove(0);
    let is_russian = |character: char| ('а'..='я').contains(&character.to_lowercase().next().unwrap());
    assert!(!first.is_english && first.text.chars().any(is_russian), "{own}: {russian}");
    // Words between backticks are typed or named so everywhere; keys of work items are in capitals.
    let ours = first.text.split('`').step_by(2).collect::<String>();
    let foreign = |word: &&str| word.chars().any(|character| character.is_ascii_lowercase());
    let foreign = ours.split_whitespace().filter(foreign).filter(|word| !["git,", "sha256:"].contains(word));
    assert_eq!(foreign.collect::<Vec<_>>(), [""; 0], "{russian}");
    russian
}

/// All of them, each with a sentence of its own: whoever adds one finds it missing here, for the place is asked of each.
fn all<T>(values: &[T], place: impl Fn(&T) -> usize, worded: impl Fn(&T) -> String) {
    let places = values.iter().map(place).collect::<BTreeSet<_>>();
    assert_eq!(places, (0..places.len()).collect(), "a value has no example");
    let sentences = values.iter().map(worded).collect::<BTreeSet<_>>();
    assert_eq!(sentences.len(), values.len(), "{sentences:?}");
}

fn place_of_illegal(why: &Illegal) -> usize {
    match why {
        Illegal::Unasked { .. } => 0,
        Illegal::NoAnswerHolds => 1,
        Illegal::RunHolds => 2,
        Illegal::NeverWaived { .. } => 3,
        Illegal::StepGone { .. } => 4,
        Illegal::HoldsLease { .. } => 5,
        Illegal::NeedsMany => 6,
        Illegal::NeedsNot { .. } => 7,
        Illegal::StandsStill => 8,
        Illegal::Irreversible => 9,
        Illegal::IrreversibleTells => 10,
        Illegal::NoCleanUp => 11,
        Illegal::NotCarriedOn => 12,
        Illegal::NotEndedByOthers => 13,
        Illegal::OnlyAPerson => 14,
        Illegal::OnlyGit => 15,
        Illegal::NotInLine => 16,
        Illegal::LaunchesAlone => 17,
        Illegal::NoTask => 18,
        Illegal::Unawaited { .. } => 19,
    }
}

#[test]
fn whatever_the_engine_does_not_take_is_said_in_russian() {
    let (on, step) = (item("DEMO-2"), StepName::new("review").unwrap());
    let mut why = vec![
        Illegal::NoAnswerHolds,
        Illegal::RunHolds,
        Illegal::NeverWaived { step: step.clone() },
        Illegal::StepGone { step },
        Illegal::HoldsLease { lease: LeaseName::new("merge").unwrap(), on: on.clone() },
        Illegal::NeedsMany,
        Illegal::NeedsNot { on },
        Illegal::StandsStill,
        Illegal::Irreversible,
        Illegal::IrreversibleTells,
        Illegal::NoCleanUp,
        Illegal::NotCarriedOn,
        Illegal::NotEndedByOthers,
        Illegal::OnlyAPerson,
        Illegal::OnlyGit,
        Illegal::NotInLine,
        Illegal::LaunchesAlone,
        Illegal::NoTask,
        Illegal::Unawaited { event: "timer-fired", stands: "running" },
    ];
    for (intent, stands) in [
        (Intent::Approve, "running"),
        (Intent::ConfirmDeploy, "judging"),
        (Intent::Reject, "acting"),
        (Intent::Resume, "waiting"),
        (Intent::Waive, "awaiting-person"),
        (Intent::Estimate, "held"),
        (Intent::Start, "stopping"),
        (Intent::Pause, "settled"),
    ] {
        why.push(Illegal::Unasked { intent, stands });
    }
    let worded = |rejected: &Rejected| is_worded(&super::rejected(rejected), &rejected.to_string());
    all(&why, place_of_illegal, |why| worded(&Rejected::Illegal(why.clone())));
    let others = [Rejected::Late, Rejected::Duplicate, Rejected::Illegal(Illegal::NoTask), Rejected::Terminal];
    let place = |rejected: &Rejected| match rejected {
        Rejected::Late => 0,
        Rejected::Duplicate => 1,
        Rejected::Illegal(_) => 2,
        Rejected::Terminal => 3,
    };
    all(&others, place, worded);
}

fn place_of_refusal(refusal: &Refusal) -> usize {
    match refusal {
        Refusal::NeedsItself { .. } => 0,
        Refusal::Cycle { .. } => 1,
        Refusal::OtherProject { .. } => 2,
        Refusal::WillNotBeDone { .. } => 3,
        Refusal::NeedsTooMany { .. } => 4,
        Refusal::NotParked { .. } => 5,
        Refusal::TokenKnown { .. } => 6,
        Refusal::OwnToken { .. } => 7,
        Refusal::OwnTokenStays { .. } => 8,
        Refusal::Changed { .. } => 9,
        Refusal::TooLarge { .. } => 10,
        Refusal::Undecided { .. } => 11,
        Refusal::Inside(_) => 12,
    }
}

#[test]
fn whatever_the_store_refuses_is_said_in_russian() {
    let (one, other) = (item("DEMO-1"), item("DEMO-2"));
    let [theirs, ours] = ["store", "shop"].map(|name| ProjectName::new(name).unwrap());
    let (task, name) = (TaskId(7), TokenName::new("ada").unwrap());
    let refusals = [
        Refusal::NeedsItself { item: one.clone() },
        Refusal::Cycle { items: vec![one.clone(), other] },
        Refusal::OtherProject { item: one.clone(), theirs, ours },
        Refusal::WillNotBeDone { item: one },
        Refusal::NeedsTooMany { named: 51 },
        Refusal::NotParked { delivery: DeliveryId(1), state: "pending".to_owned() },
        Refusal::NotParked { delivery: DeliveryId(1), state: "expanded".to_owned() },
        Refusal::TokenKnown { name: name.clone(), revoked: false },
        Refusal::TokenKnown { name: name.clone(), revoked: true },
        Refusal::OwnToken { name: name.clone() },
        Refusal::OwnTokenStays { name },
        Refusal::Changed { task },
        Refusal::TooLarge { task, bytes: 70_000, most: 65_536 },
        Refusal::Undecided { task, why: "out of ink".to_owned() },
        Refusal::Inside("the database refuses: so".to_owned()),
    ];
    all(&refusals, place_of_refusal, |refusal| is_worded(&super::refusal(refusal), &refusal.to_string()));
    let cycle = super::refusal(&refusals[1]).in_tongue(Tongue::Russian);
    assert_eq!(cycle, "вышел бы круг: DEMO-1 ждёт DEMO-2, DEMO-2 ждёт DEMO-1");
    let quoted = super::refusal(&refusals[13]).in_tongue(Tongue::Russian);
    assert!(crate::tongue::parts(&quoted)[1].is_english, "{quoted}");
}

#[test]
fn whatever_keeps_a_run_from_a_place_is_said_in_russian() {
    let (project, driver) = (ProjectName::new("shop").unwrap(), DriverName::new("claude").unwrap());
    let slot = |of| slots::Refusal::Slot { most: 2, of };
    let breaker = |ahead| slots::Refusal::Breaker { driver: driver.clone(), ahead };
    let cases = [
        slots::Refusal::Program("there is no `claude`".to_owned()),
        slot(Bound::Project(project)),
        slot(Bound::Repository("/srv/one".to_owned())),
        slot(Bound::Driver(driver.clone())),
        breaker(Ahead::Nobody),
        breaker(Ahead::Job(JobId(7))),
        breaker(Ahead::Another),
    ];
    let place = |refusal: &slots::Refusal| match refusal {
        slots::Refusal::Program(_) => 0,
        slots::Refusal::Slot { of: Bound::Project(_), .. } => 1,
        slots::Refusal::Slot { of: Bound::Repository(_), .. } => 2,
        slots::Refusal::Slot { of: Bound::Driver(_), .. } => 3,
        slots::Refusal::Breaker { ahead: Ahead::Nobody, .. } => 4,
        slots::Refusal::Breaker { ahead: Ahead::Job(_), .. } => 5,
        slots::Refusal::Breaker { ahead: Ahead::Another, .. } => 6,
    };
    let worded =
        |refusal: &slots::Refusal| is_worded(&Said::of(refusal.to_string(), no_place(refusal)), &refusal.to_string());
    all(&cases, place, worded);
}

#[test]
fn what_the_host_lacks_and_what_is_odd_and_done_is_said_in_russian() {
    let russian = |text: &str| is_worded(&Said::of(String::new(), text.to_owned()), "");
    let deeds = Deed::ALL.map(|one| russian(deed(Tongue::Russian, one)));
    assert_eq!(BTreeSet::from(deeds).len(), Deed::ALL.len());
    let parts = [Part::Sandbox, Part::Disk, Part::Files, Part::Workers, Part::Neighbours, Part::Store, Part::Ending];
    let place = |part: &Part| match part {
        Part::Sandbox => 0,
        Part::Disk => 1,
        Part::Files => 2,
        Part::Workers => 3,
        Part::Neighbours => 4,
        Part::Store => 5,
        Part::Ending => 6,
    };
    all(&parts, place, |one| russian(&trouble(Tongue::Russian, &Trouble::of(*one, "so"))));
    for one in [Warning::NoRequest, Warning::Unused { capability: domain::plugin::Capability::Forge }] {
        russian(&warning(Tongue::Russian, &one));
    }
}

#[test]
fn whatever_is_not_there_or_is_no_identifier_is_said_in_russian() {
    for what in Thing::ALL {
        is_worded(&absent(what, "x"), &format!("there is no {what} `x`"));
    }
    for kind in Kind::ALL {
        let error = InvalidId { text: "x".to_owned(), kind, expected: Form::Number };
        is_worded(&invalid_id(&error), &error.to_string());
    }
    for expected in Form::ALL {
        let error = InvalidId { text: "x".to_owned(), kind: Kind::Project, expected };
        is_worded(&invalid_id(&error), &error.to_string());
    }
    let error = "dance".parse::<Deed>().unwrap_err();
    let said = no_deed(&error);
    assert!(said.in_tongue(Tongue::Russian).contains("`dance` — такого аудит не записывает; есть: start, "));
    assert_eq!(said.english(), format!("`what`: {error}"));
}
