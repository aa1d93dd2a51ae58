//! The broker: every host call of every version of the WIT goes through here, once. It counts, checks request ∩ grant ∩ ceiling
//! and the arguments, asks the world (or a transcript), counts what comes back, and remembers all of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use conductor::ports::plugins::World;
use domain::ids::CommitId;
use domain::plugin::{Capability, CapabilityError, Denial, Family, HostError};
use domain::verdict::InfraCause;

use crate::exchange::{Exchange, HostAnswer, HostCall};
use crate::meter::{Meter, Stop};
use crate::policy::{Need, Policy, Refused, compile_glob};
use crate::text::{Lines, clean};
use crate::worker::{Unfinished, Workers};
use crate::world::look;

/// Denials that are listed apart; the transcript holds all of them.
const DENIALS: usize = 100;

/// Where answers come from.
pub(crate) enum Source {
    /// The living world.
    World(Arc<dyn World>),
    /// Nothing: the plugin is one that has no capability, or is only asked about settings.
    Nowhere,
    /// What was recorded, in order.
    Recorded(VecDeque<Exchange>),
}

/// How far the call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Start functions and static constructors: capabilities are not there yet.
    Opening,
    /// The export was entered.
    Asked,
    /// `validate`: it sees the settings and nothing else.
    Settings,
}

pub(crate) struct Broker {
    policy: Arc<Policy>,
    workers: Arc<Workers>,
    source: Source,
    phase: Phase,
    exchanges: Vec<Exchange>,
    denials: Vec<Denial>,
    fatal: Option<Denial>,
    /// Replay: the first call that is not the recorded one.
    diverged: Option<String>,
}

/// What a broker remembers of a call.
pub(crate) struct Remembered {
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) denials: Vec<Denial>,
    pub(crate) fatal: Option<Denial>,
    pub(crate) diverged: Option<String>,
    /// Replay: recorded calls that were not made.
    pub(crate) unasked: usize,
}

impl Broker {
    pub(crate) fn new(policy: Arc<Policy>, workers: Arc<Workers>, source: Source) -> Self {
        Self {
            policy,
            workers,
            source,
            phase: Phase::Opening,
            exchanges: Vec::new(),
            denials: Vec::new(),
            fatal: None,
            diverged: None,
        }
    }

    pub(crate) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
    }

    pub(crate) fn finish(self) -> Remembered {
        let unasked = if let Source::Recorded(rest) = &self.source { rest.len() } else { 0 };
        Remembered {
            exchanges: self.exchanges,
            denials: self.denials,
            fatal: self.fatal,
            diverged: self.diverged,
            unasked,
        }
    }

    /// Answers one host call. `Err` ends the guest.
    pub(crate) fn ask(&mut self, call: HostCall, meter: &mut Meter) -> Result<Result<HostAnswer, HostError>, Stop> {
        meter.call(call.size())?;
        match self.phase {
            Phase::Opening => return Ok(Err(HostError::Unavailable("no export was entered yet".to_owned()))),
            Phase::Settings => {
                return Ok(Err(HostError::Unavailable("`validate` sees the settings and nothing else".to_owned())));
            }
            Phase::Asked => {}
        }
        let answer = if matches!(self.source, Source::Recorded(_)) {
            self.recorded(&call)
        } else {
            match self.allowed(&call) {
                Ok(()) => self.observe(&call, meter)?,
                Err(error) => Err(error),
            }
        };
        let answer = answer.and_then(|answer| {
            if meter.answer(answer.size()) { Ok(answer) } else { Err(HostError::TooLarge(meter.limits().answer_bytes)) }
        });
        if let Err(HostError::Exhausted(_)) = &answer {
            meter.remember(InfraCause::Exhausted);
        }
        self.exchanges.push(Exchange { call, answer: answer.clone() });
        Ok(answer)
    }

    fn recorded(&mut self, call: &HostCall) -> Result<HostAnswer, HostError> {
        let Source::Recorded(rest) = &mut self.source else { return Err(HostError::NotFound) };
        match rest.pop_front() {
            Some(exchange) if exchange.call == *call => {
                if let Err(HostError::Denied(denial)) = &exchange.answer {
                    // Whether the request calls it optional is read anew: the request is part of the component.
                    let optional = optional_in(&self.policy, call);
                    self.remember(Refused { denial: denial.clone(), optional });
                }
                exchange.answer
            }
            other => {
                let recorded = other.map_or_else(|| "no further call".to_owned(), |other| shown(&other.call));
                self.diverged
                    .get_or_insert_with(|| format!("it asked {} where the transcript has {recorded}", shown(call)));
                Err(HostError::Unavailable("the transcript holds no such call here".to_owned()))
            }
        }
    }

    fn allowed(&mut self, call: &HostCall) -> Result<(), HostError> {
        // Whether it may at all is asked first: whoever may not learns nothing about its arguments.
        if let Some(need) = family_need(call) {
            self.check(&need, call)?;
        }
        match object_need(call)? {
            Some(need) => self.check(&need, call),
            None => Ok(()),
        }
    }

    fn check(&mut self, need: &Need, call: &HostCall) -> Result<(), HostError> {
        self.policy.check(need).map_err(|refused| {
            let denial = refused.denial.clone();
            // The family may be refused for a path that the plugin can do without, and for one that it cannot.
            self.remember(Refused { optional: optional_in(&self.policy, call), ..refused });
            HostError::Denied(denial)
        })
    }

    fn remember(&mut self, refused: Refused) {
        if !refused.optional && self.fatal.is_none() {
            self.fatal = Some(refused.denial.clone());
        }
        if self.denials.len() < DENIALS && !self.denials.contains(&refused.denial) {
            self.denials.push(refused.denial);
        }
    }

    fn observe(&mut self, call: &HostCall, meter: &mut Meter) -> Result<Result<HostAnswer, HostError>, Stop> {
        if let HostCall::Later { name, .. } = call {
            return Ok(Err(HostError::Unavailable(format!(
                "`{name}` comes later: this host has no such function yet"
            ))));
        }
        if let HostCall::HistoryFinished { .. } = call {
            let later = "`history.finished` comes later: this host has no such function yet";
            return Ok(Err(HostError::Unavailable(later.to_owned())));
        }
        let Source::World(world) = &self.source else {
            return Ok(Err(HostError::Unavailable("there is nothing to look at".to_owned())));
        };
        let time = meter.host_call_time()?;
        let answer = if world.is_immediate(call.family()) {
            look(&**world, call)
        } else {
            self.timed(Arc::clone(world), call.clone(), time)?
        };
        // The call's own time may have used up the evaluation's.
        meter.host_call_time()?;
        Ok(answer.map(|answer| self.narrowed(answer)))
    }

    fn timed(
        &self,
        world: Arc<dyn World>,
        call: HostCall,
        time: Duration,
    ) -> Result<Result<HostAnswer, HostError>, Stop> {
        match self.workers.run(time, move || look(&*world, &call)) {
            Ok(answer) => Ok(answer),
            Err(Unfinished::Timeout) => Ok(Err(HostError::Timeout)),
            Err(Unfinished::Busy) => Ok(Err(HostError::Unavailable("too many host calls hang".to_owned()))),
            Err(Unfinished::Panicked(text)) => {
                Err(Stop::new(InfraCause::Host("panic".to_owned()), format!("a host function panicked: {text}")))
            }
        }
    }

    /// Leaves out what a narrowed capability does not let be seen.
    fn narrowed(&self, answer: HostAnswer) -> HostAnswer {
        if !self.policy.narrows() {
            return answer;
        }
        match answer {
            HostAnswer::Paths(mut paths) => {
                paths.retain(|path| self.policy.sees(path));
                HostAnswer::Paths(paths)
            }
            HostAnswer::Changes(mut changes) => {
                changes.retain(|change| self.policy.sees(&change.path));
                for change in &mut changes {
                    change.old_path = change.old_path.take().filter(|path| self.policy.sees(path));
                }
                HostAnswer::Changes(changes)
            }
            other => other,
        }
    }
}

