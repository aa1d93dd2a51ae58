//! The one engine of the host: which WebAssembly exists here, how much of it fits, and the thread that makes time pass for it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::config::SandboxConfig;

/// How often the epoch grows, and so how exactly wasm time is measured.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Core instances that one component may hold: a Rust component has four, one from Python some forty.
const CORE_INSTANCES_PER_COMPONENT: u32 = 64;
/// Memories that one component may hold, over all its core modules.
const MEMORIES_PER_COMPONENT: u32 = 8;
/// Tables that one component may hold, over all its core modules.
const TABLES_PER_COMPONENT: u32 = 16;
/// Elements that one table may hold; the limit of a call counts over all tables.
const TABLE_ELEMENTS: usize = 100_000;
/// Bytes of native stack that a guest may use. Callers' threads have at least 2 MiB.
const MAX_STACK: usize = 512 * 1024;
/// Bytes of a slot that are cleared by hand instead of being given back: a small guest touches less than that.
const KEPT_MEMORY: usize = 256 * 1024;
const KEPT_TABLE: usize = 16 * 1024;

/// The engine's configuration. Public so that a benchmark can run the same engine without the sandbox.
pub fn engine_config(sandbox: &SandboxConfig) -> Config {
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(sandbox)))
        .memory_init_cow(true)
        .epoch_interruption(true)
        .max_wasm_stack(MAX_STACK)
        .cranelift_nan_canonicalization(true)
        .shared_memory(false)
        .concurrency_support(false)
        .gc_support(false);
    config
        .wasm_threads(false)
        .wasm_shared_everything_threads(false)
        .wasm_function_references(false)
        .wasm_gc(false)
        .wasm_exceptions(false)
        .wasm_stack_switching(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true);
    // What else there is of the component model (async and its kin, memory64, maps, …) this build of wasmtime does not have, and the
    // load checks refuse it by name before.
    config.wasm_component_model(true);
    config
}

fn pooling(sandbox: &SandboxConfig) -> PoolingAllocationConfig {
    let calls = sandbox.concurrent_calls;
    let mut pool = PoolingAllocationConfig::new();
    // The totals are the maxima of one component times the permits: whoever holds a permit finds a slot.
    pool.total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_memories(calls.saturating_mul(MEMORIES_PER_COMPONENT))
        .total_tables(calls.saturating_mul(TABLES_PER_COMPONENT))
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_tables_per_module(4)
        .max_memories_per_module(1)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(usize::try_from(sandbox.max_plugin_memory).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLE)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// An OS thread that lets the engine's epoch grow; it ends, and is waited for, when this is dropped. No task of a runtime could
/// do this: under guests that loop on all its threads it would never run.
pub(crate) struct Ticker {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let (engine, seen) = (engine.clone(), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("gatewright-epoch".to_owned()).spawn(move || {
            let (stopped, changed) = &*seen;
            let mut stopped = stopped.lock().unwrap_or_else(PoisonError::into_inner);
            while !*stopped {
                (stopped, _) = changed.wait_timeout(stopped, TICK).unwrap_or_else(PoisonError::into_inner);
                engine.increment_epoch();
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        let (stopped, changed) = &*self.stop;
        *stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // The thread cannot panic: it only waits and adds.
            let _ = thread.join();
        }
    }
}
