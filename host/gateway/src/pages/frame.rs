//! What stands around each page: where one is, in which language, and how far the page has heard.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::app::App;
use crate::body::{Parameters, Segments};
use crate::problem::Problem;
use crate::routes::events::Cursor;
use crate::show::Moment;
use crate::tongue::{COOKIE, Tongue};

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
pub(crate) struct Reader {
    pub(crate) tongue: Tongue,
    /// The path and parameters of this page.
    pub(crate) place: String,
}

impl FromRequestParts<App> for Reader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Infallible> {
        let place = parts.uri.path_and_query().map_or("/", axum::http::uri::PathAndQuery::as_str).to_owned();
        Ok(Self { tongue: Tongue::of_request(&parts.headers), place })
    }
}

/// What stands around a page.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) t: Tongue,
    pub(crate) here: Here,
    /// Set: the page is kept up to date, and this is how far it has heard.
    pub(crate) cursor: Option<Cursor>,
    pub(crate) at: Moment,
    /// The listener, as lines of a shell name it.
    pub(crate) host: String,
    place: String,
}

impl Frame {
    /// Around a page that does not change by itself.
    pub(crate) fn still(app: &App, reader: &Reader, here: Here) -> Self {
        let (t, place) = (reader.tongue, reader.place.clone());
        let host = format!("127.0.0.1:{}", app.port);
        Self { t, here, cursor: None, at: Moment::of(app.state.now()), host, place }
    }

    /// Around a page that follows what is committed. Made before anything is read: what is committed meanwhile is shown twice
    /// rather than never.
    pub(crate) fn live(app: &App, reader: &Reader, here: Here) -> Self {
        Self { cursor: Some(Cursor::of(app.life, &app.state)), ..Self::still(app, reader, here) }
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
    State(_): State<App>,
    Segments(code): Segments<String>,
    Parameters(Back { back }): Parameters<Back>,
) -> Result<Response, Problem> {
    let tongue = Tongue::parse(&code).ok_or_else(|| Problem::not_found("there are: en, ru"))?;
    let cookie = format!("{COOKIE}={}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly", tongue.code());
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(own_path(&back))).into_response())
}

/// A path of this listener, or its first page: nobody is led to another site from here.
fn own_path(back: &str) -> &str {
    let is_own = back.starts_with('/') && !back.starts_with("//") && back.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    if is_own && !back.contains('\\') { back } else { "/" }
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
    }

    #[test]
    fn a_parameter_is_one_parameter() {
        assert_eq!(encoded("/a?b=c&d ё"), "%2Fa%3Fb%3Dc%26d%20%D1%91");
    }
}
