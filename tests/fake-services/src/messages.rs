//! A Messages API: `POST /v1/messages`, streamed or not.

use serde_json::{Value, json};

use crate::http::{Request, serve};
use crate::{Books, Call, EACH, Reply, Service};

/// The version of the API that it speaks.
const VERSION: &str = "2023-06-01";

/// Starts one that answers each sound call as `script` says.
///
/// # Panics
/// Where the loopback cannot be listened on.
pub fn start(script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Service {
    serve(move |mut request, books| {
        let (method, path) = request.record.line.split_once(' ').unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        match (method, path) {
            ("HEAD", _) => request.answer(books, 200, &[], &Value::Null),
            ("POST", "/v1/messages") => match flaw(&request) {
                Some((status, why)) => refuse(&mut request, books, status, &why),
                None => answer(request, books, &script),
            },
            _ => refuse(&mut request, books, 404, "there is no such resource"),
        }
    })
}

fn kind(status: u16) -> &'static str {
    match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    }
}

fn refuse(request: &mut Request, books: &Books, status: u16, why: &str) {
    let body = json!({"type": "error", "error": {"type": kind(status), "message": why}, "request_id": "req_test"});
    let headers: &[(&str, &str)] = if matches!(status, 429 | 529) { &[("retry-after", "1")] } else { &[] };
    request.answer(books, status, headers, &body);
}

/// What the real one would refuse.
fn flaw(request: &Request) -> Option<(u16, String)> {
    let record = &request.record;
    let has_key = record.header("x-api-key").is_some_and(|key| !key.is_empty())
        || record.header("authorization").is_some_and(|key| key.starts_with("Bearer "));
    if !has_key {
        return Some((401, "x-api-key header is required".to_owned()));
    }
    let invalid = |why: &str| Some((400, why.to_owned()));
    if record.header("anthropic-version") != Some(VERSION) {
        return invalid("anthropic-version: header is required");
    }
    let body = &record.body;
    if body["model"].as_str().is_none_or(str::is_empty) {
        return invalid("model: Field required");
    }
    if body["max_tokens"].as_u64().is_none_or(|most| most == 0) {
        return invalid("max_tokens: Field required");
    }
    let Some(messages) = body["messages"].as_array().filter(|messages| !messages.is_empty()) else {
        return invalid("messages: at least one message is required");
    };
    if messages[0]["role"] != "user" {
        return invalid("messages: first message must use the \"user\" role");
    }
    let blocks = |message: &Value, kind: &str, key: &str| -> Vec<String> {
        let blocks = message["content"].as_array().into_iter().flatten().filter(|block| block["type"] == kind);
        blocks.filter_map(|block| Some(block[key].as_str()?.to_owned())).collect()
    };
    for (at, message) in messages.iter().enumerate() {
        let asked = blocks(message, "tool_use", "id");
        let told: Vec<String> = messages[at + 1..]
            .iter()
            .take_while(|next| next["role"] != "assistant")
            .flat_map(|next| blocks(next, "tool_result", "tool_use_id"))
            .collect();
        if let Some(id) = asked.iter().find(|id| !told.contains(id)) {
            return Some((400, format!("messages.{at}: `tool_use` ids were found without `tool_result` blocks: {id}")));
        }
    }
    None
}

/// An answer that has begun.
fn stall(mut request: Request, books: &Books, call: &Call) {
    let message = json!({"id": format!("msg_{}", call.number), "type": "message", "role": "assistant", "model": call.body["model"],
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": EACH.input, "output_tokens": 1}});
    request.stream(books, &[json!({"type": "message_start", "message": message})]);
    books.hang();
}

fn answer(mut request: Request, books: &Books, script: &impl Fn(&Call) -> Reply) {
    let call = Call { number: books.call(request.number), body: request.record.body.clone() };
    let (block, stop) = match script(&call) {
        Reply::Say(words) => (json!({"type": "text", "text": words}), "end_turn"),
        Reply::Run(command) => {
            let input = json!({"command": command, "description": "as the test says"});
            let id = format!("toolu_{}", call.number);
            (json!({"type": "tool_use", "id": id, "name": "Bash", "input": input}), "tool_use")
        }
        Reply::Refuse(status) => return refuse(&mut request, books, status, "as the test says"),
        Reply::Hang => return books.hang(),
        Reply::Stall => return stall(request, books, &call),
        Reply::Page => return request.page(books),
        Reply::Drop => return request.cut(),
    };
    let usage = |output: u64| {
        json!({"input_tokens": EACH.input, "cache_creation_input_tokens": EACH.cache_creation,
            "cache_read_input_tokens": EACH.cache_read, "output_tokens": output, "service_tier": "standard"})
    };
    let message = |content: Value, stop: Value, output: u64| {
        json!({"id": format!("msg_{}", call.number), "type": "message", "role": "assistant", "model": call.body["model"],
            "content": content, "stop_reason": stop, "stop_sequence": null, "usage": usage(output)})
    };
    if call.body["stream"] != true {
        return request.answer(books, 200, &[], &message(json!([block]), json!(stop), EACH.output));
    }
    let (empty, delta) = if block["type"] == "text" {
        (json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": block["text"]}))
    } else {
        let mut empty = block.clone();
        empty["input"] = json!({});
        (empty, json!({"type": "input_json_delta", "partial_json": block["input"].to_string()}))
    };
    // Its beginning says how much went in, its end how much came out.
    request.stream(
        books,
        &[
            json!({"type": "message_start", "message": message(json!([]), Value::Null, 1)}),
            json!({"type": "content_block_start", "index": 0, "content_block": empty}),
            json!({"type": "content_block_delta", "index": 0, "delta": delta}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null},
            "usage": {"output_tokens": EACH.output}}),
            json!({"type": "message_stop"}),
        ],
    );
}
