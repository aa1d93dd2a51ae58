//! `gatewright verdict …`: what plugins answered, and whether they would answer so again.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use domain::verdict::{InfraCause, Verdict as DomainVerdict};
use gateway::api::Listing;
use sandbox::Answer;

use crate::cli::{Part, Verdict};
use crate::output::Output;
use crate::records::Records;
use crate::reference::Reference;
use crate::task::visible;
use crate::wiring::{component_bytes, open_sandbox};

/// Runs the command. False: the component answers otherwise than it did.
pub(crate) fn run(dir: &Path, command: Verdict, out: &Output) -> anyhow::Result<bool> {
    match command {
        Verdict::List { task, part } => list(&Records::open(dir)?, out, task.as_ref(), &part).map(|()| true),
        Verdict::Show { id, transcript } => show(&Records::open(dir)?, out, id, transcript).map(|()| true),
        Verdict::Replay { id: Some(id), file: None } => replay(dir, &Records::open(dir)?.transcript(id)?, out),
        Verdict::Replay { file: Some(file), .. } => {
            let transcript = std::fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
            replay(dir, &transcript, out)
        }
        Verdict::Replay { .. } => bail!("say which: `verdict replay ID`, or `verdict replay --file F`"),
    }
}

fn list(records: &Records, out: &Output, task: Option<&Reference>, part: &Part) -> anyhow::Result<()> {
    let Listing { items: rows, more } = records.evaluations(task, part)?;
    let rest = rows.last().filter(|_| more).map(|last| {
        let of = task.map(|task| format!(" --task {task}")).unwrap_or_default();
        let line = out.command(&format!("gatewright verdict list{of} --limit {} --before {}", part.limit, last.id));
        format!("there are older ones: {line}")
    });
    out.list(&rows, rest, || {
        let lines = rows.iter().map(|row| {
            let kept = &row.evaluation;
            let digest = kept.digest.as_ref().map_or("-", |digest| &digest.as_str()[..12]);
            let task = kept.task.map_or_else(|| "-".to_owned(), |task| task.to_string());
            format!(
                "{:<6} {:<5} {:<18} {:<20} {:<14} {:>7} µs  {digest}  {}",
                row.id,
                task,
                kept.step,
                kept.plugin,
                kept.answer,
                kept.micros,
                visible(&kept.summary)
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    })
}

fn show(records: &Records, out: &Output, id: u64, transcript: bool) -> anyhow::Result<()> {
    if transcript {
        let bytes = records.transcript(id)?;
        let value: serde_json::Value = serde_json::from_slice(&bytes).context("the transcript cannot be read")?;
        return out.line(&serde_json::to_string_pretty(&value)?);
    }
    let view = records.evaluation(id)?;
    out.value(&view, || {
        let kept = &view.row.evaluation;
        let answer =
            view.answered.as_ref().and_then(|answer| serde_json::to_string_pretty(answer).ok()).unwrap_or_default();
        format!("{} by {} ({} µs): {}\n{answer}", kept.step, kept.plugin, kept.micros, kept.answer)
    })
}

/// The component runs again, offline, on what it saw then.
fn replay(dir: &Path, transcript: &[u8], out: &Output) -> anyhow::Result<bool> {
    let digest = sandbox::read_transcript(transcript)?.digest;
    let bytes = component_bytes(dir, &digest)
        .with_context(|| format!("the component {digest} is neither built in nor kept in {}", dir.display()))?;
    let replayed = open_sandbox(dir)?.replay(&bytes, transcript)?;
    let same = replayed.same;
    let why_not = why_not(&replayed);
    let value = serde_json::json!({
        "same": same, "recorded": replayed.recorded, "replayed": replayed.answer, "replayable": why_not.is_none(),
        "why_not": why_not,
    });
    out.value(&value, || {
        let now = serde_json::to_string_pretty(&replayed.answer).unwrap_or_default();
        if let Some(why) = &why_not {
            let then = serde_json::to_string_pretty(&replayed.recorded).unwrap_or_default();
            return format!("not replayable: {why}\nrecorded was:\n{then}\nit answered now:\n{now}");
        }
        if same {
            format!("the same verdict:\n{now}")
        } else {
            let then = serde_json::to_string_pretty(&replayed.recorded).unwrap_or_default();
            format!("another verdict:\n{now}\nrecorded was:\n{then}")
        }
    })?;
    match why_not {
        Some(why) => Err(NotReplayable(why).into()),
        None => Ok(same),
    }
}

/// A replay says nothing of this one.
#[derive(Debug, thiserror::Error)]
#[error("this verdict is not replayable: {0}")]
pub(crate) struct NotReplayable(String);

/// Why a replay proves nothing: what made the answer was not the component's judgement.
fn why_not(replayed: &sandbox::Replayed) -> Option<String> {
    if !replayed.replayable {
        return Some(
            "a limit of the host made the answer, and on another day, or another machine, it may come out otherwise"
                .into(),
        );
    }
    let trapped = |answer: &Answer| match answer {
        Answer::Verdict(DomainVerdict::Infra { cause: InfraCause::Trap, message, .. }) => Some(message.clone()),
        _ => None,
    };
    let said = trapped(&replayed.recorded)?;
    let again = if trapped(&replayed.answer).is_some() { "; it traps now, too" } else { "; now it does not" };
    Some(format!("the component gave no verdict ({}){again}", visible(&said)))
}

/// Where components that evaluations name are kept.
pub(crate) fn kept_component(dir: &Path, digest: &domain::ids::Digest) -> PathBuf {
    dir.join("components").join(format!("{digest}.wasm"))
}
