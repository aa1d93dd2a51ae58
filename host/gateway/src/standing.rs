//! How a task stands, in a word with a shape and a sentence.

use std::collections::{HashMap, HashSet};

use conductor::ports::store::{JobRow, Project, StoreError, Unmet, WaitReason};
use conductor::slots::Refusal;
use domain::effect::JobClass;
use domain::ids::{ProjectName, TaskId};
use domain::pipeline::{Consent, Pipeline, StageKind};
use domain::task::{Activity, Hold, HoldKind, PutOff, Task, Terminality};
use domain::time::Timestamp;

use crate::again::{self, Again};
use crate::api::{Standing, State, TaskView};
use crate::app::GatewayState;
use crate::show::{Moment, line};
use crate::tongue::{Tongue, say};
use crate::{worded, words};

/// Characters of what a job says of its wait; the command line tells all of it.
const LONGEST_NOTE: usize = 600;
/// The word with which the host itself gives jobs of observed projects back.
const OBSERVED: &str = "observed";

impl State {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NeedsYou => "Needs you",
            Self::Failed => "Failed",
            Self::Held => "Held",
            Self::Paused => "Paused",
            Self::Retrying => "Retrying",
            Self::Working => "Working",
            Self::Queued => "Queued",
            Self::Done => "Done",
            Self::Stopped => "Stopped",
            Self::Skipped => "Not started",
        }
    }

    /// The word in a reader's language.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    pub(crate) const fn word_in(self, tongue: &Tongue) -> &'static str {
        let russian = match self {
            Self::NeedsYou => "Ждёт вас",
            Self::Failed => "Не удалось",
            Self::Held => "Удержано",
            Self::Paused => "На паузе",
            Self::Retrying => "Повторяется",
            Self::Working => "В работе",
            Self::Queued => "В очереди",
            Self::Done => "Готово",
            Self::Stopped => "Остановлено",
            Self::Skipped => "Не начато",
        };
        tongue.of(self.word(), russian)
    }

    /// The shape; only what needs a person is filled.
    pub const fn shape(self) -> &'static str {
        match self {
            Self::NeedsYou => "◆",
            Self::Failed => "✕",
            Self::Held => "▲",
            Self::Paused => "‖",
            Self::Retrying => "↻",
            Self::Working => "◐",
            Self::Queued => "○",
            Self::Done => "✓",
            Self::Stopped => "⊘",
            Self::Skipped => "–",
        }
    }

    /// The group that shares a colour.
    pub const fn group(self) -> &'static str {
        match self {
            Self::NeedsYou => "you",
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Working | Self::Retrying => "moving",
            Self::Done => "done",
            Self::Queued | Self::Paused | Self::Stopped | Self::Skipped => "neutral",
        }
    }
}

/// Why a task's driving job waits in the queue.
pub(crate) struct Wait {
    pub(crate) reason: WaitReason,
    pub(crate) note: Option<String>,
    /// The same as a value, where there is one.
    refusal: Option<Refusal>,
    /// No sooner than then.
    available_at: Timestamp,
    /// How often its job was begun.
    tries: u32,
}

impl Wait {
    fn of(job: &JobRow) -> Option<Self> {
        Some(Self {
            reason: job.reason.clone()?,
            note: job.note.clone(),
            refusal: job.refusal.clone(),
            available_at: job.available_at,
            tries: job.attempts,
        })
    }
}

/// What a standing is told from: read once, used for every task of an answer.
pub(crate) struct Scene {
    /// In which sentences are told.
    pub(crate) tongue: Tongue,
    pub(crate) projects: Vec<Project>,
    /// The driving job of each task that waits in the queue, and why.
    waits: HashMap<TaskId, Wait>,
    /// Why the runs of these are made again.
    again: HashMap<TaskId, Again>,
}

