//! `gatewright stop`: each task is stopped as by `task stop`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use domain::ids::{TaskId, WorkItemId};
use domain::task::Activity;
use gateway::api::{IntentNote, Listing, Problem, Taken, TaskView};

use crate::cli::StopAll;
use crate::client::{Client, ClientError};
use crate::output::{Output, say};
use crate::task::visible;

/// So often the host is asked for the same that gives no answer to it.
const TRIES: u32 = 3;
/// Nothing tells when a host that gave no answer will give one.
const PAUSE: Duration = Duration::from_millis(500);

/// Runs the command. False: some could not be stopped.
pub(crate) fn run(client: &Client, options: &StopAll, out: &Output) -> anyhow::Result<bool> {
    let mut live = live(client, options)?;
    if !options.yes && !live.items.is_empty() {
        let more = if live.more { " and more" } else { "" };
        confirm(&format!(
            "Stop {}{more} live tasks{}? Their processes end, their clones and branches go.",
            live.items.len(),
            options.project.as_ref().map(|project| format!(" of {project}")).unwrap_or_default()
        ))?;
    }
    let mut stops = Stops::default();
    let news = || patiently(|| client.stream("/api/v1/events"));
    let mut news = options.wait.then(news).transpose()?.map(BufReader::new);
    // A listing has an end; the house may have more. What is being stopped is live until it is clean.
    loop {
        let is_news = stops.tell(client, options, &live.items)?;
        match &mut news {
            _ if stops.tries_again() => pause(),
            Some(news) if stops.awaits(&live.items) => until_next(news)?,
            _ if live.more && is_news => {}
            _ => break,
        }
        live = self::live(client, options)?;
        stops.forget(client, &live);
    }
    stops.tell_of(options, live.more, out)?;
    Ok(stops.refused.is_empty() && !live.more)
}

