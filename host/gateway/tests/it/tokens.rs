//! Named tokens: what each right opens, how long it opens it, and what is written down of it.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use domain::access::Right;
use domain::time::Timestamp;
use gateway::Need;
use gateway::api::{AuditPage, Listing, MadeToken, Problem, TokenView};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::sessions::{Browser, form};
use crate::world::{NOW, Reply, SECRET, World, request};

async fn make(world: &World, name: &str, right: Right) -> String {
    let body = serde_json::json!({ "name": name, "right": right });
    let reply = world.post("/api/v1/tokens", &body.to_string()).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    reply.parse::<MadeToken>().secret
}

fn with_token(method: &Method, path: &str, secret: Option<&str>) -> Request<Body> {
    let mut builder = request(method.clone(), path).header(header::CONTENT_TYPE, "application/json");
    if let Some(secret) = secret {
        builder = builder.header(header::AUTHORIZATION, format!("Bearer {secret}"));
    }
    builder.body(Body::from("{}")).unwrap()
}

/// A path with something in each of its places, of which nothing is there: no write finds anything to do.
fn somewhere(path: &str) -> String {
    path.replace("{task}", "999")
        .replace("{item}", "NO-1")
        .replace("{project}", "nowhere")
        .replace("{commit}", &"a".repeat(40))
        .replace("{digest}", &"b".repeat(64))
        .replace("{file}", "page.css")
        .replace("{name}", "no-token")
        .replace("{document}", "1")
        .replace("{evaluation}", "1")
        .replace("{run}", "1")
}

