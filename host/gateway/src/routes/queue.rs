//! The queue, the leases, and what has not ended.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use conductor::breaker::Breaker;
use conductor::ports::store::{ClaimLimits, Predecessor};
use conductor::slots::DriverRow;
use domain::ids::DriverName;

use crate::again;
use crate::api::{ActiveTask, DriverView, LeaseView, Listing, LiveQueue, Status};
use crate::app::App;
use crate::body::Parameters;
use crate::find;
use crate::routes::{ALL, Answer, Limit, listing};

pub(crate) async fn jobs(State(app): State<App>, Parameters(limit): Parameters<Limit>) -> Answer<LiveQueue> {
    let rows = limit.rows()?;
    let answer = app.ask(move |state| {
        let limits = state.desk.limits();
        let Listing { items, more } = listing(state.store.jobs(&limits, state.now(), rows + 1)?, rows);
        let items = again::explained(state, &limits, items);
        let keys = find::keys(&*state.store, items.iter().map(|job| job.task))?;
        let mut tasks: Vec<_> = keys.into_iter().map(|(task, work_item)| Predecessor { task, work_item }).collect();
        tasks.sort_by_key(|named| named.task);
        let drivers = drivers(&limits, state.store.drivers()?);
        Ok(LiveQueue { items, more, counts: state.store.load()?, tasks, drivers })
    });
    answer.await.map(Json)
}

/// Each driver that a project names or that has runs, by name.
pub(crate) fn drivers(limits: &ClaimLimits, known: Vec<DriverRow>) -> Vec<DriverView> {
    let mut rows: BTreeMap<DriverName, DriverRow> = known.into_iter().map(|row| (row.driver.clone(), row)).collect();
    let sitters = limits.places.iter().flat_map(|places| places.values()).flat_map(|place| place.seats.values());
    for driver in sitters.filter_map(|sitter| sitter.driver.as_ref()) {
        rows.entry(driver.clone()).or_insert_with(|| DriverRow {
            driver: driver.clone(),
            breaker: Breaker::default(),
            probe_lives: false,
            runs: 0,
        });
    }
    rows.into_values().map(|row| view(row, limits)).collect()
}

fn view(row: DriverRow, limits: &ClaimLimits) -> DriverView {
    let (since, until, failures) = match &row.breaker {
        Breaker::Closed { failures, .. } => (None, None, *failures),
        Breaker::Open { since, until, .. } => (Some(*since), Some(*until), 0),
        Breaker::HalfOpen { since, .. } => (Some(*since), None, 0),
    };
    let limit = Some(limits.of_driver(&row.driver)).filter(|limit| *limit < u32::MAX);
    let state = row.breaker.word().to_owned();
    DriverView { driver: row.driver, state, since, until, failures, runs: row.runs, limit }
}

pub(crate) async fn leases(State(app): State<App>) -> Answer<Listing<LeaseView>> {
    let rows = app.ask(|state| Ok(state.store.leases()?)).await?;
    let items = rows.into_iter().map(|(project, name, holder, token)| LeaseView { project, name, holder, token });
    Ok(Json(Listing { items: items.collect(), more: false }))
}

pub(crate) async fn status(State(app): State<App>) -> Answer<Status> {
    let tasks = app.ask(|state| Ok(state.store.tasks(true, ALL)?)).await?;
    let rows = tasks.into_iter().map(|task| ActiveTask {
        phase: task.phase(),
        id: task.id,
        work_item_id: task.work_item,
        repo: task.project,
        title: task.title,
        stage: task.position.stage,
        branch: task.branch,
    });
    Ok(Json(Status { active_tasks: rows.collect() }))
}