impl Scene {
    /// For these tasks, which stand far behind in a long queue perhaps.
    pub(crate) fn among<'t>(
        state: &GatewayState,
        tongue: Tongue,
        tasks: impl IntoIterator<Item = &'t Task>,
    ) -> Result<Self, StoreError> {
        let tasks: Vec<&Task> = tasks.into_iter().collect();
        let ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
        let limits = state.desk.limits();
        let jobs = state.store.jobs_of(&ids, &limits, state.now())?;
        let scene = Self { tongue, ..Self::of(state.store.projects()?, &jobs) };
        let waits = tasks.into_iter().filter_map(|task| Some((task, &scene.wait(task)?.reason)));
        let again = again::among(state, &limits, waits);
        Ok(Self { again, ..scene })
    }

    /// One task, as it stands.
    pub(crate) fn view_of(state: &GatewayState, task: Task) -> Result<TaskView, StoreError> {
        Ok(Self::among(state, Tongue::English, [&task])?.view(task))
    }

    pub(crate) fn of(projects: Vec<Project>, jobs: &[JobRow]) -> Self {
        let driving = || jobs.iter().filter(|job| job.class == JobClass::Drive && job.effect != "timer");
        let at_work: HashSet<TaskId> = driving().filter(|job| job.state == "claimed").map(|job| job.task).collect();
        // Behind a job that is performed another of its task may wait for its turn: the task is at work all the same.
        let waits = driving().filter(|job| job.reason != Some(WaitReason::Turn) || !at_work.contains(&job.task));
        let waits = waits.filter_map(|job| Some((job.task, Wait::of(job)?))).collect();
        Self { tongue: Tongue::English, projects, waits, again: HashMap::new() }
    }

    pub(crate) fn pipeline(&self, project: &ProjectName) -> Option<&Pipeline> {
        self.projects.iter().find(|row| row.name == *project).map(|row| &row.pipeline)
    }

    pub(crate) fn view(&self, task: Task) -> TaskView {
        let (phase, standing) = (task.phase(), self.standing(&task));
        TaskView { task, phase, standing }
    }

    pub(crate) fn standing(&self, task: &Task) -> Standing {
        let (state, mut sentence) = self.sentence(task);
        if task.observed && task.end().is_none() && !sentence.contains(OBSERVED) {
            let mark = self.tongue.of("observed, nothing is done for it: ", "наблюдение, для неё ничего не делается: ");
            sentence.insert_str(0, mark);
        }
        if task.stop_requested && task.end().is_none() {
            sentence.push_str(self.tongue.of("; it stops once that has answered", "; после ответа остановится"));
        } else if let Some(PutOff { kind, reason }) = &task.put_off {
            let (tongue, reason) = (self.tongue, hold_words(self.tongue, *kind, reason));
            sentence.push_str(&say!(
                tongue,
                "; it is held once that has answered: {reason}",
                "; после ответа будет удержана: {reason}"
            ));
        } else if task.paused && task.end().is_none() {
            sentence.push_str(match task.position.activity {
                Activity::Held { .. } | Activity::Stopping => "",
                // A gate that waits for its turn is asked all the same.
                Activity::Running { .. } | Activity::Acting { .. } if self.queued(task).is_some() => self
                    .tongue
                    .of("; it is paused, and nothing is begun for it", "; она на паузе, и ничего для неё не начнётся"),
                _ => self.tongue.of("; it pauses after that", "; затем встанет на паузу"),
            });
        }
        let commands = self.deeds(task).into_iter().map(|deed| deed.line).collect();
        let needs_person = matches!(task.position.activity, Activity::AwaitingPerson { .. } | Activity::Held { .. })
            || self.wait(task).is_some_and(|wait| waits_for_a_person(&wait.reason));
        Standing { state, sentence, needs_person, commands }
    }

    fn sentence(&self, task: &Task) -> (State, String) {
        let tongue = self.tongue;
        match &task.position.activity {
            Activity::Running { attempt } => {
                let who = self.worker(task);
                let works = || {
                    (
                        State::Working,
                        say!(tongue, "{who} works, attempt {attempt}", "{who} работает, попытка {attempt}"),
                    )
                };
                self.queued(task).unwrap_or_else(works)
            }
            Activity::Judging { step } => {
                let asked =
                    || (State::Working, say!(tongue, "the gate `{step}` is asked", "опрашивается шлюз `{step}`"));
                self.queued(task).unwrap_or_else(asked)
            }
            Activity::Acting { step } => {
                let acts = || (State::Working, say!(tongue, "the host performs `{step}`", "хост выполняет `{step}`"));
                self.queued(task).unwrap_or_else(acts)
            }
            Activity::Waiting { step, until, why, .. } => {
                let run = || tongue.of("the run", "запуск").to_owned();
                let (what, until) =
                    (step.as_ref().map_or_else(run, |step| format!("`{step}`")), Moment::of(*until).text);
                let why = tongue.inner(why);
                let again =
                    say!(tongue, "{what} is tried again by {until}: {why}", "{what}: новая попытка до {until}: {why}");
                (State::Retrying, again)
            }
            Activity::AwaitingPerson { consent: Consent::Approve, step } => {
                let asks = say!(
                    tongue,
                    "approve the work, or reject it (`{step}`)",
                    "одобрите работу или отклоните её (`{step}`)"
                );
                (State::NeedsYou, asks)
            }
            Activity::AwaitingPerson { consent: Consent::Confirm, step } => {
                let asks = say!(
                    tongue,
                    "confirm the deploy, or reject it (`{step}`)",
                    "подтвердите выкладку или отклоните её (`{step}`)"
                );
                (State::NeedsYou, asks)
            }
            Activity::Held { hold } => held(tongue, hold),
            Activity::Stopping => {
                let going = tongue.of(
                    "it was stopped; its run and its clone are going",
                    "задача остановлена; её запуск и клон убираются",
                );
                (State::Stopped, going.to_owned())
            }
            Activity::Settled { end: Terminality::Done } => (State::Done, done(tongue, task)),
            Activity::Settled { end: Terminality::Cancelled } => {
                (State::Stopped, tongue.of("it was stopped", "остановлена").to_owned())
            }
        }
    }

    fn worker(&self, task: &Task) -> String {
        let stage = self.pipeline(&task.project).and_then(|pipeline| pipeline.stage(&task.position.stage));
        match stage.map(|stage| &stage.kind) {
            Some(StageKind::Work { role }) => {
                let role = words::role(self.tongue, role.as_str());
                say!(self.tongue, "the {role}", "{role}")
            }
            _ => self.tongue.of("a run", "запуск").to_owned(),
        }
    }

    /// Why the job that would move the task is not claimed.
    pub(crate) fn wait(&self, task: &Task) -> Option<&Wait> {
        let wants = matches!(
            task.position.activity,
            Activity::Running { .. } | Activity::Judging { .. } | Activity::Acting { .. }
        );
        self.waits.get(&task.id).filter(|_| wants)
    }

    fn queued(&self, task: &Task) -> Option<(State, String)> {
        let Wait { reason, available_at, .. } = self.wait(task)?;
        let why = self.why_waits(task)?;
        let until = Moment::of(*available_at).text;
        let t = self.tongue;
        Some(match reason {
            WaitReason::Time if self.again.contains_key(&task.id) => {
                (State::Retrying, say!(t, "it is tried again at {until}: {why}", "новая попытка в {until}: {why}"))
            }
            WaitReason::Time => (State::Queued, say!(t, "it waits until {until}: {why}", "ждёт до {until}: {why}")),
            reason => {
                let state = if waits_for_a_person(reason) { State::NeedsYou } else { State::Queued };
                (state, say!(t, "it waits: {why}", "ждёт: {why}"))
            }
        })
    }

    /// Why the job that would move the task waits, with whatever is known of that.
    pub(crate) fn why_waits(&self, task: &Task) -> Option<String> {
        let Wait { reason, note, refusal, tries, .. } = self.wait(task)?;
        let (t, again) = (self.tongue, self.again.get(&task.id).map(|again| again.words(self.tongue)));
        let says_itself = matches!(
            reason,
            WaitReason::Slot | WaitReason::Breaker | WaitReason::Program | WaitReason::Damaged | WaitReason::Time
        );
        let note = note.as_ref().filter(|_| says_itself).map(|note| {
            let shown = note_words(t, reason, refusal.as_ref(), &line(note, LONGEST_NOTE));
            match (reason, tries) {
                (WaitReason::Time, 1..) if !note.starts_with(OBSERVED) => {
                    say!(t, "{shown}; tries so far: {tries}", "{shown}; попыток пока: {tries}")
                }
                _ => shown,
            }
        });
        Some(match (note, again) {
            (Some(note), Some(again)) => format!("{note}; {again}"),
            (Some(why), None) | (None, Some(why)) => why,
            (None, None) => wait_words(t, reason),
        })
    }
}

