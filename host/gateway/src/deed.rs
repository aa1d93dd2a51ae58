//! What a person can do about a task as it stands: the likeliest first, each with its line of the command line.

use std::fmt::Display;

use conductor::ports::store::WaitReason;
use domain::access::Right;
use domain::event::Intent;
use domain::ids::ProjectName;
use domain::pipeline::{Consent, EdgeStep};
use domain::task::{Activity, Hold, HoldKind, Task};

use crate::standing::Scene;
use crate::timeline::intent_word;
use crate::tongue::Tongue;

/// Edges of a cycle that are offered to be taken away.
const EDGES: usize = 3;

/// One thing that a person can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deed {
    /// As a page offers it.
    act: Act,
    /// By the command line.
    pub(crate) line: String,
}

/// What a button does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Act {
    /// It gives an intent.
    Give(Intent),
    /// It lets the task go on without another one.
    Undepend(String),
    /// There is none: the line is about another task or a project, each of which has a page.
    Elsewhere(String),
}

impl Deed {
    /// Who may do it by a button.
    pub(crate) fn right(&self) -> Option<Right> {
        match &self.act {
            Act::Give(Intent::Waive) => Some(Right::Admin),
            Act::Give(_) | Act::Undepend(_) => Some(Right::Operate),
            Act::Elsewhere(_) => None,
        }
    }

    fn intent(&self) -> Option<Intent> {
        match self.act {
            Act::Give(intent) => Some(intent),
            Act::Undepend(_) | Act::Elsewhere(_) => None,
        }
    }

    /// The other task that it is about, which its form names.
    pub(crate) fn on(&self) -> Option<&str> {
        match &self.act {
            Act::Undepend(on) => Some(on),
            Act::Give(_) | Act::Elsewhere(_) => None,
        }
    }

    /// The page on which it is done; none: it is done here.
    pub(crate) fn elsewhere(&self) -> Option<&str> {
        match &self.act {
            Act::Elsewhere(page) => Some(page),
            Act::Give(_) | Act::Undepend(_) => None,
        }
    }

    /// The last word of the form's path.
    pub(crate) fn word(&self) -> &'static str {
        if self.on().is_some() { "undepend" } else { self.intent().map_or("", word) }
    }

    /// What stands on the button.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    pub(crate) fn label(&self, t: &Tongue) -> &'static str {
        if self.on().is_some() {
            return t.of("Do without what it needs", "Обойтись без нужной ей");
        }
        match self.intent() {
            Some(Intent::Approve) => t.of("Approve", "Одобрить"),
            Some(Intent::Reject) => t.of("Reject", "Отклонить"),
            Some(Intent::ConfirmDeploy) => t.of("Confirm the deploy of", "Подтвердить выкладку"),
            Some(Intent::Stop) => t.of("Stop", "Остановить"),
            Some(Intent::Resume) => t.of("Resume", "Продолжить"),
            Some(Intent::Waive) => t.of("Waive the step of", "Снять шаг у"),
            Some(Intent::Pause) => t.of("Pause", "Поставить на паузу"),
            Some(Intent::Start | Intent::Estimate) | None => "",
        }
    }

    /// What it does, to how many.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    pub(crate) fn means(&self, t: &Tongue) -> &'static str {
        if self.on().is_some() {
            return t.of(
                "1 ticket goes on without 1 other one, which stays as it is.",
                "1 задача пойдёт дальше без 1 другой, а та останется как есть.",
            );
        }
        match self.intent() {
            Some(Intent::Approve) => t.of("1 ticket goes on with its next step.", "1 задача пойдёт к следующему шагу."),
            Some(Intent::Reject) => t.of(
                "1 ticket goes back; the next run reads what you write here.",
                "1 задача вернётся; следующий запуск прочтёт то, что вы здесь напишете.",
            ),
            Some(Intent::ConfirmDeploy) => {
                t.of("1 ticket is deployed to production.", "1 задача будет выложена в рабочую среду.")
            }
            Some(Intent::Stop) => t.of(
                "1 ticket is ended for good: its run at once, then its clone and its branch. What is merged stays.",
                "1 задача окончится насовсем: сначала её запуск, потом клон и ветка. Слитое останется.",
            ),
            Some(Intent::Resume) => t.of(
                "1 ticket goes on where it is held, with fresh retries of that step.",
                "1 задача пойдёт дальше с того же места, с новыми попытками этого шага.",
            ),
            Some(Intent::Waive) => t.of(
                "1 ticket goes over the step that holds it. Who did it and why is kept for ever.",
                "1 задача обойдёт шаг, который её держит. Кто и почему это сделал, сохранится навсегда.",
            ),
            Some(Intent::Pause) => t.of(
                "1 ticket launches nothing more until you resume it; a run under way ends first.",
                "1 задача ничего больше не запустит, пока вы её не продолжите; идущий запуск закончится.",
            ),
            Some(Intent::Start | Intent::Estimate) | None => "",
        }
    }

    /// How the button looks: the likely one, the grave one, or as all others.
    pub(crate) fn weight(&self) -> &'static str {
        match self.intent() {
            Some(Intent::Approve | Intent::ConfirmDeploy) => "first",
            Some(Intent::Stop | Intent::Waive) => "grave",
            _ => "",
        }
    }

    /// Whether a person can say why.
    pub(crate) fn takes_note(&self) -> bool {
        self.intent().is_some_and(|intent| intent != Intent::Pause)
    }

    /// Whether a person must.
    pub(crate) fn needs_note(&self) -> bool {
        self.intent() == Some(Intent::Waive)
    }
}

