//! The OpenAPI description of the routes for programs, made of the router's own table: what a method needs stands there, what it
//! takes and answers in [`operations`], and the shapes in `openapi/schemas.json`. Pages for people and their forms are not in it.

mod operations;

use std::sync::LazyLock;

use axum::Json;
use conductor::ports::access::Deed;
use serde_json::{Map, Value, json};

use crate::route::Need;
use crate::router;
use crate::routes::deliveries::{SOURCES, STATES};
use operations::OPERATIONS;

/// Of numbers in paths and parameters.
const GREATEST: u64 = u64::MAX;

/// A route's method.
struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    query: &'static [&'static str],
    /// The name of a schema.
    body: Option<&'static str>,
    status: u16,
    answer: Answer,
    /// Another status with an answer of its own.
    other: Option<(u16, &'static str)>,
}

/// What a route answers when it does not say no.
#[derive(Clone, Copy)]
enum Answer {
    /// An object by the name of its schema.
    Json(&'static str),
    /// A listing of such.
    List(&'static str),
    /// A line of JSON for each row.
    Lines,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// Server-sent events.
    Stream,
    /// 204.
    Nothing,
}

impl Operation {
    const fn made(mut self) -> Self {
        self.status = 201;
        self
    }

    const fn with(mut self, query: &'static [&'static str]) -> Self {
        self.query = query;
        self
    }

    const fn taking(mut self, body: &'static str) -> Self {
        self.body = Some(body);
        self
    }

    const fn or(mut self, status: u16, schema: &'static str) -> Self {
        self.other = Some((status, schema));
        self
    }

    fn describe(&self, need: Option<Need>) -> Value {
        let mut described = json!({
            "operationId": self.id(),
            "summary": self.summary,
            "parameters": self.parameters(),
            "responses": self.responses(need),
            "security": security(need),
        });
        if let Some(body) = self.body {
            // What may be left out says so by requiring nothing.
            let required = body != "IntentNote";
            let content = json!({"application/json": {"schema": reference(body)}});
            described["requestBody"] = json!({"required": required, "content": content});
        }
        described
    }

    fn id(&self) -> String {
        let words = self.path.split(['/', '{', '}', '.']).filter(|word| !word.is_empty());
        std::iter::once(self.method).chain(words).collect::<Vec<_>>().join("-")
    }

    fn parameters(&self) -> Vec<Value> {
        let segments = self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
        let segments =
            segments.map(|name| json!({"name": name, "in": "path", "required": true, "schema": segment(name)}));
        let query = self.query.iter().map(|wanted| {
            // One name may mean two things: then what it is stands behind it.
            let (name, kind) = wanted.split_once(':').unwrap_or((wanted, wanted));
            json!({"name": name, "in": "query", "schema": parameter(kind)})
        });
        segments.chain(query).collect()
    }

    fn responses(&self, need: Option<Need>) -> Value {
        let mut responses = Map::new();
        let status = if matches!(self.answer, Answer::Nothing) { 204 } else { self.status };
        responses.insert(status.to_string(), self.answer.describe());
        for no in self.refusals(need) {
            responses.insert(no.to_string(), json!({"$ref": "#/components/responses/Problem"}));
        }
        if let Some((status, schema)) = self.other {
            responses.insert(status.to_string(), Answer::Json(schema).describe());
        }
        Value::Object(responses)
    }

    /// The statuses by which it may say no.
    fn refusals(&self, need: Option<Need>) -> Vec<u16> {
        // Wherever it goes: a wrong token, another site, a wrong host, too many wrong tokens, a broken or ending host.
        let mut refusals = vec![401, 403, 421, 429, 500, 503];
        if self.path.contains('{') || !self.query.is_empty() || self.body.is_some() {
            refusals.extend([400, 404]);
        }
        if self.path.contains("{task}") || self.query.iter().any(|query| query.ends_with("task")) {
            refusals.push(409);
        }
        if self.path.contains("{item}") {
            refusals.push(410);
        }
        if self.body.is_some() {
            refusals.extend([408, 409, 413, 415]);
        }
        if matches!(need, Some(Need::Token(_))) && self.method != "get" {
            refusals.extend([409, 507]);
        }
        refusals
    }
}

impl Answer {
    fn describe(self) -> Value {
        let content = |kind: &str, schema: Value| json!({"description": "Yes", "content": {kind: {"schema": schema}}});
        match self {
            Self::Json("OpenApi" | "Transcript") => content("application/json", json!({"type": "object"})),
            Self::Json(schema) => content("application/json", reference(schema)),
            Self::List(schema) => {
                let properties =
                    json!({"items": {"type": "array", "items": reference(schema)}, "more": {"type": "boolean"}});
                let listing = json!({"type": "object", "required": ["items", "more"], "properties": properties});
                content("application/json", listing)
            }
            Self::Lines => content("application/jsonl", json!({"type": "string"})),
            Self::Text => content("text/plain", json!({"type": "string"})),
            Self::Bytes => content("application/octet-stream", json!({"type": "string", "format": "binary"})),
            Self::Stream => content("text/event-stream", json!({"type": "string"})),
            Self::Nothing => json!({"description": "Done"}),
        }
    }
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

/// What a variable segment of a path may be.
fn segment(name: &str) -> Value {
    match name {
        "run" | "evaluation" | "delivery" => json!({"type": "integer", "minimum": 0, "maximum": GREATEST}),
        "digest" => json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
        "commit" => json!({"type": "string", "pattern": "^([0-9a-f]{40}|[0-9a-f]{64})$"}),
        "project" | "item" | "task" | "name" => reference("Name"),
        _ => json!({"type": "string", "minLength": 1, "maxLength": 255}),
    }
}

/// One of these words, or nothing.
fn any_of(words: &[&str]) -> Value {
    json!({"enum": words.iter().chain(&[""]).collect::<Vec<_>>()})
}

fn parameter(name: &str) -> Value {
    match name {
        "limit" => json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
        "tail" => json!({"type": "integer", "minimum": 0, "maximum": 1 << 20, "default": 65536}),
        "at" | "since" | "until" | "before" | "after" => json!({"type": "integer", "minimum": 0, "maximum": GREATEST}),
        "project" | "task" => reference("Name"),
        // What a form sends empty is not asked for.
        "any-project" | "any-task" => json!({"anyOf": [reference("Name"), {"const": ""}]}),
        "delivery" => json!({"anyOf": [{"type": "integer", "minimum": 0, "maximum": GREATEST}, {"const": ""}]}),
        "source" => any_of(&SOURCES),
        "state" => any_of(&STATES),
        "what" => any_of(&Deed::ALL.map(Deed::as_str)),
        "live" | "wait" => json!({"type": "boolean", "default": false}),
        _ => json!({"type": "string"}),
    }
}

/// Who is on this machine may look without a token, so that one is an alternative there.
fn security(need: Option<Need>) -> Value {
    match need {
        Some(Need::Token(_) | Need::Form(_)) => json!([{"token": []}]),
        Some(Need::Look | Need::Page) => json!([{}, {"token": []}]),
        Some(Need::Nothing) | None => json!([]),
    }
}

static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| {
    let needs = router::needs();
    let need = |operation: &Operation| {
        let (_, methods) = needs.iter().find(|(path, _)| *path == operation.path)?;
        let wanted = operation.method.to_ascii_uppercase();
        methods.iter().find(|(method, _)| method.as_str() == wanted).map(|(_, need)| *need)
    };
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = operation.describe(need(operation));
    }
    let schemas = serde_json::from_str::<Value>(include_str!("openapi/schemas.json"));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Gatewright",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The operator's API. docs/api.md tells the same with examples.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.unwrap_or_else(|error| unreachable!("the schemas are JSON: {error}")),
            "responses": {
                "Problem": {
                    "description": "No, and why (RFC 9457)",
                    "content": {"application/problem+json": {"schema": reference("Problem")}},
                },
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    })
});

pub(crate) async fn describe() -> Json<&'static Value> {
    Json(&DESCRIPTION)
}
