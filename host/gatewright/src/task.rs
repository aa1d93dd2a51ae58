//! `gatewright task …` and `gatewright queue`: tickets through the living host.

mod card;

use std::collections::BTreeMap;
use std::io::Read as _;

use anyhow::Context as _;
use conductor::ports::store::{BoardItem, EntryRow, JobRow, RunRow, Unmet};
use domain::event::Event;
use domain::ids::{ProjectName, TaskId, Version, WorkItemId};
use domain::time::Timestamp;
use gateway::api::{
    Block, CardView, ChangeView, Dependencies, IntentNote, Listing, LiveQueue, NewCard, NewDependency, NewTaskCard,
    ProjectView, Rebuilt, Taken, TaskListing, TaskView, Why,
};

use crate::cli::{Decision, Needs, Part, Task};
use crate::client::{Client, segment};
use crate::output::{Output, ago, counted};
use crate::reference::Reference;
use crate::when::moment;

/// Runs the command.
pub(crate) fn run(client: &Client, command: Task, out: &Output) -> anyhow::Result<bool> {
    if let Task::Rebuild { task } = &command {
        return rebuild(client, out, task);
    }
    match command {
        Task::Create { title, description, label, project, after, backlog } => {
            let after = after.iter().map(Reference::to_string).collect();
            create(client, out, NewTaskCard { project, title, description, labels: label, after }, backlog)
        }
        Task::Start { card, project } => card::start(client, out, &card, project),
        Task::Comment { card, text, project } => card::comment(client, out, &card, project, text),
        Task::List { all, part } => list(client, out, all, &part),
        Task::Show { task } => show(client, out, &task),
        Task::Approve(decision) => decide(client, out, "approve", &decision),
        Task::Reject(decision) => decide(client, out, "reject", &decision),
        Task::ConfirmDeploy(decision) => decide(client, out, "confirm-deploy", &decision),
        Task::Stop(decision) => decide(client, out, "stop", &decision),
        Task::Resume(decision) => decide(client, out, "resume", &decision),
        Task::Pause(decision) => decide(client, out, "pause", &decision),
        Task::Waive(decision) => decide(client, out, "waive", &decision),
        Task::Depend(needs) => depend(client, out, &needs, true),
        Task::Undepend(needs) => depend(client, out, &needs, false),
        Task::Why { task, at } => why(client, out, &task, at),
        Task::Rebuild { .. } => Ok(()),
    }?;
    Ok(true)
}

fn why(client: &Client, out: &Output, task: &Reference, at: Option<Timestamp>) -> anyhow::Result<()> {
    let of = at.map_or_else(String::new, |at| format!("?at={}", at.0));
    let why: Why = client.get(&format!("{}/why{of}", path(task)))?;
    out.value(&why, || {
        let mut text = format!("{} stands in {}, since {}\n", why.work_item, why.stage, moment(why.since));
        match &why.event {
            Some(row) => {
                text.push_str(&format!(
                    "  what arrived: {} (event {}, {})\n",
                    row.event.name(),
                    row.id,
                    moment(row.at)
                ));
            }
            None => text.push_str("  what arrived: it was made\n"),
        }
        for line in &why.decision {
            text.push_str(&format!("  decided: {}\n", visible(line)));
        }
        if let Some(row) = &why.evidence {
            let kept = &row.evaluation;
            let see = out.command(&format!("gatewright verdict show {}", row.id));
            text.push_str(&format!("  on the word of {}: {} ({see})\n", kept.plugin, visible(&kept.summary)));
        }
        if let Some(run) = &why.run {
            let outcome = run.outcome.as_deref().unwrap_or("it has not ended");
            text.push_str(&format!("  run {} of the {}: {}\n", run.id, run.role, visible(outcome)));
        }
        if let Some((row, Event::Intent { intent, actor, note })) = why.said.as_ref().map(|row| (row, &row.event)) {
            let note = if note.is_empty() { String::new() } else { format!(": {}", visible(note)) };
            text.push_str(&format!("  last said: {intent:?} by {actor}, {}{note}\n", moment(row.at)));
        }
        for row in &why.refused {
            let reason = row.why.as_deref().map(|why| format!(": {}", visible(why))).unwrap_or_default();
            text.push_str(&format!(
                "  without effect: {} at {}, {}{reason}\n",
                row.event.name(),
                moment(row.at),
                row.outcome
            ));
        }
        let when = if at.is_some() { "then" } else { "now" };
        text.push_str(&format!("  {when}: {}\n", visible(&why.waits_for)));
        for row in &why.behind {
            text.push_str(&format!("  behind it: {}, {}\n", visible(&row.what), moment(row.at)));
        }
        for command in &why.moved_by {
            text.push_str(&format!("  → {}\n", out.command(command)));
        }
        text.trim_end().to_owned()
    })
}