/// Without a person this never ends.
const fn waits_for_a_person(why: &WaitReason) -> bool {
    matches!(why, WaitReason::Dependency { prerequisite: Unmet::Cancelled, .. } | WaitReason::Damaged)
}

/// What is said of a wait beside its reason, in a reader's language: by its value, or else as it was written.
pub(crate) fn note_words(t: Tongue, reason: &WaitReason, refusal: Option<&Refusal>, note: &str) -> String {
    match (t, refusal, reason) {
        (Tongue::Russian, Some(refusal @ (Refusal::Slot { .. } | Refusal::Breaker { .. })), _) => {
            worded::no_place(refusal)
        }
        // The text says what exactly.
        (Tongue::Russian, _, WaitReason::Program | WaitReason::Damaged) => {
            format!("{}: {}", wait_words(t, reason), t.inner(note))
        }
        _ => t.inner(note),
    }
}

/// Why something waits, in a reader's language.
pub(crate) fn wait_words(tongue: Tongue, reason: &WaitReason) -> String {
    match (tongue, reason) {
        (Tongue::English, reason) => reason.to_string(),
        (Tongue::Russian, WaitReason::Freeze) => "репозиторий заморожен".to_owned(),
        (Tongue::Russian, WaitReason::Dependency { waits_for, prerequisite: Unmet::Unfinished }) => {
            format!("нужна {}, она не готова", waits_for.work_item)
        }
        (Tongue::Russian, WaitReason::Dependency { waits_for, prerequisite: Unmet::Cancelled }) => {
            format!("нужна {}, а она остановлена и готова не будет", waits_for.work_item)
        }
        (Tongue::Russian, WaitReason::ActiveTask { waits_for }) => {
            format!("проект берёт по одной задаче, и {} пришла раньше", waits_for.work_item)
        }
        (Tongue::Russian, WaitReason::Lease) => "нужную аренду держит другая задача".to_owned(),
        (Tongue::Russian, WaitReason::Space) => "на диске слишком мало места для запуска".to_owned(),
        (Tongue::Russian, WaitReason::Program) => "её программы здесь нет".to_owned(),
        (Tongue::Russian, WaitReason::Slot) => "все места заняты".to_owned(),
        (Tongue::Russian, WaitReason::Breaker) => "служба за её агентом отказывает".to_owned(),
        (Tongue::Russian, WaitReason::Time) => "её время ещё не пришло".to_owned(),
        (Tongue::Russian, WaitReason::Turn) => "сначала другая работа той же задачи".to_owned(),
        (Tongue::Russian, WaitReason::Damaged) => "её запись повреждена".to_owned(),
    }
}

