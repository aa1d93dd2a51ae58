//! What there is to do: claims, ended runs, cancelled runs, deliveries.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use domain::effect::{Claim, Effect, JobClass};
use domain::event::Event;
use domain::ids::{DeliveryId, FenceToken, JobId, ProjectName, RunId};
use domain::task::Task;
use domain::time::{Milliseconds, Timestamp};

use crate::budget::Meter;
use crate::cleanup::UNREADABLE_PAUSE;
use crate::collect::Collecting;
use crate::hints::Asked;
use crate::observe::LOOK_INTERVAL;
use crate::ports::clock::Clock;
use crate::ports::forge::Forge;
use crate::ports::inbox::Hint;
use crate::ports::plugins::Plugins;
use crate::ports::probe::{Point, Probe};
use crate::ports::runs::Runs;
use crate::ports::store::{ClaimLimits, Delivery, Incarnation, Store, StoreError};
use crate::ports::tally::{Fact, Tally};
use crate::ports::tracker::Tracker;
use crate::preflight::Seen;
use crate::project::ProjectSettings;
use crate::reconcile::RECONCILE_INTERVAL;
use crate::shutdown::Left;
use crate::tally::about_work;
use crate::would::Mode;
use deliveries::{LONGEST_PUT_OFF, Unheard};
use looks::{LookAt, Looks};

mod deliveries;
pub(crate) mod looks;
mod refusals;
mod rounds;

/// After the store refused a write, its work is tried again no sooner than this.
const STORE_PAUSE: Milliseconds = Milliseconds::from_seconds(2);
/// While the tracker does not answer, a delivery is looked at again after this.
const UNANSWERED_PAUSE: Milliseconds = Milliseconds::from_seconds(5);
/// No pause before work is tried again is longer: what seems further away was put off before the clock was set back.
const LONGEST_AGAIN: Milliseconds = UNREADABLE_PAUSE;
/// After performing an aftermath effect panicked, it is tried again no sooner than this; the pause doubles.
const PANIC_PAUSE: Milliseconds = Milliseconds::from_seconds(2);
/// Panics of one aftermath effect before it is given up.
const PANICS: u32 = 5;
/// How long a run may live on without a host. It is prolonged while a host lives.
pub const RIGHT: Milliseconds = Milliseconds::from_seconds(24 * 3600);

/// The ports, wired.
pub struct Outside {
    /// What is remembered.
    pub store: Arc<dyn Store>,
    /// What judges.
    pub plugins: Arc<dyn Plugins>,
    /// What runs.
    pub runs: Arc<dyn Runs>,
    /// Where work items live.
    pub tracker: Arc<dyn Tracker>,
    /// Time and luck.
    pub clock: Arc<dyn Clock>,
    /// Who is told of a job's points.
    pub probe: Arc<dyn Probe>,
    /// Runs whose tree is gone, as whoever watches them writes them down.
    pub ended: Arc<Mutex<Vec<RunId>>>,
}

/// Claims, performs, completes.
pub struct Conductor {
    pub(crate) outside: Outside,
    pub(crate) me: Incarnation,
    projects: RwLock<BTreeMap<ProjectName, Arc<ProjectSettings>>>,
    forges: RwLock<BTreeMap<ProjectName, Arc<dyn Forge>>>,
    pub(crate) intervals: RwLock<Intervals>,
    state: Mutex<State>,
    /// What living runs have used so far. Locked after `state`, where both are.
    meters: Mutex<BTreeMap<JobId, Meter>>,
    pub(crate) collecting: Mutex<Collecting>,
    /// Who is told of what happened.
    pub(crate) tally: OnceLock<Arc<dyn Tally>>,
}

/// How often the outside is looked at, whether or not it told of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// From one look at the forges to the next.
    pub forges: Milliseconds,
    /// From one poll of the trackers to the next.
    pub trackers: Milliseconds,
}

impl Default for Intervals {
    fn default() -> Self {
        Self { forges: LOOK_INTERVAL, trackers: RECONCILE_INTERVAL }
    }
}

