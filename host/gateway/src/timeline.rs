//! What happened to a task, a line per entry.

use domain::effect::Feedback;
use domain::entry::{Entry, MovedBy};
use domain::event::{Intent, Observation};
use domain::ids::CommitId;
use domain::task::Activity;

use crate::show::{Moment, cost};
use crate::standing::hold_words;
use crate::tongue::{Tongue, say};
use crate::words;

/// The entry in words; none: a reader has seen it in the entry beside it.
pub(crate) fn words(entry: &Entry) -> Option<String> {
    words_in(Tongue::English, entry)
}

/// The same in a reader's language.
pub(crate) fn words_in(t: Tongue, entry: &Entry) -> Option<String> {
    of_the_way(t, entry).or_else(|| of_the_work(t, entry)).or_else(|| of_people(t, entry))
}

/// Where it went, and what it waited for.
fn of_the_way(t: Tongue, entry: &Entry) -> Option<String> {
    Some(match entry {
        Entry::Created { actor } => say!(t, "created by {actor}", "создана: {actor}"),
        Entry::StageEntered { stage, visit: 1, .. } => {
            let stage = words::stage(t, stage.as_str());
            say!(t, "entered {stage}", "этап: {stage}")
        }
        Entry::StageEntered { stage, visit, .. } => {
            let stage = words::stage(t, stage.as_str());
            say!(t, "entered {stage} again, visit {visit}", "снова этап: {stage}, заход {visit}")
        }
        Entry::ActivityEntered { activity, .. } => return activity_words(t, activity),
        Entry::StepAnswered { step, answer, note, .. } => {
            let answer = words::verdict(t, answer);
            if note.is_empty() { format!("{step}: {answer}") } else { format!("{step}: {answer}: {}", t.inner(note)) }
        }
        Entry::LeaseRequested { name } => {
            say!(t, "stands in line for the {name} lease", "стоит в очереди за арендой {name}")
        }
        Entry::LeaseTaken { name, token } => {
            say!(t, "took the {name} lease, fence {token}", "взяла аренду {name}, ограда {token}")
        }
        Entry::LeaseReleased { name } => say!(t, "gave the {name} lease back", "вернула аренду {name}"),
        Entry::PipelineChanged { digest } => {
            let digest = &digest.as_str()[..12];
            say!(t, "the pipeline is another one, {digest}", "конвейер теперь другой, {digest}")
        }
        Entry::Observed { observation } => observed(t, observation),
        Entry::PassDropped { step } => {
            say!(t, "{step} is another one now: it is asked again", "{step} теперь другой: его спросят снова")
        }
        Entry::Panicked { message } => {
            let message = t.inner(message);
            say!(t, "deciding panicked: {message}", "решение сломалось: {message}")
        }
        Entry::AftermathEnded { note } => t.inner(note),
        _ => return None,
    })
}

/// What was made, tried and spent.
fn of_the_work(t: Tongue, entry: &Entry) -> Option<String> {
    let fixed = |english, russian| Some(t.of(english, russian).to_owned());
    Some(match entry {
        Entry::BranchCut { branch, base } => {
            let base = short(base);
            say!(t, "branch {branch} cut from {base}", "ветка {branch} отведена от {base}")
        }
        Entry::HeadMoved { head, by } => {
            let (head, by) = (short(head), mover(t, *by));
            say!(t, "branch moved to {head} by {by}", "ветка сдвинута на {head}: {by}")
        }
        Entry::BaseSeen { base } => {
            let base = short(base);
            say!(t, "the base stands at {base}", "основа стоит на {base}")
        }
        Entry::RunEnded { run, outcome, spent, .. } => {
            let cost = spent.as_ref().map(|spent| cost(t, spent)).filter(|cost| !cost.is_empty());
            let cost = cost.map(|cost| format!(" ({cost})")).unwrap_or_default();
            let outcome = t.inner(outcome);
            say!(t, "run {run} ended: {outcome}{cost}", "запуск {run} окончен: {outcome}{cost}")
        }
        Entry::RunRetrySpent => return fixed("the run is launched again", "запуск повторяется"),
        Entry::TransientRetrySpent => {
            return fixed(
                "the run is tried again later; the service refused for now",
                "запуск повторится позже; служба пока отказала",
            );
        }
        Entry::InfraRetrySpent => {
            return fixed("the step is tried again; the system was at fault", "шаг повторяется; виновата система");
        }
        Entry::DeveloperRetrySpent => {
            return fixed("the work went back; one retry spent", "работа вернулась; одна попытка потрачена");
        }
        Entry::DeveloperRetryGranted => return fixed("one more retry granted", "дана ещё одна попытка"),
        Entry::Validated { commit } => {
            let commit = short(commit);
            say!(t, "the suite passed on {commit}", "тесты прошли на {commit}")
        }
        Entry::ValidationDropped => {
            return fixed("what was tested is no more what stands", "проверенное больше не то, что стоит");
        }
        Entry::Merged { commit } => {
            let commit = short(commit);
            say!(t, "merged as {commit}", "слито как {commit}")
        }
        Entry::Deployed { commit } => {
            let commit = short(commit);
            say!(t, "deployed {commit}", "выложено {commit}")
        }
        _ => return None,
    })
}

