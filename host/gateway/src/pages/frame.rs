//! What stands around each page: where one is, in which language, and how far the page has heard.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use askama::filters::{Escaper as _, Html};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{Extensions, HeaderMap, Method, Request, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use domain::access::Right;
use domain::ids::WorkItemId;
use serde::Deserialize;

use crate::app::App;
use crate::body::{Parameters, Segments};
use crate::deed::{Deed, did_words};
use crate::done::Done;
use crate::problem::Problem;
use crate::routes::events::Cursor;
use crate::said::both;
use crate::shell::command;
use crate::show::Moment;
use crate::tongue::{COOKIE, Tongue};
use crate::visitor::Visitor;
use crate::words;

/// The pages of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Here {
    Now,
    Queue,
    Repositories,
    Plugins,
    Deliveries,
    Audit,
    System,
    /// A page that the navigation does not name.
    Beyond,
}

impl Here {
    /// Those that the navigation names, in its order.
    pub(crate) const ALL: [Self; 7] =
        [Self::Now, Self::Queue, Self::Repositories, Self::Plugins, Self::Deliveries, Self::Audit, Self::System];

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Now | Self::Beyond => "/",
            Self::Queue => "/q",
            Self::Repositories => "/repositories",
            Self::Plugins => "/plugins",
            Self::Deliveries => "/deliveries",
            Self::Audit => "/audit",
            Self::System => "/system",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    pub(crate) const fn name(self, t: &Tongue) -> &'static str {
        match self {
            Self::Now | Self::Beyond => t.of("Now", "Сейчас"),
            Self::Queue => t.of("Queue", "Очередь"),
            Self::Repositories => t.of("Repositories", "Репозитории"),
            Self::Plugins => t.of("Plugins", "Плагины"),
            Self::Deliveries => t.of("Deliveries", "Доставки"),
            Self::Audit => t.of("Audit", "Журнал"),
            Self::System => t.of("System", "Система"),
        }
    }
}

/// What a request says about its reader.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) tongue: Tongue,
    visitor: Visitor,
    /// The path and parameters of this page.
    place: String,
    /// The page of ours from which this one was asked for.
    came_from: Option<String>,
    asks_as: AsksAs,
    lines: Arc<Lines>,
    /// What the page's address says was done, where it was.
    done: Option<Done>,
}

/// How lines of a shell reach this host from where a reader is.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The listener, as the reader named it, with its scheme.
    origin: String,
    /// The state folder, where commands do not find it by themselves.
    folder: Option<PathBuf>,
    /// Whoever has no token may look.
    is_at_home: bool,
}

impl Lines {
    pub(crate) fn of(app: &App, socket: IpAddr, headers: &HeaderMap) -> Arc<Self> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let origin = format!("{}://{host}", app.front.scheme(host));
        let folder = app.state.desk.named_folder().map(Path::to_owned);
        Arc::new(Self { origin, folder, is_at_home: app.front.is_at_home(socket, headers) })
    }

    /// A page on which each line of our command line stands as it must be typed. Texts from outside hold no markup.
    pub(super) fn typed(&self, page: String) -> String {
        const BARE: &str = "<code>gatewright ";
        let mut line = "<code>".to_owned();
        let written = Html.write_escaped_str(&mut line, &command(self.folder.as_deref(), "gatewright "));
        if self.folder.is_none() || written.is_err() { page } else { page.replace(BARE, &line) }
    }

    /// The line that fetches a path of ours.
    fn fetched(&self, path: &str) -> String {
        let token = if self.is_at_home { "" } else { "-H \"Authorization: Bearer $GATEWRIGHT_TOKEN\" " };
        format!("curl -s {token}{}{path}", self.origin)
    }
}

/// How a reader asks, by which the way back is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AsksAs {
    /// By following a link: the same page can be loaded again.
    Visitor,
    /// By pressing a button: what is shown is the answer, and loading its path is another request.
    Presser,
    /// As a program, which a page says nothing.
    Program,
}

impl Reader {
    pub(crate) fn of<B>(request: &Request<B>, visitor: Visitor) -> Self {
        Self::from(request.method(), request.headers(), request.uri(), request.extensions(), visitor)
    }

    fn from(method: &Method, headers: &HeaderMap, uri: &Uri, extensions: &Extensions, visitor: Visitor) -> Self {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let came_from = came_from(headers, host);
        let lines = extensions.get::<Arc<Lines>>().cloned().unwrap_or_default();
        let asked = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let asks_as = match *method {
            _ if !wants_page(headers) && is_program(headers) => AsksAs::Program,
            Method::GET | Method::HEAD => AsksAs::Visitor,
            _ => AsksAs::Presser,
        };
        let place = if asks_as == AsksAs::Presser { came_from.as_deref().unwrap_or("/") } else { asked };
        let tongue = Tongue::of_request(headers);
        Self { tongue, visitor, place: place.to_owned(), came_from, asks_as, lines, done: None }
    }