/// The next event of the host's stream: something changed, or it says that it lives.
fn until_next(news: &mut impl BufRead) -> anyhow::Result<()> {
    let mut line = String::new();
    // An event ends with an empty line.
    while line != "\n" {
        line.clear();
        anyhow::ensure!(
            news.read_line(&mut line)? > 0,
            "the host ended; what it was stopping, its next start goes on with"
        );
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a host that gives no answer gives no event either that could be awaited"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// Asks again where the host gave no answer.
fn patiently<A>(mut ask: impl FnMut() -> Result<A, ClientError>) -> Result<A, ClientError> {
    for _ in 1..TRIES {
        match ask() {
            Err(error) if error.may_pass() => pause(),
            answer => return answer,
        }
    }
    ask()
}

/// What became of telling a task to stop.
enum Told {
    /// It will end, or has ended: that is what whoever waits waits for.
    Ends,
    /// It goes on.
    GoesOn,
    /// So often the host gave no answer.
    Unanswered(u32),
}

/// Who was told to stop, and what became of that.
#[derive(Default)]
struct Stops {
    told: BTreeMap<TaskId, Told>,
    stopped: Vec<TaskView>,
    already: Vec<TaskView>,
    refused: Vec<(WorkItemId, String)>,
}

impl Stops {
    /// Tells those who were not told yet; whether there was any. Whoever lacks the right for one lacks it for all.
    fn tell(&mut self, client: &Client, options: &StopAll, live: &[TaskView]) -> Result<bool, ClientError> {
        let mut is_news = false;
        for view in live {
            let tries = match self.told.get(&view.task.id) {
                None => 1,
                Some(Told::Unanswered(tries)) => tries + 1,
                Some(Told::Ends | Told::GoesOn) => continue,
            };
            is_news = true;
            let note = IntentNote { note: options.note.clone(), ..IntentNote::default() };
            let told = match client.post::<_, Taken>(&format!("/api/v1/tasks/{}/stop", view.task.id), &note) {
                Ok(taken) => {
                    self.stopped.push(taken.task);
                    Told::Ends
                }
                Err(ClientError::No(problem)) if problem.rejected.is_some() => self.rejected(view, *problem),
                Err(error) if error.is_about_rights() => return Err(error),
                Err(error) if error.may_pass() && tries < TRIES => Told::Unanswered(tries),
                // What one cannot be told keeps nobody else alive.
                Err(error) => self.refuse(view, error.to_string()),
            };
            self.told.insert(view.task.id, told);
        }
        Ok(is_news)
    }

    /// What is stopping already, or ended by itself meanwhile, is where it shall be.
    fn rejected(&mut self, view: &TaskView, problem: Problem) -> Told {
        match problem.task {
            Some(now) if ends(&now) => {
                self.already.push(now);
                Told::Ends
            }
            _ => self.refuse(view, problem.detail),
        }
    }

    fn refuse(&mut self, view: &TaskView, why: String) -> Told {
        self.refused.push((view.task.work_item.clone(), why));
        Told::GoesOn
    }

    fn tries_again(&self) -> bool {
        self.told.values().any(|told| matches!(told, Told::Unanswered(_)))
    }

    /// Does any of these end that has not ended yet?
    fn awaits(&self, live: &[TaskView]) -> bool {
        live.iter().any(|view| matches!(self.told.get(&view.task.id), Some(Told::Ends)))
    }

    /// Who gave no answer, and is not live any more: it was told all the same, or ended by itself.
    fn forget(&mut self, client: &Client, live: &Listing<TaskView>) {
        let is_live = |task: TaskId| live.items.iter().any(|view| view.task.id == task);
        for (task, told) in &mut self.told {
            if !matches!(told, Told::Unanswered(_)) || is_live(*task) {
                continue;
            }
            if let Ok(view) = client.get(&format!("/api/v1/tasks/{task}")) {
                self.already.push(view);
            }
            *told = Told::Ends;
        }
    }

    fn tell_of(&self, options: &StopAll, more: bool, out: &Output) -> anyhow::Result<()> {
        let Self { stopped, already, refused, .. } = self;
        let refusals = refused.iter().map(|(item, why)| serde_json::json!({"work_item": item, "why": why}));
        let value = serde_json::json!({
            "stopped": stopped,
            "already": already,
            "refused": refusals.collect::<Vec<_>>(),
            "more": more,
        });
        out.value(&value, || {
            let line = |view: &TaskView, how: &str| {
                let ended = options.wait || view.task.end().is_some();
                format!("{}: {}", view.task.work_item, if ended { "it has ended" } else { how })
            };
            let mut lines: Vec<String> = stopped.iter().map(|view| line(view, &view.standing.sentence)).collect();
            lines.extend(already.iter().map(|view| line(view, "it is stopping already")));
            lines.extend(refused.iter().map(|(item, why)| format!("{item}: {}", visible(why))));
            if more {
                lines.push("There are more, behind a thousand that are still live: repeat it later.".to_owned());
            }
            if lines.is_empty() { "No task is live.".to_owned() } else { lines.join("\n") }
        })
    }
}

/// Has it ended, or will it without being told again?
fn ends(view: &TaskView) -> bool {
    let task = &view.task;
    task.end().is_some() || task.stop_requested || matches!(task.position.activity, Activity::Stopping)
}

/// The live tasks that are meant, a thousand of them at most.
fn live(client: &Client, options: &StopAll) -> Result<Listing<TaskView>, ClientError> {
    let project = options.project.as_ref().map_or_else(String::new, |name| format!("&project={name}"));
    patiently(|| client.get(&format!("/api/v1/tasks?live=true&limit=1000{project}")))
}

fn confirm(question: &str) -> anyhow::Result<()> {
    use std::io::IsTerminal as _;
    if !std::io::stdin().is_terminal() {
        return Err(NobodyToAsk.into());
    }
    say(&format!("{question} [y/N]"));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    anyhow::ensure!(answer.trim().eq_ignore_ascii_case("y"), "nothing was stopped");
    Ok(())
}

/// Stopping everything needs a yes.
#[derive(Debug, thiserror::Error)]
#[error("nobody is here to be asked: repeat it with --yes")]
pub(crate) struct NobodyToAsk;
