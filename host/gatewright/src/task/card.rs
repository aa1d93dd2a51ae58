//! `gatewright task start` and `gatewright task comment`: what a person does with a card.

use conductor::board::START;
use conductor::ports::store::{BoardComment, BoardItem};
use domain::ids::{ProjectName, WorkItemId};
use gateway::api::{Listing, Move, NewComment, ProjectView};

use super::given;
use crate::client::{Client, segment};
use crate::output::Output;

pub(super) fn start(client: &Client, out: &Output, key: &WorkItemId, of: Option<ProjectName>) -> anyhow::Result<()> {
    let path = format!("{}/status", path(client, key, of)?);
    let card: BoardItem = client.put(&path, &Move { status: START.to_owned() })?;
    let show = out.command(&format!("gatewright task show {key}"));
    out.value(&card, || format!("{key} is in {}, where tasks begin. See it: {show}", card.status))
}

pub(super) fn comment(
    client: &Client,
    out: &Output,
    key: &WorkItemId,
    of: Option<ProjectName>,
    text: String,
) -> anyhow::Result<()> {
    let path = format!("{}/comments", path(client, key, of)?);
    let written: Listing<BoardComment> = client.post(&path, &NewComment { text: given(text)? })?;
    out.value(&written.items, || format!("the comment stands under {key}"))
}

/// Where the host answers about a card.
fn path(client: &Client, key: &WorkItemId, of: Option<ProjectName>) -> anyhow::Result<String> {
    let name = match of {
        Some(name) => name,
        None => project_of(client, key)?,
    };
    Ok(format!("/api/v1/projects/{}/items/{}", segment(&name), segment(key)))
}

fn project_of(client: &Client, key: &WorkItemId) -> anyhow::Result<ProjectName> {
    let projects: Listing<ProjectView> = client.get("/api/v1/projects")?;
    let letters = key.as_str().rsplit_once('-').map_or("", |(letters, _)| letters);
    let found = projects.items.iter().find(|project| project.prefix == letters);
    found.map(|project| project.name.clone()).ok_or_else(|| {
        let names = projects.items.iter().map(|project| project.name.as_str()).collect::<Vec<_>>().join(", ");
        anyhow::anyhow!("no project has the letters of {key}; which one? --project with one of: {names}")
    })
}