    /// With what this session just did, if the address says so and it is true. A page that says why nothing was done says no more.
    fn after(self, app: &App) -> Self {
        let told = Done::told_by(&self.place).filter(|_| self.asks_as == AsksAs::Visitor);
        let is_true = |done: &Done| {
            self.visitor.session_id().is_some_and(|session| app.presses.has(session, done, app.state.now()))
        };
        Self { done: told.filter(is_true), ..self }
    }

    /// Back to the page on which a button was pressed, which says what was done.
    pub(super) fn done(self, app: &App, back: &str, did: &str, item: Option<&WorkItemId>) -> Response {
        let page = own_path(back).split(['?', '#']).next().unwrap_or("/").to_owned();
        let done = Done { page, did: did.to_owned(), item: item.cloned() };
        let address = done.address();
        if let Some(session) = self.visitor.session_id() {
            app.presses.put(session, done, app.state.now());
        }
        Redirect::to(&address).into_response()
    }

    /// The same reader at another page: where the way back leads.
    pub(super) fn at(self, place: &str) -> Self {
        Self { place: place.to_owned(), ..self }
    }
}

/// Whether a page is asked for, as browsers ask.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    accepts(headers, "text/html")
}

/// A program brings a token with it, or says what it reads.
fn is_program(headers: &HeaderMap) -> bool {
    headers.contains_key(header::AUTHORIZATION) || accepts(headers, "json")
}

fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok()).any(|accept| accept.contains(kind))
}

/// The page before, if it is one of ours.
fn came_from(headers: &HeaderMap, host: &str) -> Option<String> {
    let from: Uri = headers.get(header::REFERER)?.to_str().ok()?.parse().ok()?;
    let path = from.path_and_query()?.as_str();
    let is_ours = from.authority().is_some_and(|authority| authority.as_str() == host);
    (is_ours && own_path(path) == path && !path.starts_with("/login")).then(|| path.to_owned())
}

impl FromRequestParts<App> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let visitor = Visitor::from_request_parts(parts, app).await?;
        Ok(Self::from(&parts.method, &parts.headers, &parts.uri, &parts.extensions, visitor).after(app))
    }
}

/// What stands around a page.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) t: Tongue,
    pub(crate) here: Here,
    /// Set: the page is kept up to date, and this is how far it has heard.
    pub(crate) cursor: Option<Cursor>,
    pub(crate) at: Option<Moment>,
    pub(crate) place: String,
    came_from: Option<String>,
    asks_as: AsksAs,
    visitor: Visitor,
    pub(super) lines: Arc<Lines>,
    done: Option<Done>,
}

impl Frame {
    /// Around a page that tells nothing of the store.
    pub(crate) fn bare(reader: Reader, here: Here) -> Self {
        let Reader { tongue, visitor, place, came_from, asks_as, lines, done } = reader;
        Self { t: tongue, here, cursor: None, at: None, place, came_from, asks_as, visitor, lines, done }
    }

    /// The line that fetches a path of ours.
    pub(crate) fn fetched(&self, path: &str) -> String {
        self.lines.fetched(path)
    }

    /// The same page can be loaded again by its address.
    pub(crate) fn can_refresh(&self) -> bool {
        self.asks_as != AsksAs::Presser
    }

    /// Whoever asked reads no pages.
    pub(super) fn is_for_program(&self) -> bool {
        self.asks_as == AsksAs::Program
    }

    /// Where the reader was before a page that could not be shown.
    pub(crate) fn way_back(&self) -> Option<&str> {
        let here = if self.can_refresh() { Some(self.place.as_str()) } else { None };
        let before = self.came_from.as_deref().filter(|before| Some(*before) != here);
        // The page of what a button was about, where the browser does not say from where it was pressed.
        before.or((here.is_none() && self.place != "/").then_some(self.place.as_str()))
    }