#[derive(Default)]
pub(crate) struct State {
    /// Jobs whose run is under a shim, and when its right is prolonged next.
    live: BTreeMap<JobId, (Claim, Timestamp)>,
    /// Cancelled jobs whose run is being ended.
    cancelling: BTreeMap<JobId, FenceToken>,
    /// Jobs that a thread performs at this moment: their run, if any, is not ended before the thread is through.
    busy: BTreeSet<JobId>,
    /// Claims whose work failed for want of the store (a full disk) or of a look at their run, and when they are tried again.
    again: Vec<(Timestamp, Work)>,
    /// Deliveries under way.
    expanding: BTreeSet<DeliveryId>,
    /// Looks at forges and trackers.
    looks: Looks,
    /// When the forges are looked at next.
    next_look: Timestamp,
    /// When tasks that need each other are looked for next.
    next_cycle_look: Timestamp,
    /// Who works where; none: a project changed since.
    places: Option<Seen>,
    /// Living runs that are being weighed.
    weighing: BTreeSet<JobId>,
    /// When the living runs are weighed next.
    next_weighing: Timestamp,
    /// Deliveries that cannot be expanded now.
    unheard: Unheard,
    /// Effects that something refused or failed, and how often: what a host does not live to see counts for nothing.
    failures: BTreeMap<JobId, u32>,
    /// Work for which the store has not what it needs.
    refusals: refusals::Refusals,
    /// When the trackers are polled next.
    next_poll: Timestamp,
    /// What time it was when work was looked for last; none: it was not yet.
    last_look: Option<Timestamp>,
    /// Hints are being read: one piece at a time, so that they are taken in their order.
    pub(crate) reading: bool,
    /// Looks that hints asked for.
    pub(crate) asked: Asked,
}

/// One piece of work. Pieces are independent of each other: any thread may take any.
#[derive(Debug)]
pub enum Work {
    /// Perform a claimed job.
    Perform(Box<Claim>),
    /// Take over what an ended run left.
    Finish(Box<Claim>),
    /// End the run of a job that was cancelled under it.
    Cancel(JobId, FenceToken),
    /// Find out what a delivery means.
    Expand(Box<Delivery>),
    /// Look at what a living run has used.
    Weigh(Box<Claim>),
    /// Look at what other hands did at a project's forge, or at its tracker.
    Look(LookAt),
    /// Read what trackers and forges outside told.
    Read(Vec<Hint>),
}

/// What a look found.
#[derive(Debug, Default)]
pub struct Tick {
    /// To be performed, in any order.
    pub work: Vec<Work>,
    /// When to look again at the latest; none: when something happens. A look at the forges or trackers wakes nobody: it goes
    /// along with the first tick after its time.
    pub look_again: Option<Timestamp>,
    /// The store failed before all was looked for. What was found is taken up; the next tick meets the failure.
    pub is_cut_short: bool,
}

impl Conductor {
    /// Wires the ports. `me` is this life of the host.
    pub fn new(outside: Outside, me: Incarnation) -> Self {
        Self {
            outside,
            me,
            projects: RwLock::default(),
            forges: RwLock::default(),
            intervals: RwLock::default(),
            state: Mutex::default(),
            meters: Mutex::default(),
            collecting: Mutex::default(),
            tally: OnceLock::new(),
        }
    }

    /// How often the outside is looked at from now on.
    pub fn look_every(&self, intervals: Intervals) {
        *self.intervals.write().unwrap_or_else(PoisonError::into_inner) = intervals;
        let mut state = self.state();
        (state.next_look, state.next_poll) = (Timestamp(0), Timestamp(0));
    }

