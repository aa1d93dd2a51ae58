//! `gatewright project …`: what there is, and who lets new tasks in.

use domain::ids::ProjectName;
use gateway::api::{Freeze, FreezeReason, Listing, ProjectView};

use crate::cli::Project;
use crate::client::{Client, segment};
use crate::output::Output;
use crate::task::visible;

/// Runs the command.
pub(crate) fn run(client: &Client, command: &Project, out: &Output) -> anyhow::Result<()> {
    match command {
        Project::List => list(client, out),
        Project::Freeze { name, reason } => {
            let body = FreezeReason { reason: reason.clone() };
            let freeze: Freeze = client.post(&path(name), &body)?;
            out.value(&freeze, || {
                let why = freeze.frozen.as_deref().map(visible).unwrap_or_default();
                let thaw = out.command(&format!("gatewright project unfreeze {}", freeze.project));
                format!("{} admits no new task: {why}\n  → {thaw}", freeze.project)
            })
        }
        Project::Unfreeze { name } => {
            let freeze: Freeze = client.delete(&path(name), &())?;
            out.value(&freeze, || format!("{} admits new tasks", freeze.project))
        }
    }
}

fn path(name: &ProjectName) -> String {
    format!("/api/v1/projects/{}/freeze", segment(name))
}

fn list(client: &Client, out: &Output) -> anyhow::Result<()> {
    let projects: Listing<ProjectView> = client.get("/api/v1/projects")?;
    out.value(&projects.items, || {
        let lines = projects.items.iter().map(|project| {
            let turns = if project.serial { "one task at a time" } else { "tasks side by side" };
            let frozen = project.frozen.as_deref().map(|why| format!(", frozen: {}", visible(why)));
            format!("{:<16} {:<8} {turns}{}", project.name, project.pipeline, frozen.unwrap_or_default())
        });
        lines.collect::<Vec<_>>().join("\n")
    })
}
