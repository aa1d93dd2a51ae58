//! What every request passes before its handler, and every answer after it.
//!
//! A page of any site may point a browser at loopback, and with a name of its own that resolves there (DNS rebinding) may
//! even read the answers. So the `Host` must be ours, a browser's cross-site request gets nothing, and a write needs the
//! token that no browser sends by itself.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::pages::{self, Lines, Reader, wants_page};
use crate::problem::Problem;
use crate::said::both;
use crate::tongue::Tongue;
use crate::visitor::Visitor;

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // With `no-referrer` a browser says `Origin: null` of our own forms.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// A year, as those who keep lists of such hosts ask for.
const HTTPS_ONLY: &str = "max-age=31536000";

/// The outermost layer: it sees refusals as well as answers.
pub(crate) async fn pass(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let checked = check(&app, &request);
    let visitor = checked.as_ref().map_or_else(|_| Visitor::nobody(false), |(visitor, _)| visitor.clone());
    let lines = Lines::of(&app, Peer::of(request.extensions()).0, request.headers());
    request.extensions_mut().insert(lines);
    let reader = wants_page(request.headers()).then(|| Reader::of(&request, visitor));
    let mut response = match checked {
        Ok((visitor, peer)) => {
            request.extensions_mut().insert(visitor);
            request.extensions_mut().insert(peer);
            PEER.scope(peer, next.run(request)).await
        }
        Err(problem) => problem.into_response(),
    };
    // Whatever a browser meets is a page: also what no page has answered.
    if let Some(reader) = reader {
        response = pages::readable(response, reader);
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if app.front.reach.https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HTTPS_ONLY));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn check(app: &App, request: &Request) -> Result<(Visitor, Peer), Problem> {
    host(app, request)?;
    same_site(app, request)?;
    let socket = Peer::of(request.extensions());
    let peer = Peer(app.front.peer(socket.0, request.headers()));
    let may_look = app.front.is_at_home(socket.0, request.headers());
    Ok((who(app, request, peer, may_look)?, peer))
}

tokio::task_local! {
    /// Whose request this task answers: what it writes is recorded with it.
    pub(crate) static PEER: Peer;
}

/// The other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

impl Peer {
    /// Without a socket below, as in a test, all come from this machine.
    fn of(extensions: &axum::http::Extensions) -> Self {
        extensions.get::<Self>().copied().unwrap_or(Self(IpAddr::V4(Ipv4Addr::LOCALHOST)))
    }
}

impl FromRequestParts<App> for Peer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        Ok(Self::of(&parts.extensions))
    }
}

fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn host(app: &App, request: &Request) -> Result<(), Problem> {
    let mut named = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else {
        return Err(Problem::misdirected(both!(
            "the request must name its host once",
            "запрос должен один раз назвать свой хост"
        )));
    };
    let host = host.to_str().unwrap_or_default();
    // The absolute form of a request line outranks the header (RFC 9112, 3.2.2); nobody who means us sends two.
    let asked = request.uri().authority().is_none_or(|authority| authority.as_str() == host);
    if asked && app.front.is_ours(host) {
        return Ok(());
    }
    let (names, ours) = (app.front.names(Tongue::English), app.front.names(Tongue::Russian));
    Err(Problem::misdirected(both!(
        "this listener answers as {names}, and the request asked for another host",
        "здесь отвечает {ours}, а запрос был к другому хосту"
    )))
}

/// Browsers say where a request comes from; other clients say nothing, and pass.
fn same_site(app: &App, request: &Request) -> Result<(), Problem> {
    let text = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let site = text("sec-fetch-site").unwrap_or("none");
    let is_visit = !is_write(request.method()) && text("sec-fetch-mode") == Some("navigate");
    if !matches!(site, "none" | "same-origin") && !is_visit {
        return Err(Problem::forbidden(both!(
            "a page of another site sent this request; it gets nothing here",
            "этот запрос отправила страница другого сайта; здесь она ничего не получит"
        )));
    }
    let origin = text("origin");
    if origin.is_none_or(|origin| app.front.is_our_origin(origin)) {
        Ok(())
    } else {
        Err(Problem::forbidden(both!(
            "the request's `Origin` is another site; it gets nothing here",
            "`Origin` запроса — другой сайт; здесь он ничего не получит"
        )))
    }
}

/// A token outranks a session. One that is wrong is never passed over in silence; a session that ended is, for its page says so.
fn who(app: &App, request: &Request, peer: Peer, may_look: bool) -> Result<Visitor, Problem> {
    let now = app.state.now();
    let headers = request.headers();
    if let Some(given) = headers.get(header::AUTHORIZATION) {
        let given = given.to_str().unwrap_or_default();
        let bearer = given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, offered)) = bearer else {
            return Err(Problem::unauthorized(both!(
                "the header `Authorization` is not of the form `Bearer <token>`",
                "заголовок `Authorization` не вида `Bearer <token>`"
            )));
        };
        let Some(key) = app.keyring.token(offered.trim(), now) else {
            return Err(app.wrong_token(peer, now));
        };
        app.note(app.keyring.token_used(&key.name, now));
        return Ok(Visitor::token(key.name, key.right));
    }
    // A page that refreshes itself keeps nobody logged in who has left.
    let mode = headers.get("sec-fetch-mode").map(HeaderValue::as_bytes);
    let is_used = is_write(request.method()) || mode.is_none_or(|mode| mode == b"navigate");
    let session = cookie(headers, &app.cookie_name()).and_then(|secret| app.keyring.session(secret, is_used, now));
    let Some((visitor, used)) = session else { return Ok(Visitor::nobody(may_look)) };
    app.note(used);
    // Whoever works in a browser uses the token that opened it.
    if let (true, Some(token)) = (is_used, visitor.name()) {
        app.note(app.keyring.token_used(token, now));
    }
    Ok(visitor)
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// What nothing here answers. Whether there is something at a path that one may write to, only those who may are told.
pub(crate) fn unless_write(visitor: &Visitor, method: &Method, problem: Problem) -> Problem {
    if is_write(method) && visitor.name().is_none() { Problem::no_token() } else { problem }
}