fn shown(call: &HostCall) -> String {
    clean(&format!("{call:?}"), 200, Lines::One)
}

/// Whether the plugin copes with a denial of this call: by what exactly it asks for where it says so, else by the family. In a
/// replay the recorded denial counts, whatever the grants say now.
fn optional_in(policy: &Policy, call: &HostCall) -> bool {
    let need = object_need(call).ok().flatten().or_else(|| family_need(call));
    need.is_some_and(|need| policy.is_optional(&need))
}

/// The family that a call needs, where that alone says something: origins and commands are checked one by one.
fn family_need(call: &HostCall) -> Option<Need> {
    let family = call.family();
    (!matches!(family, Family::Http | Family::Exec)).then_some(Need::Family(family))
}

/// What a call needs beyond its family, after its arguments were found sound.
fn object_need(call: &HostCall) -> Result<Option<Need>, HostError> {
    if let Some(path) = call.path() {
        check_path(path)?;
        return Ok(Some(Need::Path(path.to_owned())));
    }
    match call {
        HostCall::RepoList { glob, .. } => {
            check_path(glob)?;
            compile_glob(glob).map_err(|error| HostError::Invalid(format!("the glob: {error}")))?;
            Ok(None)
        }
        HostCall::RepoIsAncestor { ancestor, descendant } => {
            for id in [ancestor, descendant] {
                CommitId::new(id.as_str())
                    .map_err(|error| HostError::Invalid(clean(&error.to_string(), 300, Lines::One)))?;
            }
            Ok(None)
        }
        HostCall::Later { family: Family::Http, object, .. } => {
            let origin = object.parse().map_err(|error: CapabilityError| HostError::Invalid(error.why))?;
            Ok(Some(Need::Origin(origin)))
        }
        HostCall::Later { family: Family::Exec, object, .. } => match format!("exec:{object}").parse() {
            Ok(Capability::Exec(name)) => Ok(Some(Need::Command(name))),
            Ok(_) => Err(HostError::Invalid("no command's name".to_owned())),
            Err(error) => Err(HostError::Invalid(error.why)),
        },
        _ => Ok(None),
    }
}

fn check_path(path: &str) -> Result<(), HostError> {
    let refuse = |why: &str| Err(HostError::Invalid(why.to_owned()));
    if path.is_empty() || path.len() > 4096 {
        refuse("a path has 1 to 4,096 bytes")
    } else if path.contains('\0') {
        refuse("a path holds no NUL")
    } else if path.starts_with('/') {
        refuse("a path is relative to the repository's root")
    } else if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        refuse("a path has no empty part, `.` or `..`")
    } else if path.split('/').any(|part| part.eq_ignore_ascii_case(".git")) {
        refuse("`.git` is no part of a tree")
    } else {
        Ok(())
    }
}
