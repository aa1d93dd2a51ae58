//! Notifier `log`: one line for each notice, in the host's log. For whoever has no chat, and beside one.

use gatewright_sdk::log::Level;
use gatewright_sdk::notifier::{Failure, Notice, Notifier, Urgency};
use gatewright_sdk::{NoSettings, export_notifier, log};

struct Log;

impl Notifier for Log {
    type Settings = NoSettings;

    fn notify(notice: Notice, _settings: NoSettings) -> Result<(), Failure> {
        match level(notice.urgency) {
            Level::Warn => log::warn(&line(&notice)),
            _ => log::info(&line(&notice)),
        }
        Ok(())
    }
}

export_notifier!(Log);

fn level(urgency: Urgency) -> Level {
    match urgency {
        Urgency::Quiet | Urgency::Ping => Level::Info,
        Urgency::Alarm => Level::Warn,
    }
}

fn line(notice: &Notice) -> String {
    let mut line = format!("{} {}", notice.project, notice.event);
    let task = notice.view.as_ref().map(|view| &view.task);
    if let Some(work_item) = task.and_then(|task| task.work_item.as_deref()) {
        line = format!("{line} {work_item}");
    }
    line = format!("{line}: {}", notice.text);
    for link in &notice.links {
        line = format!("{line} [{}: {}]", link.label, link.url);
    }
    one_line(&line)
}

/// A text of many lines would look like many notices.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewright_sdk::notifier::Link;

    fn notice(text: &str) -> Notice {
        Notice {
            id: 1,
            sequence: 1,
            attempt: 1,
            at: 0,
            project: "shop".to_owned(),
            event: "held".to_owned(),
            urgency: Urgency::Ping,
            text: text.to_owned(),
            links: Vec::new(),
            view: None,
            settings: "{}".to_owned(),
            more: Vec::new(),
        }
    }

    #[test]
    fn a_notice_is_one_line() {
        assert_eq!(line(&notice("waits for\n  an answer\n")), "shop held: waits for an answer");
        let link = Link { rel: "task".to_owned(), label: "task".to_owned(), url: "https://h/1".to_owned() };
        let linked = Notice { links: vec![link], ..notice("waits") };
        assert_eq!(line(&linked), "shop held: waits [task: https://h/1]");
    }

    #[test]
    fn an_alarm_is_a_warning() {
        assert!(matches!(level(Urgency::Alarm), Level::Warn));
        assert!(matches!(level(Urgency::Quiet), Level::Info));
    }
}