/// An intent as paths spell it.
pub(crate) const fn word(intent: Intent) -> &'static str {
    match intent {
        Intent::Approve => "approve",
        Intent::Reject => "reject",
        Intent::ConfirmDeploy => "confirm-deploy",
        Intent::Stop => "stop",
        Intent::Resume => "resume",
        Intent::Waive => "waive",
        Intent::Pause => "pause",
        Intent::Start => "start",
        Intent::Estimate => "estimate",
    }
}

/// What was done, from the word of a path. None: no word of ours.
pub(crate) fn did_words(t: Tongue, did: &str) -> Option<&'static str> {
    let intents = [
        Intent::Approve,
        Intent::Reject,
        Intent::ConfirmDeploy,
        Intent::Stop,
        Intent::Resume,
        Intent::Waive,
        Intent::Pause,
    ];
    match did {
        "freeze" => Some(t.of("frozen", "заморожен")),
        "thaw" => Some(t.of("thawed", "разморожен")),
        "depend" => Some(t.of("waits for the other one now", "теперь ждёт другую")),
        "undepend" => Some(t.of("goes on without the other one", "пойдёт дальше без другой")),
        "started" => Some(t.of("started", "начата")),
        "resumed-all" => Some(t.of("all paused tickets go on", "все задачи с паузы идут дальше")),
        "retried" => Some(t.of("the tickets of that cause are tried again", "задачи с этой причиной пробуются снова")),
        "created" => Some(t.of("made and started", "создана и начата")),
        "comment" => Some(t.of("comment written", "комментарий записан")),
        "stopped-all" => Some(t.of("all live tickets are being stopped", "все живые задачи останавливаются")),
        "stopped-project" => Some(
            t.of("the live tickets of this project are being stopped", "живые задачи этого проекта останавливаются"),
        ),
        "token-revoked" => Some(t.of("the token opens nothing any more", "токен больше ничего не открывает")),
        "delivery-retried" => Some(t.of("the delivery is read once more", "доставка читается ещё раз")),
        "deliveries-retried" => {
            Some(t.of("the parked deliveries are read once more", "отложенные доставки читаются ещё раз"))
        }
        "paused-all" => Some(t.of("all live tickets are to pause", "все живые задачи встают на паузу")),
        _ => intents.into_iter().find(|intent| word(*intent) == did).map(|intent| intent_word(t, intent)),
    }
}

