//! One round: two tickets on their way, and deaths as planned. Whoever dies is started again, until all is done.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::aside::{self, Asides};
use super::door;
use super::host::{Heard, Host, Started, signal, was_killed};
use super::http::{self, Client, NoAnswer};
use super::person::{Person, list};
use super::stage::{STOPPED, Stage, WALKED};
use super::tally::{self, Tally};

/// A round that takes longer is stuck; on a machine at rest it takes seconds.
const LONGEST: Duration = Duration::from_mins(15);
/// A ticket that is held more often than this comes to no end.
const HOLDS: usize = 6;
/// Without news the person looks again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Where somebody dies who collects what is old.
const COLLECTION: &str = "commit-of-run_collected";
/// What is old is collected when a host begins, and then each minute.
const COLLECTED: Duration = Duration::from_secs(2);
/// What ends by itself after the host has ended may take so long.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// A death that is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Strike {
    /// Whoever passes this place for that time.
    At { place: String, count: u64 },
    /// Whoever it is, so long after the strike before it.
    Later { after: Duration, whom: Whom },
}

/// Who is struck at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    Host,
    Shim,
}

/// What a round told.
#[derive(Default)]
pub(super) struct Told {
    /// Where somebody died, in order.
    pub(super) hits: Vec<String>,
    /// Places that were ordered, and nobody came by.
    pub(super) missed: Vec<String>,
    /// Deaths at random: of the host, of a shim.
    pub(super) random: (u64, u64),
    /// How often the ticket was held and the person let it go on; and how often that made a hook do once more what it had done.
    pub(super) held: (u64, u64),
    /// What must not be.
    pub(super) wrongs: Vec<String>,
    /// What the other side counted.
    pub(super) tally: Tally,
    /// How often each place was passed.
    pub(super) passed: BTreeMap<String, u64>,
    pub(super) took: Duration,
}

/// A round being played.
pub(super) struct Round<'a> {
    binary: &'a Path,
    stage: &'a Stage,
    person: Person,
    later: VecDeque<(Duration, Whom)>,
    struck_at: Instant,
    began: Instant,
    /// When the host was ended and started once more, so that it collects what is old.
    anew: Option<Instant>,
    told: Told,
}

impl<'a> Round<'a> {
    pub(super) fn new(
        binary: &'a Path,
        stage: &'a Stage,
        strikes: Vec<Strike>,
        stops_after: u64,
    ) -> std::io::Result<Self> {
        let is_at = |part: &str| {
            let is_there = |strike: &Strike| matches!(strike, Strike::At { place, .. } if place.contains(part));
            strikes.is_empty() || strikes.iter().any(is_there)
        };
        let asides = Asides::new(is_at(aside::SPENDS), is_at(aside::OBSERVES));
        let mut later = VecDeque::new();
        for strike in strikes {
            match strike {
                Strike::At { place, count } => stage.order(&place, count)?,
                Strike::Later { after, whom } => later.push_back((after, whom)),
            }
        }
        let (person, now) = (Person::new(stops_after, asides), Instant::now());
        Ok(Self { binary, stage, person, later, struck_at: now, began: now, anew: None, told: Told::default() })
    }

    /// Plays it; `calm` is what a round without a death counted.
    pub(super) fn play(mut self, calm: Option<&Tally>) -> Told {
        match self.drive() {
            Ok(records) => {
                self.told.tally = tally::count(self.stage, &self.person, &records);
                self.told.wrongs.extend(tally::judge(&self.told, &self.person, calm));
            }
            Err(why) => self.told.wrongs.push(why),
        }
        let again = self.person.holds.values().filter(|hold| hold.was_done).count();
        self.told.held = (self.person.holds.len() as u64, again as u64);
        self.told.passed = self.stage.passed();
        let unknown = self.told.passed.keys().filter(|place| !kill_points::is_known(place));
        self.told
            .wrongs
            .extend(unknown.map(|place| format!("the place `{place}` is not in the table of host/kill-points")));
        self.told.took = self.began.elapsed();
        self.told
    }

    /// Until both tickets have ended and the host after them. What the board says.
    fn drive(&mut self) -> Result<Records, String> {
        let (mut host, mut client) = self.start()?;
        loop {
            if self.began.elapsed() > LONGEST {
                return Err(format!("it is not over after {} s", LONGEST.as_secs()));
            }
            if self.person.holds.len() > HOLDS {
                let reasons = self.person.holds.values().map(|hold| format!("{}: {}", hold.kind, hold.reason));
                return Err(format!("held again and again: {}", reasons.collect::<Vec<_>>().join("; ")));
            }
            self.see();
            match self.person.look(&client, self.stage) {
                Ok(true) if self.anew.is_none() && self.stage.is_ordered(COLLECTION) => {
                    (host, client) = self.start_anew(host)?;
                }
                Ok(true) if self.collects() => {}
                Ok(true) => {
                    let left = self.stage.countermand();
                    self.told.missed.extend(left);
                    if let Ok(records) = Records::read(&client, &self.person) {
                        self.end(host)?;
                        return Ok(records);
                    }
                }
                Ok(false) | Err(NoAnswer::Gone) => {}
                Err(NoAnswer::Silent) => {
                    self.told.wrongs.push(format!("the host was asked, and silent for {} s", http::LONGEST.as_secs()));
                }
                // Somebody was faster than this look: the next one sees how it stands.
                Err(NoAnswer::No(404 | 409 | 422, _)) => {}
                Err(NoAnswer::No(status, why)) => return Err(format!("the host answers {status}: {why}")),
            }
            let pause = self.later.front().map_or(LOOK_AGAIN, |(after, _)| {
                (self.struck_at + *after).saturating_duration_since(Instant::now()).min(LOOK_AGAIN)
            });
            if pause.is_zero() {
                if self.strike(&mut host)? {
                    (host, client) = self.start()?;
                }
                continue;
            }
            if let Heard::Ended(status) = host.listen(pause)? {
                self.must_be_struck(status)?;
                (host, client) = self.start()?;
            }
        }
    }

