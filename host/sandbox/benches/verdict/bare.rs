//! The same component on bare wasmtime: an instance, the question, the answer, and host functions that answer without a check.

use std::hint::black_box;

use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Config, Engine, Result, Store};

use self::exports::gatewright::gate::gate::{Edge, GuestIndices, Subject, Verdict};
use self::gatewright::documents::documents::{self, Document};
use self::gatewright::errors::errors::{self, HostError};
use self::gatewright::tasks::tasks::{self, Task, Terminality};

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package bench:bare;
        world reads-documents {
            import gatewright:documents/documents@0.1.0;
            export gatewright:gate/gate@0.1.0;
        }
    ",
    world: "bench:bare/reads-documents",
    imports: { default: trappable },
});

struct State;

impl tasks::Host for State {}
impl errors::Host for State {}

impl documents::Host for State {
    fn list(&mut self) -> Result<std::result::Result<Vec<Document>, HostError>> {
        Ok(Ok(vec![Document {
            id: 1,
            kind: "review".to_owned(),
            name: "12-review.md".to_owned(),
            stage: "review".to_owned(),
            visit: 1,
            current: true,
            run: Some(5),
            written_at: super::NOW.0,
            size: super::REVIEW.len() as u64,
        }]))
    }

    fn read(&mut self, _id: u64) -> Result<std::result::Result<Vec<u8>, HostError>> {
        Ok(Ok(super::REVIEW.as_bytes().to_vec()))
    }
}

pub(crate) struct Bare {
    engine: Engine,
    pre: InstancePre<State>,
    gate: GuestIndices,
}

impl Bare {
    pub(crate) fn new(config: &Config, bytes: &[u8]) -> Self {
        fn itself(state: &mut State) -> &mut State {
            state
        }
        let engine = Engine::new(config).expect("the engine starts");
        let component = Component::from_binary(&engine, bytes).expect("the plugin compiles");
        let mut linker = Linker::new(&engine);
        documents::add_to_linker::<_, HasSelf<State>>(&mut linker, itself).expect("documents link");
        errors::add_to_linker::<_, HasSelf<State>>(&mut linker, itself).expect("errors link");
        tasks::add_to_linker::<_, HasSelf<State>>(&mut linker, itself).expect("tasks link");
        linker.define_unknown_imports_as_traps(&component).expect("WASI is not called");
        let pre = linker.instantiate_pre(&component).expect("the plugin links");
        let gate = GuestIndices::new(&pre).expect("the plugin is a gate");
        Self { engine, pre, gate }
    }

    pub(crate) fn evaluate(&self) {
        let mut store = Store::new(&self.engine, State);
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = self.pre.instantiate(&mut store).expect("it instantiates");
        let gate = self.gate.load(&mut store, &instance).expect("it is a gate");
        let verdict = gate.call_evaluate(&mut store, &subject()).expect("it answers");
        assert!(matches!(verdict, Verdict::Fail(_)));
        black_box(verdict);
    }
}

fn subject() -> Subject {
    let task = Task {
        id: 94,
        version: 12,
        project: "enduro".to_owned(),
        work_item: Some("ORCH-094".to_owned()),
        url: Some("https://board.example.org/ORCH-094".to_owned()),
        title: "Release the lease only when the merge is proven".to_owned(),
        labels: vec!["backend".to_owned(), "priority".to_owned()],
        track: "full".to_owned(),
        stage: "review".to_owned(),
        visit: 1,
        phase: "review".to_owned(),
        created_at: super::NOW.0,
        stage_entered_at: super::NOW.0,
        terminality: Terminality::Active,
        branch: Some("task/ORCH-094".to_owned()),
        base_branch: "main".to_owned(),
        retries: 0,
        watching: false,
        held: None,
        waits_for: Vec::new(),
        forecast: None,
        more: Vec::new(),
    };
    Subject {
        task,
        edge: Edge { source: "review".to_owned(), target: "testing".to_owned() },
        step: "review-verdict".to_owned(),
        commit: Some("a".repeat(40)),
        fork_point: Some("b".repeat(40)),
        base_head: Some("c".repeat(40)),
        asked_before: 0,
        first_asked_at: super::NOW.0,
        run: None,
        settings: "{}".to_owned(),
        more: Vec::new(),
    }
}
