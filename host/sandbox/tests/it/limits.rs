//! Contract sections 3 and 4: when limits begin, how long they last, and the one word of each cause.

use domain::time::Milliseconds;
use domain::verdict::{InfraCause, Verdict};

use crate::build::{Gate, PASS, asking_for, gate_with_pollables};
use crate::scene::{Scene, TestWorld, sentence, word};

const LOOP: &str = "(loop $again (br $again))";
const CLOCK: &str = r#"(import "gatewright:clock/clock@0.1.0" "now" (func $now (result i64)))"#;
const DOCUMENTS: &str = r#"(import "gatewright:documents/documents@0.1.0" "list" (func $list (param i32)))"#;

/// Two ticks of wasm time: enough for a test that must run into it.
fn brief(scene: Scene) -> Scene {
    scene.limited(|limits| limits.wasm_time = Milliseconds(20))
}

#[test]
fn a_hand_written_gate_passes() {
    assert_eq!(Scene::of(Gate::default().build()).word(), "<pass>");
}

#[test]
fn a_loop_ends_by_time_wherever_it_runs() {
    let start = format!("(func $spin {LOOP}) (start $spin)");
    let cases = [
        ("evaluate", Gate { body: LOOP, ..Gate::default() }),
        ("a start function", Gate { fields: &start, ..Gate::default() }),
        ("post-return, after the answer was lifted", Gate { post_return: LOOP, ..Gate::default() }),
        ("cabi_realloc", Gate { realloc: "(loop $again (br $again)) i32.const 65536", ..Gate::default() }),
    ];
    for (place, gate) in cases {
        assert_eq!(brief(Scene::of(gate.build())).word(), "time", "{place}");
    }
}

#[test]
fn a_trap_after_the_answer_was_lifted_is_no_pass() {
    let gate = Gate { post_return: "unreachable", ..Gate::default() };
    assert_eq!(Scene::of(gate.build()).word(), "trap");
}

#[test]
fn imports_in_a_start_function_count_and_capabilities_are_not_there_yet() {
    let spin = "(func $spin (loop $again (drop (call $now)) (br $again))) (start $spin)";
    let gate = Gate { imports: CLOCK, fields: spin, ..Gate::default() };
    let scene = Scene::of(gate.build()).limited(|limits| limits.idle_calls = 1000);
    assert_eq!(scene.word(), "calls");

    // What a language runs before main comes after the imports are there. It lists the documents; the answer's discriminant (7 is `unavailable`) is checked before the pass.
    let early = "(func (export \"_initialize\") (call $list (i32.const 4096)))";
    let gate = Gate {
        request: &asking_for("documents"),
        imports: DOCUMENTS,
        fields: early,
        body: "(if (i32.ne (i32.load8_u (i32.const 4096)) (i32.const 1)) (then unreachable))
               (if (i32.ne (i32.load8_u (i32.const 4104)) (i32.const 7)) (then unreachable))
               (i32.store8 (i32.const 1024) (i32.const 4))",
        ..Gate::default()
    };
    let scene = Scene::of(gate.build()).refusing(&["documents"]);
    let evaluation = scene.evaluate();
    assert_eq!(word(&evaluation.answer), "<pass>", "{:?}", evaluation.answer);
    assert!(evaluation.denials.is_empty(), "a call before the export is entered is no denial");
}

#[test]
fn memory_is_one_limit_over_all_memories_and_tables() {
    let first = "(memory (export \"memory\") 1025)";
    assert_eq!(Scene::of(Gate { memory: first, ..Gate::default() }.build()).word(), "memory", "at instantiation");

    let grow = "(drop (memory.grow (i32.const 1024))) (i32.store8 (i32.const 1024) (i32.const 4))";
    let scene = Scene::of(Gate { body: grow, ..Gate::default() }.build());
    assert_eq!(scene.word(), "memory", "a growth that failed and was swallowed");

    let table = "(table $t 0 funcref)";
    let fill = "(drop (table.grow $t (ref.null func) (i32.const 90000))) (i32.store8 (i32.const 1024) (i32.const 4))";
    let scene = Scene::of(Gate { fields: table, body: fill, ..Gate::default() }.build());
    assert_eq!(scene.word(), "<pass>");
    let scene = scene.limited(|limits| limits.memory_bytes = 2 * 65536 + 90_000 * 8 - 1);
    assert_eq!(scene.word(), "memory", "a table's elements weigh too");
}

#[test]
fn tables_have_a_limit_of_their_own() {
    let table = "(table $t 0 funcref)";
    let fill = "(drop (table.grow $t (ref.null func) (i32.const 100001))) (i32.store8 (i32.const 1024) (i32.const 4))";
    assert_eq!(Scene::of(Gate { fields: table, body: fill, ..Gate::default() }.build()).word(), "table");
}

