//! Words of records and settings as a reader's language has them. One that is not known here, such as the name of somebody's own stage,
//! is shown as it was written; what is typed into a command line is never translated.

use crate::tongue::Tongue;

type Words = &'static [(&'static str, &'static str)];

/// Stages of the pipelines that come along.
const STAGES: Words = &[
    ("analysis", "анализ"),
    ("architecture", "архитектура"),
    ("development", "разработка"),
    ("review", "рецензия"),
    ("testing", "тестирование"),
    ("merging", "слияние"),
    ("deploy-staging", "проверочная выкладка"),
    ("deploy", "выкладка"),
    ("done", "готово"),
    ("cancelled", "отменено"),
];

const ROLES: Words = &[
    ("analyst", "аналитик"),
    ("architect", "архитектор"),
    ("developer", "разработчик"),
    ("reviewer", "рецензент"),
    ("tester", "тестировщик"),
    ("deployer", "выкладчик"),
];

const VERDICTS: Words = &[
    ("pass", "пройдено"),
    ("fail", "не пройдено"),
    ("not-applicable", "не касается"),
    ("infra", "сбой системы"),
    ("wait", "ждёт"),
    ("hold", "удержано"),
    ("allow", "разрешено"),
    ("delay", "отложено"),
    ("deny", "запрещено"),
    ("ok", "принято"),
];

const PLUGINS: Words = &[
    ("gate", "шлюз"),
    ("guard", "страж"),
    ("estimator", "оценщик"),
    ("notifier", "вестник"),
    ("status-mapper", "переводчик статусов"),
];

const RIGHTS: Words = &[("read", "чтение"), ("operate", "управление"), ("admin", "всё")];

const DELIVERIES: Words = &[("pending", "не прочитано"), ("expanded", "прочитано"), ("parked", "отложено")];

const SOURCES: Words = &[("board", "своя доска")];

const OUTCOMES: Words = &[("done", "сделано"), ("refused", "отказано")];

const SEVERITIES: Words =
    &[("blocker", "преграда"), ("major", "серьёзное"), ("minor", "мелкое"), ("note", "к сведению")];

/// How a task stands within its stage.
const ACTIVITIES: Words = &[
    ("running", "запуск"),
    ("judging", "суд"),
    ("acting", "действие"),
    ("waiting", "ожидание"),
    ("awaiting-person", "ждёт человека"),
    ("held", "удержана"),
    ("stopping", "останавливается"),
    ("settled", "окончена"),
    ("paused", "пауза"),
];

const HOLDINGS: Words =
    &[("sandbox", "песочница"), ("network", "сеть"), ("memory", "память"), ("processes", "процессы"), ("disk", "диск")];

fn known(t: Tongue, words: Words, word: &str) -> &str {
    let russian = words.iter().find(|(english, _)| *english == word).map(|(_, russian)| *russian);
    match t {
        Tongue::English => word,
        Tongue::Russian => russian.unwrap_or(word),
    }
}

pub(crate) fn stage(t: Tongue, name: &str) -> &str {
    known(t, STAGES, name)
}

pub(crate) fn role(t: Tongue, name: &str) -> &str {
    known(t, ROLES, name)
}

/// A plugin's answer.
pub(crate) fn verdict(t: Tongue, answer: &str) -> &str {
    known(t, VERDICTS, answer)
}

/// How grave a finding is.
pub(crate) fn severity(t: Tongue, severity: &str) -> &str {
    known(t, SEVERITIES, severity)
}

/// A plugin's kind.
pub(crate) fn plugin(t: Tongue, kind: &str) -> &str {
    known(t, PLUGINS, kind)
}

pub(crate) fn right(t: Tongue, right: &str) -> &str {
    known(t, RIGHTS, right)
}

/// How a delivery stands.
pub(crate) fn delivery(t: Tongue, state: &str) -> &str {
    known(t, DELIVERIES, state)
}

/// Who told.
pub(crate) fn source(t: Tongue, source: &str) -> &str {
    known(t, SOURCES, source)
}

/// Where a task stood, as the audit keeps it: `stage, activity`.
pub(crate) fn place(t: Tongue, text: &str) -> String {
    let word = |word| known(t, ACTIVITIES, stage(t, word));
    text.split(", ").map(word).collect::<Vec<_>>().join(", ")
}

/// How a task stands within its stage.
pub(crate) fn activity(t: Tongue, name: &str) -> &str {
    known(t, ACTIVITIES, name)
}

/// Of a line of the audit.
pub(crate) fn outcome(t: Tongue, outcome: &str) -> &str {
    known(t, OUTCOMES, outcome)
}

/// What runs are held by.
pub(crate) fn holding(t: Tongue, name: &str) -> &str {
    known(t, HOLDINGS, name)
}

#[cfg(test)]
mod tests {
    use domain::access::Right;
    use domain::document::Role;
    use domain::plugin::PluginKind;

    use super::*;

    #[test]
    fn every_word_of_ours_is_there_in_russian_and_a_word_of_somebody_elses_stays() {
        let is_russian = |word: &str| word.chars().all(|character| !character.is_ascii_alphabetic());
        for one in Role::ALL {
            assert!(is_russian(role(Tongue::Russian, one.as_str())), "{one}");
        }
        for kind in PluginKind::ALL {
            assert!(is_russian(plugin(Tongue::Russian, kind.as_str())), "{kind}");
        }
        for one in Right::ALL {
            assert!(is_russian(right(Tongue::Russian, &one.to_string())), "{one}");
        }
        for preset in ["../configuration/presets/quick.toml", "../configuration/presets/full.toml"] {
            let text = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(preset)).unwrap();
            let names: Vec<&str> =
                text.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
            assert!(names.len() > 3, "{preset}");
            for name in names.into_iter().filter(|name| !["quick", "full"].contains(name)) {
                assert!(is_russian(stage(Tongue::Russian, name)), "{preset}: {name}");
            }
        }
        assert_eq!(place(Tongue::Russian, "review, held"), "рецензия, удержана");
        assert_eq!(place(Tongue::Russian, "To Analyse"), "To Analyse");
        assert_eq!(stage(Tongue::Russian, "our-own"), "our-own");
        assert_eq!(stage(Tongue::English, "review"), "review");
    }
}
