//! The story: a person moves a ticket on the board; the host is killed as often as was asked.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::bail;
use conductor::ports::store::{BoardItem, EntryRow, EvaluationRow, JobRow};
use domain::ids::WorkItemId;
use domain::task::{Activity, Task};
use gateway::api::{CardView, Listing, Move, NewCard, Taken, TaskView};

use crate::client::Client;
use crate::demo::host::{HaltAt, Halted, Host, News, follow};
use crate::demo::world::{OTHER_PROJECT, PROJECT, STRANGER, World};
use crate::output::say;
use crate::plugin;

/// A demonstration that takes longer is broken.
const LONGEST: Duration = Duration::from_mins(5);
/// Without news the driver looks again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Effects of the whole way, in the order in which each is first claimed. Those before `rebase` come again and again.
const WAY: [&str; 11] = [
    "notify",
    "set-status",
    "launch-agent",
    "judge",
    "post-comment",
    "rebase",
    "retest",
    "staging",
    "deploy",
    "merge",
    "prove-merged",
];
/// Every third kill is at a claim of this many, whatever its effect is.
const NEAR: u64 = 12;

/// What happened.
pub(crate) struct Told {
    /// The ticket's task at its end.
    pub(crate) task: Task,
    /// What was under way at each kill.
    pub(crate) kills: Vec<Halted>,
    /// Hosts that were started after a kill.
    pub(crate) restarts: u32,
    /// What the stranger answered.
    pub(crate) stranger: Vec<EvaluationRow>,
    /// The most that the host's process held in memory, in KiB.
    pub(crate) peak_kib: u64,
}

/// Draws numbers from a seed: the same seed kills at the same points.
struct Draw(u64);

impl Draw {
    /// SplitMix64, whose constants are its definition.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Points for so many kills: effects that differ as long as there are enough, in the order of the way.
    fn points(&mut self, kills: u32) -> Vec<HaltAt> {
        let mut left = (0..WAY.len()).collect::<Vec<_>>();
        let mut places = Vec::new();
        for _ in 0..kills {
            if left.is_empty() || self.below(3) == 0 {
                // It belongs before the late effects: what is drawn by number must not wait for what comes once.
                places.push((0, (1 + self.below(NEAR)).to_string()));
            } else {
                let index = left.remove(self.below(left.len() as u64) as usize);
                places.push((index, WAY[index].to_owned()));
            }
        }
        places.sort_by_key(|(index, _)| *index);
        let point = |draw: &mut Self| if draw.below(2) == 0 { "claimed" } else { "done" };
        places.into_iter().map(|(_, place)| HaltAt { place, point: point(self) }).collect()
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The driver: who plays the person, and the power cut.
pub(crate) struct Story<'world> {
    world: &'world World,
    log: PathBuf,
    points: VecDeque<HaltAt>,
    crashes: u32,
    kills: Vec<Halted>,
    restarts: u32,
    news: Receiver<News>,
    sender: Sender<News>,
    began: Instant,
    told: BTreeSet<(u64, u32)>,
    stranger: Stranger,
    peak_kib: u64,
}

/// How far the stranger has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stranger {
    /// Nobody knows it.
    Away,
    /// It stands in the file; the living host has not read it yet.
    Written,
    /// The host knows it: the next ticket meets it.
    Known,
    /// A ticket is on its way to it.
    Met,
}

impl<'world> Story<'world> {
    pub(crate) fn new(world: &'world World, crashes: u32, seed: u64) -> Self {
        let (sender, news) = channel();
        Self {
            world,
            log: world.root.join("host.log"),
            points: Draw(seed).points(crashes).into(),
            crashes,
            kills: Vec::new(),
            restarts: 0,
            news,
            sender,
            began: now(),
            told: BTreeSet::new(),
            stranger: Stranger::Away,
            peak_kib: 0,
        }
    }

    /// Plays it to its end.
    pub(crate) fn play(mut self) -> anyhow::Result<Told> {
        let (mut host, mut client) = self.start()?;
        let mut ticket: Option<WorkItemId> = None;
        loop {
            if self.began.elapsed() > LONGEST {
                bail!(
                    "it did not come to an end within {} s; the host's log: {}",
                    LONGEST.as_secs(),
                    self.log.display()
                );
            }
            match self.look(&client, &mut ticket) {
                Ok(Some(task))
                    if self.kills.len() as u64 >= u64::from(self.crashes) || self.restarts >= self.crashes =>
                {
                    return self.end(host, &client, task);
                }
                // The way ended before all kills: the rest hits an idle host, and nothing may come of it.
                Ok(Some(_)) => (host, client) = self.kill(host, None)?,
                Ok(None) => {}
                Err(error) if self.crashes == 0 => return Err(error),
                // The host may stand still at its point: the news says so.
                Err(_) => {}
            }
            match self.news.recv_timeout(LOOK_AGAIN) {
                Ok(News::Halted(halted)) => (host, client) = self.kill(host, Some(halted))?,
                Ok(News::Ended) => bail!("the host ended by itself; its log: {}", self.log.display()),
                Ok(News::Reloaded) => self.host_read_the_files(),
                Ok(News::Changed | News::Listening) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("nobody tells of the host any more"),
            }
            self.measure(&host);
        }
    }

