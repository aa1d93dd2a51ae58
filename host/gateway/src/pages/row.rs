//! A task as a row of a page: which, where on its way, how it stands, and what a person can do.

use conductor::ports::store::BoardItem;
use domain::pipeline::{INFRA_RETRIES, Pipeline, RUN_RETRIES, StageKind};
use domain::task::{Activity, Task, Terminality};
use domain::time::Timestamp;

use crate::api::State;
use crate::deed::Deed;
use crate::show::{Age, cost, line, sentence};
use crate::standing::Scene;
use crate::tongue::{Part, Tongue, say};
use crate::words;

const LONGEST_TITLE: usize = 140;
pub(crate) const LONGEST_SENTENCE: usize = 300;

/// A task, or a card that nobody started.
pub(crate) struct Row {
    /// The task's number and version as they are shown; zero of a card that nobody started.
    pub(crate) task: u64,
    pub(crate) version: u64,
    pub(crate) key: String,
    pub(crate) project: String,
    pub(crate) title: String,
    pub(crate) stage: String,
    pub(crate) strip: Vec<Pip>,
    pub(crate) state: State,
    pub(crate) sentence: Vec<Part>,
    pub(crate) since: Age,
    /// Which visit, before which nothing stands at the first one; and of what is under way, which try of how many.
    pub(crate) attempt: String,
    pub(crate) cost: String,
    pub(crate) deeds: Vec<Deed>,
}

/// A stage on the way.
pub(crate) struct Pip {
    pub(crate) name: String,
    /// `done`, `here`, `ahead`.
    pub(crate) is: &'static str,
}

impl Row {
    pub(crate) fn of(scene: &Scene, task: &Task, now: Timestamp) -> Self {
        let (t, standing) = (scene.tongue, scene.standing(task));
        Self {
            task: task.id.0,
            version: task.version.0,
            key: task.work_item.to_string(),
            project: task.project.to_string(),
            title: line(&task.title, LONGEST_TITLE),
            stage: words::stage(t, task.position.stage.as_str()).to_owned(),
            strip: scene.pipeline(&task.project).map(|pipeline| strip(t, pipeline, task)).unwrap_or_default(),
            state: standing.state,
            sentence: sentence(&standing.sentence, LONGEST_SENTENCE),
            since: Age::of(t, task.activity_entered_at, now),
            attempt: attempt(scene, task),
            cost: cost(t, &task.spent),
            deeds: scene.deeds(task),
        }
    }

    pub(crate) fn unstarted(t: Tongue, item: &BoardItem, now: Timestamp) -> Self {
        let status = &item.status;
        Self {
            task: 0,
            version: 0,
            key: item.work_item.to_string(),
            project: item.project.to_string(),
            title: line(&item.title, LONGEST_TITLE),
            stage: String::new(),
            strip: Vec::new(),
            state: if item.gone.is_some() { State::Stopped } else { State::Skipped },
            sentence: sentence(&say!(t, "on the board as {status}", "на доске: {status}"), LONGEST_SENTENCE),
            since: Age::of(t, item.created_at, now),
            attempt: String::new(),
            cost: String::new(),
            deeds: Vec::new(),
        }
    }

    /// Which stage of how many, for who does not see the strip.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    pub(crate) fn place(&self, t: &Tongue) -> String {
        let (all, stage) = (self.strip.len(), &self.stage);
        match self.strip.iter().position(|pip| pip.is == "here") {
            Some(place) => {
                let place = place + 1;
                say!(t, "stage {place} of {all}: {stage}", "этап {place} из {all}: {stage}")
            }
            None => stage.clone(),
        }
    }
}

fn attempt(scene: &Scene, task: &Task) -> String {
    let (t, visit) = (scene.tongue, task.position.visit);
    let visit = (visit > 1).then(|| say!(t, "visit {visit}", "заход {visit}"));
    let under_way = match &task.position.activity {
        // Each that did not deliver spends one; what passes by itself makes the same one again.
        Activity::Running { attempt } => {
            let most = attempt.saturating_add(RUN_RETRIES.saturating_sub(task.run_retries));
            Some(say!(t, "attempt {attempt} of {most}", "попытка {attempt} из {most}"))
        }
        Activity::Judging { .. } | Activity::Acting { .. } => {
            let (tried, most) = (task.infra_retries.saturating_add(1), INFRA_RETRIES.saturating_add(1));
            Some(say!(t, "try {tried} of {most}", "проба {tried} из {most}"))
        }
        _ => None,
    };
    let under_way = under_way.filter(|_| scene.wait(task).is_none());
    visit.into_iter().chain(under_way).collect::<Vec<_>>().join(", ")
}

fn strip(t: Tongue, pipeline: &Pipeline, task: &Task) -> Vec<Pip> {
    let ends_well = |kind: &StageKind| !matches!(kind, StageKind::Terminal { end: Terminality::Cancelled });
    let stages: Vec<_> = pipeline.stages().iter().filter(|stage| ends_well(&stage.kind)).collect();
    let here = stages.iter().position(|stage| stage.name == task.position.stage);
    let pip = |(place, stage): (usize, &&domain::pipeline::Stage)| Pip {
        name: words::stage(t, stage.name.as_str()).to_owned(),
        is: match here {
            Some(here) if place < here => "done",
            Some(here) if place == here => "here",
            _ => "ahead",
        },
    };
    stages.iter().enumerate().map(pip).collect()
}