    /// In which language a sentence of the host's inside stands, where that is not the page's.
    pub(crate) fn lang_of(&self, text: &str) -> &'static str {
        if self.t == Tongue::Russian && !is_cyrillic(text) { Tongue::English.code() } else { self.t.code() }
    }

    /// Around a page that does not change by itself.
    pub(crate) fn still(app: &App, reader: &Reader, here: Here) -> Self {
        Self { at: Some(Moment::of(app.state.now())), ..Self::bare(reader.clone(), here) }
    }

    /// Around a page that follows what is committed. Made before anything is read: what is committed meanwhile is shown twice
    /// rather than never.
    pub(crate) fn live(app: &App, reader: &Reader, here: Here) -> Self {
        Self { cursor: Some(Cursor::of(app.life, &app.state)), ..Self::still(app, reader, here) }
    }

    /// Who is logged in, and what they may.
    pub(crate) fn who(&self) -> Option<String> {
        Some(format!("{} ({})", self.visitor.name()?, self.right_word(&self.visitor.right()?)))
    }

    /// A right in the reader's language.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    pub(crate) fn right_word(&self, right: &Right) -> String {
        words::right(self.t, &right.to_string()).to_owned()
    }

    /// The key of a form of the browser's own session.
    pub(crate) fn key(&self) -> Option<&str> {
        self.visitor.csrf()
    }

    /// The key of a form of who may operate.
    pub(crate) fn operate(&self) -> Option<&str> {
        self.visitor.form_key(Right::Operate)
    }

    /// The key of a form of who may do all.
    pub(crate) fn admin(&self) -> Option<&str> {
        self.visitor.form_key(Right::Admin)
    }

    /// The key of the form of a deed; none: a browser that may not.
    pub(crate) fn key_for(&self, deed: &Deed) -> Option<&str> {
        self.visitor.form_key(deed.right()?)
    }

    /// The way to the log-in and back.
    pub(crate) fn log_in(&self) -> String {
        format!("/login?next={}", encoded(&self.place))
    }

    /// What the reader has just done here.
    pub(crate) fn did(&self) -> Option<String> {
        let Done { did, item, .. } = self.done.as_ref()?;
        let word = did_words(self.t, did)?;
        Some(item.as_ref().map_or_else(|| word.to_owned(), |item| format!("{word}: {item}")))
    }

    /// Around the page that stands where this one could not be made.
    pub(crate) fn stilled(self) -> Self {
        Self { cursor: None, ..self }
    }

    /// One of two texts.
    pub(crate) const fn say(&self, english: &'static str, russian: &'static str) -> &'static str {
        self.t.of(english, russian)
    }

    /// The pages of the navigation.
    #[expect(clippy::unused_self, reason = "templates ask the frame for all that stands around a page")]
    pub(crate) const fn tabs(&self) -> &'static [Here] {
        &Here::ALL
    }

    /// The languages that this page is not in, with the way to each.
    pub(crate) fn others(&self) -> Vec<(Tongue, String)> {
        let others = Tongue::ALL.into_iter().filter(|tongue| *tongue != self.t);
        others.map(|tongue| (tongue, format!("/language/{}?back={}", tongue.code(), encoded(&self.place)))).collect()
    }
}

/// Most of its letters are: an English sentence may quote a Russian title.
fn is_cyrillic(text: &str) -> bool {
    let letters = text.chars().filter(|character| character.is_alphabetic());
    let (all, ours) = letters.fold((0_usize, 0_usize), |(all, ours), letter| {
        (all + 1, ours + usize::from(matches!(letter, 'А'..='я' | 'ё' | 'Ё')))
    });
    ours * 2 > all
}

/// A text as one parameter of a URL.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Where the reader was.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Back {
    #[serde(default)]
    back: String,
}

/// Keeps a reader's language in a cookie. It changes nothing else, so it needs no right.
pub(crate) async fn language(
    Segments(code): Segments<String>,
    Parameters(Back { back }): Parameters<Back>,
) -> Result<Response, Problem> {
    let tongue = Tongue::parse(&code).ok_or_else(|| Problem::not_found(both!("there are: en, ru", "есть: en, ru")))?;
    let cookie = format!("{COOKIE}={}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly", tongue.code());
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(own_path(&back))).into_response())
}

/// Bytes of the longest way back: none of our pages has a longer one.
const LONGEST_WAY: usize = 2048;

/// A path of this listener, or its first page: nobody is led to another site from here.
pub(super) fn own_path(back: &str) -> &str {
    let is_own =
        back.starts_with('/') && !back.starts_with("//") && back.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    if is_own && back.len() <= LONGEST_WAY && !back.contains('\\') { back } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_to_another_site() {
        for back in ["", "https://x.example", "//x.example", "/\\x.example", "javascript:alert(1)", "/a\r\nb", "/é"] {
            assert_eq!(own_path(back), "/", "{back:?}");
        }
        assert_eq!(own_path("/t/DEMO-1?q=a%20b"), "/t/DEMO-1?q=a%20b");
        assert_eq!(own_path(&format!("/{}", "a".repeat(LONGEST_WAY))), "/", "none of our pages is that far away");
    }

    #[test]
    fn the_way_back_leads_to_a_page_of_ours_alone() {
        let from = |referer: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::REFERER, referer.parse().unwrap());
            came_from(&headers, "127.0.0.1:8500")
        };
        assert_eq!(from("http://127.0.0.1:8500/t/DEMO-1?q=a"), Some("/t/DEMO-1?q=a".to_owned()));
        for elsewhere in [
            "http://x.example/",
            "http://127.0.0.1:8501/",
            "/t/1",
            "http://127.0.0.1:8500//x",
            "http://127.0.0.1:8500/login?next=/",
        ] {
            assert_eq!(from(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn an_english_sentence_that_quotes_a_russian_title_is_english() {
        assert!(
            is_cyrillic("задача DEMO-001 готова") && !is_cyrillic("the card “Приветствие” is made") && !is_cyrillic("")
        );
    }

    #[test]
    fn a_parameter_is_one_parameter() {
        assert_eq!(encoded("/a?b=c&d ё"), "%2Fa%3Fb%3Dc%26d%20%D1%91");
    }
}
