//! How a simulation ends: first only the host still dies, then nothing goes wrong any more, and everything must finish.

use conductor::ports::store::Store as _;

use super::{Outcome, Simulation};
use crate::costs::Bounds;
use crate::coverage::{self, Coverage};
use crate::disk::Illness;
use crate::people;
use crate::vfs::Device;
use crate::weather::{Trouble, Weather};
use crate::world::look;

/// Rounds until everything that can finish must have.
const ROUNDS: u64 = 3_000;
/// Rounds in which only the host dies.
const DRIZZLE: u64 = 80;
/// Rounds in which nothing at all happens before that counts as stuck.
const IDLE: u64 = 30;

/// Where nobody waits for any time, so much of it passes: in some rounds of it each poll comes due.
const A_WHILE: u64 = 10_000;

impl Simulation {
    pub(super) fn end(mut self, wrongs: Vec<String>) -> Outcome {
        if let Some(host) = &self.host {
            host.fate.end();
        }
        self.auditor.close();
        self.host = None;
        self.old.clear();
        Device::unplug(self.number);
        let ended = self.auditor.standing().filter(|task| task.end() == Some(domain::task::Terminality::Done)).count();
        let all = self.auditor.standing().count();
        let given_up =
            look(&self.world).people.given_up.iter().map(|(kind, times)| (format!("{kind:?}"), *times)).collect();
        Outcome {
            steps: self.steps,
            wrongs,
            story: look(&self.world).story(),
            weather: self.drawn,
            coverage: Coverage::take(std::mem::take(&mut self.deaths)),
            done: (ended as u64, all as u64),
            given_up,
        }
    }

    /// Only the host still dies, again and again, while everybody else does what he can: so it dies deep in the way too.
    fn drizzle(&mut self) -> Vec<String> {
        self.tell(|| "from here on only the host dies".to_owned());
        coverage::panic_by(None);
        self.device.disk().illness = Illness::default();
        let left = |weather: Weather, trouble| if self.drawn.has(trouble) { weather.with(trouble) } else { weather };
        self.weather = [Trouble::Kill, Trouble::Power, Trouble::LateLanding].into_iter().fold(Weather::calm(), left);
        look(&self.world).weather = self.weather;
        if !self.weather.has(Trouble::Kill) {
            return Vec::new();
        }
        for _ in 0..DRIZZLE {
            if self.luck.in_thousand(300) {
                self.doom();
            }
            let wrongs = self.round(&mut 0);
            if !wrongs.is_empty() {
                return wrongs;
            }
            if self.is_at_rest() {
                break;
            }
        }
        Vec::new()
    }

    /// From here on nothing is done outside for the project.
    pub(super) fn observe(&self) {
        look(&self.world).observed = true;
        self.tell(|| "from here on the project is observed".to_owned());
        if let Some(host) = &self.host {
            host.read_settings();
        }
    }

    /// Nothing goes wrong any more: everything that can finish must.
    pub(super) fn come_to_rest(&mut self) -> Vec<String> {
        let wrongs = self.drizzle();
        if !wrongs.is_empty() {
            return wrongs;
        }
        self.tell(|| "from here on nothing goes wrong".to_owned());
        self.weather = Weather::calm();
        coverage::lose_by(None);
        for old in self.old.drain(..) {
            old.fate.end();
            look(&self.world).shims.forget(old.life);
        }
        self.restart_after_the_old();
        {
            let mut world = look(&self.world);
            world.weather = Weather::calm();
            world.bounds = Bounds::default();
            world.forge.conflicts = false;
            world.land(true);
        }
        // An operator raises the budgets in the file; who is held is let on by a person.
        if let Some(host) = &self.host {
            host.fate.spare();
            host.read_settings();
        }
        let mut idle = 0;
        for _ in 0..ROUNDS {
            let wrongs = self.round(&mut idle);
            if !wrongs.is_empty() {
                return wrongs;
            }
            if self.is_at_rest() {
                return self.auditor.settle_accounts(&self.world);
            }
            if idle > IDLE {
                break;
            }
        }
        let tasks = self.auditor.standing().filter(|task| task.end().is_none());
        let stands =
            tasks.map(|task| format!("task {} at {} {:?}", task.id, task.position.stage, task.position.activity));
        let untold = self.auditor.untold();
        if untold > 0 {
            return vec![format!("it does not come to an end: {untold} rows of the board are never told")];
        }
        vec![format!("it does not come to an end: {}", stands.collect::<Vec<_>>().join("; "))]
    }

    fn is_at_rest(&self) -> bool {
        let Some(host) = &self.host else { return false };
        let settled = self.auditor.standing().all(|task| task.end().is_some());
        let nothing_waits = host.store.pending_deliveries(1).is_ok_and(|waiting| waiting.is_empty());
        let jobs = host.store.jobs(&crate::host::limits(), look(&self.world).clock(), 1);
        let all_closed = jobs.is_ok_and(|jobs| jobs.iter().all(|job| job.state == "done" || job.state == "cancelled"));
        settled && nothing_waits && all_closed && host.work.is_empty() && self.auditor.untold() == 0
    }

    fn round(&mut self, idle: &mut u64) -> Vec<String> {
        if self.host.is_none() {
            self.steps += 1;
            self.start();
            return self.after();
        }
        self.steps += 1;
        self.look();
        let wrongs = self.after();
        if !wrongs.is_empty() {
            return wrongs;
        }
        let found = self.host.as_ref().map_or(0, |host| host.work.len());
        while self.host.as_ref().is_some_and(|host| !host.work.is_empty()) {
            self.steps += 1;
            self.work();
            let wrongs = self.after();
            if !wrongs.is_empty() {
                return wrongs;
            }
        }
        if found == 0 {
            let before = look(&self.world).now;
            if let Some(host) = &self.host {
                people::help(&self.world, &host.store);
            }
            let asked = self.host.as_ref().and_then(|host| host.look_again);
            let mut world = look(&self.world);
            let wanted = asked.map(|at| at.0.saturating_add_signed(-world.skew)).filter(|at| *at > world.now);
            let next = world.next_event();
            let to = [next, wanted].into_iter().flatten().min();
            world.pass_time(to.unwrap_or(before + A_WHILE));
            *idle = if to.is_some() { 0 } else { *idle + 1 };
        } else {
            *idle = 0;
        }
        self.after()
    }
}
