//! What other parts of the host say no with, in both languages. They say it as values, and word it in English themselves; the second
//! language is worded here, so that a value without one does not compile.

use conductor::ports::access::{Deed, NoSuchDeed};
use conductor::ports::store::{Illegal, MOST_NEEDS, Refusal, Rejected, StoreError, Thing};
use conductor::slots::{self, Ahead, Bound};
use domain::event::Intent;
use domain::ids::{Form, InvalidId, Kind, WorkItemId};
use domain::plugin::Warning;

use crate::health::{Part, Trouble};
use crate::said::Said;
use crate::tongue::Tongue;
use crate::words;

const RU: Tongue = Tongue::Russian;

/// Why the engine takes no event.
pub(crate) fn rejected(rejected: &Rejected) -> Said {
    let russian = match rejected {
        Rejected::Late => "поздно: это относится к тому, что для задачи уже позади".to_owned(),
        Rejected::Duplicate => "повтор: это уже произошло".to_owned(),
        Rejected::Illegal(why) => format!("здесь так нельзя: {}", illegal(why)),
        Rejected::Terminal => "поздно: задача окончена".to_owned(),
    };
    Said::of(rejected.to_string(), russian)
}

fn illegal(why: &Illegal) -> String {
    match why {
        Illegal::Unasked { intent, stands } => unasked(*intent, words::activity(RU, stands)),
        Illegal::NoAnswerHolds => "держит не ответ шага, и снимать нечего; `resume` спросит снова".to_owned(),
        Illegal::RunHolds => "держит запуск, а не шаг: снимать нечего; `resume` запустит его снова".to_owned(),
        Illegal::NeverWaived { step } => format!("шаг `{step}` снять нельзя никогда"),
        Illegal::StepGone { step } => {
            format!("шага `{step}` на этом переходе больше нет; `resume` пойдёт дальше со следующего")
        }
        Illegal::HoldsLease { lease, on } => format!("задача держит аренду `{lease}`, а она может понадобиться {on}"),
        Illegal::NeedsMany => {
            format!("задача уже ждёт других, их {MOST_NEEDS}, а больше не хранится")
        }
        Illegal::NeedsNot { on } => format!("{on} ей не нужна"),
        Illegal::StandsStill => "удержанная задача и так стоит".to_owned(),
        Illegal::Irreversible => "идёт необратимый шаг".to_owned(),
        Illegal::IrreversibleTells => "идёт необратимый шаг; что там стоит, скажет его ответ".to_owned(),
        Illegal::NoCleanUp => "ничего не убирается".to_owned(),
        Illegal::NotCarriedOn => "чужие руки ведут дальше только задачу под наблюдением".to_owned(),
        Illegal::NotEndedByOthers => "чужие руки оканчивают только задачу под наблюдением".to_owned(),
        Illegal::OnlyAPerson => "удержание снимает только человек".to_owned(),
        Illegal::OnlyGit => {
            "задачу под наблюдением оканчивает то, что видно в git, кто бы ни сообщил о слиянии".to_owned()
        }
        Illegal::NotInLine => "задача не стоит в очереди за этой арендой".to_owned(),
        Illegal::LaunchesAlone => "так задерживают только запуски".to_owned(),
        Illegal::NoTask => "по этой карточке задачи нет".to_owned(),
        Illegal::Unawaited { event, stands } => {
            format!("`{event}` не ждут, пока задача стоит так: {}", words::activity(RU, stands))
        }
    }
}

fn unasked(intent: Intent, stands: &str) -> String {
    match intent {
        Intent::Approve => format!("`approve` отвечает шагу, который об этом спрашивает; задача сейчас: {stands}"),
        Intent::ConfirmDeploy => {
            format!("`confirm-deploy` отвечает шагу, который об этом спрашивает; задача сейчас: {stands}")
        }
        Intent::Reject => {
            format!("`reject` отвечает шагу, который спрашивает человека, или удержанию; задача сейчас: {stands}")
        }
        Intent::Resume | Intent::Waive => format!("дальше пускают только удержанную задачу; эта сейчас: {stands}"),
        Intent::Estimate => "оценка ни одной задачи не меняет".to_owned(),
        Intent::Start | Intent::Stop | Intent::Pause => format!("задача сейчас: {stands}"),
    }
}

