//! Buttons for many at once: each names how many it was shown for, and does nothing where they are not as many any more.

use axum::extract::State;
use axum::response::Response;
use conductor::ports::store::{Group, StoreError};
use domain::event::Intent;
use domain::ids::{Actor, DeliveryId, StepName};
use domain::task::HoldKind;
use serde::Deserialize;

use crate::app::App;
use crate::body::Segments;
use crate::find;
use crate::pages::{Reader, Refused};
use crate::problem::Problem;
use crate::routes::many::{self, By, Named};
use crate::said::both;
use crate::visitor::{Form, Operator};
use crate::worded;

const BUTTON: By = By::Button;

/// How many the button named.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counted {
    count: u64,
    #[serde(default)]
    note: String,
}

/// What the button of a cause sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Caused {
    cause: HoldKind,
    #[serde(default)]
    step: String,
    count: u64,
    #[serde(default)]
    note: String,
}

pub(crate) async fn retry(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Form(Caused { cause, step, count, note }): Form<Caused>,
) -> Result<Response, Refused> {
    let step = if step.is_empty() { Ok(None) } else { find::parse::<StepName>(&step).map(Some) };
    match step {
        Ok(step) => {
            let wish = Wish {
                group: Group::Held { cause, step },
                intent: Intent::Resume,
                did: "retried",
                back: "/".to_owned(),
            };
            wish.press(app, reader, actor, Counted { count, note }).await
        }
        Err(problem) => Err(Refused::of(problem, reader)),
    }
}

pub(crate) async fn resume_all(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Form(form): Form<Counted>,
) -> Result<Response, Refused> {
    Wish::of_all(Group::Paused(None), Intent::Resume, "resumed-all").press(app, reader, actor, form).await
}

pub(crate) async fn stop_all(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Form(form): Form<Counted>,
) -> Result<Response, Refused> {
    Wish::of_all(Group::Live(None), Intent::Stop, "stopped-all").press(app, reader, actor, form).await
}

pub(crate) async fn pause_all(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Form(form): Form<Counted>,
) -> Result<Response, Refused> {
    Wish::of_all(Group::Live(None), Intent::Pause, "paused-all").press(app, reader, actor, form).await
}

/// Stops the live tasks of one project.
pub(crate) async fn stop_project(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Segments(name): Segments<String>,
    Form(form): Form<Counted>,
) -> Result<Response, Refused> {
    match app.ask(move |state| Ok(find::project(&*state.store, &name)?.name)).await {
        Ok(project) => {
            let back = format!("/p/{project}");
            let wish = Wish { group: Group::Live(Some(project)), intent: Intent::Stop, did: "stopped-project", back };
            wish.press(app, reader, actor, form).await
        }
        Err(problem) => Err(Refused::of(problem, reader)),
    }
}

/// What a button wants of a group, and how its page says afterwards that this was done.
struct Wish {
    group: Group,
    intent: Intent,
    did: &'static str,
    back: String,
}

impl Wish {
    /// Of the first page.
    fn of_all(group: Group, intent: Intent, did: &'static str) -> Self {
        Self { group, intent, did, back: "/".to_owned() }
    }

    async fn press(self, app: App, reader: Reader, actor: Actor, form: Counted) -> Result<Response, Refused> {
        let Self { group, intent, did, back } = self;
        let named = Named { by: BUTTON, count: Some(form.count) };
        let pressed = app.write(move |state| {
            let reached = many::reach(state, &group, intent, &actor, &form.note, named)?;
            if reached.tasks.is_empty() {
                let told = both!(
                    "changed since you looked: others did it meanwhile, and nobody was left to be told",
                    "изменилось, пока вы смотрели: это тем временем сделали другие, и никого не осталось"
                );
                return Err(many::meanwhile(state, intent, told)?);
            }
            Ok(())
        });
        match pressed.await {
            Ok(()) => Ok(reader.done(&app, &back, did, None)),
            Err(problem) => Err(Refused::of(problem, reader.at(&back))),
        }
    }
}

/// What the button of a delivery sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parked {
    #[serde(default)]
    back: String,
}

/// Reads a parked delivery once more.
pub(crate) async fn retry_delivery(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Segments(id): Segments<String>,
    Form(Parked { back }): Form<Parked>,
) -> Result<Response, Refused> {
    let way_back = format!("/deliveries/{id}");
    let retried = app.write(move |state| {
        let id: DeliveryId = find::parse(&id)?;
        match state.store.retry_delivery(id, &actor, state.now()) {
            Err(StoreError::Refused(why)) => {
                let changed = both!("changed since you looked: ", "изменилось, пока вы смотрели: ");
                Err(Problem::conflict(worded::refusal(&why).after(&changed)))
            }
            told => Ok(told?),
        }
    });
    match retried.await {
        Ok(()) => Ok(reader.done(&app, &back, "delivery-retried", None)),
        Err(problem) => Err(Refused::of(problem, reader.at(&way_back))),
    }
}

/// Reads all parked deliveries once more.
pub(crate) async fn retry_parked(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Form(form): Form<Counted>,
) -> Result<Response, Refused> {
    let named = Named { by: BUTTON, count: Some(form.count) };
    match app.write(move |state| many::read_again(state, &actor, named)).await {
        Ok(_) => Ok(reader.done(&app, "/deliveries", "deliveries-retried", None)),
        Err(problem) => Err(Refused::of(problem, reader.at("/deliveries"))),
    }
}