fn rebuild(client: &Client, out: &Output, task: &Reference) -> anyhow::Result<bool> {
    let rebuilt: Rebuilt = client.get(&format!("{}/rebuild", path(task)))?;
    out.value(&rebuilt, || match rebuilt.differences.as_slice() {
        [] => format!("task {}: its {} entries make exactly what its row says", rebuilt.task, rebuilt.entries),
        differences => differences.join("\n"),
    })?;
    Ok(rebuilt.differences.is_empty())
}

/// Where the host answers about a task.
pub(crate) fn path(task: &Reference) -> String {
    format!("/api/v1/tasks/{}", segment(task))
}

fn create(client: &Client, out: &Output, mut wanted: NewTaskCard, backlog: bool) -> anyhow::Result<()> {
    wanted.description = given(wanted.description)?;
    let card = if backlog {
        let NewTaskCard { project, title, description, labels, after } = wanted;
        let project = only_project(client, project)?;
        let path = format!("/api/v1/projects/{}/items", segment(&project));
        let card: BoardItem = client.post(&path, &NewCard { title, description, labels, status: None, after })?;
        CardView { card, task: None }
    } else {
        client.post("/api/v1/tasks?wait=true", &wanted)?
    };
    let key = &card.card.work_item;
    out.value(&card, || match &card.task {
        Some(task) => format!(
            "{key} is started (task {}). See it: {}, or {}/",
            task.task.id,
            out.command(&format!("gatewright task show {key}")),
            client.base()
        ),
        None => format!("{key} is in {}. It starts when it is moved to To Analyse.", card.card.status),
    })
}

/// A text of the command line, or of standard input.
fn given(text: String) -> anyhow::Result<String> {
    if text != "-" {
        return Ok(text);
    }
    let mut read = String::new();
    std::io::stdin().read_to_string(&mut read).context("standard input is no text")?;
    Ok(read)
}

fn only_project(client: &Client, given: Option<ProjectName>) -> anyhow::Result<ProjectName> {
    if let Some(name) = given {
        return Ok(name);
    }
    let projects: Listing<ProjectView> = client.get("/api/v1/projects")?;
    match projects.items.as_slice() {
        [one] => Ok(one.name.clone()),
        many => {
            let names = many.iter().map(|project| project.name.as_str()).collect::<Vec<_>>().join(", ");
            anyhow::bail!("which project? --project with one of: {names}")
        }
    }
}

