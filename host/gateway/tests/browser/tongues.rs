//! Every page in both languages, over the same store: what stands the same in both was forgotten, or is a name.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use conductor::ports::store::{ClaimLimits, Completion, Incarnation, NewTask, RunRow, Store};
use domain::document::Role;
use domain::effect::{Claim, run_of};
use domain::event::{Event, FailureClass, RunOutcome, Withholder};
use domain::ids::{Actor, ProjectName, RunId, TaskId, WorkItemId};
use domain::task::Track;
use domain::time::Milliseconds;
use gateway::{GatewayState, Meters, Reach, Token};
use store::{SqliteStore, StoreConfig};
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::desk::SceneDesk;
use crate::scene::{self, HOSTILE, NOW};
use crate::{SECRET, luck, pages, small_log};

/// Names and what people, agents and plugins wrote in the scene: they stand in every language as they were written.
const NAMED: [&str; 48] = [
    "plane",
    "Gatewright",
    "Gitea",
    "English",
    "JSON",
    "UTC",
    "KiB",
    "MiB",
    "demo",
    "shop",
    "DEMO",
    "SHOP",
    "ada",
    "bob",
    "operator",
    "gitea",
    "push",
    "main",
    "merge",
    "quick",
    "large",
    "high",
    "gatewright/",
    "agent --print --output-format stream-json",
    "edits src/greeting.rs",
    "src/greeting.rs",
    "the last deploy smells",
    "brd-complete",
    "checks-green",
    "review-verdict",
    "tests-passed",
    "approve",
    "rebase",
    "retest",
    "prove-merged",
    "content-type",
    "x-gitea-event-type",
    "no JSON",
    "Backlog",
    "To Analyse",
    "An idea for later, number",
    "Please look at the totals too.",
    "looks good",
    "not this week",
    "not wanted any more",
    "the greeting is not escaped",
    "p95",
    "gatewright",
];

/// Elements whose text is no sentence of a page: code, what people wrote as a block, times that a script rewrites.
const SKIPPED: [&str; 6] = ["script", "code", "pre", "time", "style", "title"];
const VOID: [&str; 6] = ["meta", "link", "input", "br", "img", "hr"];
/// Attributes that are read to people.
const READ: [&str; 4] = ["aria-label", "title", "placeholder", "data-label"];

/// The value of an attribute of a tag as it stands in the markup.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// The texts that a reader of a page in `lang` meets, without those that are marked as standing in another language.
fn texts(html: &str, lang: &str) -> Vec<String> {
    let (mut found, mut open, mut rest) = (Vec::new(), Vec::<(String, bool)>::new(), html);
    while let Some(start) = rest.find('<') {
        let is_hidden = open.iter().any(|(_, hidden)| *hidden);
        let text = rest[..start].trim();
        if !text.is_empty() && !is_hidden {
            found.push(unescaped(text));
        }
        let end = rest[start..].find('>').map_or(rest.len(), |end| start + end);
        let tag = &rest[start + 1..end];
        rest = &rest[(end + 1).min(rest.len())..];
        let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        if tag.starts_with('/') {
            while open.pop().is_some_and(|(opened, _)| opened != name) {}
            continue;
        }
        let is_foreign = attribute(tag, "lang").is_some_and(|of| of != lang);
        // What a log says was written by an agent; that its frame is told in both languages is seen by `gateway::transcript`.
        let is_log = attribute(tag, "class").is_some_and(|class| class.split(' ').any(|class| class == "log"));
        if !is_hidden && !is_foreign {
            found.extend(READ.iter().filter_map(|read| attribute(tag, read)).map(unescaped));
        }
        if !tag.starts_with('!') && !VOID.contains(&name.as_str()) {
            open.push((name.clone(), is_foreign || is_log || SKIPPED.contains(&name.as_str())));
        }
    }
    found
}

fn unescaped(text: &str) -> String {
    let named = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    named.iter().fold(text.to_owned(), |text, (escaped, sign)| text.replace(escaped, sign))
}