#[test]
fn a_growth_in_post_return_or_realloc_belongs_to_the_call() {
    let grow = "(drop (memory.grow (i32.const 1024)))";
    assert_eq!(Scene::of(Gate { post_return: grow, ..Gate::default() }.build()).word(), "memory");
    let realloc = format!("{grow} i32.const 65536");
    assert_eq!(Scene::of(Gate { realloc: &realloc, ..Gate::default() }.build()).word(), "memory");
}

#[test]
fn deep_calls_end_as_stack() {
    let deeper = "(func $deeper (param i32) (result i32) (i32.add (call $deeper (local.get 0)) (i32.const 1)))";
    let gate = Gate { fields: deeper, body: "(drop (call $deeper (i32.const 1)))", ..Gate::default() };
    assert_eq!(Scene::of(gate.build()).word(), "stack");
}

#[test]
fn a_list_whose_items_are_all_the_same_bytes_is_stopped_before_it_is_copied() {
    // 1,000 findings whose details are the same 64 KiB: 64 KiB in the guest, 64 MiB in the host.
    let many = "
        (i32.store8 (i32.const 1024) (i32.const 1))
        (i32.store (i32.const 1032) (i32.const 131072))
        (i32.store (i32.const 1036) (i32.const 1000))
        (loop $next
            (local.set $p (i32.add (i32.const 131072) (i32.mul (local.get $i) (i32.const 60))))
            (i32.store (i32.add (local.get $p) (i32.const 20)) (i32.const 196608))
            (i32.store (i32.add (local.get $p) (i32.const 24)) (i32.const 65536))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (i32.const 1000))))";
    let gate = Gate { memory: "(memory (export \"memory\") 16)", body: many, ..Gate::default() };
    assert_eq!(Scene::of(gate.build()).word(), "output");
}

#[test]
fn an_argument_may_not_be_larger_than_a_host_call_takes() {
    let kv = r#"(import "gatewright:kv/store@0.1.0" "keys" (func $keys (param i32 i32 i32)))"#;
    let request = asking_for("kv");
    let asks = |bytes: u32| {
        let body = format!("(call $keys (i32.const 1048576) (i32.const {bytes}) (i32.const 4096)) {PASS}");
        let gate = Gate {
            request: &request,
            imports: kv,
            memory: "(memory (export \"memory\") 400)",
            body: &body,
            ..Gate::default()
        };
        Scene::of(gate.build()).granting(&["kv"]).word()
    };
    assert_eq!(asks(1024), "<pass>");
    assert_eq!(asks(2 * 1024 * 1024 + 1), "resources");
    assert_eq!(asks(17 * 1024 * 1024), "resources");
}

#[test]
fn all_arguments_together_have_a_bound_since_the_transcript_keeps_them() {
    let kv = r#"(import "gatewright:kv/store@0.1.0" "keys" (func $keys (param i32 i32 i32)))"#;
    let body = format!(
        "(loop $again (call $keys (i32.const 1048576) (i32.const 1048576) (i32.const 4096))
           (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $again (i32.lt_u (local.get $i) (i32.const 100)))) {PASS}"
    );
    let memory = "(memory (export \"memory\") 64)";
    let gate = Gate { request: &asking_for("kv"), imports: kv, memory, body: &body, ..Gate::default() };
    assert_eq!(Scene::of(gate.build()).granting(&["kv"]).word(), "resources");
}

#[test]
fn an_answer_that_is_none_of_its_type_is_invalid() {
    let cases = [
        ("an unknown case", "(i32.store8 (i32.const 1024) (i32.const 9))"),
        (
            "a text outside memory",
            "(i32.store8 (i32.const 1024) (i32.const 5)) (i32.store (i32.const 1032) (i32.const -16)) (i32.store (i32.const 1036) (i32.const 64))",
        ),
        (
            "a text that is no UTF-8",
            "(i32.store8 (i32.const 1024) (i32.const 5)) (i32.store (i32.const 1032) (i32.const 512)) (i32.store (i32.const 1036) (i32.const 2)) (i32.store16 (i32.const 512) (i32.const 0xfffe))",
        ),
        ("a fail without findings", "(i32.store8 (i32.const 1024) (i32.const 1))"),
    ];
    for (what, body) in cases {
        assert_eq!(Scene::of(Gate { body, ..Gate::default() }.build()).word(), "invalid-answer", "{what}");
    }
}

#[test]
fn zeroed_memory_opens_nothing() {
    let verdict = Scene::of(Gate { body: "", ..Gate::default() }.build()).evaluate().answer;
    assert_eq!(verdict, Verdict::infra(InfraCause::Guest("unnamed".to_owned()), "no reason given"));
}