    fn start(&mut self) -> anyhow::Result<(Host, Client)> {
        let halt = self.points.pop_front();
        let (sender, news) = channel();
        (self.sender, self.news) = (sender, news);
        let host = Host::start(&self.world.state, &self.log, halt.as_ref(), self.sender.clone())?;
        loop {
            match self.news.recv_timeout(LONGEST) {
                Ok(News::Listening) => break,
                Ok(News::Halted(halted)) => return self.kill(host, Some(halted)),
                Ok(News::Changed | News::Reloaded) => {}
                _ => bail!("the host did not start; its log: {}", self.log.display()),
            }
        }
        self.host_read_the_files();
        let client = Client::find(&self.world.state)?;
        follow(&client, self.sender.clone())?;
        Ok((host, client))
    }

    /// A host reads its files when it starts, and when they are edited.
    fn host_read_the_files(&mut self) {
        if self.stranger == Stranger::Written {
            self.stranger = Stranger::Known;
        }
    }

    fn kill(&mut self, host: Host, halted: Option<Halted>) -> anyhow::Result<(Host, Client)> {
        self.measure(&host);
        let halted = halted.unwrap_or_else(|| Halted { effect: "idle".to_owned(), point: "idle".to_owned() });
        self.say(&format!("SIGKILL to the host, {} under way ({})", halted.effect, halted.point));
        host.kill()?;
        self.kills.push(halted);
        self.restarts += 1;
        self.start()
    }

    /// One look at the board, as a person takes it. Some: the ticket's task has ended and nothing is left to do for it.
    fn look(&mut self, client: &Client, ticket: &mut Option<WorkItemId>) -> anyhow::Result<Option<Task>> {
        let key = match ticket {
            Some(key) => key.clone(),
            None => ticket.insert(self.make_ticket(client)?).clone(),
        };
        let path = format!("/api/v1/projects/{PROJECT}/items/{key}");
        let view: CardView = client.get(&path)?;
        let Some(task) = view.task.map(|task| task.task) else { return Ok(None) };
        self.tell(client, &task)?;
        if let Some(end) = task.end() {
            let jobs: Listing<JobRow> = client.get("/api/v1/queue")?;
            let busy =
                jobs.items.iter().any(|job| job.task == task.id && matches!(job.state.as_str(), "queued" | "claimed"));
            self.say_once(!busy, &format!("{key} ended: {end:?}").to_lowercase());
            return Ok((!busy).then_some(task));
        }
        match self.stranger {
            Stranger::Away if task.visits.len() >= 3 => self.drop_stranger()?,
            Stranger::Known => self.meet_stranger(client)?,
            _ => {}
        }
        // A person acts on what the board shows.
        let to = match (view.card.status.as_str(), &task.position.activity) {
            ("In Review", Activity::AwaitingPerson { .. }) => "Approved",
            ("Awaiting Deploy", Activity::AwaitingPerson { .. }) => "Confirm Deploy",
            _ => return Ok(None),
        };
        let _: BoardItem = client.put(&format!("{path}/status"), &Move { status: to.to_owned() })?;
        self.say(&format!("a person moves {key} to {to}"));
        Ok(None)
    }

    fn make_ticket(&mut self, client: &Client) -> anyhow::Result<WorkItemId> {
        let there: Listing<BoardItem> = client.get(&format!("/api/v1/projects/{PROJECT}/items"))?;
        let key = if let Some(card) = there.items.first() {
            card.work_item.clone()
        } else {
            let card = NewCard {
                title: "Keep slugs within 30 characters".to_owned(),
                description:
                    "`bin/slugify` may print at most 30 characters, and a slug never begins or ends with a hyphen."
                        .to_owned(),
                labels: Vec::new(),
                status: None,
                after: Vec::new(),
            };
            let made: BoardItem = client.post(&format!("/api/v1/projects/{PROJECT}/items"), &card)?;
            self.say(&format!("a person writes the ticket {}: {}", made.work_item, made.title));
            made.work_item
        };
        let path = format!("/api/v1/projects/{PROJECT}/items/{key}/status");
        let _: BoardItem = client.put(&path, &Move { status: "To Analyse".to_owned() })?;
        self.say(&format!("a person moves {key} to To Analyse"));
        Ok(key)
    }

    /// A component that nobody knows joins another project: it asks for a secret and loops.
    fn drop_stranger(&mut self) -> anyhow::Result<()> {
        if plugin::is_added(&self.world.state, OTHER_PROJECT, STRANGER)? {
            self.stranger = Stranger::Known;
            return Ok(());
        }
        plugin::add_denied(&self.world.state, OTHER_PROJECT, &self.world.stranger, "development:review", STRANGER)?;
        self.say(&format!(
            "an unknown component joins {OTHER_PROJECT} as the gate `{STRANGER}`; what it asks for is denied"
        ));
        self.stranger = Stranger::Written;
        Ok(())
    }