/// The English words of a text that are none of a name.
fn words_of(text: &str, named: &[String]) -> Vec<String> {
    let mut text = text.to_owned();
    for name in named {
        text = text.replace(name.as_str(), " ");
    }
    let words = text.split(|character: char| !character.is_alphanumeric() && character != '-');
    // Keys, numbers and pieces of commits are no words.
    let is_word = |word: &&str| {
        word.len() >= 3 && word.chars().all(|character| character.is_ascii_alphabetic() || character == '-')
    };
    words
        .filter(is_word)
        .filter(|word| word.bytes().any(|byte| byte.is_ascii_alphabetic()))
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_a_reader_meets_is_found_in_the_markup() {
    let html = "<html lang=\"ru\"><head><title>x</title></head><p title=\"the tip\">Привет, <b>people</b> <span lang=\"en\">why <i>so</i></span> \
                <code>gatewright</code> end &#38; all<input placeholder=\"type\"></p></html>";
    assert_eq!(texts(html, "ru"), ["the tip", "Привет,", "people", "end & all", "type"]);
    assert_eq!(words_of("DEMO-001 by ada: nothing 4 s", &["ada".to_owned()]), ["nothing"]);
}

/// A host whose pages are read, and a browser that logged in, for whom the buttons are there too.
struct World {
    router: Router,
    store: Arc<SqliteStore>,
    cookie: String,
    csrf: String,
    living: RunId,
    /// Runs that a service refused or a budget ended.
    stopped: Vec<RunId>,
    _dir: tempfile::TempDir,
    _close: watch::Sender<bool>,
}

/// A task of which the launch is claimed.
fn launched(store: &dyn Store, key: &str) -> (TaskId, Claim) {
    let new = NewTask {
        project: ProjectName::new("demo").unwrap(),
        work_item: WorkItemId::new(key).unwrap(),
        title: "An idea for later, number".to_owned(),
        description: String::new(),
        labels: Vec::new(),
        track: Track::Full,
        actor: Actor::Person("ada".to_owned()),
    };
    let task = store.create_task(&new, NOW).unwrap().0;
    let uuid = "6".repeat(32);
    let me = Incarnation { host: "here".to_owned(), boot_id: "boot".to_owned(), pid: 8, start_time: 12, uuid };
    loop {
        let claim = store.claim(&me, &ClaimLimits::of(500), NOW).unwrap().expect("a job to launch");
        if claim.job.task == task && claim.job.effect.name() == "launch-agent" {
            return (task, claim);
        }
    }
}

fn complete(store: &dyn Store, claim: &Claim, event: Event, run: Option<&RunRow>) {
    let completion =
        Completion { job: claim.job.id, token: claim.token, event, wakes: claim.wakes, evaluation: None, run };
    store.complete(completion, NOW).unwrap();
}

/// A service refuses a run for now, a budget keeps another one back, a forge puts a job off.
fn refuse(store: &dyn Store) -> Vec<RunId> {
    let (_, claim) = launched(store, "DEMO-901");
    let mut row = RunRow::begun(run_of(claim.job.id), &claim.task, Role::Analyst, 1, "gatewright".to_owned(), NOW);
    store.put_run(&row, claim.token).unwrap();
    row.ended_at = Some(NOW);
    row.outcome = Some("undelivered, and tried again later: the service answers 529: overloaded".to_owned());
    row.over_budget = Some("the budget of the project's day is spent: $5.00 of $5.00".to_owned());
    row.doing = Some("reads the greeting".to_owned());
    let outcome = RunOutcome::Undelivered {
        cause: "the service answers 529: overloaded".to_owned(),
        retry_after: Some(Milliseconds::from_seconds(60)),
        class: FailureClass::Transient,
    };
    let ended =
        Event::RunEnded { epoch: claim.job.epoch, run: row.id, outcome, spent: None, role: Some(Role::Analyst) };
    complete(store, &claim, ended, Some(&row));
    for key in ["DEMO-902", "DEMO-903"] {
        let (_, kept_back) = launched(store, key);
        let reason = "nothing is launched: the budget of this task is spent: $2.50 of $2.00".to_owned();
        let withheld = Event::Withheld { epoch: kept_back.job.epoch, by: Withholder::Budget, reason };
        complete(store, &kept_back, withheld, None);
    }
    let (_, put_off) = launched(store, "DEMO-904");
    let later = NOW.plus(Milliseconds::from_seconds(60));
    store.give_back(put_off.job.id, put_off.token, later, "the forge answers 503: busy").unwrap();
    vec![row.id]
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(StoreConfig::new(dir.path(), "here")).unwrap());
        let scene = scene::fill(store.clone());
        scene::tell(&*store);
        let [living, _] = scene.living[..] else { panic!("two runs live, not {:?}", scene.living) };
        let stopped = refuse(&*store);
        let state = GatewayState {
            access: store.clone(),
            store: store.clone(),
            reach: Reach::default(),
            desk: Arc::new(SceneDesk::new([(living, small_log(dir.path()))])),
            token: Token::new("operator", SECRET).unwrap(),
            clock: Arc::new(|| NOW),
            luck: Arc::new(|| Ok(luck())),
            meters: Arc::new(Meters::new(NOW).unwrap()),
        };
        let (close, closing) = watch::channel(false);
        let router = gateway::router(state, SocketAddr::from(([127, 0, 0, 1], 8500)), closing).unwrap();
        let mut world = Self {
            router,
            store,
            cookie: String::new(),
            csrf: String::new(),
            living,
            stopped,
            _dir: dir,
            _close: close,
        };
        let form = [("token", SECRET), ("next", "/")];
        let answer = world.router.clone().oneshot(world.asked(Method::POST, "/login", "en", &form)).await.unwrap();
        world.cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let (_, page) = world.ask(Method::GET, "/login", "en", &[]).await;
        let (_, key) = page.split_once("name=\"csrf\" value=\"").unwrap();
        key.split('"').next().unwrap().clone_into(&mut world.csrf);
        world
    }

    fn asked(&self, method: Method, path: &str, lang: &str, fields: &[(&str, &str)]) -> Request<Body> {
        let asked = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1:8500");
        let asked = asked.header(header::ACCEPT, "text/html").header(header::ACCEPT_LANGUAGE, lang);
        let asked = asked.header(header::COOKIE, &self.cookie);
        let asked = asked.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        asked.body(Body::from(serde_urlencoded::to_string(fields).unwrap())).unwrap()
    }

    async fn ask(&self, method: Method, path: &str, lang: &str, fields: &[(&str, &str)]) -> (StatusCode, String) {
        let answer = self.router.clone().oneshot(self.asked(method, path, lang, fields)).await.unwrap();
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), 16 << 20).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn page(&self, path: &str, lang: &str) -> Vec<String> {
        texts(&self.ask(Method::GET, path, lang, &[]).await.1, lang)
    }

    fn named(&self) -> Vec<String> {
        let mut named: Vec<String> = NAMED.map(str::to_owned).into();
        let tasks = self.store.tasks(false, 100).unwrap();
        named.extend(tasks.iter().map(|task| task.title.clone()));
        // As a page shows it.
        named.push("</h1><script>alert(1)</script><img src=x onerror=alert(2)> ⟦U+202E⟧drowssap⟦U+200B⟧".to_owned());
        named.extend(["[31mred".to_owned(), "\" onload=\"x".to_owned(), HOSTILE.to_owned()]);
        // The longest first: a name may stand in another one.
        named.sort_by_key(|name| std::cmp::Reverse(name.len()));
        named
    }
}

