//! What Plane sends: an envelope with `event`, `action`, `data` and `activity`.
//!
//! One delivery comes for each field that was changed, in any order, each with the item as it stands in the end. `activity` says what
//! was asked for, `data` what is.

use serde_json::Value;

use crate::event::{Event, ItemComment, ProjectChanged, Status, WorkItem};
use crate::headers::Headers;
use crate::look::{self, TEXT, TITLE};
use crate::route;
use crate::words::{Change, Field};
use crate::{DecodeError, Source};

/// The events that are read.
pub(crate) const KNOWN: [&str; 7] =
    ["project", "issue", "work_item", "issue_comment", "work_item_comment", "cycle", "module"];

pub(crate) fn decode(headers: &Headers, envelope: &Value) -> Result<Event, DecodeError> {
    let event = route::event(Source::Plane, headers, look::id(envelope, &["event"]));
    let Some(event) = event else {
        return Err(DecodeError::Unknown("neither `X-Plane-Event` nor `event` of the body names one".to_owned()));
    };
    Ok(match event.as_str() {
        "project" => Event::ProjectChanged(thing(envelope, &["data.id"])),
        "issue" | "work_item" => Event::WorkItemChanged(Box::new(work_item(envelope))),
        "issue_comment" | "work_item_comment" => Event::ItemCommented(comment(envelope)),
        "cycle" => Event::CycleChanged(thing(envelope, &["data.project", "data.project_id"])),
        "module" => Event::ModuleChanged(thing(envelope, &["data.project", "data.project_id"])),
        other => return Err(DecodeError::Unknown(format!("Plane's `{}`", look::cut(other, 40)))),
    })
}

fn change(envelope: &Value) -> Option<Change> {
    look::word(envelope, &["action"]).map(|word| Change::of(&word))
}

fn field(envelope: &Value) -> Option<Field> {
    look::word(envelope, &["activity.field"]).map(|word| Field::of(&word))
}

fn thing(envelope: &Value, project: &[&str]) -> ProjectChanged {
    ProjectChanged {
        change: change(envelope),
        project: look::id(envelope, project),
        id: look::id(envelope, &["data.id"]),
        name: look::text(envelope, &["data.name"], TITLE),
        identifier: look::word(envelope, &["data.identifier"]),
        actor: look::person(envelope, &["activity.actor"]),
    }
}

fn work_item(envelope: &Value) -> WorkItem {
    let data = look::at(envelope, &["data"]);
    WorkItem {
        change: change(envelope),
        field: field(envelope),
        old: look::values(envelope, &["activity.old_value"]),
        requested: look::values(envelope, &["activity.new_value"]),
        project: look::id(data, &["project", "project_id"]),
        item: look::id(data, &["id"]),
        number: look::number(data, &["sequence_id"]),
        title: look::text(data, &["name", "title"], TITLE),
        status: status(data),
        labels: look::labels(data, &["labels", "label_ids"]),
        assignees: look::people(data, &["assignees", "assignee_ids"]),
        priority: look::word(data, &["priority"]),
        parent: look::id(data, &["parent", "parent_id"]),
        archived: look::word(data, &["archived_at"]).is_some() || look::flag(data, &["archived_at"]) == Some(true),
        draft: look::flag(data, &["is_draft"]).unwrap_or(false),
        actor: look::person(envelope, &["activity.actor"]),
        updated_at: look::time(data, &["updated_at"]),
    }
}

/// An object, or the bare id.
fn status(data: &Value) -> Option<Status> {
    let status = Status {
        id: look::id(data, &["state", "state_id"]),
        name: look::word(data, &["state.name", "state_name"]),
        group: look::word(data, &["state.group", "state_group"]),
    };
    (status.id.is_some() || status.name.is_some()).then_some(status)
}

fn comment(envelope: &Value) -> ItemComment {
    let data = look::at(envelope, &["data"]);
    let source = look::word(data, &["external_source"]);
    ItemComment {
        change: change(envelope),
        field: field(envelope),
        project: look::id(data, &["project", "project_id"]),
        item: look::id(data, &["issue", "issue_id", "work_item"]),
        comment: look::id(data, &["id"]),
        html: look::text(data, &["comment_html"], TEXT),
        access: look::word(data, &["access"]),
        external: source.zip(look::word(data, &["external_id"])).map(|(source, id)| [source, id]),
        actor: look::person(envelope, &["activity.actor"]),
        created_at: look::time(data, &["created_at"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_archived_where_something_says_when() {
        for (archived_at, expected) in [
            (r#""2026-05-01T10:00:00Z""#, true),
            (r#""2026-05-01""#, true),
            ("true", true),
            (r#""""#, false),
            ("false", false),
            ("null", false),
            ("{}", false),
        ] {
            let body = format!(r#"{{"event": "issue", "data": {{"archived_at": {archived_at}}}}}"#);
            let json = Headers::new([("content-type", "application/json")]);
            match crate::decode(Source::Plane, &json, body.as_bytes()).unwrap() {
                Event::WorkItemChanged(item) => assert_eq!(item.archived, expected, "{archived_at}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