#[tokio::test]
async fn each_route_takes_the_rights_that_its_row_names_and_no_lesser_one() {
    let world = World::new();
    let mut tokens = vec![(None, None)];
    for right in Right::ALL {
        tokens.push((Some(right), Some(make(&world, &format!("{right}-token"), right).await)));
    }
    for (path, methods) in gateway::needs() {
        for (method, need) in methods {
            for (right, secret) in &tokens {
                let reply = world.send(with_token(&method, &somewhere(path), secret.as_deref())).await;
                let what = format!("{method} {path} with {right:?}: {} {}", reply.status, reply.text());
                let refused = match (need, right) {
                    // A form is no program's, whatever its token may: it needs a browser's session.
                    (Need::Form(_), None) => Some(StatusCode::UNAUTHORIZED),
                    (Need::Form(_), Some(_)) => Some(StatusCode::FORBIDDEN),
                    (Need::Token(_), None) => Some(StatusCode::UNAUTHORIZED),
                    (Need::Token(wanted), Some(right)) if *right < wanted => Some(StatusCode::FORBIDDEN),
                    _ => None,
                };
                if path == "/login" {
                    assert_ne!(reply.status, StatusCode::FORBIDDEN, "{what}");
                    continue;
                }
                match refused {
                    Some(status) => assert_eq!(reply.status, status, "{what}"),
                    None => assert!(![401, 403].contains(&reply.status.as_u16()), "{what}"),
                }
                if refused == Some(StatusCode::FORBIDDEN) {
                    let problem: Problem = reply.parse();
                    let (Need::Token(wanted) | Need::Form(wanted)) = need else { unreachable!() };
                    if right.is_some_and(|right| right >= wanted) {
                        assert_eq!(problem.kind, "urn:gatewright:csrf", "{what}");
                        continue;
                    }
                    assert_eq!(problem.kind, "urn:gatewright:right", "{what}");
                    assert!(problem.detail.contains(&format!("this needs `{wanted}`")), "{what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_comes_through_a_proxy_needs_a_token_to_read_too() {
    let world = World::new();
    let secret = make(&world, "reader", Right::Read).await;
    for (path, methods) in gateway::needs() {
        let Some((_, need)) = methods.into_iter().find(|(method, _)| *method == Method::GET) else { continue };
        let path = somewhere(path);
        let forwarded = |secret: Option<&str>| {
            let mut request = with_token(&Method::GET, &path, secret);
            request.headers_mut().insert("x-forwarded-for", "203.0.113.9".parse().unwrap());
            request.headers_mut().insert(header::ACCEPT, "text/html".parse().unwrap());
            request
        };
        let reply = world.send(forwarded(None)).await;
        match need {
            Need::Nothing => assert_ne!(reply.status, StatusCode::UNAUTHORIZED, "{path}"),
            Need::Page => {
                assert_eq!(reply.status, StatusCode::SEE_OTHER, "{path}");
                assert!(reply.headers[header::LOCATION].to_str().unwrap().starts_with("/login?next=%2F"), "{path}");
            }
            _ => assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}"),
        }
        if matches!(need, Need::Look | Need::Page) {
            assert_ne!(world.send(forwarded(Some(&secret))).await.status, StatusCode::UNAUTHORIZED, "{path}");
        }
    }
}

async fn tokens(world: &World) -> Vec<TokenView> {
    world.get_as_operator("/api/v1/tokens").await.parse::<Listing<TokenView>>().items
}

#[tokio::test]
async fn a_secret_is_told_once_and_kept_nowhere() {
    let world = World::new();
    let secret = make(&world, "ci", Right::Operate).await;
    assert_eq!((secret.len(), &secret[..4]), (68, "gwt_"));
    let listed = world.get_as_operator("/api/v1/tokens").await;
    assert!(!listed.text().contains(&secret[4..]));
    let row = &tokens(&world).await[0];
    assert_eq!((row.name.as_str(), row.right, row.made_at), ("ci", Right::Operate, NOW));
    let again = world.post("/api/v1/tokens", r#"{"name":"ci","right":"read"}"#).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.detail().contains("choose another name, `ci-2` for one"));
    for (body, said) in [
        (r#"{"name":"a b","right":"read"}"#, "`a b` is no token name"),
        (r#"{"name":"x","right":"root"}"#, "unknown variant `root`, expected one of `read`, `operate`, `admin`"),
        (r#"{"name":"x","right":"read","expires_in":1}"#, "`expires_in` is 1"),
        (r#"{"name":"operator","right":"read"}"#, "the host's own file"),
    ] {
        let reply = world.post("/api/v1/tokens", body).await;
        assert!(reply.detail().contains(said), "{}", reply.detail());
    }
    for (file, bytes) in world.files() {
        assert!(!bytes.windows(64).any(|window| window == &secret.as_bytes()[4..]), "{}", file.display());
    }
}

#[tokio::test]
async fn a_token_opens_nothing_after_its_time() {
    let world = World::new();
    let body = r#"{"name":"short","right":"operate","expires_in":60000}"#;
    let secret = world.post("/api/v1/tokens", body).await.parse::<MadeToken>().secret;
    let browser = Browser::log_in(&world, &secret).await;
    let freeze = |secret: &str| with_token(&Method::DELETE, "/api/v1/projects/demo/freeze", Some(secret));
    assert_eq!(world.send(freeze(&secret)).await.status, StatusCode::OK);
    world.pass(Duration::from_mins(1));
    assert_eq!(world.send(freeze(&secret)).await.status, StatusCode::UNAUTHORIZED);
    let reply = browser.send(&world, form("/logout", &[("csrf", &browser.csrf)])).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_session_ends_when_nobody_uses_it_and_in_any_case_after_a_day_of_work() {
    let world = World::new();
    let idle = Browser::log_in(&world, SECRET).await;
    let busy = Browser::log_in(&world, SECRET).await;
    let lives = async |browser: &Browser| {
        let mut request = request(Method::GET, "/api/v1/blobs/0").body(Body::empty()).unwrap();
        // As the page's own script asks: it does not count as use.
        request.headers_mut().insert("sec-fetch-mode", "cors".parse().unwrap());
        browser.send(&world, request).await.status != StatusCode::UNAUTHORIZED
    };
    for _ in 0..11 {
        world.pass(Duration::from_mins(65));
        lives(&idle).await;
        busy.get(&world, "/").await;
    }
    assert!(!lives(&idle).await && lives(&busy).await);
    world.pass(Duration::from_mins(5));
    assert!(!lives(&busy).await);
}

#[tokio::test]
async fn a_restart_keeps_tokens_and_sessions_and_what_was_revoked() {
    let world = World::new();
    let kept = make(&world, "kept", Right::Operate).await;
    let gone = make(&world, "gone", Right::Operate).await;
    let (browser, late) = (Browser::log_in(&world, &kept).await, Browser::log_in(&world, &gone).await);
    assert_eq!(world.write(Method::DELETE, "/api/v1/tokens/gone", "").await.status, StatusCode::OK);
    let world = world.restarted().await;
    let status = async |secret: &str| world.send(with_token(&Method::GET, "/api/v1/tasks", Some(secret))).await.status;
    assert_eq!((status(&kept).await, status(&gone).await), (StatusCode::OK, StatusCode::UNAUTHORIZED));
    let logged_in = async |browser: &Browser| browser.get(&world, "/login").await.text().contains("You are logged in");
    assert!(logged_in(&browser).await && !logged_in(&late).await);
}

#[tokio::test]
async fn a_revoked_token_ends_its_requests_its_sessions_and_its_open_streams_at_once() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(gateway::serve(listener, world.state(), async move { drop(stopped.await) }));
    let ask = async |text: String| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(text.replace('\n', "\r\n").as_bytes()).await.unwrap();
        stream
    };
    let whole = async |mut stream: TcpStream| {
        let mut text = String::new();
        tokio::time::timeout(Duration::from_secs(30), stream.read_to_string(&mut text)).await.unwrap().unwrap();
        text
    };
    let head = format!("host: localhost:{port}\nconnection: close\n");
    let body = r#"{"name":"ci","right":"operate"}"#;
    let json = format!("content-type: application/json\ncontent-length: {}\n", body.len());
    let made =
        whole(ask(format!("POST /api/v1/tokens HTTP/1.1\n{head}authorization: Bearer {SECRET}\n{json}\n{body}")).await)
            .await;
    let secret = made.split("\"secret\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let fields = format!("token={secret}");
    let form = format!("content-type: application/x-www-form-urlencoded\ncontent-length: {}\n", fields.len());
    let logged_in = whole(ask(format!("POST /login HTTP/1.1\n{head}{form}\n{fields}")).await).await;
    let cookie = logged_in.split("set-cookie: ").nth(1).unwrap().split(';').next().unwrap().to_owned();
    let mut streams = Vec::new();
    for with in [format!("authorization: Bearer {secret}"), format!("cookie: {cookie}")] {
        let mut stream = ask(format!("GET /api/v1/events HTTP/1.1\n{head}{with}\n\n")).await;
        let mut first = [0; 15];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        streams.push(stream);
    }
    let revoked =
        whole(ask(format!("DELETE /api/v1/tokens/ci HTTP/1.1\n{head}authorization: Bearer {SECRET}\n\n")).await).await;
    assert!(revoked.starts_with("HTTP/1.1 200"), "{revoked}");
    for stream in streams {
        assert!(whole(stream).await.contains("event: hello"), "and then it ends by itself");
    }
    let asked = whole(ask(format!("GET /api/v1/tasks HTTP/1.1\n{head}authorization: Bearer {secret}\n\n")).await).await;
    assert!(asked.starts_with("HTTP/1.1 401"), "{asked}");
    let page = whole(ask(format!("GET /login HTTP/1.1\n{head}cookie: {cookie}\n\n")).await).await;
    assert!(!page.contains("You are logged in"));
    drop(stop);
    served.await.unwrap().unwrap();
}

async fn audit(world: &World, query: &str) -> AuditPage {
    let reply = world.get(&format!("/api/v1/audit{query}")).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    reply.parse()
}

#[tokio::test]
async fn everything_that_anybody_wants_leaves_a_line_with_who_it_was() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    let secret = make(&world, "ops", Right::Operate).await;
    let browser = Browser::log_in(&world, &secret).await;
    let by = async |method: Method, path: &str, body: &str| -> Reply {
        let mut request = with_token(&method, path, Some(&secret));
        *request.body_mut() = Body::from(body.to_owned());
        world.send(request).await
    };
    by(Method::POST, "/api/v1/projects/demo/freeze", r#"{"reason":"holiday"}"#).await;
    by(Method::POST, "/api/v1/projects/demo/items", r#"{"title":"a card"}"#).await;
    by(Method::PUT, "/api/v1/projects/demo/items/DEMO-002/status", r#"{"status":"To Analyse"}"#).await;
    by(Method::POST, "/api/v1/projects/demo/items/DEMO-002/comments", r#"{"text":"hm"}"#).await;
    let check = format!("/api/v1/projects/demo/commits/{}/checks", "c".repeat(40));
    assert_eq!(by(Method::POST, &check, r#"{"name":"ci","state":"success"}"#).await.status, StatusCode::CREATED);
    let confirm = by(Method::POST, "/api/v1/tasks/DEMO-001/confirm-deploy", "").await;
    assert_eq!(confirm.status, StatusCode::CONFLICT);
    let key = browser.csrf.clone();
    let approve = request(Method::POST, "/api/v1/tasks/DEMO-001/approve").header("x-csrf-token", &key);
    let approve =
        approve.header(header::CONTENT_TYPE, "application/json").body(Body::from(r#"{"note":"fine"}"#)).unwrap();
    assert_eq!(browser.send(&world, approve).await.status, StatusCode::OK);
    browser.send(&world, form("/logout", &[("csrf", &key)])).await;
    world.write(Method::DELETE, "/api/v1/tokens/ops", "").await;

    let lines = audit(&world, "").await.items;
    let told: Vec<_> =
        lines.iter().rev().map(|row| (row.who.as_str(), row.what.as_str(), row.outcome.as_str())).collect();
    let expected = [
        ("ada", "start", "done"),
        ("operator", "make-token", "done"),
        ("ops", "log-in", "done"),
        ("ops", "freeze", "done"),
        ("ops", "create-card", "done"),
        ("ops", "move-card", "done"),
        ("ops", "comment", "done"),
        ("ops", "report-check", "done"),
        ("ops", "confirm-deploy", "illegal"),
        ("ops", "approve", "done"),
        ("ops", "log-out", "done"),
        ("operator", "revoke-token", "done"),
    ];
    assert_eq!(told, expected);
    let started = lines.iter().find(|row| row.what == "start").unwrap();
    assert_eq!(started.before, None, "there was no task");
    assert_eq!(started.after.as_deref(), Some("created, awaiting-person"));
    let approved = lines.iter().find(|row| row.what == "approve").unwrap();
    assert_eq!(serde_json::to_value(&approved.actor).unwrap()["kind"], "session");
    assert_eq!(approved.before.as_deref(), Some("created, awaiting-person"));
    assert!(approved.after.as_deref().unwrap().starts_with("development, "), "{approved:?}");
    assert_eq!((approved.why.as_str(), approved.subject.as_deref()), ("fine", Some("DEMO-001")));
    let opened = lines.iter().find(|row| row.what == "log-in").unwrap();
    assert_eq!(opened.peer.as_deref(), Some("127.0.0.1"));
    for row in lines.iter().filter(|row| row.who != "ada") {
        assert_eq!(row.peer.as_deref(), Some("127.0.0.1"), "{row:?}");
    }
    assert_eq!(started.peer, None, "nobody asked for it at the listener");

    assert_eq!(audit(&world, "?who=operator").await.items.len(), 2);
    assert_eq!(audit(&world, "?what=approve&task=DEMO-001").await.items, std::slice::from_ref(approved));
    assert_eq!(audit(&world, "?project=demo&who=ops").await.items.len(), 7);
    assert_eq!(audit(&world, &format!("?until={}", NOW.0)).await.items.len(), 0);
    let refused = world.get("/api/v1/audit?what=approved").await;
    assert!(refused.detail().starts_with("`what`: `approved` is nothing that is recorded; there are: start, approve"));
    let (mut all, mut query) = (Vec::new(), "?limit=5".to_owned());
    loop {
        let page = audit(&world, &query).await;
        all.extend(page.items);
        let Some(next) = page.next else { break };
        query = format!("?limit=5&before={next}");
    }
    assert_eq!(all, lines, "page by page it is the same");
}

#[tokio::test]
async fn a_wrong_token_leaves_a_line_too() {
    let world = World::new();
    for _ in 0..7 {
        world.send(form("/login", &[("token", "wrong")])).await;
    }
    // The lines are written beside the answers.
    for _ in 0..200 {
        if audit(&world, "?what=log-in").await.items.len() == 5 {
            break;
        }
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let lines = audit(&world, "?what=log-in").await.items;
    assert_eq!(lines.len(), 5, "what was held up is not written down");
    assert!(lines.iter().all(|row| row.outcome == "refused" && row.who == "nobody"));
    assert_eq!(lines[0].at, Timestamp(NOW.0));
}

#[tokio::test]
async fn of_two_buttons_pressed_at_once_the_second_is_told_what_happened_meanwhile() {
    let world = World::new();
    let id = world.task("DEMO-001", "Say hello");
    let task = world.store.task(id).unwrap();
    let body = format!(r#"{{"version":{},"epoch":{}}}"#, task.version, task.epoch);
    let (one, other) = tokio::join!(
        world.post("/api/v1/tasks/DEMO-001/approve", &body),
        world.post("/api/v1/tasks/DEMO-001/reject", &body),
    );
    let (won, lost) = if one.status == StatusCode::OK { (one, other) } else { (other, one) };
    assert_eq!((won.status, lost.status), (StatusCode::OK, StatusCode::CONFLICT));
    let problem: Problem = lost.parse();
    assert_eq!(problem.rejected.as_deref(), Some("late"));
    assert!(problem.detail.starts_with("changed since you looked: you saw version"), "{}", problem.detail);
    assert!(problem.detail.contains("by operator"), "{}", problem.detail);
    assert!(problem.since.iter().all(|row| row.version > task.version) && !problem.since.is_empty());
    let lines = audit(&world, "?task=DEMO-001&who=operator").await.items;
    assert_eq!(lines.iter().map(|row| row.outcome.as_str()).collect::<Vec<_>>(), ["late", "done"]);
}

#[tokio::test]
async fn what_is_no_other_activity_takes_no_button_away() {
    let world = World::new();
    let id = world.task("DEMO-001", "Say hello");
    let seen = world.store.task(id).unwrap();
    let pause = world.post("/api/v1/tasks/DEMO-001/pause", "").await;
    assert_eq!(pause.status, StatusCode::OK);
    let now = world.store.task(id).unwrap();
    assert_ne!(now.version, seen.version);
    let body = format!(r#"{{"version":{}}}"#, seen.version);
    assert_eq!(world.post("/api/v1/tasks/DEMO-001/stop", &body).await.status, StatusCode::CONFLICT);
    let body = format!(r#"{{"version":{},"epoch":{}}}"#, seen.version, now.epoch);
    assert_eq!(world.post("/api/v1/tasks/DEMO-001/stop", &body).await.status, StatusCode::OK);
}