#[tokio::test]
async fn no_sentence_of_a_page_is_the_same_in_both_languages() {
    let world = World::new().await;
    let named = world.named();
    let mut forgotten = Vec::new();
    let refused = ["/nowhere", "/t/NONE-1", "/stop-all", "/find?what=x"].map(str::to_owned);
    let waits = ["/t/DEMO-901", "/t/DEMO-902", "/t/DEMO-904"].map(str::to_owned);
    let runs = world.stopped.iter().map(|run| format!("/r/{run}"));
    let paths = pages(world.living, &world.store).into_iter().map(|(_, path)| path);
    for path in paths.chain(refused).chain(waits).chain(runs) {
        let (english, russian) = (world.page(&path, "en").await, world.page(&path, "ru").await);
        assert!(english.len() > 10 && russian.len() > 10, "{path} says nothing");
        for text in russian.iter().filter(|text| english.contains(text)) {
            let words = words_of(text, &named);
            if !words.is_empty() {
                forgotten.push(format!("{path}: {text:.200} {words:?}"));
            }
        }
    }
    forgotten.sort();
    forgotten.dedup();
    assert!(forgotten.is_empty(), "the same in both languages:\n{}", forgotten.join("\n"));
}

/// Of a page that says why something was not done: that sentence, without what is marked as standing in another language.
fn why(page: &str, lang: &str) -> String {
    let (_, banner) = page.split_once("<p class=\"banner").unwrap_or_else(|| panic!("no reason is given: {page}"));
    let (banner, _) = banner.split_once("</p>").unwrap();
    let said = texts(&format!("<p class=\"banner{banner}</p>"), lang);
    // The first ones are the shape and its word.
    said[2..].join(" ")
}

fn is_cyrillic(text: &str) -> bool {
    text.chars().any(|character| ('а'..='я').contains(&character.to_lowercase().next().unwrap()))
}

