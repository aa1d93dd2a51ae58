//! What is wanted of many at once. How many they are may go along: it is compared in the transaction that acts.

use axum::Json;
use axum::extract::State;
use conductor::ports::access::{AuditFilter, Deed};
use conductor::ports::store::{Group, Pressed, Reached};
use domain::event::Intent;
use domain::ids::Actor;
use domain::task::HoldKind;
use domain::time::{Milliseconds, Timestamp};

use crate::api::{ForAll, ForHeld, ForParked, Retried};
use crate::app::{App, GatewayState};
use crate::body::Required;
use crate::find;
use crate::problem::Problem;
use crate::routes::intents::LONGEST_NOTE;
use crate::routes::{Answer, at_most};
use crate::said::{Said, both};
use crate::show::{line, span_in};
use crate::standing::goes_on_together;
use crate::tongue::Tongue;
use crate::visitor::Operator;

/// Of the API's route.
const COUNT: By = By::Count;

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

/// Who says how many there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// A program, by its parameter.
    Count,
    /// A button of a page.
    Button,
}

/// How many somebody saw.
#[derive(Clone, Copy)]
pub(crate) struct Named {
    pub(crate) by: By,
    /// None: however many they are.
    pub(crate) count: Option<u64>,
}

/// What is counted: in English of one and of many, in Russian of one, of few and of many.
type Counted = ([&'static str; 2], [&'static str; 3]);

const LIVE: Counted = (["live ticket", "live tickets"], ["живую задачу", "живые задачи", "живых задач"]);
const PAUSED: Counted = (["paused ticket", "paused tickets"], ["задачу на паузе", "задачи на паузе", "задач на паузе"]);
const HELD: Counted = (["held ticket", "held tickets"], ["удержанную задачу", "удержанные задачи", "удержанных задач"]);
const PARKED: Counted =
    (["parked delivery", "parked deliveries"], ["отложенную доставку", "отложенные доставки", "отложенных доставок"]);

/// How long ago somebody else may have done the same for it to be told.
const MEANWHILE: Milliseconds = Milliseconds::from_seconds(600);

/// What somebody is told who came too late, with who wanted the same of any task last, and when; unless that was long ago.
pub(crate) fn meanwhile(state: &GatewayState, intent: Intent, told: Said) -> Result<Problem, Problem> {
    let now = state.now();
    let since = Some(Timestamp(now.0.saturating_sub(MEANWHILE.0)));
    let filter = AuditFilter { what: Some(Deed::Intent(intent)), since, ..AuditFilter::default() };
    // Some of the lines say that it was refused.
    let lines = state.access.audit(&filter, 20)?;
    let Some(last) = lines.into_iter().find(|line| line.outcome == "done") else {
        return Ok(Problem::conflict(told));
    };
    let (who, what) = (line(&last.who, 80), line(&last.what, 40));
    let ago = |t| span_in(t, now.since(last.at));
    let (ago, past) = (ago(Tongue::English), ago(Tongue::Russian));
    let last = both!("; the last `{what}` was by {who}, {ago} ago", "; последнее `{what}` — от {who}, {past} назад");
    Ok(Problem::conflict(last.after(&told)))
}

impl Named {
    fn changed(self, (english, russian): Counted, now: u64) -> Said {
        let saw = |t: Tongue| t.count(self.count.unwrap_or_default(), english, russian);
        let (saw, ours) = (saw(Tongue::English), saw(Tongue::Russian));
        match self.by {
            By::Count => both!(
                "changed since you looked: `count` says {saw}, and there are {now} now; look again",
                "изменилось, пока вы смотрели: `count` называет {ours}, а теперь их {now}; посмотрите снова"
            ),
            By::Button => both!(
                "changed since you looked: the button named {saw}, and there are {now} now; look again",
                "изменилось, пока вы смотрели: кнопка называла {ours}, а теперь их {now}; посмотрите снова"
            ),
        }
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
        Group::Live(_) => LIVE,
        Group::Paused(_) => PAUSED,
        Group::Held { cause, .. } => {
            broke(*cause)?;
            HELD
        }
    };
    let mut all = Reached::default();
    let mut count = named.count;
    loop {
        match state.store.apply_to_all(group, intent, actor, note.trim(), count, state.now())? {
            Pressed::Changed(now) => {
                return Err(meanwhile(state, intent, named.changed(what, now))?);
            }
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
    Err(Problem::conflict(both!(
        "what is held as `{word}` did not break: a person is asked there, and lets each of these on by itself",
        "удержанное как `{word}` не сломалось: там спрашивают человека, и каждую из них он пускает дальше отдельно"
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
        Pressed::Changed(now) => Err(Problem::conflict(named.changed(PARKED, now))),
    }
}