fn list(client: &Client, out: &Output, all: bool, part: &Part) -> anyhow::Result<()> {
    let live = if all { "" } else { "&live=true" };
    let tasks: TaskListing = client.get(&format!("/api/v1/tasks?{}{live}", part.query()))?;
    let rest = tasks.next.map(|next| {
        let all = if all { " --all" } else { "" };
        let line = out.command(&format!("gatewright task list{all} --limit {} --before {next}", part.limit));
        format!("these are {} of {}; older ones: {line}", tasks.items.len(), tasks.total)
    });
    out.list(&tasks.items, rest, || {
        if tasks.items.is_empty() {
            let ended = if all { "" } else { " is live; `gatewright task list --all` shows those that have ended" };
            let make = out.command("gatewright task create \"what shall change\"");
            return format!("No task{ended}. Make one: {make}");
        }
        tasks.items.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}

fn line(view: &TaskView) -> String {
    let task = &view.task;
    format!("{:<12} {:<16} {:<14} {}", task.work_item, task.position.stage, view.phase, visible(&task.title))
}

fn show(client: &Client, out: &Output, task: &Reference) -> anyhow::Result<()> {
    let view: TaskView = client.get(&path(task))?;
    let id = view.task.id;
    let entries: Listing<EntryRow> = client.get(&format!("/api/v1/tasks/{id}/entries"))?;
    let runs = runs(client, id)?;
    let change: ChangeView = client.get(&format!("/api/v1/tasks/{id}/change"))?;
    let projects: Listing<ProjectView> = client.get("/api/v1/projects")?;
    let pull =
        projects.items.into_iter().find(|project| project.name == view.task.project).and_then(|project| project.pull);
    let value = serde_json::json!({
        "task": view.task, "phase": view.phase, "standing": view.standing,
        "entries": entries.items, "runs": runs, "pull": pull, "change": change,
    });
    out.value(&value, || {
        let task = &view.task;
        let mut text = format!("{} {}\n  {}\n", task.work_item, visible(&task.title), visible(&view.standing.sentence));
        for command in &view.standing.commands {
            text.push_str(&format!("  → {}\n", out.command(command)));
        }
        if let (Some(branch), Some(head)) = (&task.branch, &task.head) {
            text.push_str(&format!("  branch {branch} at {head}\n"));
        }
        text.push_str(&changed(&change));
        if let (Some(merged), Some(pull)) = (&task.merged, &pull) {
            text.push_str(&format!("  merged {merged}; fetch it: {pull}\n"));
        }
        for run in runs.iter().rev() {
            let outcome = run.outcome.clone().unwrap_or_else(|| "running".to_owned());
            text.push_str(&format!(
                "  run {} {} ({} visit {}): {}\n",
                run.id,
                run.role,
                run.stage,
                run.visit,
                visible(&outcome)
            ));
        }
        for (role, sum) in &task.by_role {
            let runs = counted(u64::from(sum.runs), "run", "runs");
            text.push_str(&format!("  {role} cost: {} in {runs}\n", sum.spent.words()));
        }
        for row in &entries.items {
            if let Some(said) = told(&row.entry) {
                text.push_str(&format!("  {} {said}\n", moment(row.at)));
            }
        }
        text.trim_end().to_owned()
    })
}

/// All launches of a task, newest first.
fn runs(client: &Client, task: TaskId) -> anyhow::Result<Vec<RunRow>> {
    let mut rows: Vec<RunRow> = Vec::new();
    loop {
        let before = rows.last().map(|row| format!("&before={}", row.id)).unwrap_or_default();
        let page: Listing<RunRow> = client.get(&format!("/api/v1/tasks/{task}/runs?limit=1000{before}"))?;
        rows.extend(page.items);
        if !page.more {
            return Ok(rows);
        }
    }
}

/// What it changes, and how all of that is seen.
fn changed(change: &ChangeView) -> String {
    let (Some(base), Some(head), Some(command)) = (&change.base, &change.head, &change.command) else {
        return String::new();
    };
    let sum = match &change.outline {
        Some(Block::Fine(sum)) => {
            let files = counted(sum.files, "file", "files");
            format!(": {files}, +{} -{} lines", sum.added_lines, sum.deleted_lines)
        }
        Some(Block::Broken { error }) => format!(", how much cannot be told: {}", visible(error)),
        None => String::new(),
    };
    format!("  change {base}..{head}{sum}; all of it: {command}\n")
}

/// The entries that tell the story; the others are for `--json`.
fn told(entry: &domain::entry::Entry) -> Option<String> {
    use domain::entry::Entry;
    Some(match entry {
        Entry::StageEntered { stage, visit, .. } => format!("entered {stage}, visit {visit}"),
        Entry::StepAnswered { step, answer, note, .. } => format!("{step}: {answer} {}", visible(note)),
        Entry::IntentTaken { intent, actor, .. } => format!("{actor}: {intent:?}"),
        Entry::IntentRefused { intent, actor, why } => format!("{actor}: {intent:?} does not count: {}", visible(why)),
        Entry::Waived { step, actor, why } => format!("{actor} went over {step}: {}", visible(why)),
        Entry::Merged { commit } => format!("merged {commit}"),
        Entry::Deployed { commit } => format!("deployed {commit}"),
        _ => return None,
    })
}

/// Text from outside, with nothing in it that plays with a terminal, hides, or turns the line around.
pub(crate) fn visible(text: &str) -> String {
    let shown = |character| match character {
        '\n' | '\t' => ' ',
        other if plays(other) => '\u{fffd}',
        other => other,
    };
    text.trim_end().chars().map(shown).collect()
}

/// Control characters, and Unicode's invisible and bidirectional ones (its categories Cf, Zl and Zp, as far as a line may hold
/// them).
fn plays(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

fn decide(client: &Client, out: &Output, intent: &str, decision: &Decision) -> anyhow::Result<()> {
    let path = format!("{}/{intent}", path(&decision.task));
    let taken: Taken = client
        .post(&path, &IntentNote { note: decision.note.clone(), version: decision.seen.map(Version), epoch: None })?;
    out.value(&taken, || format!("{}: {}", taken.task.task.work_item, taken.task.standing.sentence))
}

fn depend(client: &Client, out: &Output, edge: &Needs, needs: bool) -> anyhow::Result<()> {
    let path = format!("{}/dependencies", path(&edge.task));
    let body = NewDependency { on: edge.on.to_string() };
    let told: Dependencies = if needs { client.post(&path, &body)? } else { client.delete(&path, &body)? };
    out.value(&told, || {
        let item = &told.task.task.work_item;
        let names = told.needs.iter().map(|row| match row.unmet {
            None => format!("{} (done)", row.needs.work_item),
            Some(Unmet::Unfinished) => row.needs.work_item.to_string(),
            Some(Unmet::Cancelled) => format!("{} (stopped)", row.needs.work_item),
        });
        let names = names.collect::<Vec<_>>().join(", ");
        let needs =
            if names.is_empty() { format!("{item} needs no other task") } else { format!("{item} needs {names}") };
        format!("{needs}. {item}: {}", told.task.standing.sentence)
    })
}

/// `gatewright queue`.
pub(crate) fn queue(client: &Client, out: &Output, now: Timestamp) -> anyhow::Result<()> {
    let jobs: LiveQueue = client.get("/api/v1/queue?limit=1000")?;
    let keys: BTreeMap<TaskId, &WorkItemId> = jobs.tasks.iter().map(|named| (named.task, &named.work_item)).collect();
    let is_live = |job: &&JobRow| job.state == "queued" || job.state == "claimed";
    let (wait, performed) = (jobs.counts.queued, jobs.counts.claimed);
    // Those that ended are listed behind the others, and nobody misses them here.
    let is_cut = wait.saturating_add(performed) > jobs.items.iter().filter(is_live).count() as u64;
    let rest =
        is_cut.then(|| format!("these are the first thousand: in all {wait} wait, and {performed} are performed"));
    out.list(&jobs.items, rest, || {
        let live = jobs.items.iter().filter(is_live);
        let mut lines: Vec<String> = live
            .map(|job| {
                let why = job.reason.as_ref().map_or_else(String::new, |reason| format!("waits: {reason}"));
                let why = job.note.as_ref().map_or_else(|| why.clone(), |note| visible(&format!("{why}, {note}")));
                let key = keys.get(&job.task).map_or_else(|| format!("task {}", job.task), ToString::to_string);
                format!("{:<6} {key:<10} {:<14} {:<8} {:<10} {why}", job.id, job.effect, job.state, since(job, now))
            })
            .collect();
        lines.extend(jobs.drivers.iter().filter(|driver| driver.state != "closed").map(|driver| {
            let until = driver.until.map_or_else(String::new, |until| format!("; one goes ahead {}", ago(until, now)));
            format!("the breaker of the agent driver {} is {}{until}", driver.driver, driver.state)
        }));
        if lines.is_empty() { "Nothing is queued and nothing runs.".to_owned() } else { lines.join("\n") }
    })
}

/// How long it has been ready, or at work. What a dead host began is ready since ever, which says nothing.
fn since(job: &JobRow, now: Timestamp) -> String {
    match job.claimed_at {
        Some(at) => ago(at, now),
        None if job.available_at.0 == 0 => "begun".to_owned(),
        None => ago(job.available_at, now),
    }
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_turns_hides_or_colours_a_line_is_shown_as_a_mark() {
        assert_eq!(visible("a\u{202e}b\u{1b}[31mc\u{200b}d\u{2066}"), "a\u{fffd}b\u{fffd}[31mc\u{fffd}d\u{fffd}");
        assert_eq!(visible("żółć 日本 ok"), "żółć 日本 ok");
    }
}