/// What kind of hold it is, in a few words: the cause by which held tasks are grouped.
pub(crate) const fn cause(tongue: Tongue, kind: HoldKind) -> &'static str {
    match kind {
        HoldKind::Escalated => tongue.of("the developer's retries are spent", "попытки разработчика исчерпаны"),
        HoldKind::NeedsInput => tongue.of("somebody has questions", "есть вопросы к человеку"),
        HoldKind::Blocked => tongue.of("something outside must be mended", "надо исправить что-то снаружи"),
        HoldKind::InfraExhausted => tongue.of("the system failed again and again", "система отказывала раз за разом"),
        HoldKind::PatienceExhausted => tongue.of("an answer did not come in time", "ответ не пришёл вовремя"),
        HoldKind::Undelivered => tongue.of("runs ended without their result", "запуски кончались без результата"),
        HoldKind::OverBudget => tongue.of("a budget is spent", "бюджет исчерпан"),
        HoldKind::Paused => tongue.of("paused by a person", "человек поставил на паузу"),
        HoldKind::PipelineChanged => tongue.of("its place in the pipeline is gone", "её места в конвейере больше нет"),
        HoldKind::GoneFromBoard => tongue.of("its card is gone from the board", "её карточка пропала с доски"),
        HoldKind::RefusedAtForge => tongue.of("refused at the forge", "отклонена на форже"),
        HoldKind::DeployedNotInMain => {
            tongue.of("deployed, and not in the base branch", "выложена, но не в основной ветке")
        }
        HoldKind::MergedUntested => tongue.of("merged untested by a person", "человек слил непроверенное"),
        HoldKind::FateUnknown => tongue.of("what a hook did is not known", "неизвестно, что сделал хук"),
        HoldKind::NotProven => tongue.of("the merge is not proven", "слияние не доказано"),
        HoldKind::DependencyCycle => tongue.of("it needs itself over others", "через другие задачи она ждёт саму себя"),
        HoldKind::Panicked => tongue.of("deciding about it broke", "решение о ней сломалось"),
    }
}

