//! The auditor's rules: what a single step may do, what is counted over all of them, and what those outside remember.

use std::collections::BTreeMap;

use super::accounts::is_deployed;
use super::{Shadow, json, number};
use crate::costs::differs;
use crate::people::{self, STRANGER};
use crate::world::World;
use conductor::breaker::{Breaker, Passage};
use domain::entry::Entry;
use domain::event::{Answer, Event, FailureClass, Intent, Observation, RunOutcome};
use domain::ids::{Actor, TaskId};
use domain::pipeline::{Consent, Pipeline, StepKind};
use domain::task::{Activity, Task};
use domain::time::Timestamp;
use rusqlite::{Connection, params};

pub(super) fn comments(sql: &Connection, world: &World) -> Result<Vec<String>, rusqlite::Error> {
    let mut wrongs = Vec::new();
    let mut query = sql
        .prepare("SELECT t.work_item, j.id FROM job j JOIN task t ON t.id = j.task WHERE j.effect = 'post-comment'")?;
    let jobs = query.query_map([], |row| Ok((row.get::<_, String>(0)?, number(row, 1)?)))?;
    let jobs = jobs.collect::<Result<Vec<_>, _>>()?;
    for ((item, key), times) in &world.cards.comments {
        let is_job = jobs.iter().any(|(of, id)| of == item.as_str() && *key == format!("gatewright-job-{id}"));
        if !is_job && !key.starts_with("gatewright-refusal-") {
            wrongs.push(format!("the comment {key} at {item} belongs to no job"));
        }
        if *times != 1 {
            wrongs.push(format!("the comment {key} at {item} is there {times} times"));
        }
    }
    let told = "SELECT j.id, t.work_item FROM event e JOIN job j ON j.id = e.job JOIN task t ON t.id = e.task
        WHERE e.kind = 'aftermath-ended' AND j.effect = 'post-comment' AND e.body LIKE '%\"note\":\"commented:%'";
    let mut query = sql.prepare(told)?;
    let rows = query.query_map([], |row| Ok((number(row, 0)?, row.get::<_, String>(1)?)))?;
    for row in rows {
        let (job, item) = row?;
        let key = format!("gatewright-job-{job}");
        if !world.cards.comments.keys().any(|(of, external)| of.as_str() == item && *external == key) {
            wrongs.push(format!("the host says that it wrote the comment {key}, and it is not there"));
        }
    }
    Ok(wrongs)
}

