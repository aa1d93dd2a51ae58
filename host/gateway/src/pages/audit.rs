//! Who did what, and who wanted to.

use std::collections::HashMap;

use askama::Template;
use conductor::ports::access::AuditRow;
use domain::ids::{TaskId, WorkItemId};

use super::frame::{Frame, encoded};
use crate::api::State;
use crate::app::GatewayState;
use crate::find;
use crate::problem::Problem;
use crate::routes::audit::{self, Which};
use crate::show::{Moment, line};
use crate::tongue::Tongue;
use crate::{worded, words};

#[derive(Template)]
#[template(path = "audit.html")]
pub(crate) struct AuditPage {
    pub(crate) frame: Frame,
    pub(crate) audit: Audit,
}

/// Lines of the audit, the newest first.
pub(crate) struct Audit {
    rows: Vec<Row>,
    who: String,
    what: String,
    task: String,
    project: String,
    is_filtered: bool,
    older: Option<String>,
    /// All of them for programs.
    export: String,
}

struct Row {
    at: Moment,
    who: String,
    from: String,
    /// What was done, in a reader's language, where that is not the word itself.
    deed: &'static str,
    what: String,
    about: String,
    /// The ticket that it was done to.
    ticket: Option<String>,
    state: State,
    outcome: String,
    moved: String,
    why: String,
}

pub(crate) fn read(state: &GatewayState, t: Tongue, which: Which) -> Result<Audit, Problem> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (who, what, task, project) = (text(&which.who), text(&which.what), text(&which.task), text(&which.project));
    let query = query(&which);
    let found = audit::read(state, &which)?;
    let keys = find::keys(&*state.store, found.items.iter().filter_map(|row| row.task))?;
    let older = found.next.map(|before| format!("{query}before={before}"));
    Ok(Audit {
        rows: found.items.iter().map(|found| row(t, found, &keys)).collect(),
        is_filtered: [&who, &what, &task, &project].iter().any(|text| !text.is_empty()),
        who,
        what,
        task,
        project,
        older,
        export: match query.trim_end_matches('&') {
            "" => "/api/v1/audit.jsonl".to_owned(),
            query => format!("/api/v1/audit.jsonl?{query}"),
        },
    })
}

/// What is asked for, as the beginning of a query.
fn query(which: &Which) -> String {
    let number = |value: Option<u64>| value.map(|number| number.to_string());
    let asked = [
        ("who", which.who.clone()),
        ("what", which.what.clone()),
        ("task", which.task.clone()),
        ("project", which.project.clone()),
        ("since", number(which.since)),
        ("until", number(which.until)),
    ];
    let mut query = String::new();
    for (name, value) in asked {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            query.push_str(&format!("{name}={}&", encoded(&value)));
        }
    }
    query
}

fn row(t: Tongue, row: &AuditRow, keys: &HashMap<TaskId, WorkItemId>) -> Row {
    let ticket = row.task.and_then(|task| keys.get(&task)).map(ToString::to_string);
    let about = row.subject.clone().or_else(|| row.project.clone()).unwrap_or_default();
    let stood = |place: &String| words::place(t, place);
    let moved = match (&row.before, &row.after) {
        (Some(before), Some(after)) => format!("{} → {}", stood(before), stood(after)),
        (one, other) => other.as_ref().or(one.as_ref()).map(stood).unwrap_or_default(),
    };
    Row {
        at: Moment::of(row.at),
        who: line(&row.who, 80),
        from: line(row.peer.as_deref().unwrap_or_default(), 80),
        deed: row.what.parse().map_or("", |deed| worded::deed(t, deed)),
        what: line(&row.what, 40),
        about: if ticket.as_deref() == Some(about.as_str()) { String::new() } else { line(&about, 120) },
        ticket,
        state: if row.outcome == "done" { State::Done } else { State::Stopped },
        outcome: line(words::outcome(t, &row.outcome), 40),
        moved: line(&moved, 200),
        why: line(&row.why, 300),
    }
}