/// Whether one word lets on all that are held by it: what broke, and what waits for a larger budget. Whoever asks a person something
/// gets an answer of its own.
pub(crate) const fn goes_on_together(kind: HoldKind) -> bool {
    matches!(kind, HoldKind::OverBudget) || matches!(held_as(kind), State::Failed | State::Held)
}

const fn held_as(kind: HoldKind) -> State {
    match kind {
        HoldKind::NeedsInput
        | HoldKind::Blocked
        | HoldKind::GoneFromBoard
        | HoldKind::RefusedAtForge
        | HoldKind::DependencyCycle
        // Nothing failed: whoever pays says how much more it may be.
        | HoldKind::OverBudget => State::NeedsYou,
        HoldKind::Paused => State::Paused,
        HoldKind::Escalated => State::Failed,
        HoldKind::InfraExhausted
        | HoldKind::PatienceExhausted
        | HoldKind::Undelivered
        | HoldKind::PipelineChanged
        | HoldKind::DeployedNotInMain
        | HoldKind::MergedUntested
        | HoldKind::FateUnknown
        | HoldKind::NotProven
        | HoldKind::Panicked => State::Held,
    }
}

fn held(tongue: Tongue, hold: &Hold) -> (State, String) {
    let state = held_as(hold.kind);
    let at = hold.step.as_ref().map(|step| say!(tongue, " at `{step}`", " на шаге `{step}`")).unwrap_or_default();
    let (english, russian) = (&hold.reason, hold_words(tongue, hold.kind, &hold.reason));
    (state, say!(tongue, "held{at}: {english}", "удержана{at}, {russian}"))
}

/// What a hold is, in a reader's language: its kind is ours to say, and what was written of it stands as it was written. A pause says
/// nothing beyond itself.
pub(crate) fn hold_words(tongue: Tongue, kind: HoldKind, reason: &str) -> String {
    let cause = cause(tongue, kind);
    match (tongue, kind) {
        (Tongue::English, _) => reason.to_owned(),
        (Tongue::Russian, HoldKind::Paused) => cause.to_owned(),
        (Tongue::Russian, _) => format!("{cause}: {}", tongue.inner(reason)),
    }
}

fn done(tongue: Tongue, task: &Task) -> String {
    let branch = &task.base_branch;
    match task.merged.as_ref().map(|commit| &commit.as_str()[..12]) {
        Some(commit) => say!(tongue, "it is in `{branch}` as {commit}", "она в `{branch}` как {commit}"),
        None => tongue.of("it is done", "готова").to_owned(),
    }
}