    /// Starts the host, as often as it takes: one may die before it listens.
    fn start(&mut self) -> Result<(Host, Client), String> {
        loop {
            match Host::start(self.binary, self.stage, LONGEST)? {
                Started::Listening(host, client) => return Ok((host, client)),
                Started::Died(status) => self.must_be_struck(status)?,
            }
        }
    }

    /// Ends the host in order, and starts it again.
    fn start_anew(&mut self, host: Host) -> Result<(Host, Client), String> {
        self.anew = Some(Instant::now());
        let status = host.end()?;
        if !status.success() {
            self.must_be_struck(status)?;
        }
        self.start()
    }

    /// Whether it may still come to collect what is old.
    fn collects(&self) -> bool {
        self.anew.is_some_and(|anew| anew.elapsed() < COLLECTED) && self.stage.is_ordered(COLLECTION)
    }

    /// Strikes whoever's turn it is. True: it was the host.
    fn strike(&mut self, host: &mut Host) -> Result<bool, String> {
        let Some((_, whom)) = self.later.pop_front() else { return Ok(false) };
        self.struck_at = Instant::now();
        match whom {
            Whom::Host => {
                let status = host.kill()?;
                self.told.random.0 += 1;
                if was_killed(status) { Ok(true) } else { Err(format!("the host ended by itself: {status}")) }
            }
            Whom::Shim => {
                if let Some(shim) = self.stage.living_shims().first() {
                    signal("KILL", *shim);
                    self.told.random.1 += 1;
                }
                Ok(false)
            }
        }
    }

    /// Reads who died where.
    fn see(&mut self) {
        let hits = self.stage.hits();
        if hits.len() > self.told.hits.len() {
            self.struck_at = Instant::now();
            self.told.hits = hits.into_iter().map(|(place, _)| place).collect();
        }
    }

    fn must_be_struck(&mut self, status: std::process::ExitStatus) -> Result<(), String> {
        self.see();
        if was_killed(status) { Ok(()) } else { Err(format!("the host ended by itself: {status}")) }
    }

    fn end(&mut self, host: Host) -> Result<(), String> {
        let status = host.end()?;
        self.see();
        if !status.success() {
            return Err(format!("the host did not end in order: {status}"));
        }
        let until = Instant::now() + LAST_BREATH;
        let mut left = self.stage.processes();
        while !left.is_empty() && Instant::now() < until {
            // Nobody tells of the end of a process that is nobody's child.
            std::thread::park_timeout(Duration::from_millis(20));
            left = self.stage.processes();
        }
        for (pid, line) in left {
            self.told.wrongs.push(format!("process {pid} is left: {}", line.replace('\0', " ")));
        }
        Ok(())
    }
}

/// What the board, which is ours, shows at the end.
pub(super) struct Records {
    pub(super) comments: Vec<Value>,
    pub(super) statuses: Vec<String>,
    pub(super) validated: String,
    /// What was done to tokens, by the audit.
    pub(super) deeds: Vec<String>,
    /// What a forge outside told: the sender's ids.
    pub(super) deliveries: Vec<String>,
    /// What would have been done in the project that is only observed.
    pub(super) woulds: Vec<String>,
    /// Where a task's row is not what its entries make of it.
    pub(super) differences: Vec<String>,
}

impl Records {
    fn read(client: &Client, person: &Person) -> Result<Self, NoAnswer> {
        let (mut comments, mut statuses, mut differences) = (Vec::new(), Vec::new(), Vec::new());
        let mut validated = String::new();
        for (project, key) in [(WALKED, &person.walked), (STOPPED, &person.stopped)] {
            let item = format!("/api/v1/projects/{project}/items/{}", key.as_deref().unwrap_or_default());
            comments.extend(list(&client.get(&format!("{item}/comments?limit=500"))?).cloned());
            let view = client.get(&item)?;
            statuses.push(view["card"]["status"].as_str().unwrap_or_default().to_owned());
            let task = &view["task"]["task"];
            if project == WALKED {
                task["validated"].as_str().unwrap_or_default().clone_into(&mut validated);
            }
            let rebuilt = client.get(&format!("/api/v1/tasks/{}/rebuild", task["id"]))?;
            differences.extend(rebuilt["differences"].as_array().into_iter().flatten().map(Value::to_string));
        }
        for item in person.asides.items() {
            let view = client.get(&item)?;
            let rebuilt = client.get(&format!("/api/v1/tasks/{}/rebuild", view["task"]["task"]["id"]))?;
            differences.extend(rebuilt["differences"].as_array().into_iter().flatten().map(Value::to_string));
        }
        let words = |answer: &Value, key: &str| {
            list(answer).map(|row| row[key].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        let deliveries = words(&door::deliveries(client)?, "sent_as");
        let woulds = words(&aside::woulds(client)?, "key");
        let deeds = door::deeds(client)?;
        Ok(Self { comments, statuses, validated, deeds, deliveries, woulds, differences })
    }
}
