//! Programs of Node.js that tests run, the agents' own among them: installed once by npm from a lock file that names their hashes, and kept in a cache folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};

/// Claude Code.
///
/// # Panics
/// Where it cannot be installed.
pub fn claude_code() -> PathBuf {
    program("claude-code", "2.1.328", "@anthropic-ai/claude-code-linux-x64/claude")
}

/// Codex.
///
/// # Panics
/// Where it cannot be installed.
pub fn codex() -> PathBuf {
    program("codex", "0.169.0", "@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex")
}

/// What makes components of JavaScript.
///
/// # Panics
/// Where it cannot be installed.
pub fn componentize_js() -> PathBuf {
    program("componentize-js", "0.23.0", ".bin/componentize-js")
}

fn program(name: &str, version: &str, path: &str) -> PathBuf {
    let cache = crate::cache().join("npm");
    fs::create_dir_all(&cache).expect("the cache can be made");
    let kept = cache.join(format!("{name}-{version}"));
    let program = kept.join("node_modules").join(path);
    // Tests run side by side, and each is a process of its own.
    let lock = fs::File::create(cache.join(format!("{name}.lock"))).expect("the cache can be written");
    flock(&lock, FlockOperation::LockExclusive).expect("the cache can be locked");
    if !program.is_file() {
        let _ = fs::remove_dir_all(&kept);
        let drawn = tempfile::tempdir_in(&cache).expect("the cache can be written");
        let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("npm").join(name);
        for file in ["package.json", "package-lock.json"] {
            fs::copy(pinned.join(file), drawn.path().join(file)).expect("the lock file can be copied");
        }
        let done = Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"])
            .current_dir(drawn.path())
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("npm installs {name} and cannot be run: {error}"));
        assert!(done.status.success(), "npm ci of {name}: {}", String::from_utf8_lossy(&done.stderr));
        fs::rename(drawn.keep(), &kept).expect("the cache can be written");
    }
    assert!(program.is_file(), "{} is not there", program.display());
    program
}