    /// Takes a project up, or its new settings.
    pub fn put_project(&self, settings: ProjectSettings, forge: Arc<dyn Forge>) {
        let name = settings.name.clone();
        self.projects.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), Arc::new(settings));
        self.forges.write().unwrap_or_else(PoisonError::into_inner).insert(name, forge);
        self.state().places = None;
    }

    pub(crate) fn all_settings(&self) -> Vec<Arc<ProjectSettings>> {
        self.projects.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn seen_places(&self) -> Option<Seen> {
        self.state().places.clone()
    }

    pub(crate) fn set_seen_places(&self, seen: Seen) {
        self.state().places = Some(seen);
    }

    /// Who works where is looked at anew with the next claim.
    pub(crate) fn forget_places(&self) {
        self.state().places = None;
    }

    /// What is under way.
    pub fn left(&self) -> Left {
        let state = self.state();
        // What is tried again after a failure may never succeed, and no host that ends can wait for it: the next one takes it up.
        Left { runs: state.live.len() + state.cancelling.len(), pieces: state.busy.len() }
    }

    pub(crate) fn settings(&self, project: &ProjectName) -> Option<Arc<ProjectSettings>> {
        self.projects.read().unwrap_or_else(PoisonError::into_inner).get(project).cloned()
    }

    /// The forge of a project.
    pub fn forge(&self, project: &ProjectName) -> Option<Arc<dyn Forge>> {
        self.forges.read().unwrap_or_else(PoisonError::into_inner).get(project).cloned()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.outside.clock.now()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is to do now, at most `capacity` new claims: none while the host drains.
    pub fn tick(&self, limits: &ClaimLimits, capacity: usize) -> Result<Tick, StoreError> {
        let mut tick = Tick::default();
        self.take_ended(&mut tick);
        self.prolong_rights();
        self.weigh_runs(&mut tick);
        self.look_outside();
        let failed_before = self.take_again(&mut tick);
        tick.look_again = failed_before;
        let found = self.find_work(&mut tick, limits, capacity);
        // After all that somebody waits for.
        tick.work.extend(self.state().looks.take().into_iter().map(Work::Look));
        match found {
            // What was found is nobody else's any more, whatever failed after it. The next look meets the failure again.
            Err(error) if tick.work.is_empty() => Err(error),
            Err(error) => {
                tracing::error!(%error, "a look for work was cut short");
                tick.is_cut_short = true;
                Ok(tick)
            }
            Ok(()) => Ok(tick),
        }
    }

    fn find_work(&self, tick: &mut Tick, limits: &ClaimLimits, capacity: usize) -> Result<(), StoreError> {
        self.mind_the_clock()?;
        for (job, token) in self.outside.store.cancelled_claims(&self.me)? {
            let mut state = self.state();
            if !state.busy.contains(&job) && state.cancelling.insert(job, token).is_none() {
                tick.work.push(Work::Cancel(job, token));
            }
        }
        self.find_hints(tick)?;
        let now = self.now();
        for delivery in self.outside.store.pending_deliveries(self.deliveries_at_once())? {
            let mut state = self.state();
            // Nor does a clock that went back silence it for long.
            if state.unheard.put_off.get(&delivery.id).is_some_and(|at| *at > now && *at <= now.plus(LONGEST_PUT_OFF)) {
                continue;
            }
            if state.expanding.insert(delivery.id) {
                state.unheard.put_off.remove(&delivery.id);
                tick.work.push(Work::Expand(Box::new(delivery)));
            }
        }
        let seen = self.seen();
        let limits = self.limits(limits);
        self.look_for_cycles();
        let mut claimed = 0;
        while claimed < capacity {
            let Some(claim) = self.outside.store.claim(&self.me, &limits, self.now())? else {
                break;
            };
            claimed += 1;
            self.state().busy.insert(claim.job.id);
            tick.work.push(Work::Perform(Box::new(claim)));
        }
        let next = self.outside.store.next_available(self.now())?;
        let (intervals, now) = (self.intervals(), self.now());
        let (put_off, asked) = {
            let state = self.state();
            (state.unheard.put_off.values().copied().min(), state.asked.next(intervals, now))
        };
        let due = [next, seen.look_again(), self.next_passage()?, put_off, asked, tick.look_again];
        tick.look_again = due.into_iter().flatten().min();
        Ok(())
    }

    /// What is due of the work that is tried again; when the rest is.
    fn take_again(&self, tick: &mut Tick) -> Option<Timestamp> {
        let now = self.now();
        let mut state = self.state();
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut state.again)
            .into_iter()
            .partition(|(at, _)| *at <= now || at.since(now) > LONGEST_AGAIN);
        for (_, work) in due {
            if let Work::Perform(claim) | Work::Finish(claim) = &work {
                state.busy.insert(claim.job.id);
            }
            tick.work.push(work);
        }
        state.again = later;
        state.again.iter().map(|(at, _)| *at).min()
    }

    fn take_ended(&self, tick: &mut Tick) {
        let ended = std::mem::take(&mut *self.outside.ended.lock().unwrap_or_else(PoisonError::into_inner));
        let mut state = self.state();
        for job in ended.into_iter().map(|run| JobId(run.0)) {
            if let Some(token) = state.cancelling.get(&job).copied() {
                tick.work.push(Work::Cancel(job, token));
                state.live.remove(&job);
            } else if let Some((claim, _)) = state.live.remove(&job) {
                state.busy.insert(job);
                tick.work.push(Work::Finish(Box::new(claim)));
            }
        }
    }

    pub(crate) fn keep_live(&self, claim: &Claim) {
        self.outside.probe.at(Point::Done, claim);
        // At once: an adopted run may have lived for long on the right that an earlier host gave it.
        self.state().live.insert(claim.job.id, (claim.clone(), self.now()));
        self.outside.runs.watch(domain::effect::run_of(claim.job.id));
    }

    pub(crate) fn forget_cancelled(&self, job: JobId) {
        let mut state = self.state();
        state.cancelling.remove(&job);
        state.live.remove(&job);
        self.meters().remove(&job);
    }

    /// Does one piece. A panic holds the task that it was about, not the host. An error means that the store failed.
    pub fn perform(&self, work: Work) -> Result<(), StoreError> {
        use StoreError::{Broken, Damaged, NotFound, Refused};
        let about = match &work {
            Work::Perform(claim) | Work::Finish(claim) => Some(claim.task.id),
            _ => None,
        };
        // Whatever is logged meanwhile says what it is about.
        let _about = about_work(&work).entered();
        let result = catch_unwind(AssertUnwindSafe(|| self.perform_one(&work)));
        self.no_longer_busy(&work);
        match result {
            Ok(Err(error @ (StoreError::Full(_) | StoreError::Busy(_)))) => {
                self.later(work, STORE_PAUSE);
                Err(error)
            }
            Ok(Err(error @ (Broken(_) | Damaged(_) | Refused(_) | NotFound { .. }))) => {
                self.after_a_refusal(work, error)
            }
            Ok(Err(StoreError::Stale { job })) => {
                tracing::info!(%job, "the job passed on to another owner meanwhile");
                if let Work::Cancel(job, _) = work {
                    self.forget_cancelled(job);
                }
                Ok(())
            }
            Ok(result) => {
                self.no_longer_refused(&work);
                result
            }
            Err(panic) => {
                let message = rounds::panic_text(panic.as_ref());
                tracing::error!(?about, message, "performing panicked");
                self.after_a_panic(work, &message)
            }
        }
    }

    fn no_longer_busy(&self, work: &Work) {
        let mut state = self.state();
        match work {
            Work::Perform(claim) | Work::Finish(claim) => drop(state.busy.remove(&claim.job.id)),
            Work::Look(look) => state.looks.made(look),
            Work::Expand(delivery) => drop(state.expanding.remove(&delivery.id)),
            Work::Weigh(claim) => drop(state.weighing.remove(&claim.job.id)),
            Work::Read(_) => state.reading = false,
            Work::Cancel(..) => {}
        }
    }

    /// The same work again, no sooner than this. What it holds stays held: the claim, the delivery's place, the end that is due.
    pub(crate) fn later(&self, work: Work, pause: Milliseconds) {
        let at = self.now().plus(pause);
        let mut state = self.state();
        match &work {
            // The next look finds it by itself.
            Work::Look(_) | Work::Weigh(_) => return,
            // Read again after the pause, and nothing else before it.
            Work::Read(_) => state.reading = true,
            Work::Expand(delivery) => drop(state.expanding.insert(delivery.id)),
            Work::Perform(_) | Work::Finish(_) | Work::Cancel(..) => {}
        }
        state.again.push((at, work));
    }

    /// The task that the work was about is held; the job itself does not stay claimed by a host that will not finish it.
    fn after_a_panic(&self, work: Work, message: &str) -> Result<(), StoreError> {
        let now = self.now();
        match work {
            Work::Perform(claim) | Work::Finish(claim) => {
                let drives = claim.job.effect.class() == JobClass::Drive && claim.job.effect != Effect::CleanUp;
                if drives {
                    let event = Event::Panicked { message: message.to_owned(), unanswered: true };
                    return self.outside.store.apply(claim.task.id, &event, now).map(|_| ());
                }
                let why = format!("performing it panicked: {message}");
                let cleans = claim.job.effect == Effect::CleanUp;
                let doubled = || Milliseconds(PANIC_PAUSE.0 << claim.job.attempt.min(8));
                let put_off = now.plus(if cleans { self.clean_up_pause(claim.job.id) } else { doubled() });
                let ended = if !cleans && claim.job.attempt >= PANICS {
                    let note = format!("{} was given up: {why}", claim.job.effect.name());
                    self.complete(&claim, Event::AftermathEnded { note }, None, None).map(|_| ())
                } else {
                    self.outside.store.give_back(claim.job.id, claim.token, put_off, &why)
                };
                match ended {
                    Err(StoreError::Stale { .. }) => Ok(()),
                    ended => ended,
                }
            }
            Work::Expand(delivery) => self.outside.store.expand_later(delivery.id, message),
            Work::Cancel(..) => {
                self.later(work, PANIC_PAUSE);
                Ok(())
            }
            Work::Look(_) | Work::Weigh(_) | Work::Read(_) => Ok(()),
        }
    }

    fn perform_one(&self, work: &Work) -> Result<(), StoreError> {
        match work {
            Work::Perform(claim) => self.perform_claim(claim),
            Work::Finish(claim) => self.finish(claim),
            Work::Cancel(job, token) => self.cancel(*job, *token),
            Work::Expand(delivery) => self.expand(delivery),
            Work::Look(LookAt::Forge(project)) => self.observe(project),
            Work::Look(LookAt::Tracker(project)) => self.reconcile(project),
            Work::Weigh(claim) => self.weigh(claim),
            Work::Read(hints) => self.take_hints(hints),
        }
    }

    fn perform_claim(&self, claim: &Claim) -> Result<(), StoreError> {
        self.outside.probe.at(Point::Claimed, claim);
        self.report(Fact::Began { claim, at: self.now() });
        match self.mode(&claim.task) {
            Mode::Act => {}
            mode => return self.perform_observed(claim, mode),
        }
        if self.is_withheld_by_a_wish(claim)? {
            return Ok(());
        }
        match &claim.job.effect {
            Effect::Launch { role, attempt } => self.launch(claim, *role, *attempt),
            Effect::Judge { step, plugin } => self.judge(claim, step, plugin),
            Effect::Act { step, action } => self.act(claim, step, *action),
            Effect::Timer => {
                let event = Event::TimerFired { epoch: claim.job.epoch };
                self.complete(claim, event, None, None).map(|_| ())
            }
            Effect::CleanUp => self.clean_up(claim),
            Effect::SetStatus { phase } => self.set_status(claim, phase),
            Effect::Comment { text } => self.comment(claim, text),
            Effect::Notify { notice, text } => self.notify(claim, *notice, text),
            Effect::Tidy => self.tidy(claim),
        }
    }

    /// The task as it stands now, where a claim's copy may be old.
    pub(crate) fn fresh(&self, claim: &Claim) -> Result<Task, StoreError> {
        self.outside.store.task(claim.task.id)
    }
}
