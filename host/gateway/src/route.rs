//! A row of the table of routes: a path, and for each method what a visitor needs before its handler is called.
//!
//! A handler gets into the router only through a row, and into a row only with its need: none can be without.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use domain::access::Right;
use subtle::ConstantTimeEq as _;

use crate::app::App;
use crate::body;
use crate::denials::Denied;
use crate::door::Peer;
use crate::pages::{Reader, Refused, wants_page};
use crate::problem::Problem;
use crate::said::both;
use crate::visitor::{CSRF_FIELD, Visitor};

/// What a script of ours sends instead of a form's field.
const CSRF_HEADER: &str = "x-csrf-token";

/// What a visitor needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing, wherever they come from.
    Nothing,
    /// To be on this machine, or a token: `read` at least.
    Look,
    /// A token with this right, wherever they come from.
    Token(Right),
    /// As `Look`; a browser that may not is led to the log-in.
    Page,
    /// A browser that logged in with a token of this right, and the key of its form.
    Form(Right),
}

/// A path with its handlers.
pub(crate) struct Row {
    pub(crate) path: &'static str,
    pub(crate) needs: Vec<(Method, Need)>,
    methods: MethodRouter<App>,
}

/// A row without handlers yet.
pub(crate) fn at(path: &'static str) -> Row {
    Row { path, needs: Vec::new(), methods: MethodRouter::new() }
}

impl Row {
    pub(crate) fn get<H: Handler<T, App>, T: 'static>(self, need: Need, handler: H) -> Self {
        self.with(Method::GET, need, |methods| methods.get(handler))
    }

    /// A page for people: everybody who may look.
    pub(crate) fn page<H: Handler<T, App>, T: 'static>(self, handler: H) -> Self {
        self.get(Need::Page, handler)
    }

    pub(crate) fn post<H: Handler<T, App>, T: 'static>(self, need: Need, handler: H) -> Self {
        self.with(Method::POST, need, |methods| methods.post(handler))
    }

    /// What a form of a page is sent to.
    pub(crate) fn form<H: Handler<T, App>, T: 'static>(self, right: Right, handler: H) -> Self {
        self.post(Need::Form(right), handler)
    }

    pub(crate) fn put<H: Handler<T, App>, T: 'static>(self, need: Need, handler: H) -> Self {
        self.with(Method::PUT, need, |methods| methods.put(handler))
    }

    pub(crate) fn delete<H: Handler<T, App>, T: 'static>(self, need: Need, handler: H) -> Self {
        self.with(Method::DELETE, need, |methods| methods.delete(handler))
    }

    fn with(mut self, method: Method, need: Need, add: impl FnOnce(MethodRouter<App>) -> MethodRouter<App>) -> Self {
        self.needs.push((method, need));
        self.methods = add(self.methods);
        self
    }

    /// The handlers behind their guard.
    pub(crate) fn guarded(self, app: &App) -> (&'static str, MethodRouter<App>) {
        let needs: Arc<[(Method, Need)]> = self.needs.into();
        let guarded = self.methods.layer(middleware::from_fn_with_state((app.clone(), needs), guard));
        (self.path, guarded)
    }
}

/// What a route needs, and where it is written down who has it not.
type Guard = (App, Arc<[(Method, Need)]>);

async fn guard(State((app, needs)): State<Guard>, request: Request, next: Next) -> Response {
    let asked = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let need = needs.iter().find(|(method, _)| method == asked).map(|(_, need)| *need);
    let visitor = request.extensions().get::<Visitor>().cloned().unwrap_or_else(|| Visitor::nobody(false));
    let Some(need) = need else {
        return Problem::method(both!("this path takes other methods", "этот путь принимает другие методы"))
            .into_response();
    };
    match need {
        Need::Nothing => next.run(request).await,
        Need::Look if visitor.may_look() => next.run(request).await,
        Need::Look => refuse(&visitor, Right::Read).into_response(),
        Need::Page if visitor.may_look() => next.run(request).await,
        Need::Page => to_login(&request),
        Need::Token(right) => {
            note_denial(&app, &visitor, right, &request);
            let allowed = if visitor.may(right) { own_page(&visitor, &request) } else { Err(refuse(&visitor, right)) };
            match allowed {
                Ok(()) => next.run(request).await,
                Err(problem) => problem.into_response(),
            }
        }
        Need::Form(right) => {
            let reader = Reader::of(&request, visitor.clone());
            note_denial(&app, &visitor, right, &request);
            match keyed(&visitor, right, request).await {
                Ok(request) => next.run(request).await,
                Err(problem) => Refused::of(problem, reader).into_response(),
            }
        }
    }
}

