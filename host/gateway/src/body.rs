//! What a request carries, parsed once: segments of the path, parameters, JSON bodies. Each no names the field and the rule.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::problem::Problem;
use crate::said::{Said, both};
use crate::show::line;
use crate::tongue::Tongue;

/// A body's largest size in bytes.
pub(crate) const LARGEST_BODY: usize = 1 << 20;
/// Characters of an encoding that a refusal repeats.
const LONGEST_ENCODING: usize = 60;
/// Characters of a parameter's name that a refusal repeats.
const LONGEST_NAME: usize = 60;
/// From the end of the headers to the end of the body.
const BODY_TIME: Duration = Duration::from_secs(10);

/// The variable segments of the path, percent-decoded.
pub(crate) struct Segments<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, app).await;
        path.map(|Path(segments)| Self(segments))
            .map_err(|rejection| Problem::invalid(Said::inner(rejection.body_text())))
    }
}

/// The parameters behind the `?`.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, app).await;
        query.map(|Query(parameters)| Self(parameters)).map_err(|rejection| {
            let text = rejection.body_text();
            let reason = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text).to_owned();
            if let Some((name, (rule, ours))) =
                reason.rsplit_once(": ").and_then(|(name, why)| Some((name, rule(why)?)))
            {
                let name = line(name, LONGEST_NAME);
                return Problem::invalid(both!("`{name}`: {rule}", "`{name}`: {ours}"));
            }
            let ours = Tongue::Russian.inner(&reason);
            Problem::invalid(both!("the parameters are wrong: {reason}", "параметры неверны: {ours}"))
        })
    }
}

/// What a number must be, where the library says why one is none.
fn rule(why: &str) -> Option<(&'static str, &'static str)> {
    match why {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            Some(("a whole number is expected", "нужно целое число"))
        }
        "number too large to fit in target type" => Some(("the number is too large", "число слишком велико")),
        _ => None,
    }
}

/// A JSON body that must be there.
pub(crate) struct Required<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Required<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        let (headers, bytes) = read(request).await?;
        if bytes.is_empty() {
            return Err(Problem::invalid(Said::to_programs("the body is empty; a JSON object is expected")));
        }
        parse(&headers, &bytes).map(Self)
    }
}

/// A JSON body that may be left out.
pub(crate) struct Optional<T>(pub(crate) T);

impl<T: DeserializeOwned + Default> FromRequest<App> for Optional<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        let (headers, bytes) = read(request).await?;
        if bytes.is_empty() { Ok(Self(T::default())) } else { parse(&headers, &bytes).map(Self) }
    }
}

/// The headers and the whole body, within its bounds.
pub(crate) async fn read(request: Request) -> Result<(HeaderMap, Bytes), Problem> {
    let headers = request.headers().clone();
    Ok((headers, bytes(request).await?))
}

/// The whole body, within its bounds.
pub(crate) async fn bytes(request: Request) -> Result<Bytes, Problem> {
    let headers = request.headers();
    unpacked(headers)?;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > LARGEST_BODY as u64) {
        return Err(too_large());
    }
    let read = tokio::time::timeout(BODY_TIME, Bytes::from_request(request, &())).await;
    let Ok(read) = read else {
        return Err(Problem::slow(late()));
    };
    match read {
        Ok(bytes) => Ok(bytes),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_large()),
        Err(rejection) => Err(Problem::invalid(Said::inner(rejection.body_text()))),
    }
}

/// What is packed would be read as what it is not: nothing here unpacks, for a small body may be a huge one.
fn unpacked(headers: &HeaderMap) -> Result<(), Problem> {
    let named = headers.get_all(header::CONTENT_ENCODING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let named = named.collect::<Vec<_>>().join(", ");
    let is_packed = named.split(',').map(str::trim).any(|one| !one.is_empty() && !one.eq_ignore_ascii_case("identity"));
    if !is_packed {
        return Ok(());
    }
    let named = line(&named, LONGEST_ENCODING);
    Err(Problem::encoding(both!(
        "the body is packed (`Content-Encoding: {named}`); send it as it is, without this header",
        "тело запроса сжато (`Content-Encoding: {named}`); отправьте его как есть, без этого заголовка"
    )))
}

fn late() -> Said {
    let seconds = BODY_TIME.as_secs();
    both!("the body did not arrive within {seconds} seconds", "тело запроса не пришло за {seconds} с")
}

fn too_large() -> Problem {
    Problem::too_large(both!("the body is larger than {LARGEST_BODY} bytes", "тело запроса больше {LARGEST_BODY} байт"))
}

/// The fields of a form as they came, each name as often as it stands there.
pub(crate) fn fields(headers: &HeaderMap, bytes: &[u8]) -> Result<Vec<(String, String)>, Problem> {
    let essence = essence(headers);
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let ours = if essence.is_empty() { "без типа" } else { essence };
        let said = if essence.is_empty() { "no content type" } else { essence };
        return Err(Problem::media_type(both!(
            "the body came as {said}; a form sends `Content-Type: application/x-www-form-urlencoded`",
            "тело запроса пришло как {ours}; форма шлёт `Content-Type: application/x-www-form-urlencoded`"
        )));
    }
    serde_urlencoded::from_bytes(bytes).map_err(|error| {
        let ours = Tongue::Russian.inner(&error.to_string());
        Problem::invalid(both!("the form does not read: {error}", "форма не читается: {ours}"))
    })
}

fn essence(headers: &HeaderMap) -> &str {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim()
}

fn parse<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Problem> {
    // A form cannot say `application/json` across sites without asking first, so this is a fence as well.
    let essence = essence(headers);
    if !essence.eq_ignore_ascii_case("application/json") {
        let said = if essence.is_empty() { "no content type" } else { essence };
        return Err(Problem::media_type(Said::to_programs(format!(
            "the body came as {said}; send `Content-Type: application/json`"
        ))));
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(Problem::invalid(Said::to_programs(format!(
            "the body is not UTF-8 from byte {} on",
            error.valid_up_to()
        ))));
    }
    // A list of values in the order of our fields would be taken for them.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::invalid(Said::to_programs("the body is no JSON object")));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { String::new() } else { format!("`{path}`: ") };
        Problem::invalid(Said::to_programs(format!("the body does not fit: {place}{}", error.inner())))
    })?;
    deserializer
        .end()
        .map_err(|error| Problem::invalid(Said::to_programs(format!("something stands after the JSON: {error}"))))?;
    Ok(value)
}
