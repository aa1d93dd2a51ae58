//! What the operator may set about the sandbox as a whole.

/// Sizes of the sandbox, over all plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxConfig {
    /// Bytes of guest memory that all calls together may hold: a call waits in line until its own limit fits.
    pub pool_memory_bytes: u64,
    /// Calls at the same time.
    pub concurrent_calls: u32,
    /// Bytes that the memory limit of one plugin may be at most.
    pub max_plugin_memory: u64,
    /// Threads that may hang in host calls that did not come back in time; with more, host calls answer `unavailable`.
    pub stuck_workers: usize,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self { pool_memory_bytes: 1024 * MIB, concurrent_calls: 16, max_plugin_memory: 512 * MIB, stuck_workers: 64 }
    }
}
