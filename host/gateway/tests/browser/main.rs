//! The pages in a real Chromium: at three widths, light and dark, with and without JavaScript, in both languages, by keyboard,
//! and by axe's rules. `tests/browser/look.mjs` looks; this fills a store and serves it.
//!
//! It needs `node`, `npm` and `chromium`; without them it fails and says so. Screenshots lie in `GATEWRIGHT_SCREENSHOTS`, or below
//! the target folder.

#![expect(
    clippy::unwrap_used,
    reason = "a test may fail where it stands; the lint lets only `#[test]` functions do so"
)]

mod desk;
mod scene;
mod tongues;

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use conductor::ports::access::{Access as _, NewToken};
use conductor::ports::inbox::{DeliveryFilter, Taken};
use conductor::ports::store::Store as _;
use domain::access::Right;
use domain::ids::{Actor, Digest, RunId, TokenName};
use gateway::{GatewayState, Meters, Reach, Token};
use store::{SqliteStore, StoreConfig};

use crate::desk::SceneDesk;
use crate::scene::{HOSTILE, NOW};

const SECRET: &str = "a-secret-of-the-browser-tests";
/// A name of this machine that no browser takes for its own.
const FAR: &str = "gatewright.test";
/// In bytes.
const LARGE: u64 = 200 << 20;

/// Where a program lies on this machine.
fn program(names: &[&str]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    found.find(|file| file.is_file()).unwrap_or_else(|| {
        panic!("none of {names:?} is on PATH: the pages cannot be looked at. On Debian: apt-get install chromium nodejs npm")
    })
}

/// The tests of `tests/browser` with their packages, as the lock file names them.
fn packages() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
    fs::create_dir_all(&folder).unwrap();
    let lock = fs::read_to_string(source.join("package-lock.json")).unwrap();
    let is_there = fs::read_to_string(folder.join("installed.json")).is_ok_and(|installed| installed == lock);
    for file in ["package.json", "package-lock.json", "look.mjs"] {
        fs::copy(source.join(file), folder.join(file)).unwrap();
    }
    if !is_there {
        let npm = Command::new(program(&["npm"]))
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(npm.status.success(), "npm ci: {}", String::from_utf8_lossy(&npm.stderr));
        fs::write(folder.join("installed.json"), lock).unwrap();
    }
    folder
}

/// A log of 200 MB whose end is worth reading, made without writing it all.
fn large_log(folder: &Path) -> PathBuf {
    let path = folder.join("large.log");
    let mut file = fs::File::create(&path).unwrap();
    file.seek(SeekFrom::Start(LARGE)).unwrap();
    for number in 0..5000 {
        writeln!(file, "line {number}: compiling").unwrap();
    }
    path
}

fn small_log(folder: &Path) -> PathBuf {
    let path = folder.join("small.log");
    let mut text = String::new();
    for number in 0..700 {
        text.push_str(&format!("{number:>5} the agent reads src/part_{number}.rs\n"));
    }
    text.push_str(&format!("error: {HOSTILE}\n{}\n", "x".repeat(9000)));
    let said =
        |content: serde_json::Value| serde_json::json!({ "type": "assistant", "message": { "content": [content] } });
    for line in [
        serde_json::json!({ "type": "system", "subtype": "init", "model": "large", "tools": ["Bash", "Edit"] }),
        said(serde_json::json!({ "type": "text", "text": format!("I look at the greeting first. {HOSTILE}") })),
        said(
            serde_json::json!({ "type": "tool_use", "name": "Bash", "input": { "command": "cargo test --workspace" } }),
        ),
        serde_json::json!({ "type": "user", "message": { "content": [
            { "type": "tool_result", "is_error": true, "content": format!("one test failed\n{}", "at src/greeting.rs\n".repeat(90)) },
        ] } }),
        serde_json::json!({ "type": "of tomorrow", "told": "as it is" }),
        serde_json::json!({ "type": "result", "subtype": "success", "is_error": false, "num_turns": 7, "total_cost_usd": 0.4 }),
    ] {
        text.push_str(&format!("{line}\n"));
    }
    text.push_str("needle in the haystack\nall done so far\n");
    fs::write(&path, text).unwrap();
    path
}

/// Other bytes at each call.
fn luck() -> [u8; 32] {
    static CALLS: AtomicU8 = AtomicU8::new(1);
    [CALLS.fetch_add(1, Ordering::SeqCst); 32]
}