/// Why the store did nothing.
pub(crate) fn refusal(refusal: &Refusal) -> Said {
    let russian = match refusal {
        Refusal::NeedsItself { item } => format!("{item} не может ждать саму себя"),
        Refusal::Cycle { items } => format!("вышел бы круг: {}", around(items)),
        Refusal::OtherProject { item, theirs, ours } => {
            format!("{item} — из проекта `{theirs}`, а задача ждёт только задач своего проекта, `{ours}`")
        }
        Refusal::WillNotBeDone { item } => format!("{item} остановлена и готова не будет: сначала начните её снова"),
        Refusal::NeedsTooMany { named } => {
            format!("названо задач: {named}; одной задаче их может быть нужно не больше {MOST_NEEDS}")
        }
        Refusal::NotParked { delivery, state } => {
            let state = words::delivery(RU, state);
            format!("доставка {delivery} сейчас: {state}; заново читается только отложенная")
        }
        Refusal::TokenKnown { name, revoked: true } => {
            format!("токен `{name}` уже был и отозван, и о нём говорит аудит; выберите другое имя, например `{name}-2`")
        }
        Refusal::TokenKnown { name, revoked: false } => {
            format!("токен `{name}` уже есть, и о нём говорит аудит; выберите другое имя, например `{name}-2`")
        }
        Refusal::OwnToken { name } => {
            format!("имя `{name}` — у токена из собственного файла хоста; выберите другое")
        }
        Refusal::OwnTokenStays { name } => format!(
            "`{name}` — токен из собственного файла хоста: удалите файл `operator-token` и запустите хост снова, и он сделает \
             другой"
        ),
        Refusal::Changed { task } => format!("задачу {task} тем временем изменили"),
        Refusal::TooLarge { task, bytes, most } => {
            format!("запись задачи {task} стала бы размером {bytes} байт, а {most} — уже слишком много")
        }
        Refusal::Undecided { task, why } => format!("о задаче {task} ничего нельзя решить: {}", RU.inner(why)),
        Refusal::Inside(why) => format!("хост так не может: {}", RU.inner(why)),
    };
    Said::of(refusal.to_string(), russian)
}

/// `A ждёт B, B ждёт A`, as the engine says it.
fn around(items: &[WorkItemId]) -> String {
    let next = items.iter().cycle().skip(1);
    items.iter().zip(next).map(|(task, needs)| format!("{task} ждёт {needs}")).collect::<Vec<_>>().join(", ")
}

/// What is not there.
pub(crate) fn absent(what: Thing, id: &str) -> Said {
    let english = StoreError::NotFound { what, id: id.to_owned() }.to_string();
    Said::of(english, format!("{} `{id}` нет", thing(what)))
}

/// In the genitive.
const fn thing(what: Thing) -> &'static str {
    match what {
        Thing::Blob => "сохранённого текста",
        Thing::Branch => "ветки",
        Thing::Delivery => "доставки",
        Thing::Evaluation => "решения",
        Thing::Job => "работы",
        Thing::Project => "проекта",
        Thing::Run => "запуска",
        Thing::Task | Thing::TaskFor => "задачи",
        Thing::Token => "токена",
        Thing::WorkItem => "карточки",
    }
}

/// What is no identifier.
pub(crate) fn invalid_id(error: &InvalidId) -> Said {
    let InvalidId { text, kind, expected } = error;
    Said::of(error.to_string(), format!("`{text}` не годится как {}: {}", id(*kind), form(*expected)))
}

const fn id(kind: Kind) -> &'static str {
    match kind {
        Kind::Task => "номер задачи",
        Kind::Job => "номер работы",
        Kind::Run => "номер запуска",
        Kind::Evaluation => "номер решения",
        Kind::Delivery => "номер доставки",
        Kind::Document => "номер документа",
        Kind::Version => "версия задачи",
        Kind::Epoch => "эпоха задачи",
        Kind::FenceToken => "ограда аренды",
        Kind::Session => "номер входа",
        Kind::Project => "имя проекта",
        Kind::WorkItem => "ключ задачи",
        Kind::Stage => "имя этапа",
        Kind::Step => "имя шага",
        Kind::Plugin => "имя плагина",
        Kind::Lease => "имя аренды",
        Kind::Driver => "имя драйвера",
        Kind::Token => "имя токена",
        Kind::Branch => "имя ветки",
        Kind::Commit => "номер коммита",
        Kind::Digest => "сумма sha256",
    }
}

const fn form(expected: Form) -> &'static str {
    match expected {
        Form::Number => "нужно целое число",
        Form::Name => "нужны латинские буквы, цифры, `-`, `_`, `.`, не больше 64",
        Form::Word => "нужны строчные латинские буквы и цифры через дефисы, не больше 64",
        Form::Branch => "нужно имя, которое возьмёт git, без `..` и без `-` в начале",
        Form::Commit => "нужны 40 или 64 строчные шестнадцатеричные цифры",
        Form::Sha256 => "нужны 64 строчные шестнадцатеричные цифры",
    }
}

