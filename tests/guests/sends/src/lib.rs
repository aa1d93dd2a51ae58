//! A gate that sends one request with a named credential, as its settings say, and shows what came back.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict, http};
use gatewright_sdk::tasks::Fact;
use gatewright_sdk::{export_gate, request};

request!(
    r#"version = 1

[[capability]]
name = "http:https://api.example.org"
reason = "looks something up"
credential = "lookup"

[[capability]]
name = "http:http://127.0.0.1:8080"
reason = "looks something up nearby"
credential = "lookup"
"#
);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    url: String,
    #[serde(default)]
    credential: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: Option<String>,
}

struct Sends;

impl Gate for Sends {
    type Settings = Settings;

    fn evaluate(_subject: Subject, settings: Settings) -> Result<Verdict, Infrastructure> {
        let mut request = match settings.body {
            Some(body) => http::Request::post(settings.url, body),
            None => http::Request::get(settings.url),
        };
        request.credential = settings.credential;
        for (name, value) in settings.headers {
            request = request.with_header(name, value);
        }
        let response = request.send()?;
        let headers: Vec<String> =
            response.headers.iter().map(|header| format!("{}: {}", header.name, header.value)).collect();
        Ok(Verdict::pass(String::from_utf8_lossy(&response.body))
            .with_figure(Fact::new("status", response.status))
            .with_figure(Fact::new("headers", headers)))
    }
}

export_gate!(Sends);