    fn meet_stranger(&mut self, client: &Client) -> anyhow::Result<()> {
        let there: Listing<BoardItem> = client.get(&format!("/api/v1/projects/{OTHER_PROJECT}/items"))?;
        if there.items.is_empty() {
            let card = NewCard {
                title: "Meet a stranger".to_owned(),
                description: "This ticket meets a gate that asks for a secret and loops.".to_owned(),
                labels: Vec::new(),
                status: Some("To Analyse".to_owned()),
                after: Vec::new(),
            };
            let _: BoardItem = client.post(&format!("/api/v1/projects/{OTHER_PROJECT}/items"), &card)?;
        }
        self.stranger = Stranger::Met;
        Ok(())
    }

    fn tell(&mut self, client: &Client, task: &Task) -> anyhow::Result<()> {
        use domain::entry::Entry;
        let entries: Listing<EntryRow> = client.get(&format!("/api/v1/tasks/{}/entries", task.id))?;
        for row in entries.items {
            if !self.told.insert((row.version.0, row.ordinal)) {
                continue;
            }
            let line = match row.entry {
                Entry::StageEntered { stage, visit, .. } => format!("{} enters {stage}, visit {visit}", task.work_item),
                Entry::StepAnswered { step, answer, note, .. } => format!("  {step}: {answer}; {}", first_line(&note)),
                Entry::RunEnded { run, outcome, .. } => format!("  run {run} {}", first_line(&outcome)),
                _ => continue,
            };
            self.say(&line);
        }
        Ok(())
    }

    /// The stranger's verdict is waited for, the other ticket is stopped, and the host ends in order.
    fn end(mut self, host: Host, client: &Client, task: Task) -> anyhow::Result<Told> {
        self.await_the_stranger(client)?;
        let stranger = self.stranger_verdicts(client)?;
        let tasks: Listing<TaskView> = client.get("/api/v1/tasks?live=true")?;
        for other in &tasks.items {
            let _: Taken =
                client.post(&format!("/api/v1/tasks/{}/stop", other.task.id), &serde_json::json!({"note": ""}))?;
        }
        self.await_that(client, "the other ticket did not end", |client| {
            let tasks: Listing<TaskView> = client.get("/api/v1/tasks?live=true")?;
            Ok(tasks.items.is_empty().then_some(()))
        })?;
        self.measure(&host);
        crate::demo::report::keep(client, &self.world.root, task.id)?;
        if !host.stop()? {
            bail!("the host did not end in order; its log: {}", self.log.display());
        }
        Ok(Told { task, kills: self.kills, restarts: self.restarts, stranger, peak_kib: self.peak_kib })
    }

    /// The ticket may have ended before the stranger's came on its way.
    fn await_the_stranger(&mut self, client: &Client) -> anyhow::Result<()> {
        while self.stranger != Stranger::Met {
            match self.stranger {
                Stranger::Away => self.drop_stranger()?,
                Stranger::Known => self.meet_stranger(client)?,
                Stranger::Written | Stranger::Met => {
                    if let Ok(News::Reloaded) = self.news.recv_timeout(LOOK_AGAIN) {
                        self.host_read_the_files();
                    }
                }
            }
            if self.began.elapsed() > LONGEST {
                bail!("the host did not take up the stranger; its log: {}", self.log.display());
            }
        }
        Ok(())
    }

    fn stranger_verdicts(&mut self, client: &Client) -> anyhow::Result<Vec<EvaluationRow>> {
        self.await_that(client, "the stranger was never asked", |client| {
            let all: Listing<EvaluationRow> = client.get("/api/v1/evaluations?limit=500")?;
            let asked = all.items.into_iter().filter(|row| row.evaluation.step == STRANGER).collect::<Vec<_>>();
            Ok((!asked.is_empty()).then_some(asked))
        })
    }

    fn await_that<A>(
        &mut self,
        client: &Client,
        else_say: &str,
        mut ask: impl FnMut(&Client) -> anyhow::Result<Option<A>>,
    ) -> anyhow::Result<A> {
        loop {
            if let Some(found) = ask(client)? {
                return Ok(found);
            }
            if self.began.elapsed() > LONGEST {
                bail!("{else_say}; the host's log: {}", self.log.display());
            }
            // A change or the time: either way it is asked again.
            let _ = self.news.recv_timeout(LOOK_AGAIN);
        }
    }

    fn measure(&mut self, host: &Host) {
        let status = std::fs::read(format!("/proc/{}/status", host.pid())).unwrap_or_default();
        let status = String::from_utf8_lossy(&status);
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok());
        self.peak_kib = self.peak_kib.max(peak.unwrap_or(0));
    }

    fn say_once(&mut self, now: bool, line: &str) {
        if now {
            self.say(line);
        }
    }

    fn say(&self, line: &str) {
        say(&format!("{:>6.1}s  {line}", self.began.elapsed().as_secs_f64()));
    }
}

fn now() -> Instant {
    Instant::now()
}

fn first_line(text: &str) -> String {
    crate::task::visible(text.lines().next().unwrap_or_default()).chars().take(110).collect()
}
