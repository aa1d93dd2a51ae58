//! `gatewright demo`: the main job on real input, on a repository of its own.

mod host;
mod report;
mod story;
mod world;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::cli::Demo;
use crate::embedded::DEMO_STRANGER;
use crate::output::{Output, say};

/// Runs it. True: the task is done, the validated commit is in main, and the hook deployed it.
pub(crate) fn run(dir: Option<PathBuf>, options: &Demo, out: &Output) -> anyhow::Result<bool> {
    let temporary = match &dir {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("gatewright-demo-").tempdir()?),
    };
    let root = match (&dir, &temporary) {
        (Some(dir), _) => std::path::absolute(dir)?,
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => bail!("there is no folder for the demonstration"),
    };
    std::fs::create_dir_all(&root).with_context(|| format!("{} cannot be made", root.display()))?;
    if std::fs::read_dir(&root)?.next().is_some() {
        bail!("{} is not empty: the demonstration needs a folder of its own", root.display());
    }
    let began = Instant::now();
    let world = world::World::make(&root, DEMO_STRANGER)?;
    if options.only_world {
        return Ok(true);
    }
    say("a repository with a small program and its suite; all agents here are scripted");
    let told = story::Story::new(&world, options.crash, options.seed).play();
    let told = match told {
        Ok(told) => told,
        Err(error) => {
            keep(temporary);
            return Err(error);
        }
    };
    let report = report::make(&world, &told, began.elapsed().as_millis() as u64)?;
    let done = report["outcome"] == "done";
    out.value(&report, || report::text(&report))?;
    if options.keep || !done {
        keep(temporary);
    }
    Ok(done)
}

fn keep(temporary: Option<tempfile::TempDir>) {
    if let Some(temporary) = temporary {
        say(&format!("kept: {}", temporary.keep().display()));
    }
}