/// What people said and wanted.
fn of_people(t: Tongue, entry: &Entry) -> Option<String> {
    Some(match entry {
        Entry::Waived { step, actor, why } => say!(t, "{step} waived by {actor}: {why}", "{step} снят: {actor}: {why}"),
        Entry::FeedbackAdded { feedback } => {
            // Whose word it is the engine wrote, and that he said none.
            let source = t.inner(&feedback.source);
            let is_silent = feedback.note == Feedback::NO_REASON;
            let note = if is_silent {
                t.of(Feedback::NO_REASON, "причина не названа").to_owned()
            } else {
                feedback.note.clone()
            };
            let note = if note.is_empty() { String::new() } else { format!(": {note}") };
            say!(t, "for the next run, from {source}{note}", "для следующего запуска, от {source}{note}")
        }
        Entry::IntentTaken { intent, actor, note } => {
            let (word, note) =
                (intent_word(t, *intent), if note.is_empty() { String::new() } else { format!(": {note}") });
            say!(t, "{word} by {actor}{note}", "{word}, {actor}{note}")
        }
        Entry::IntentRefused { intent, actor, why } => {
            let (word, why) = (intent_word(t, *intent), t.inner(why));
            say!(t, "{word} by {actor} does not count: {why}", "{word}, {actor}: не считается: {why}")
        }
        Entry::ForeignMergeSeen { commit } => {
            let commit = short(commit);
            say!(
                t,
                "whoever lets it on knows that {commit} is merged",
                "кто пустит её дальше, знает, что {commit} слит"
            )
        }
        Entry::PauseSet { on: true } => t.of("to be paused", "будет поставлена на паузу").to_owned(),
        Entry::PauseSet { on: false } => t.of("no more to be paused", "паузы больше не надо").to_owned(),
        Entry::DependencyAdded { on, actor, .. } => {
            say!(t, "needs {on}, says {actor}", "ей нужна {on}, говорит {actor}")
        }
        Entry::DependencyRemoved { on, actor, .. } => {
            say!(t, "needs {on} no more, says {actor}", "{on} ей больше не нужна, говорит {actor}")
        }
        Entry::PrerequisiteCancelled { on, .. } => {
            say!(t, "{on}, which it needs, was stopped", "{on}, которая ей нужна, остановлена")
        }
        Entry::StopDeferred => {
            t.of("stops once the step under way has answered", "остановится, когда идущий шаг ответит").to_owned()
        }
        Entry::HoldDeferred { kind, reason } => {
            let reason = hold_words(t, *kind, reason);
            say!(
                t,
                "is held once the step under way has answered: {reason}",
                "будет удержана, когда идущий шаг ответит: {reason}"
            )
        }
        Entry::LabelsRead { labels, .. } => {
            let labels = labels.join(", ");
            say!(t, "labels: {labels}", "метки: {labels}")
        }
        _ => return None,
    })
}

/// Only what no other entry of the same step says.
fn activity_words(t: Tongue, activity: &Activity) -> Option<String> {
    match activity {
        Activity::Held { hold } => {
            let reason = hold_words(t, hold.kind, &hold.reason);
            Some(say!(t, "held: {reason}", "удержана: {reason}"))
        }
        Activity::Waiting { until, why, .. } => {
            let (until, why) = (Moment::of(*until).text, t.inner(why));
            Some(say!(t, "waits until {until}: {why}", "ждёт до {until}: {why}"))
        }
        Activity::AwaitingPerson { step, .. } => Some(say!(t, "{step} asks a person", "{step} спрашивает человека")),
        Activity::Acting { step } => Some(say!(t, "the host performs {step}", "хост выполняет {step}")),
        Activity::Stopping => Some(t.of("stopping", "останавливается").to_owned()),
        Activity::Running { .. } | Activity::Judging { .. } | Activity::Settled { .. } => None,
    }
}

fn observed(t: Tongue, observation: &Observation) -> String {
    match observation {
        Observation::GoneFromBoard { by } => say!(t, "gone from the board, by {by}", "пропала с доски: {by}"),
        Observation::ForeignPush { head } => {
            let head = short(head);
            say!(t, "another hand pushed {head}", "чужая рука отправила {head}")
        }
        Observation::RefusedAtForge { by } => say!(t, "refused at the forge by {by}", "отклонена на форже: {by}"),
        Observation::MergedElsewhere { commit, by, tested: true } => {
            let commit = short(commit);
            say!(t, "merged by {by} as {commit}", "слита: {by}, как {commit}")
        }
        Observation::MergedElsewhere { commit, by, .. } => {
            let commit = short(commit);
            say!(t, "merged untested by {by} as {commit}", "слита непроверенной: {by}, как {commit}")
        }
        Observation::Landed { commit, by } => {
            let commit = short(commit);
            say!(t, "{by} brought {commit} to the base branch", "{by}: {commit} теперь в основной ветке")
        }
        Observation::WatchDegraded => {
            t.of("the deployed revision turned bad", "выложенная версия испортилась").to_owned()
        }
        Observation::Labels { labels } => {
            let labels = labels.join(", ");
            say!(t, "labels seen: {labels}", "видны метки: {labels}")
        }
    }
}

fn mover(t: Tongue, by: MovedBy) -> &'static str {
    match by {
        MovedBy::Run => t.of("a run", "запуск"),
        MovedBy::Rebase => t.of("the host's rebase", "перебазирование хоста"),
        MovedBy::Foreign => t.of("another hand", "чужая рука"),
    }
}

pub(crate) const fn intent_word(t: Tongue, intent: Intent) -> &'static str {
    match intent {
        Intent::Start => t.of("started", "начато"),
        Intent::Approve => t.of("approved", "одобрено"),
        Intent::Reject => t.of("rejected", "отклонено"),
        Intent::ConfirmDeploy => t.of("deploy confirmed", "выкладка подтверждена"),
        Intent::Stop => t.of("stopped", "остановлено"),
        Intent::Estimate => t.of("estimate asked", "запрошена оценка"),
        Intent::Resume => t.of("resumed", "продолжено"),
        Intent::Waive => t.of("waived", "снято"),
        Intent::Pause => t.of("paused", "поставлено на паузу"),
    }
}

fn short(commit: &CommitId) -> &str {
    &commit.as_str()[..12]
}