impl Scene {
    pub(crate) fn deeds(&self, task: &Task) -> Vec<Deed> {
        let give = |intent: Intent| Deed { act: Act::Give(intent), line: command(intent, &task.work_item) };
        match &task.position.activity {
            Activity::AwaitingPerson { consent, .. } => {
                let yes = if *consent == Consent::Approve { Intent::Approve } else { Intent::ConfirmDeploy };
                let mut deeds = vec![give(yes), give(Intent::Reject)];
                deeds.extend((!task.is_paused()).then(|| give(Intent::Pause)));
                deeds.push(give(Intent::Stop));
                deeds
            }
            Activity::Held { hold } => {
                let cycle = task.needs.iter().filter(|_| hold.kind == HoldKind::DependencyCycle);
                let mut deeds = cycle.take(EDGES).map(|needs| undepend(task, needs)).collect::<Vec<_>>();
                deeds.push(give(Intent::Resume));
                if hold.kind != HoldKind::Paused {
                    deeds.push(give(Intent::Reject));
                    deeds.extend(self.can_waive(task, hold).then(|| give(Intent::Waive)));
                }
                // Held, it keeps all later ones waiting; paused, it does not.
                deeds.extend((self.is_serial(&task.project) && !task.is_paused()).then(|| give(Intent::Pause)));
                deeds.push(give(Intent::Stop));
                deeds
            }
            Activity::Stopping | Activity::Settled { .. } => Vec::new(),
            _ if task.paused => vec![give(Intent::Resume), give(Intent::Stop)],
            _ => {
                let mut deeds = self.wait(task).map(|wait| moved_by(task, &wait.reason)).unwrap_or_default();
                deeds.extend([give(Intent::Pause), give(Intent::Stop)]);
                deeds
            }
        }
    }

    fn is_serial(&self, project: &ProjectName) -> bool {
        self.projects.iter().any(|row| row.name == *project && row.serial)
    }

    fn can_waive(&self, task: &Task, hold: &Hold) -> bool {
        let pipeline = self.pipeline(&task.project);
        let step =
            pipeline.zip(hold.step.as_ref()).and_then(|(pipeline, step)| pipeline.step(&task.position.stage, step));
        step.is_some_and(EdgeStep::waivable)
    }
}

/// What a person can do about a wait at once.
fn moved_by(task: &Task, why: &WaitReason) -> Vec<Deed> {
    match why {
        WaitReason::Freeze => {
            let (page, line) =
                (format!("/p/{}", task.project), format!("gatewright project unfreeze {}", task.project));
            vec![Deed { act: Act::Elsewhere(page), line }]
        }
        WaitReason::Dependency { waits_for, .. } => vec![undepend(task, &waits_for.work_item)],
        WaitReason::ActiveTask { waits_for } => {
            let (page, line) = (format!("/t/{}", waits_for.work_item), command(Intent::Pause, &waits_for.work_item));
            vec![Deed { act: Act::Elsewhere(page), line }]
        }
        WaitReason::Lease
        | WaitReason::Space
        | WaitReason::Program
        | WaitReason::Slot
        | WaitReason::Breaker
        | WaitReason::Time
        | WaitReason::Turn
        | WaitReason::Damaged => Vec::new(),
    }
}

fn undepend(task: &Task, needs: &dyn Display) -> Deed {
    let line = format!("gatewright task undepend {} --on {needs}", task.work_item);
    Deed { act: Act::Undepend(needs.to_string()), line }
}

/// The line of the command line that gives this intent.
pub(crate) fn command(intent: Intent, item: &dyn Display) -> String {
    match intent {
        Intent::Approve => format!("gatewright task approve {item}"),
        Intent::Reject => format!("gatewright task reject {item} --note \"what is wrong\""),
        Intent::ConfirmDeploy => format!("gatewright task confirm-deploy {item}"),
        Intent::Stop => format!("gatewright task stop {item}"),
        Intent::Resume => format!("gatewright task resume {item}"),
        Intent::Waive => format!("gatewright task waive {item} --note \"why it may pass\""),
        Intent::Pause => format!("gatewright task pause {item}"),
        Intent::Start | Intent::Estimate => format!("gatewright task show {item}"),
    }
}