/// Presses that nothing comes of: a form's path, and what it sends beside its key.
fn presses(task: &str) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let of_task = |more: &[(&'static str, &'static str)]| {
        let fields = [("task", task.to_owned()), ("version", "1".to_owned()), ("back", "/".to_owned())];
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        fields.into_iter().chain(more).collect::<Vec<_>>()
    };
    let plain = |fields: &[(&'static str, &str)]| {
        fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>()
    };
    let long = "x".repeat(700);
    vec![
        ("/t/DEMO-901/approve", of_task(&[])),
        ("/t/DEMO-901/waive", of_task(&[])),
        ("/t/DEMO-901/undepend", of_task(&[("on", "NONE-1")])),
        ("/t/DEMO-901/depend", of_task(&[("on", "DEMO-902")])),
        ("/t/NONE-1/start", plain(&[("project", "demo"), ("status", "Backlog")])),
        ("/t/DEMO-901/comment", plain(&[("project", "demo"), ("text", " ")])),
        ("/t/DEMO-901/comment", plain(&[("project", "nowhere"), ("text", "x")])),
        ("/stop-all", plain(&[("count", "77")])),
        ("/pause-all", plain(&[("count", "2")])),
        ("/resume-all", plain(&[("count", "21")])),
        ("/retry", plain(&[("cause", "panicked"), ("count", "5")])),
        ("/retry", plain(&[("cause", "needs-input"), ("count", "1")])),
        ("/retry", plain(&[("cause", "no-such"), ("count", "1")])),
        ("/p/demo/stop", plain(&[("count", "99")])),
        ("/p/nowhere/stop", plain(&[("count", "0")])),
        ("/p/demo/freeze", plain(&[("reason", " "), ("seen", "open")])),
        ("/p/demo/thaw", plain(&[("seen", "frozen")])),
        ("/p/shop/freeze", plain(&[("reason", "mine"), ("seen", "open")])),
        ("/p/demo/new", plain(&[("title", " ")])),
        ("/p/demo/new", plain(&[("title", &long)])),
        ("/p/demo/new", plain(&[("title", "two\nlines")])),
        ("/deliveries/retry", plain(&[("count", "99")])),
        ("/system/tokens", plain(&[("name", "ada2"), ("right", "read"), ("days", "many")])),
        ("/system/tokens/nobody/revoke", Vec::new()),
    ]
}

/// What this host itself words of a refusal stands in the reader's language; only what it quotes of others does not.
#[tokio::test]
async fn why_a_button_did_nothing_is_said_in_the_readers_language() {
    let world = World::new().await;
    let task = world.store.task_of(&ProjectName::new("demo").unwrap(), &WorkItemId::new("DEMO-901").unwrap());
    let task = task.unwrap().unwrap().id.to_string();
    for (path, fields) in presses(&task) {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let with_key = [&fields[..], &[("csrf", world.csrf.as_str())]].concat();
        for (fields, keyed) in [(&with_key, true), (&fields, false)] {
            let (status, page) = world.ask(Method::POST, path, "ru", fields).await;
            assert!(status.is_client_error(), "{path}: {status}: {page}");
            assert!(is_cyrillic(&why(&page, "ru")), "{path}, with its key: {keyed}: {}", why(&page, "ru"));
        }
    }
    for path in [
        "/p/none",
        "/deliveries?state=x",
        "/audit?task=NONE-1",
        "/nowhere",
        "/language/xx",
        "/t/NONE-1",
        "/find?what=x",
    ] {
        let (status, page) = world.ask(Method::GET, path, "ru", &[]).await;
        assert!(status.is_client_error() && is_cyrillic(&why(&page, "ru")), "{path}: {}", why(&page, "ru"));
        let (_, english) = world.ask(Method::GET, path, "en", &[]).await;
        assert!(!is_cyrillic(&why(&english, "en")), "{path}: {}", why(&english, "en"));
    }
    let (status, page) = world.ask(Method::POST, "/login", "ru", &[("token", "wrong"), ("next", "/")]).await;
    assert!(status == StatusCode::UNAUTHORIZED && is_cyrillic(&why(&page, "ru")), "{}", why(&page, "ru"));
    // What happened meanwhile is told in it too, and how the task stands now.
    let fields = [("task", task.as_str()), ("version", "1"), ("back", "/"), ("csrf", world.csrf.as_str())];
    let (_, page) = world.ask(Method::POST, "/t/DEMO-901/reject", "ru", &fields).await;
    for part in ["тем временем: ", "запуск повторится позже", "DEMO-901 теперь: "]
    {
        assert!(why(&page, "ru").contains(part), "{part}: {}", why(&page, "ru"));
    }
    assert!(page.contains("<span lang=\"en\">undelivered: the service answers 529: overloaded</span>"), "{page}");
}
