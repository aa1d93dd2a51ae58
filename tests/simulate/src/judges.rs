//! The plugins: what they answer by chance, and a record of their own of what they were asked and said.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor::ports::plugins::{
    Asking, EstimateCall, Evaluation, GateCall, GuardCall, InboundCall, NotifyCall, OutboundCall, Plugins,
    ValidateCall, World as Surroundings,
};
use domain::ids::{CommitId, Digest, PluginId, ProjectName, StepName, TaskId};
use domain::plugin::{Failure, Flaw, Forecast, GuardDecision, MapperIntent, PluginInfo};
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::{Finding, GateHold, InfraCause, Severity, Verdict, WakeKind, WakeSet};

use crate::fate::Point;
use crate::luck::Luck;
use crate::outlet::Outlet;
use crate::people;
use crate::weather::{Trouble, Weather};
use crate::world::{World, look};

/// The last time a gate was asked about a task.
pub struct AskedGate {
    /// As which step.
    pub step: StepName,
    /// About which commit.
    pub head: Option<CommitId>,
    /// What had been acknowledged of facts that wake, then.
    pub wakes: BTreeMap<(String, WakeKind), u64>,
}

/// A notice as the notifier took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRecord {
    /// About which task.
    pub task: TaskId,
    /// Its place among the task's.
    pub sequence: u64,
    /// Which life sent it.
    pub life: u64,
    /// How often a host had died or its store had failed by then: after that the host may not know that it was taken.
    pub disturbed: u64,
}

/// What the plugins remember.
pub struct Judges {
    luck: Luck,
    /// What the notifier took.
    pub notices: Vec<NoticeRecord>,
    /// What each task's gate was last asked.
    pub asked: BTreeMap<TaskId, AskedGate>,
    /// How often a gate let each task pass, by step.
    pub passed: BTreeMap<(TaskId, StepName), u64>,
}

impl Judges {
    /// Plugins that know nothing yet.
    pub const fn new(luck: Luck) -> Self {
        Self { luck, notices: Vec::new(), asked: BTreeMap::new(), passed: BTreeMap::new() }
    }

    fn verdict(&mut self, weather: Weather, now: Timestamp) -> Verdict {
        if weather == Weather::calm() {
            return pass();
        }
        let bad = u64::from(weather.has(Trouble::Plugins));
        let luck = &mut self.luck;
        match luck.weighted(&[(760, 0), (40 + 30 * bad, 1), (50 + 60 * bad, 2), (70 * bad, 3), (20 * bad, 4), (20, 5)])
        {
            1 => Verdict::Fail { findings: vec![finding()], figures: Vec::new() },
            2 => {
                let until = Timestamp(now.0 + 1000 + luck.below(600_000));
                let kinds = [WakeKind::Checks, WakeKind::Push, WakeKind::Status, WakeKind::Comment];
                let wake: WakeSet = kinds.into_iter().filter(|_| luck.in_thousand(600)).collect();
                Verdict::Wait { until, wake, why: "not yet".to_owned() }
            }
            3 => {
                let cause = luck.one_of(&[InfraCause::Trap, InfraCause::Time, InfraCause::Memory]).clone();
                let retry_after = luck.in_thousand(200).then_some(Milliseconds::from_seconds(60));
                Verdict::Infra { cause, message: "it failed".to_owned(), retry_after }
            }
            4 => {
                let kind = *luck.one_of(&[GateHold::NeedsInput, GateHold::Blocked]);
                Verdict::Hold { kind, reason: "somebody must look".to_owned(), findings: Vec::new() }
            }
            5 => Verdict::NotApplicable { why: "no say here".to_owned() },
            _ => pass(),
        }
    }

    /// Does a plugin fail this time?
    fn fails(&mut self, weather: Weather) -> Option<Failure> {
        if !weather.has(Trouble::Plugins) || !self.luck.in_thousand(50) {
            return None;
        }
        let message = "it failed".to_owned();
        if self.luck.in_thousand(200) {
            return Some(Failure::GiveUp { message });
        }
        Some(Failure::Retry { cause: InfraCause::Trap, message, after: None })
    }
}

fn pass() -> Verdict {
    Verdict::Pass { note: "fine".to_owned(), warnings: Vec::new(), figures: Vec::new() }
}

fn finding() -> Finding {
    Finding {
        rule: "simulated".to_owned(),
        severity: Severity::Major,
        title: "It is not good yet".to_owned(),
        detail: "Make it better.".to_owned(),
        path: None,
        line: None,
        help: None,
    }
}

/// A life's plugins.
pub struct WorldPlugins(pub Arc<Outlet>);

impl WorldPlugins {
    /// One call of a plugin: it passes the points of an effect outside, and things happen while it lasts.
    fn call<A>(&self, asking: &Asking, dead: A, answer: impl FnOnce(&mut World) -> A) -> Evaluation<A> {
        let outlet = &self.0;
        let answer = if outlet.fate.pass(Point::BeforeOutside) {
            dead
        } else {
            let answer = answer(&mut look(&outlet.world));
            outlet.interlude();
            if outlet.fate.pass(Point::AfterOutside) { dead } else { answer }
        };
        Evaluation {
            answer,
            transcript: format!("{{\"seed\":{}}}", asking.seed % 64).into_bytes(),
            plugin: asking.plugin.clone(),
            digest: Some(Digest::of(b"a component")),
            micros: 7,
            denials: Vec::new(),
            limits_hit: Vec::new(),
        }
    }
}