/// What the audit never records.
pub(crate) fn no_deed(error: &NoSuchDeed) -> Said {
    let (text, known) = (&error.text, Deed::ALL.map(Deed::as_str).join(", "));
    Said::of(format!("`what`: {error}"), format!("`what`: `{text}` — такого аудит не записывает; есть: {known}"))
}

/// Why a run has no place, in Russian.
pub(crate) fn no_place(refusal: &slots::Refusal) -> String {
    match refusal {
        slots::Refusal::Program(why) => format!("её программы здесь нет: {}", RU.inner(why)),
        slots::Refusal::Slot { most, of } => {
            let runs = RU.count(u64::from(*most), ["", ""], ["запуск", "запуска", "запусков"]);
            format!("{}: уже идёт {runs}, больше не положено", bound(of))
        }
        slots::Refusal::Breaker { driver, ahead } => {
            let service = format!("служба за драйвером агента `{driver}`");
            match ahead {
                Ahead::Nobody => format!("{service} отказывает: её предохранитель открыт"),
                Ahead::Job(job) => format!("{service} отказала; её проверяет работа {job}"),
                Ahead::Another => {
                    format!("{service} отказала последнему запуску этой задачи; её проверит другая задача")
                }
            }
        }
    }
}

fn bound(of: &Bound) -> String {
    match of {
        Bound::Project(project) => format!("проект `{project}`"),
        Bound::Repository(repository) => format!("репозиторий `{repository}`"),
        Bound::Driver(driver) => format!("драйвер агента `{driver}`"),
    }
}

/// What is wrong with the host, in a reader's language: of which part, and in the words of that part what exactly.
pub(crate) fn trouble(t: Tongue, trouble: &Trouble) -> String {
    match t {
        Tongue::English => trouble.why.clone(),
        Tongue::Russian => format!("{}: {}", part(trouble.part), t.inner(&trouble.why)),
    }
}

const fn part(part: Part) -> &'static str {
    match part {
        Part::Sandbox => "песочница запусков не работает",
        Part::Disk => "на диске слишком мало места: ничего не запускается, остальное идёт",
        Part::Files => "правка настроек не вступила в силу",
        Part::Workers => "часть работы не может начаться: нет программы, ключа или папки",
        Part::Neighbours => "трекер или хранилище кода не удаётся спросить",
        Part::Store => "база хоста не отвечает",
        Part::Ending => "хост завершается",
    }
}

/// What is odd about a plugin, in a reader's language.
pub(crate) fn warning(t: Tongue, warning: &Warning) -> String {
    match (t, warning) {
        (Tongue::English, warning) => warning.to_string(),
        (Tongue::Russian, Warning::Unused { capability }) => {
            format!("просит `{capability}` и ни одной его функции не импортирует")
        }
        (Tongue::Russian, Warning::NoRequest) => {
            "в нём нет раздела `gatewright:request`, и потому он ничего не просит".to_owned()
        }
    }
}

/// What the audit records, in a reader's language; nothing: its own word says it.
pub(crate) const fn deed(t: Tongue, deed: Deed) -> &'static str {
    let Tongue::Russian = t else { return "" };
    match deed {
        Deed::Intent(Intent::Start) => "начало",
        Deed::Intent(Intent::Approve) => "одобрение",
        Deed::Intent(Intent::Reject) => "отклонение",
        Deed::Intent(Intent::ConfirmDeploy) => "подтверждение выкладки",
        Deed::Intent(Intent::Stop) => "остановка",
        Deed::Intent(Intent::Estimate) => "запрос оценки",
        Deed::Intent(Intent::Resume) => "продолжение",
        Deed::Intent(Intent::Waive) => "снятие шага",
        Deed::Intent(Intent::Pause) => "пауза",
        Deed::Depend => "новая зависимость",
        Deed::Undepend => "снятие зависимости",
        Deed::CreateCard => "новая карточка",
        Deed::MoveCard => "перенос карточки",
        Deed::RemoveCard => "удаление карточки",
        Deed::Comment => "комментарий",
        Deed::ReportCheck => "итог проверки",
        Deed::Freeze => "заморозка",
        Deed::Thaw => "разморозка",
        Deed::MakeToken => "новый токен",
        Deed::RevokeToken => "отзыв токена",
        Deed::LogIn => "вход",
        Deed::LogOut => "выход",
        Deed::RetryDelivery => "повторное чтение доставки",
        Deed::StopAll => "остановка всех",
        Deed::Reload => "перечитывание файлов",
        Deed::AddPlugin => "новый плагин",
        Deed::ChangePlugin => "замена или удаление плагина",
        Deed::Denied => "отказ в праве",
    }
}

#[cfg(test)]
mod tests;