/// Nothing is given up because a tracker does not answer, and no row is parked but by the mapper's own word: the simulated one never
/// fails so often in a row.
pub(super) fn given_up(sql: &Connection) -> Result<Vec<String>, rusqlite::Error> {
    let unheard = "SELECT e.task, e.body ->> '$.note' FROM event e WHERE e.kind = 'aftermath-ended'
            AND e.body ->> '$.note' LIKE '%was given up: the tracker does not answer%'
        UNION ALL SELECT id, 'delivery parked: ' || IFNULL(why, '') FROM delivery
            WHERE state = 'parked' AND IFNULL(why, '') NOT LIKE '%gave up%'";
    let mut query = sql.prepare(unheard)?;
    let rows = query.query_map([], |row| Ok((number(row, 0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| row.map(|(id, what)| format!("{id}: {what}"))).collect()
}

/// Rows of people's that no delivery told.
const UNTOLD: &str =
    "tracker_activity a WHERE a.actor <> '{\"kind\":\"host\"}' AND NOT EXISTS (SELECT 1 FROM delivery d
    WHERE d.project = a.project AND d.source = 'board' AND d.log_row = CAST(a.id AS TEXT))";

pub(super) fn untold(sql: &Connection) -> Result<u64, rusqlite::Error> {
    sql.prepare_cached(&format!("SELECT COUNT(*) FROM {UNTOLD}"))?.query_row([], |row| number(row, 0))
}

/// A row whose delivery was lost is told before a later one of its item is heard.
pub(super) fn told_out_of_turn(sql: &Connection) -> Result<Vec<String>, rusqlite::Error> {
    let query = format!(
        "SELECT a.work_item, a.id FROM {UNTOLD} AND EXISTS (SELECT 1 FROM delivery e WHERE e.project = a.project
            AND e.work_item = a.work_item AND e.row_order > a.id AND e.state = 'expanded')"
    );
    let mut query = sql.prepare_cached(&query)?;
    let found = query.query_map([], |row| Ok((row.get::<_, String>(0)?, number(row, 1)?)))?;
    found
        .map(|row| row.map(|(item, row)| format!("row {row} of {item} was never told, and a later one was heard")))
        .collect()
}

/// Who decides moved the card in this very wait, after the board had shown the question; it was heard, and the task still waits.
pub(super) fn passed_over(
    sql: &Connection,
    id: TaskId,
    task: &Task,
    consent: Consent,
) -> Result<Option<String>, rusqlite::Error> {
    let answer = match consent {
        Consent::Approve => "Approved",
        Consent::Confirm => "Confirm Deploy",
    };
    let query = "SELECT a.id FROM tracker_activity a JOIN delivery d ON d.project = a.project AND d.source = 'board'
            AND d.log_row = CAST(a.id AS TEXT)
        WHERE a.project = ?1 AND a.work_item = ?2 AND a.after IN (?3, 'Rejected') AND a.before IS NOT NULL
            AND a.actor = ?4 AND d.state = 'expanded'
            AND a.stood ->> '$.task' = ?5 AND a.stood ->> '$.epoch' = ?6 AND a.stood ->> '$.shown'";
    let actor = serde_json::to_string(&Actor::Person(people::DECIDER.to_owned())).unwrap_or_default();
    let (project, item) = (task.project.as_str(), task.work_item.as_str());
    let key = params![project, item, answer, actor, id.0.cast_signed(), task.epoch.0.cast_signed()];
    let mut query = sql.prepare_cached(query)?;
    let row = query.query_map(key, |row| number(row, 0))?.next().transpose()?;
    Ok(row.map(|row| format!("task {id} awaits a person, and the decision of row {row} was heard and had no effect")))
}

/// A dead owner's job runs again at the first look that has room for a claim: what was begun has its slot already, and waits for
/// nothing but its task's other run that is being ended, a freeze, or a lease that it has not.
pub(super) fn left_behind(sql: &Connection) -> Result<Option<String>, rusqlite::Error> {
    let query = "SELECT j.id, j.effect FROM job j JOIN task t ON t.id = j.task AND t.epoch = j.epoch
        WHERE j.state = 'queued' AND j.class = 'drive' AND j.attempted = 1 AND j.available_at = 0
            AND NOT EXISTS (SELECT 1 FROM job o WHERE o.task = j.task AND o.id <> j.id AND o.class = 'drive'
                AND (o.state = 'claimed' OR o.winding = 1))
            AND NOT (t.branch IS NULL AND EXISTS (SELECT 1 FROM freeze))
            AND (j.lease IS NULL OR EXISTS (SELECT 1 FROM lease l WHERE l.holder = j.task AND l.name = j.lease))";
    let mut query = sql.prepare_cached(query)?;
    let found = query.query_map([], |row| Ok((number(row, 0)?, row.get::<_, String>(1)?)))?.next().transpose()?;
    Ok(found
        .map(|(job, effect)| format!("job {job} ({effect}) of a dead host is queued, and a look with room left it")))
}

pub(super) fn cut(text: &str) -> String {
    text.chars().take(220).collect()
}

pub(super) fn left_its_end(before: &Task, after: &Task) -> Option<String> {
    (before.end().is_some() && before.position != after.position)
        .then(|| format!("it left its end for {} {}", after.position.stage, after.position.activity.name()))
}

/// What belongs to an activity that was left moves nothing; a late run only tells what it cost.
pub(super) fn moved_by_the_late(before: &Task, event: &Event, entries: &[Entry]) -> Option<String> {
    let epoch = event.epoch()?;
    let only_costs = entries.iter().all(|entry| matches!(entry, Entry::RunEnded { .. }));
    (epoch != before.epoch && !only_costs)
        .then(|| format!("a {} of epoch {epoch} moved it in epoch {}", event.name(), before.epoch))
}

/// Half of a deploy is worse than a whole one that nobody wants any more: what cannot be taken back is left to end.
pub(super) fn cut_short(before: &Task, after: &Task, event: &Event) -> Option<String> {
    let is_gone = matches!(event, Event::Observed { observation: Observation::GoneFromBoard { .. } });
    let Activity::Acting { step } = &before.position.activity else { return None };
    let acts = ["deploy", "merge", "prove-merged"].contains(&step.as_str()) && !before.leases.is_empty();
    (is_gone && acts && matches!(after.position.activity, Activity::Held { .. }))
        .then(|| format!("a card that is gone cut `{step}` short"))
}

pub(super) fn cost_the_developer(before: &Task, after: &Task, event: &Event, entries: &[Entry]) -> Option<String> {
    let is_infra = matches!(
        event,
        Event::StepAnswered { answer: Answer::Infra { .. }, .. }
            | Event::RunEnded { outcome: RunOutcome::Undelivered { .. } | RunOutcome::OverBudget { .. }, .. }
            | Event::Panicked { .. }
            | Event::TimerFired { .. }
            | Event::LeaseGranted { .. }
            | Event::Woken { .. }
    );
    if !is_infra {
        return None;
    }
    if entries.iter().any(|entry| matches!(entry, Entry::DeveloperRetrySpent)) {
        return Some(format!("a {} of the infrastructure's cost the developer a retry", event.name()));
    }
    let is_answer = !matches!(event, Event::TimerFired { .. } | Event::Woken { .. });
    let is_back = after.position.stage != before.position.stage && after.end().is_none() && !before.stop_requested;
    (is_answer && is_back)
        .then(|| format!("a {} of the infrastructure's moved it to {}", event.name(), after.position.stage))
}

/// An attempt is counted once, and what the service behind an agent refused costs none: the service's own record says what it
/// refused, not the class that the host gave it.
pub(super) fn cost_an_attempt(before: &Task, after: &Task, event: &Event, world: &World) -> Option<String> {
    let Event::RunEnded { epoch, run, outcome, .. } = event else { return None };
    if *epoch != before.epoch || after.position.visit != before.position.visit {
        return None;
    }
    let attempts = after.run_retries.saturating_sub(before.run_retries);
    let transient = after.transient_retries.saturating_sub(before.transient_retries);
    let refused = world.shims.refused(*run);
    match outcome {
        RunOutcome::Undelivered { class, .. } if refused != (*class == FailureClass::Transient) => {
            Some(format!("run {run} was {}refused, and counts as {class:?}", if refused { "" } else { "not " }))
        }
        RunOutcome::Undelivered { .. } if refused && attempts > 0 => {
            Some(format!("run {run} was refused, and cost {attempts} attempts"))
        }
        _ if attempts + transient > 1 => {
            Some(format!("the end of run {run} was counted {attempts} and {transient} times"))
        }
        _ => None,
    }
}

/// How the breakers stand, and whether their probes live.
pub(super) fn breakers(sql: &Connection) -> Result<BTreeMap<String, (Breaker, bool)>, rusqlite::Error> {
    let mut query = sql.prepare_cached("SELECT driver, body FROM breaker")?;
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let mut found = BTreeMap::new();
    for row in rows {
        let (driver, body) = row?;
        let breaker: Breaker = json(&body);
        let lives = match &breaker {
            Breaker::HalfOpen { probe, .. } => sql
                .prepare_cached("SELECT state = 'claimed' OR winding OR (attempted AND state = 'queued' AND available_at = 0) FROM job WHERE id = ?1")?
                .query_row([probe.0.cast_signed()], |row| row.get(0))?,
            Breaker::Closed { .. } | Breaker::Open { .. } => false,
        };
        found.insert(driver, (breaker, lives));
    }
    Ok(found)
}

/// How many were launched anew since the last look is what the breaker let through as it stood then.
pub(super) fn let_through(
    breaker: Option<&(Breaker, bool)>,
    clock: Timestamp,
    passed: u32,
    driver: &str,
) -> Option<String> {
    let (breaker, probe_lives) = breaker?;
    let may = match breaker.passage(clock, *probe_lives) {
        Passage::All => return None,
        Passage::One => 1,
        Passage::Nobody { .. } => 0,
    };
    (passed > may).then(|| format!("{passed} runs of {driver} were let through, and {may} might: {breaker:?}"))
}

/// What is counted over all of a task's steps.
pub(super) fn tally(shadow: &mut Shadow, entries: &[Entry], pipeline: Option<&Pipeline>, world: &World) -> Vec<String> {
    let mut wrongs = Vec::new();
    for entry in entries {
        match entry {
            Entry::RunEnded { run, spent, .. } => {
                if shadow.ended_runs.contains(run) {
                    wrongs.push(format!("the end of run {run} was counted twice"));
                }
                shadow.ended_runs.push(*run);
                if let Some(spent) = spent {
                    shadow.counted.insert(*run);
                    let of_an_agent = world.shims.agents_over().find(|(over, ..)| over == run);
                    let wrong = of_an_agent.and_then(|(_, _, used)| differs(&used, spent));
                    wrongs.extend(wrong.map(|wrong| format!("run {run}: {wrong}")));
                }
            }
            Entry::Deployed { commit } => wrongs.extend(is_deployed(shadow, commit, world)),
            Entry::StepAnswered { step, answer, .. } if answer == "pass" || answer == "not-applicable" => {
                let stage = &shadow.task.position.stage;
                let is_gate = pipeline
                    .and_then(|pipeline| {
                        pipeline
                            .stages()
                            .iter()
                            .filter_map(|stage| stage.edge.as_ref())
                            .find_map(|edge| edge.steps.iter().find(|candidate| candidate.name == *step))
                    })
                    .is_some_and(|found| matches!(found.kind, StepKind::Gate { .. }));
                let passes = shadow.passes.entry(step.clone()).or_default();
                *passes += 1;
                let said = world.judges.passed.get(&(shadow.task.id, step.clone())).copied().unwrap_or(0);
                if is_gate && *passes > said {
                    wrongs.push(format!(
                        "{step} (now in {stage}) passed {passes} times, and its gate said so {said} times"
                    ));
                }
            }
            Entry::IntentTaken { intent, actor, .. } => {
                let taken = shadow.taken.entry((*intent, actor.clone())).or_default();
                *taken += 1;
                let key = (shadow.task.work_item.clone(), *intent, actor.clone());
                let wanted = world.people.wanted.get(&key).copied().unwrap_or(0);
                if *taken > wanted {
                    wrongs.push(format!("{intent:?} of {actor} was taken {taken} times, and wanted {wanted} times"));
                }
                let decides = matches!(intent, Intent::Approve | Intent::Reject | Intent::ConfirmDeploy);
                if decides && *actor == Actor::Person(STRANGER.to_owned()) {
                    wrongs.push(format!("{intent:?} was taken from {actor}, who may not decide"));
                }
            }
            _ => {}
        }
    }
    wrongs
}

pub(super) fn is_in_main(task: &Task, world: &World) -> Option<String> {
    // Others tested what an observed task brought to its end; that it is in main stands all the same.
    let validated = if task.observed { &task.merged } else { &task.validated };
    let Some(validated) = validated else {
        return Some(format!("task {} is done, and no commit of it was validated", task.id));
    };
    let inside = world.forge.is_ancestor(validated, &world.forge.base_head()).unwrap_or(false);
    (!inside).then(|| format!("task {} is done, and {validated} is not in main", task.id))
}

/// A fact that was acknowledged after the gate was last asked, and that the task says it waits for.
pub(super) fn sleeps_over(task: &Task, world: &World) -> Option<String> {
    let Activity::Waiting { step: Some(step), wake, .. } = &task.position.activity else { return None };
    let asked = world.judges.asked.get(&task.id).filter(|asked| asked.step == *step && asked.head == task.head)?;
    let slept = wake.iter().find(|kind| {
        let Some(subject) = people::subject(task, *kind) else { return false };
        let key = (subject, *kind);
        world.cards.wakes.get(&key).copied().unwrap_or(0) > asked.wakes.get(&key).copied().unwrap_or(0)
    })?;
    Some(format!("task {} sleeps at {step} over a fact of {slept} that arrived after it was asked", task.id))
}
