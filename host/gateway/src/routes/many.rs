//! What is wanted of many at once. How many they are may go along: it is compared in the transaction that acts.

use axum::Json;
use axum::extract::State;
use conductor::ports::store::{Group, Pressed, Reached};
use domain::event::Intent;
use domain::ids::Actor;
use domain::task::HoldKind;

use crate::api::{ForAll, ForHeld, ForParked, Retried};
use crate::app::{App, GatewayState};
use crate::body::Required;
use crate::find;
use crate::problem::Problem;
use crate::routes::intents::LONGEST_NOTE;
use crate::routes::{Answer, at_most};
use crate::standing::goes_on_together;
use crate::tongue::Tongue;
use crate::visitor::Operator;

/// Of the API's route.
const COUNT: &str = "`count` says";

pub(crate) async fn stop(app: State<App>, actor: Operator, body: Required<ForAll>) -> Answer<Reached> {
    to_all(app, actor, body, Intent::Stop, Group::Live).await
}

pub(crate) async fn pause(app: State<App>, actor: Operator, body: Required<ForAll>) -> Answer<Reached> {
    to_all(app, actor, body, Intent::Pause, Group::Live).await
}

pub(crate) async fn resume(app: State<App>, actor: Operator, body: Required<ForAll>) -> Answer<Reached> {
    to_all(app, actor, body, Intent::Resume, Group::Paused).await
}

async fn to_all(
    State(app): State<App>,
    Operator(actor): Operator,
    Required(ForAll { project, count, note }): Required<ForAll>,
    intent: Intent,
    group: fn(Option<domain::ids::ProjectName>) -> Group,
) -> Answer<Reached> {
    let reached = app.write(move |state| {
        let project =
            project.map(|name| find::project(&*state.store, name.as_str())).transpose()?.map(|project| project.name);
        reach(state, &group(project), intent, &actor, &note, Named { by: COUNT, count })
    });
    reached.await.map(Json)
}

pub(crate) async fn retry(
    State(app): State<App>,
    Operator(actor): Operator,
    Required(ForHeld { cause, step, count, note }): Required<ForHeld>,
) -> Answer<Reached> {
    let group = Group::Held { cause, step };
    let reached =
        app.write(move |state| reach(state, &group, Intent::Resume, &actor, &note, Named { by: COUNT, count }));
    reached.await.map(Json)
}

pub(crate) async fn retry_parked(
    State(app): State<App>,
    Operator(actor): Operator,
    Required(ForParked { count }): Required<ForParked>,
) -> Answer<Retried> {
    app.write(move |state| read_again(state, &actor, Named { by: COUNT, count })).await.map(Json)
}

/// How many somebody saw.
#[derive(Clone, Copy)]
pub(crate) struct Named {
    /// Who says so, as a refusal tells it: `the button named`.
    pub(crate) by: &'static str,
    /// None: however many they are.
    pub(crate) count: Option<u64>,
}

impl Named {
    fn changed(self, what: [&str; 2], now: u64) -> Problem {
        let (by, saw) = (self.by, self.count.unwrap_or_default());
        // As the records say it, whatever the reader's language.
        let saw = Tongue::English.count(saw, what, [""; 3]);
        Problem::conflict(format!("changed since you looked: {by} {saw}, and there are {now} now; look again"))
    }
}

/// Gives an intent to all of a group.
pub(crate) fn reach(
    state: &GatewayState,
    group: &Group,
    intent: Intent,
    actor: &Actor,
    note: &str,
    named: Named,
) -> Result<Reached, Problem> {
    at_most("note", note, LONGEST_NOTE)?;
    let what = match group {
        Group::Live(_) => ["live ticket", "live tickets"],
        Group::Paused(_) => ["paused ticket", "paused tickets"],
        Group::Held { cause, .. } => {
            broke(*cause)?;
            ["held ticket", "held tickets"]
        }
    };
    let mut all = Reached::default();
    let mut count = named.count;
    loop {
        match state.store.apply_to_all(group, intent, actor, note.trim(), count, state.now())? {
            Pressed::Changed(now) => return Err(named.changed(what, now)),
            Pressed::Done(reached) => {
                // Those who were told are not among the next ones; others write meanwhile.
                let goes_on = reached.more && !reached.tasks.is_empty() && matches!(group, Group::Live(_));
                all.more = reached.more;
                all.tasks.extend(reached.tasks);
                if !goes_on {
                    return Ok(all);
                }
            }
        }
        count = None;
    }
}

/// Whoever is asked something gives each an answer of its own; more money is the same answer to all.
fn broke(cause: HoldKind) -> Result<(), Problem> {
    if goes_on_together(cause) {
        return Ok(());
    }
    let word = cause_word(cause);
    Err(Problem::conflict(format!(
        "what is held as `{word}` did not break: a person is asked there, and lets each of these on by itself"
    )))
}

/// A cause as requests and rows spell it.
pub(crate) fn cause_word(cause: HoldKind) -> String {
    serde_json::to_value(cause).ok().and_then(|word| Some(word.as_str()?.to_owned())).unwrap_or_default()
}

/// Reads all parked deliveries once more.
pub(crate) fn read_again(state: &GatewayState, actor: &Actor, named: Named) -> Result<Retried, Problem> {
    match state.store.retry_parked(actor, named.count, state.now())? {
        Pressed::Done(retried) => Ok(Retried { retried, parked: state.store.parked_deliveries()? }),
        Pressed::Changed(now) => Err(named.changed(["parked delivery", "parked deliveries"], now)),
    }
}