/// Writes down that a known token's right is not enough. Whoever has none is nobody, and may ask.
fn note_denial(app: &App, visitor: &Visitor, wanted: Right, request: &Request) {
    let (Some(actor), Some(name), Some(right)) = (visitor.actor(), visitor.name(), visitor.right()) else { return };
    if visitor.may(wanted) {
        return;
    }
    // Without its parameters: nothing of what was sent stands in the audit.
    let what = format!("{} {}", request.method(), request.uri().path());
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0);
    let why = format!("it has `{right}`, and this needs `{wanted}`");
    app.denied(name, Denied { actor, peer, what, why });
}

fn refuse(visitor: &Visitor, wanted: Right) -> Problem {
    match (visitor.name(), visitor.right()) {
        (Some(name), Some(right)) => Problem::right(both!(
            "the token `{name}` has the right `{right}`, and this needs `{wanted}`; whoever has `admin` makes one: \
             gatewright token new NAME --right {wanted}",
            "у токена `{name}` право `{right}`, а здесь нужно `{wanted}`; кто имеет `admin`, сделает такой: \
             gatewright token new NAME --right {wanted}"
        )),
        _ => Problem::no_token(),
    }
}

/// A browser sends its cookie by itself; only our own page knows the key beside it.
fn own_page(visitor: &Visitor, request: &Request) -> Result<(), Problem> {
    let Some(key) = visitor.csrf() else { return Ok(()) };
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    let given = request.headers().get(CSRF_HEADER).map(HeaderValue::as_bytes).unwrap_or_default();
    if key.as_bytes().ct_eq(given).into() {
        return Ok(());
    }
    Err(Problem::csrf(both!(
        "a browser session writes by the forms of our own pages; a script of theirs sends the header `X-CSRF-Token`, and a \
         program sends `Authorization: Bearer <token>` instead of a cookie",
        "сеанс браузера пишет формами наших страниц; их сценарий шлёт заголовок `X-CSRF-Token`, а программа — \
         `Authorization: Bearer <token>` вместо cookie"
    )))
}

/// The request again, once its form has shown the key of this session.
async fn keyed(visitor: &Visitor, right: Right, request: Request) -> Result<Request, Problem> {
    let Some(key) = visitor.csrf() else {
        // A token is known: it is told what it lacks, not that nobody is there.
        if visitor.name().is_some() && !visitor.may(right) {
            return Err(refuse(visitor, right));
        }
        if visitor.name().is_some() {
            return Err(Problem::csrf(both!(
                "this is the form of a page, which a browser's session sends; a program has routes of its own for it below \
                 /api/v1, and docs/api.md lists them",
                "это форма страницы, её отправляет сеанс браузера; для программ есть свои пути под /api/v1, их перечисляет \
                 docs/api.md"
            )));
        }
        return Err(Problem::unauthorized(both!(
            "nobody is logged in, or the session ended; log in at /login and press again",
            "никто не вошёл, или сеанс окончен; войдите на /login и нажмите снова"
        )));
    };
    if !visitor.may(right) {
        return Err(refuse(visitor, right));
    }
    let (parts, body) = request.into_parts();
    let bytes = body::bytes(Request::from_parts(parts.clone(), body)).await?;
    let fields = body::fields(&parts.headers, &bytes)?;
    let mut given = fields.iter().filter(|(name, _)| name == CSRF_FIELD);
    let ours = match (given.next(), given.next()) {
        (Some((_, given)), None) => bool::from(key.as_bytes().ct_eq(given.as_bytes())),
        _ => false,
    };
    if !ours {
        return Err(Problem::csrf(both!(
            "the form is not of this session: it was opened before the log-in, or another site sent it; load the page again \
             and press once more",
            "форма не этого сеанса: она открыта до входа, или её отправил другой сайт; загрузите страницу заново и нажмите ещё раз"
        )));
    }
    Ok(Request::from_parts(parts, axum::body::Body::from(bytes)))
}

/// A person who follows a link is asked for a token and then led where they wanted to go; a program is told what it lacks.
fn to_login(request: &Request) -> Response {
    let wanted = request.uri().path_and_query().map_or("/", |wanted| wanted.as_str());
    let by_a_browser = wants_page(request.headers()) && *request.method() == Method::GET;
    if !by_a_browser {
        return Problem::no_token().into_response();
    }
    let next = serde_urlencoded::to_string([("next", wanted)]).unwrap_or_default();
    (StatusCode::SEE_OTHER, [(header::LOCATION, format!("/login?{next}"))]).into_response()
}
