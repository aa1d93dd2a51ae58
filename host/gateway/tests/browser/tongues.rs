//! Every page in both languages, over the same store: what stands the same in both was forgotten, or is a name.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
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

#[tokio::test]
async fn no_sentence_of_a_page_is_the_same_in_both_languages() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(StoreConfig::new(dir.path(), "here")).unwrap());
    let scene = scene::fill(store.clone());
    scene::tell(&*store);
    let [run, _] = scene.living[..] else { panic!("two runs live, not {:?}", scene.living) };
    let paths = pages(run, &store);
    let mut named: Vec<String> = NAMED.map(str::to_owned).into();
    let tasks = scene.store.tasks(false, 100).unwrap();
    named.extend(tasks.iter().map(|task| task.title.clone()));
    // As a page shows it.
    named.push("</h1><script>alert(1)</script><img src=x onerror=alert(2)> ⟦U+202E⟧drowssap⟦U+200B⟧".to_owned());
    named.extend(["[31mred".to_owned(), "\" onload=\"x".to_owned(), HOSTILE.to_owned()]);
    // The longest first: a name may stand in another one.
    named.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let state = GatewayState {
        access: store.clone(),
        store,
        reach: Reach::default(),
        desk: Arc::new(SceneDesk::new([(run, small_log(dir.path()))])),
        token: Token::new("operator", SECRET).unwrap(),
        clock: Arc::new(|| NOW),
        luck: Arc::new(|| Ok(luck())),
        meters: Arc::new(Meters::new(NOW).unwrap()),
    };
    let (_close, closing) = watch::channel(false);
    let router = gateway::router(state, SocketAddr::from(([127, 0, 0, 1], 8500)), closing).unwrap();
    // A browser that logged in, for whom the buttons are there too.
    let form = format!("token={SECRET}&next=/");
    let log_in = Request::post("/login").header(header::HOST, "127.0.0.1:8500");
    let log_in =
        log_in.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::from(form)).unwrap();
    let answer = router.clone().oneshot(log_in).await.unwrap();
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let page = async |path: &str, lang: &str| {
        let asked = Request::get(path).header(header::HOST, "127.0.0.1:8500").header(header::ACCEPT, "text/html");
        let asked = asked.header(header::ACCEPT_LANGUAGE, lang).header(header::COOKIE, &cookie);
        let answer = router.clone().oneshot(asked.body(Body::empty()).unwrap()).await.unwrap();
        let bytes = to_bytes(answer.into_body(), 16 << 20).await.unwrap();
        texts(std::str::from_utf8(&bytes).unwrap(), lang)
    };
    let mut forgotten = Vec::new();
    let refused = ["/nowhere", "/t/NONE-1", "/stop-all", "/find?what=x"].map(str::to_owned);
    for path in paths.into_iter().map(|(_, path)| path).chain(refused) {
        let (english, russian) = (page(&path, "en").await, page(&path, "ru").await);
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