fn dead() -> Failure {
    Failure::GiveUp { message: "the host is dead".to_owned() }
}

impl Plugins for WorldPlugins {
    fn info(&self, _project: &ProjectName, _plugin: &PluginId) -> Option<PluginInfo> {
        None
    }

    fn validate(&self, call: ValidateCall) -> Evaluation<Result<Vec<Flaw>, Failure>> {
        self.call(&call.asking, Err(dead()), |_| Ok(Vec::new()))
    }

    fn evaluate_gate(&self, call: GateCall, _world: Arc<dyn Surroundings>) -> Evaluation<Verdict> {
        let (task, step) = (call.subject.task.id, call.subject.step.clone());
        {
            let mut world = look(&self.0.world);
            let wakes = world.cards.wakes.clone();
            let head = call.subject.commit.clone();
            world.judges.asked.insert(task, AskedGate { step: step.clone(), head, wakes });
        }
        let wakes_meanwhile = {
            let mut world = look(&self.0.world);
            world.weather.has(Trouble::Interludes) && world.luck.in_thousand(150)
        };
        if let Some(store) = self.0.store.get().filter(|_| wakes_meanwhile && !self.0.fate.is_dead()) {
            people::wake(&self.0.world, store, task);
        }
        self.call(&call.asking, Verdict::infra(InfraCause::Trap, "the host is dead"), |world| {
            let (weather, now) = (world.weather, world.clock());
            let verdict = world.judges.verdict(weather, now);
            if verdict.opens() {
                *world.judges.passed.entry((task, step.clone())).or_default() += 1;
            }
            world.tell(|| format!("the gate {step} says {} to task {task}", verdict.name()));
            verdict
        })
    }

    fn decide_guard(
        &self,
        call: GuardCall,
        _world: Arc<dyn Surroundings>,
    ) -> Evaluation<Result<GuardDecision, Failure>> {
        self.call(&call.asking, Err(dead()), |world| {
            let (weather, now) = (world.weather, world.clock());
            if let Some(failure) = world.judges.fails(weather) {
                return Err(failure);
            }
            if !weather.has(Trouble::Plugins) {
                return Ok(GuardDecision::Allow);
            }
            let reason = "a guard's word".to_owned();
            Ok(match world.judges.luck.below(40) {
                0 => GuardDecision::Hold { reason },
                1 => GuardDecision::Suppress { reason },
                2 => GuardDecision::Delay { until: Timestamp(now.0 + 30_000), why: reason },
                3 => GuardDecision::Amend { phase: None, text: Some("amended".to_owned()), why: reason },
                _ => GuardDecision::Allow,
            })
        })
    }

    fn estimate(&self, call: EstimateCall, _world: Arc<dyn Surroundings>) -> Evaluation<Result<Forecast, Failure>> {
        self.call(&call.asking, Err(dead()), |_| Err(dead()))
    }

    fn notify(&self, call: NotifyCall, _world: Arc<dyn Surroundings>) -> Evaluation<Result<(), Failure>> {
        self.0.forbid("a notifier is told");
        let (sequence, life) = (call.notice.sequence, self.0.life);
        let task = call.notice.view.as_ref().map(|view| view.task.id);
        self.call(&call.asking, Err(dead()), |world| {
            let (weather, disturbed) = (world.weather, world.disturbed);
            if let Some(failure) = world.judges.fails(weather) {
                return Err(failure);
            }
            world.judges.notices.extend(task.map(|task| NoticeRecord { task, sequence, life, disturbed }));
            Ok(())
        })
    }

    fn map_inbound(&self, call: InboundCall) -> Evaluation<Result<MapperIntent, Failure>> {
        let to = call.change.to.name.clone();
        self.call(&call.asking, Err(dead()), |world| {
            let weather = world.weather;
            if let Some(failure) = world.judges.fails(weather) {
                return Err(failure);
            }
            Ok(match to.as_str() {
                "To Analyse" => MapperIntent::Start,
                "Approved" => MapperIntent::Approve,
                "Rejected" => MapperIntent::Reject,
                "Confirm Deploy" => MapperIntent::ConfirmDeploy,
                _ => MapperIntent::None,
            })
        })
    }

    fn map_outbound(&self, call: OutboundCall) -> Evaluation<Result<Vec<String>, Failure>> {
        let phase = call.standing.phase.clone();
        self.call(&call.asking, Err(dead()), |world| {
            let weather = world.weather;
            if let Some(failure) = world.judges.fails(weather) {
                return Err(failure);
            }
            Ok(vec![shown_as(&phase).to_owned()])
        })
    }
}

/// How a phase looks on the board, in whatever letters.
pub fn shown_as(phase: &str) -> &str {
    match phase {
        "in-review" => "In Review",
        "awaiting-deploy" => "Awaiting Deploy",
        "needs-input" => "Needs Input",
        "deploying" => "Deploying",
        "blocked" | "done" | "cancelled" | "development" | "review" | "testing" | "analysis" | "architecture" => phase,
        _ => "In Progress",
    }
}
