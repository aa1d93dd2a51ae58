//! Checks of a commit, as a forge or a build reports them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use conductor::ports::access::{Deed, Record};
use domain::ids::CommitId;
use domain::plugin::Check;

use crate::api::{Listing, NewCheck};
use crate::app::App;
use crate::body::{Required, Segments};
use crate::find;
use crate::problem::Problem;
use crate::routes::{Answer, at_most, one_line};
use crate::said::Said;
use crate::visitor::Operator;

pub(crate) async fn list(
    State(app): State<App>,
    Segments((name, commit)): Segments<(String, String)>,
) -> Answer<Listing<Check>> {
    let commit: CommitId = find::parse(&commit)?;
    let items = app.ask(move |state| {
        let project = find::project(&*state.store, &name)?.name;
        Ok(state.store.checks(&project, &commit)?)
    });
    Ok(Json(Listing { items: items.await?, more: false }))
}

pub(crate) async fn report(
    State(app): State<App>,
    Operator(actor): Operator,
    Segments((name, commit)): Segments<(String, String)>,
    Required(body): Required<NewCheck>,
) -> Result<(StatusCode, Json<Check>), Problem> {
    let commit: CommitId = find::parse(&commit)?;
    let check_name = one_line("name", &body.name, 255)?;
    at_most("description", &body.description, 4000)?;
    if let Some(url) = &body.url {
        at_most("url", url, 2000)?;
        if !(url.starts_with("https://") || url.starts_with("http://")) {
            return Err(Problem::invalid(Said::to_programs("`url` is no `http` or `https` address")));
        }
    }
    let kept = app.write(move |state| {
        let project = find::project(&*state.store, &name)?.name;
        // The words of this route are our own, so the reporter's word and ours are one.
        let raw = serde_json::to_value(body.state).ok().and_then(|word| Some(word.as_str()?.to_owned()));
        let check = Check {
            name: check_name,
            state: body.state,
            raw: raw.unwrap_or_default(),
            at: state.now(),
            url: body.url,
            description: body.description,
            report: None,
        };
        state.store.put_check(&project, &commit, &check, state.now())?;
        let record = Record {
            project: Some(project),
            subject: Some(commit.to_string()),
            after: Some(format!("{}: {}", check.name, check.raw)),
            ..Record::done(actor, Deed::ReportCheck)
        };
        state.access.record(&record, state.now())?;
        Ok(check)
    });
    Ok((StatusCode::CREATED, Json(kept.await?)))
}
