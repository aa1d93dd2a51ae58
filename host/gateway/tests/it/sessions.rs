//! A browser's session: how it begins, what it needs to write, how it ends; and what each right opens.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use gateway::Need;

use crate::world::{Reply, SECRET, World, request};

/// What a browser keeps: its cookie, and the key that stands in our forms.
pub(crate) struct Browser {
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

pub(crate) fn form(path: &str, fields: &[(&str, &str)]) -> Request<Body> {
    let text = fields.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect::<Vec<_>>().join("&");
    request(Method::POST, path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(text))
        .unwrap()
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

pub(crate) fn with(mut request: Request<Body>, name: header::HeaderName, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

impl Browser {
    /// Logs in, and finds the key where a person's browser finds it.
    pub(crate) async fn log_in(world: &World, token: &str) -> Self {
        let reply = world.send(form("/login", &[("token", token), ("next", "/t/DEMO-001")])).await;
        assert_eq!(
            (reply.status, &reply.headers[header::LOCATION]),
            (StatusCode::SEE_OTHER, &"/t/DEMO-001".parse().unwrap())
        );
        let set = reply.headers[header::SET_COOKIE].to_str().unwrap().to_owned();
        let cookie = set.split(';').next().unwrap().to_owned();
        let mut browser = Self { cookie, csrf: String::new() };
        let page = browser.get(world, "/login").await;
        let (_, rest) = page.text().split_once("name=\"csrf\" value=\"").unwrap();
        rest.split('"').next().unwrap().clone_into(&mut browser.csrf);
        browser
    }

    pub(crate) async fn send(&self, world: &World, request: Request<Body>) -> Reply {
        world.send(with(request, header::COOKIE, &format!("theme=dark; {}", self.cookie))).await
    }

    pub(crate) async fn get(&self, world: &World, path: &str) -> Reply {
        self.send(world, request(Method::GET, path).body(Body::empty()).unwrap()).await
    }
}

#[tokio::test]
async fn a_log_in_gives_a_cookie_that_no_script_and_no_other_site_has() {
    let world = World::new();
    let reply = world.send(form("/login", &[("token", SECRET), ("next", "//evil.example")])).await;
    assert_eq!(reply.headers[header::LOCATION], "/");
    let set = reply.headers[header::SET_COOKIE].to_str().unwrap();
    for part in ["gatewright-8500=", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains(SECRET));
    let wrong = world.send(form("/login", &[("token", "wrong"), ("next", "/")])).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.headers.get(header::SET_COOKIE).is_none());
    assert!(wrong.text().contains("The token is not this host") || wrong.text().contains("the token is not this host"));
    let elsewhere = with(form("/login", &[("token", SECRET)]), header::ORIGIN, "http://evil.example");
    assert_eq!(world.send(elsewhere).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_session_writes_only_with_the_key_that_our_own_pages_have() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    let browser = Browser::log_in(&world, SECRET).await;
    let pause = |key: Option<&str>| {
        let mut builder = request(Method::POST, "/api/v1/tasks/DEMO-001/pause");
        if let Some(key) = key {
            builder = builder.header("x-csrf-token", key);
        }
        builder.body(Body::empty()).unwrap()
    };
    for key in [None, Some(""), Some("0"), Some(&browser.csrf[1..])] {
        let reply = browser.send(&world, pause(key)).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{key:?}");
        let problem: gateway::api::Problem = reply.parse();
        assert_eq!(problem.kind, "urn:gatewright:csrf");
    }
    let reply = browser.send(&world, pause(Some(&browser.csrf))).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let key = browser.csrf.as_str();
    for fields in [&[][..], &[("csrf", "")], &[("csrf", "x")], &[("csrf", key), ("csrf", key)]] {
        let reply = browser.send(&world, form("/logout", fields)).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{fields:?}");
    }
    let reply = world.send(form("/logout", &[("csrf", key)])).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "the key alone is nothing");
    let reply = browser.send(&world, form("/logout", &[("csrf", key)])).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    assert!(reply.headers[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    let reply = browser.send(&world, pause(Some(key))).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "the session ended on the server too");
}

#[tokio::test]
async fn what_a_session_did_is_recorded_with_its_token_and_its_number() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    let browser = Browser::log_in(&world, SECRET).await;
    let request = request(Method::POST, "/api/v1/tasks/DEMO-001/pause").header("x-csrf-token", &browser.csrf);
    browser.send(&world, request.body(Body::empty()).unwrap()).await;
    let entries = world.get("/api/v1/tasks/DEMO-001/entries").await;
    assert!(
        entries.text().contains(r#""actor":{"kind":"session","name":{"token":"operator","session":1}}"#),
        "{}",
        entries.text()
    );
}

#[tokio::test]
async fn wrong_tokens_are_slowed_down_and_the_right_one_is_not() {
    let world = World::new();
    let bearer = |token: &str| {
        let request = request(Method::GET, "/api/v1/tasks").header(header::AUTHORIZATION, format!("Bearer {token}"));
        request.body(Body::empty()).unwrap()
    };
    for n in 0..5 {
        let status =
            world.send(if n % 2 == 0 { bearer("wrong") } else { form("/login", &[("token", "wrong")]) }).await.status;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{n}");
    }
    for request in [bearer("wrong"), form("/login", &[("token", "wrong")])] {
        let reply = world.send(request).await;
        assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(reply.headers[header::RETRY_AFTER], "30");
    }
    assert_eq!(world.send(bearer(SECRET)).await.status, StatusCode::OK);
    let opened = world.send(form("/login", &[("token", SECRET)])).await;
    assert_eq!(opened.status, StatusCode::SEE_OTHER, "the right token opens, whoever pasted a wrong one there before");
    assert_eq!(world.send(bearer("wrong")).await.status, StatusCode::TOO_MANY_REQUESTS, "and slows nobody less");
}

#[test]
fn every_write_needs_a_token_and_what_is_open_is_named_here() {
    let open = [
        "GET /health",
        "GET /healthz",
        "GET /readyz",
        "GET /login",
        "POST /login",
        "GET /static/{file}",
        "GET /language/{code}",
    ];
    for (path, methods) in gateway::needs() {
        assert!(!methods.is_empty(), "{path}");
        for (method, need) in methods {
            let route = format!("{method} {path}");
            match need {
                Need::Nothing => assert!(open.contains(&route.as_str()), "{route} is open to everybody"),
                Need::Look | Need::Page => assert_eq!(method, Method::GET, "{route}"),
                Need::Token(_) => {}
                Need::Form(_) => assert_eq!(method, Method::POST, "{route}"),
            }
        }
    }
}
