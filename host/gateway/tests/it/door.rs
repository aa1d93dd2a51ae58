//! What every request passes first: the host, the site, the token; and what every answer carries.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};

use crate::world::{SECRET, World, operator, request};

#[tokio::test]
async fn only_loopback_names_with_our_port_are_answered() {
    let world = World::new();
    let ours = ["127.0.0.1:8500", "localhost:8500", "LOCALHOST:8500", "[::1]:8500", "127.9.9.9:8500"];
    let others = [
        "evil.example:8500",
        "127.0.0.1",
        "127.0.0.1:80",
        "localhost:85000",
        "localhost.evil.example:8500",
        "127.0.0.1.evil.example:8500",
        "192.168.0.1:8500",
        "0.0.0.0:8500",
        "user@127.0.0.1:8500",
        "",
    ];
    for (hosts, expected) in [(&ours[..], StatusCode::OK), (&others[..], StatusCode::MISDIRECTED_REQUEST)] {
        for host in hosts {
            let request = Request::get("/api/v1/projects").header(header::HOST, *host).body(Body::empty()).unwrap();
            assert_eq!(world.send(request).await.status, expected, "{host:?}");
        }
    }
}

#[tokio::test]
async fn a_request_names_its_host_once() {
    let world = World::new();
    let none = Request::get("/healthz").body(Body::empty()).unwrap();
    let reply = world.send(none).await;
    assert_eq!(reply.status, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(reply.detail(), "the request must name its host once");
    let two = request(Method::GET, "/healthz").header(header::HOST, "127.0.0.1:8500").body(Body::empty()).unwrap();
    assert_eq!(world.send(two).await.status, StatusCode::MISDIRECTED_REQUEST);
    let other = request(Method::GET, "http://evil.example:8500/healthz").body(Body::empty()).unwrap();
    assert_eq!(world.send(other).await.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn a_write_needs_the_token_and_the_refusal_says_what_is_missing() {
    let cases = [
        (None, "the header `Authorization: Bearer <token>` is missing"),
        (Some(format!("Basic {SECRET}")), "not of the form `Bearer <token>`"),
        (Some(SECRET.to_owned()), "not of the form `Bearer <token>`"),
        (Some("Bearer ".to_owned()), "the token is not this host's"),
        (Some(format!("Bearer {SECRET}x")), "the token is not this host's"),
        (Some(format!("Bearer {}", &SECRET[1..])), "the token is not this host's"),
    ];
    for (header, expected) in cases {
        // One each, for after five wrong tokens the answer is another.
        let world = World::new();
        for path in
            ["/api/v1/projects/demo/items", "/api/v1/tasks/1/approve", "/api/v1/projects/demo/freeze", "/nowhere"]
        {
            let mut builder = request(Method::POST, path);
            if let Some(header) = &header {
                builder = builder.header(header::AUTHORIZATION, header);
            }
            let reply = world.send(builder.body(Body::from("{}")).unwrap()).await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path} {header:?}");
            assert!(reply.detail().contains(expected), "{}", reply.detail());
            assert!(reply.headers[header::WWW_AUTHENTICATE].to_str().unwrap().starts_with("Bearer"));
            assert!(!reply.text().contains(SECRET));
        }
        assert_eq!(world.wakes(), 0);
    }
}

#[tokio::test]
async fn what_another_site_sends_gets_nothing() {
    let world = World::new();
    let refused = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "http://evil.example"),
        ("origin", "null"),
    ];
    for (name, value) in refused {
        for method in [Method::GET, Method::POST] {
            let request = operator(method, "/api/v1/tasks").header(name, value).body(Body::from("{}")).unwrap();
            let reply = world.send(request).await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{name}: {value}");
        }
    }
    let visit = request(Method::GET, "/").header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate");
    assert_eq!(world.send(visit.body(Body::empty()).unwrap()).await.status, StatusCode::OK, "a link may lead here");
    let own = request(Method::GET, "/api/v1/tasks")
        .header("sec-fetch-site", "same-origin")
        .header("origin", "http://localhost:8500");
    assert_eq!(world.send(own.body(Body::empty()).unwrap()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_disarm_it() {
    let world = World::new();
    for path in ["/", "/t/NO-1", "/api/v1/tasks", "/nowhere", "/static/page.js", "/api/v1/tasks/%FF"] {
        let reply = world.get(path).await;
        let policy = reply.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'"));
        assert!(!policy.contains("unsafe"));
        assert_eq!(reply.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert_eq!(reply.headers[header::X_FRAME_OPTIONS], "DENY");
        assert_eq!(reply.headers[header::REFERRER_POLICY], "same-origin");
        assert!(reply.headers.get("access-control-allow-origin").is_none());
    }
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_taken_are_said_so() {
    let world = World::new();
    let reply = world.get("/api/v2/tasks").await;
    assert_eq!((reply.status, reply.detail().contains("docs/api.md")), (StatusCode::NOT_FOUND, true));
    let reply = world.write(Method::DELETE, "/api/v1/tasks", "").await;
    assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(reply.headers[header::ALLOW], "GET,HEAD,POST");
}