/// The newest delivery could not be read, and waits for a person; somebody has a token, and somebody had one.
fn park_and_let_in(store: &SqliteStore) {
    let hint = store.hints(9).unwrap().pop().unwrap();
    let parked = Taken { id: hint.id, facts: Vec::new(), effect: HOSTILE.to_owned(), parked: true };
    store.take_hints(&[parked], NOW).unwrap();
    let by = Actor::Person("ada".to_owned());
    for name in ["somebody-with-a-long-name.and-a-machine-of-their-own", "gone"] {
        let name = TokenName::new(name).unwrap();
        let secret = Digest::of(name.as_str().as_bytes());
        let token = NewToken { name, right: Right::Operate, secret, expires_at: None };
        store.put_token(&token, &by, NOW).unwrap();
    }
    store.revoke_token(&TokenName::new("gone").unwrap(), &by, NOW).unwrap();
}

/// The pages that are looked at, by the name of their screenshots.
fn pages(run: RunId, store: &SqliteStore) -> [(&'static str, String); 18] {
    let told = store.deliveries(&DeliveryFilter::default(), 2).unwrap();
    let [unreadable, push] = &told[..] else { panic!("two deliveries, not {told:?}") };
    [
        ("now", "/".to_owned()),
        ("queue", "/q".to_owned()),
        ("ticket-done", "/t/DEMO-001".to_owned()),
        ("ticket-asks", "/t/DEMO-003".to_owned()),
        ("ticket-hostile", "/t/DEMO-004".to_owned()),
        ("ticket-failed", "/t/DEMO-005".to_owned()),
        ("run", format!("/r/{run}")),
        ("run-search", format!("/r/{run}?q=needle")),
        ("repositories", "/repositories".to_owned()),
        ("project", "/p/demo".to_owned()),
        ("plugins", "/plugins".to_owned()),
        ("deliveries", "/deliveries".to_owned()),
        ("delivery", format!("/deliveries/{}", push.id)),
        ("delivery-unreadable", format!("/deliveries/{}", unreadable.id)),
        ("audit", "/audit".to_owned()),
        ("system", "/system".to_owned()),
        ("search", "/find?q=greet".to_owned()),
        ("login", "/login".to_owned()),
    ]
}

#[test]
fn the_pages_hold_in_a_real_browser() {
    let (node, chromium) = (program(&["node", "nodejs"]), program(&["chromium", "chromium-browser"]));
    let folder = packages();
    let screenshots =
        std::env::var_os("GATEWRIGHT_SCREENSHOTS").map_or_else(|| folder.join("screenshots"), PathBuf::from);
    fs::create_dir_all(&screenshots).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(StoreConfig::new(dir.path(), "here")).unwrap());
    let scene = scene::fill(store.clone());
    scene::tell(&*store);
    park_and_let_in(&store);
    assert!(scene::is_whole(&scene), "the scene lacks what the pages are to show");
    let [run, large] = scene.living[..] else { panic!("two runs live, not {:?}", scene.living) };
    let small = small_log(dir.path());
    let desk = SceneDesk::new([(run, small.clone()), (large, large_log(dir.path()))]);
    let pages = pages(run, &store);
    let state = GatewayState {
        access: store.clone(),
        store,
        reach: Reach { hosts: vec![FAR.to_owned()], ..Reach::default() },
        desk: Arc::new(desk),
        token: Token::new("operator", SECRET).unwrap(),
        clock: Arc::new(|| NOW),
        luck: Arc::new(|| Ok(luck())),
        meters: Arc::new(Meters::new(NOW).unwrap()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = runtime.spawn(gateway::serve(listener, state, async move { drop(stopped.await) }));
    let asked = serde_json::json!({
        "base": format!("http://127.0.0.1:{port}"), "far": format!("http://{FAR}:{port}"), "token": SECRET, "folder": screenshots, "chromium": chromium,
        "pages": pages.map(|(name, path)| serde_json::json!({ "name": name, "path": path })),
        "press": "DEMO-003", "second": "DEMO-004", "run": run, "large": large, "later": "what was written while somebody followed",
    });
    let mut look = Command::new(node)
        .arg("look.mjs")
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    look.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let mut told = Vec::new();
    for line in std::io::BufRead::lines(std::io::BufReader::new(look.stdout.take().unwrap())) {
        let line = line.unwrap();
        if line == "# follow" {
            let mut log = fs::OpenOptions::new().append(true).open(&small).unwrap();
            writeln!(log, "what was written while somebody followed").unwrap();
        }
        told.push(line);
    }
    let status = look.wait().unwrap();
    drop(stop);
    runtime.block_on(served).unwrap().unwrap();
    assert!(status.success(), "screenshots: {}\n{}", screenshots.display(), told.join("\n"));
}