#[test]
fn a_host_call_that_does_not_come_back_is_a_timeout_for_the_guest_and_the_evaluation_goes_on() {
    // The error's case lies at the answer's payload; 3 is `timeout`.
    let gate = Gate {
        request: &asking_for("documents"),
        imports: DOCUMENTS,
        body: "(call $list (i32.const 4096))
               (if (i32.ne (i32.load8_u (i32.const 4104)) (i32.const 3)) (then unreachable))
               (i32.store8 (i32.const 1024) (i32.const 4))",
        ..Gate::default()
    };
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let before = std::sync::Arc::new(move |_| {
        // Ends when the test drops its end.
        let _ = released.lock().map(|released| released.recv());
    });
    let world = TestWorld { timed: true, before: Some(before), ..TestWorld::default() };
    let scene =
        Scene::of(gate.build()).granting(&["documents"]).limited(|limits| limits.host_call_time = Milliseconds(20));
    let evaluation = scene.evaluate_in(world.clone());
    assert_eq!(word(&evaluation.answer), "<pass>", "{:?}", evaluation.answer);
    let scene = scene.limited(|limits| limits.evaluation_time = Milliseconds(30));
    let scene = scene.limited(|limits| limits.host_call_time = Milliseconds(60_000));
    let evaluation = scene.evaluate_in(world);
    assert_eq!(word(&evaluation.answer), "time", "a host call never outlasts the evaluation");
    drop(release);
}

#[test]
fn a_panic_in_a_host_function_is_infra_whichever_thread_it_is_on() {
    let gate = Gate {
        request: &asking_for("documents"),
        imports: DOCUMENTS,
        body: "(call $list (i32.const 4096)) (i32.store8 (i32.const 1024) (i32.const 4))",
        ..Gate::default()
    };
    let scene = Scene::of(gate.build()).granting(&["documents"]);
    for timed in [false, true] {
        let before = std::sync::Arc::new(|_| panic!("the repository is gone"));
        let world = TestWorld { timed, before: Some(before), ..TestWorld::default() };
        let evaluation = scene.evaluate_in(world);
        assert_eq!(word(&evaluation.answer), "host");
        assert!(sentence(&evaluation.answer).contains("the repository is gone"));
        assert_eq!(word(&scene.evaluate().answer), "<pass>", "the next call has nothing of it");
    }
}

#[test]
fn answers_of_the_host_have_a_limit_in_all_and_it_is_remembered() {
    let gate = Gate {
        request: &asking_for("documents"),
        imports: r#"(import "gatewright:documents/documents@0.1.0" "read" (func $read (param i64 i32)))"#,
        memory: "(memory (export \"memory\") 64)",
        body: "(loop $again
                (call $read (i64.const 0) (i32.const 4096))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $i) (i32.const 17))))
               (i32.store8 (i32.const 1024) (i32.const 4))",
        ..Gate::default()
    };
    let scene = Scene::of(gate.build()).granting(&["documents"]);
    let world = |bytes: usize| TestWorld { documents: vec![("brd", vec![b'x'; bytes])], ..TestWorld::default() };
    assert_eq!(word(&scene.evaluate_in(world(900 * 1024)).answer), "<pass>");
    assert_eq!(word(&scene.evaluate_in(world(1024 * 1024)).answer), "too-large", "17 MiB in all");
    let one_too_large = scene.evaluate_in(world(1024 * 1024 + 1));
    assert_eq!(
        word(&one_too_large.answer),
        "<pass>",
        "a single answer over its own limit is an error that can be handled"
    );
    assert!(one_too_large.limits_hit.is_empty());
}

#[test]
fn too_many_handles_are_resources() {
    let spin = "(loop $again (drop (call $subscribe (i64.const 1))) (br $again))";
    let component = gate_with_pollables(spin);
    assert_eq!(Scene::of(component).word(), "resources");
}

#[test]
fn a_full_pool_waits_in_line_and_is_no_verdict() {
    let scene = Scene::of(Gate::default().build()).limited(|limits| limits.memory_bytes = 400 * 1024 * 1024);
    scene.load().unwrap();
    // Two fit into the pool of 1 GiB at a time.
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..12)
            .map(|_| {
                scope.spawn(|| {
                    use conductor::ports::plugins::Plugins as _;
                    let world = std::sync::Arc::new(TestWorld::default());
                    word(&crate::scene::shared().evaluate_gate(scene.call(), world).answer)
                })
            })
            .collect();
        for call in calls {
            assert_eq!(call.join().unwrap(), "<pass>");
        }
    });
}
