//! What the tests of the real agents share: a run of one in the sandbox, against a service of the test's own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use agents::port::{HostEnvironment, ShimRuns};
use agents::{SandboxMode, environment};
use conductor::dialect::{Ask, Dialect, Judged, Session, Told};
use conductor::ports::runs::{AgentHome, Confinement, Ending, Launch, RunState, Runs};
use conductor::project::UsageReader;
use domain::ids::RunId;
use domain::limits::RunLimits;
use domain::network::{Destination, Network};
use domain::time::Milliseconds;
use fake_services::Service;

use crate::scene::{LONG, World};

/// The agents' key: it may stand nowhere but in their environment and in what they send to their service.
pub(crate) const KEY: &str = "key-0f-the-test-c0ffee";
pub(crate) const SESSION: &str = "00000000-0000-4000-8000-000000000001";

/// A place in which one agent works.
pub(crate) struct Bench {
    pub(crate) world: World,
    pub(crate) runs: ShimRuns,
    pub(crate) service: Service,
    pub(crate) dialect: Dialect,
    pub(crate) reader: UsageReader,
    program: PathBuf,
}

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) ending: Ending,
    pub(crate) told: Told,
    pub(crate) judged: Option<Judged>,
    pub(crate) log: String,
}

impl Bench {
    pub(crate) fn new(service: Service, program: PathBuf, dialect: Dialect, reader: UsageReader) -> Self {
        let world = World::new();
        let names = ["THE_KEY", "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"];
        let values = BTreeMap::from(names.map(|name| (name, KEY)));
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let host = HostEnvironment { reserved: Vec::new(), values };
        let runs = ShimRuns::new(world.runner(SandboxMode::Bubblewrap), host, |_| {}).unwrap();
        Self { world, runs, service, dialect, reader, program }
    }

    pub(crate) fn launch(&self, run: u64, session: Session<'_>, carried: Option<u64>) -> Launch {
        self.capped(run, session, carried, None)
    }

    pub(crate) fn capped(&self, run: u64, session: Session<'_>, carried: Option<u64>, cap: Option<u64>) -> Launch {
        let program = self.program.to_str().unwrap();
        let ask = Ask { program, names_model: false, names_effort: true, session, cap_microusd: cap };
        let mut environment = environment::contract("developer", "ET-7", &self.world.path("clone/docs"));
        environment.insert(environment::EFFORT.to_owned(), "low".to_owned());
        environment.extend(self.dialect.environment());
        let (Session::New(id) | Session::Resumed(id) | Session::CutOff(id)) = session;
        let held_key = self.dialect.held_key().cloned();
        // What it does not see it is not given, and what has a door is not named.
        let sees = held_key.is_none();
        let pass_environment =
            ["THE_KEY", "ANTHROPIC_API_KEY"].into_iter().filter(|_| sees).map(str::to_owned).collect();
        let reached = sees.then(|| Destination::Address(self.service.address()));
        Launch {
            run: RunId(run),
            argv: self.dialect.compose(&ask).unwrap(),
            workdir: self.world.path("clone"),
            environment,
            pass_environment,
            held_key,
            brief: Some("Do it.".into()),
            readable: Vec::new(),
            writable: Vec::new(),
            network: Network(reached.into_iter().collect()),
            budget: Milliseconds::from_seconds(90),
            grace: Milliseconds::from_seconds(5),
            limits: RunLimits::default(),
            confinement: Confinement::Demanded,
            home: Some(AgentHome {
                kind: self.dialect.home().unwrap(),
                carried: carried.map(|run| (RunId(run), id.to_owned())),
            }),
        }
    }

    /// Launches it and waits for its end.
    pub(crate) fn work(&self, launch: &Launch, is_resumed: bool) -> Ended {
        self.runs.launch(launch).unwrap();
        self.end(launch.run, is_resumed)
    }

    pub(crate) fn end(&self, run: RunId, is_resumed: bool) -> Ended {
        self.runs.runner().wait(run.0, Some(LONG * 2)).unwrap();
        let log = String::from_utf8_lossy(&self.runs.log_tail(run, 1 << 20)).into_owned();
        let Ok(RunState::Ended(record)) = self.runs.inspect(run) else { panic!("it has not ended: {log}") };
        let told = self.runs.told(run, &self.reader);
        let judged = self.dialect.judge(&record.ending, &told, &log, is_resumed);
        Ended { ending: record.ending, told, judged, log }
    }
}

/// The key stands neither in the command, nor in what the run printed.
pub(crate) fn the_key_is_kept(launch: &Launch, ended: &Ended) {
    assert!(!launch.argv.iter().any(|word| word.contains(KEY)), "{:?}", launch.argv);
    assert!(!ended.log.contains(KEY), "{}", ended.log);
}
