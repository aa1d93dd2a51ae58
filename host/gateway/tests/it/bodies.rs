//! What a request carries is parsed once, and each no names the field and the rule.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Method, StatusCode, header};

use crate::world::{Reply, World, operator};

const ITEMS: &str = "/api/v1/projects/demo/items";

async fn raw(world: &World, kind: &str, body: impl Into<Body>) -> Reply {
    let request = operator(Method::POST, ITEMS).header(header::CONTENT_TYPE, kind);
    world.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_body_that_does_not_fit_is_refused_with_its_place() {
    let world = World::new();
    let deep = format!(r#"{{"title":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let many = format!(r#"{{"title":"a","labels":[{}"z"]}}"#, "\"y\",".repeat(50));
    let long = format!(r#"{{"title":"{}"}}"#, "ö".repeat(501));
    let cases = [
        (
            r#"{"title":"a","titel":"b"}"#,
            "unknown field `titel`, expected one of `title`, `description`, `labels`, `status`",
        ),
        (r#"{"title":"a","labels":["x",7]}"#, "`labels[1]`: invalid type: integer `7`, expected a string"),
        (r#"{"title":"a","title":"b"}"#, "duplicate field `title`"),
        (r#"{"description":"b"}"#, "missing field `title`"),
        (r#"{"title":"a"} {}"#, "something stands after the JSON"),
        (r#"{"title":"a""#, "EOF while parsing"),
        ("[]", "the body is no JSON object"),
        ("", "the body is empty"),
        (&deep, "`title`: invalid type: sequence, expected a string"),
        (r#"{"title":"  "}"#, "`title` is empty"),
        (r#"{"title":"a\nb"}"#, "`title` has a line break"),
        (&long, "`title` has 501 characters; it may have 500"),
        (&many, "`labels` has 51 of them; it may have 50"),
        (r#"{"title":"a","labels":[""]}"#, "`labels` is empty"),
        (
            r#"{"title":"a","status":"To Analyze"}"#,
            "no column of this board; there are: Backlog, To Analyse, Approved, STOP",
        ),
    ];
    for (body, expected) in cases {
        let reply = world.post(ITEMS, body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body:.60}");
        assert!(reply.detail().contains(expected), "{body:.60}: {}", reply.detail());
    }
    assert!(world.store.items(&crate::world::name("demo"), 10).unwrap().is_empty());
}

#[tokio::test]
async fn deep_json_is_refused_wherever_it_stands() {
    let world = World::new();
    for open in ["[", "{\"a\":"] {
        let reply = world.post(ITEMS, &open.repeat(200_000)).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn a_packed_body_is_refused_by_the_name_of_its_packing_and_told_what_is_right() {
    let world = World::new();
    let packed = |path: &str, kind: &str, encodings: &[&str], body: &'static [u8]| {
        let mut request = operator(Method::POST, path).header(header::CONTENT_TYPE, kind);
        for encoding in encodings {
            request = request.header(header::CONTENT_ENCODING, HeaderValue::from_bytes(encoding.as_bytes()).unwrap());
        }
        request.body(Body::from(body)).unwrap()
    };
    let gzip = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0][..];
    let long = "x".repeat(5_000);
    for (encodings, named) in [
        (&["gzip"][..], "Content-Encoding: gzip"),
        (&["br"], "Content-Encoding: br"),
        (&["identity, zstd"], "Content-Encoding: identity, zstd"),
        (&["identity", "deflate"], "Content-Encoding: identity, deflate"),
        (&["<b>\u{202e}"], "Content-Encoding: <b>⟦U+202E⟧"),
        (&[&long], "xxx…"),
    ] {
        for (path, body) in
            [(ITEMS, gzip), (ITEMS, b"{\"title\":\"a\"}"), ("/api/v1/tasks", gzip), ("/api/v1/tasks/1/stop", gzip)]
        {
            let reply = world.send(packed(path, "application/json", encodings, body)).await;
            assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path}: {}", reply.text());
            assert_eq!(reply.headers[header::ACCEPT_ENCODING], "identity", "{path}");
            let detail = reply.detail();
            assert!(detail.contains(named) && detail.ends_with("send it as it is, without this header"), "{detail}");
            assert!(detail.len() < 300, "{detail}");
            assert_eq!(reply.parse::<gateway::api::Problem>().kind, "urn:gatewright:encoding");
        }
    }
    let form = packed("/login", "application/x-www-form-urlencoded", &["gzip"], gzip);
    let page = world.send(form).await;
    assert_eq!(page.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(page.headers[header::ACCEPT_ENCODING], "identity", "a page says what is taken too");
    assert_eq!(page.headers.get_all(header::CONTENT_TYPE).iter().count(), 1);
    assert!(world.store.items(&crate::world::name("demo"), 10).unwrap().is_empty());
    for plain in [&["identity"][..], &["Identity"], &[""]] {
        let reply = world.send(packed(ITEMS, "application/json", plain, b"{\"title\":\"a\"}")).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{plain:?}: {}", reply.text());
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused_with_their_place() {
    let world = World::new();
    let reply = raw(&world, "application/json", &b"{\"title\":\"\xff\"}"[..]).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(reply.detail(), "the body is not UTF-8 from byte 10 on");
}

#[tokio::test]
async fn a_body_above_a_mebibyte_is_refused_whether_it_says_so_or_not() {
    let world = World::new();
    let large = format!(r#"{{"title":"a","description":"{}"}}"#, "x".repeat(1 << 20));
    let announced = operator(Method::POST, ITEMS)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, "1048577")
        .body(Body::from("{}"))
        .unwrap();
    let said = world.send(announced).await;
    let chunks = tokio_stream::iter(
        large
            .into_bytes()
            .chunks(4096)
            .map(|chunk| Ok::<_, std::io::Error>(Bytes::copy_from_slice(chunk)))
            .collect::<Vec<_>>(),
    );
    let unsaid = raw(&world, "application/json", Body::from_stream(chunks)).await;
    for reply in [said, unsaid] {
        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(reply.detail(), "the body is larger than 1048576 bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_not_waited_for() {
    let world = World::new();
    let request = operator(Method::POST, ITEMS).header(header::CONTENT_TYPE, "application/json");
    let never = Body::from_stream(tokio_stream::pending::<Result<Bytes, std::io::Error>>());
    let reply = world.send(request.body(never).unwrap()).await;
    assert_eq!(reply.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(reply.detail(), "the body did not arrive within 10 seconds");
}

#[tokio::test]
async fn only_json_is_taken() {
    let world = World::new();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        let reply = raw(&world, kind, r#"{"title":"a"}"#).await;
        assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(reply.detail(), format!("the body came as {kind}; send `Content-Type: application/json`"));
    }
    assert_eq!(raw(&world, "Application/JSON; charset=utf-8", r#"{"title":"a"}"#).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn paths_and_parameters_are_parsed_too() {
    let world = World::new();
    let long = format!("/api/v1/projects/{}/items", "a".repeat(65));
    let cases = [
        ("/api/v1/projects/a%20b/items", "`a b` is no project name: letters, digits, `-`, `_`, `.`, at most 64"),
        ("/api/v1/projects/..%2F..%2Fetc/items", "is no project name"),
        (&long, "is no project name"),
        ("/api/v1/projects/demo/items/a%00b", "is no work item id"),
        ("/api/v1/projects/demo/items/%FF", "UTF-8"),
        ("/api/v1/projects/demo/commits/abc/checks", "`abc` is no commit id: 40 or 64 lower-case hexadecimal digits"),
        ("/api/v1/tasks/DEMO%2F1", "is no work item id"),
        ("/api/v1/runs/x", "a whole number"),
        ("/api/v1/evaluations/-1", "a whole number"),
        ("/api/v1/tasks?limit=0", "`limit` is 0; it is a number from 1 to 1000"),
        ("/api/v1/tasks?limit=1001", "`limit` is 1001"),
        ("/api/v1/tasks?limit=x", "`limit`: a whole number is expected"),
        ("/api/v1/tasks?limit=-1", "`limit`: a whole number is expected"),
        ("/api/v1/tasks?limit=99999999999", "`limit`: the number is too large"),
        ("/api/v1/tasks?lvie=true", "unknown field `lvie`, expected one of `live`, `project`, `before`, `limit`"),
        ("/api/v1/tasks?live=maybe", "provided string was not `true` or `false`"),
        ("/api/v1/runs/1/log?tail=99999999", "a number of bytes up to 1048576"),
    ];
    for (path, expected) in cases {
        let reply = world.get(path).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(reply.detail().contains(expected), "{path}: {}", reply.detail());
    }
}
