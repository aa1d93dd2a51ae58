//! A Responses API: `POST /v1/responses`, streamed.

use serde_json::{Value, json};

use crate::http::{Request, serve};
use crate::{Books, Call, EACH, Reply, Service};

/// Starts one that answers each sound call as `script` says.
///
/// # Panics
/// Where the loopback cannot be listened on.
pub fn start(script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Service {
    serve(move |mut request, books| match request.record.line.as_str() {
        "POST /v1/responses" => match flaw(&request) {
            Some((status, why)) => refuse(&mut request, books, status, &why),
            None => answer(request, books, &script),
        },
        _ => refuse(&mut request, books, 404, "there is no such resource"),
    })
}

fn refuse(request: &mut Request, books: &Books, status: u16, why: &str) {
    let (kind, code) = match status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        429 => ("rate_limit_error", Some("rate_limit_exceeded")),
        500.. => ("server_error", Some("server_error")),
        _ => ("invalid_request_error", None),
    };
    let body = json!({"error": {"message": why, "type": kind, "param": null, "code": code}});
    request.answer(books, status, &[], &body);
}

/// What the real one would refuse.
fn flaw(request: &Request) -> Option<(u16, String)> {
    let record = &request.record;
    if !record.header("authorization").is_some_and(|key| key.len() > "Bearer ".len() && key.starts_with("Bearer ")) {
        return Some((401, "you didn't provide an API key".to_owned()));
    }
    let body = &record.body;
    let invalid = |why: &str| Some((400, why.to_owned()));
    if body["model"].as_str().is_none_or(str::is_empty) {
        return invalid("you must provide a model parameter");
    }
    let Some(input) = body["input"].as_array().filter(|input| !input.is_empty()) else {
        return invalid("you must provide an input");
    };
    if body["stream"] != true {
        return invalid("this one only streams");
    }
    let ids = |end: &str| -> Vec<&str> {
        let of_kind = input.iter().filter(|item| item["type"].as_str().is_some_and(|kind| kind.ends_with(end)));
        of_kind.filter_map(|item| item["call_id"].as_str()).collect()
    };
    let outputs = ids("_call_output");
    ids("_call").iter().find(|id| !outputs.contains(id)).map(|id| (400, format!("no tool output found for {id}")))
}

/// Tools by name. Newer models get them in an item of the input, grouped.
fn offers(body: &Value, name: &str) -> Option<Value> {
    let items = body["input"].as_array().into_iter().flatten().filter(|item| item["type"] == "additional_tools");
    let mut waiting: Vec<&Value> =
        items.chain([body]).flat_map(|at| at["tools"].as_array().into_iter().flatten()).collect();
    while let Some(tool) = waiting.pop() {
        if tool["name"] == name {
            return Some(tool.clone());
        }
        waiting.extend(tool["tools"].as_array().into_iter().flatten());
    }
    None
}

/// A call of whichever tool runs commands there.
fn command_call(body: &Value, command: &str, number: usize) -> Value {
    let call_id = format!("call_{number}");
    if offers(body, "exec").is_some_and(|tool| tool["type"] == "custom") {
        let input =
            format!("const r = await tools.exec_command({{cmd: {}, yield_time_ms: 10000}}); text(r);", json!(command));
        return json!({"type": "custom_tool_call", "id": format!("ctc_{number}"), "call_id": call_id, "name": "exec",
            "status": "completed", "input": input});
    }
    let (name, arguments) = if offers(body, "exec_command").is_some() {
        ("exec_command", json!({"cmd": command, "yield_time_ms": 10000}))
    } else {
        ("shell", json!({"command": ["sh", "-c", command]}))
    };
    json!({"type": "function_call", "id": format!("fc_{number}"), "call_id": call_id, "name": name,
        "arguments": arguments.to_string(), "status": "completed"})
}

/// An answer that has begun.
fn stall(mut request: Request, books: &Books, number: usize) {
    let response = json!({"id": format!("resp_{number}"), "status": "in_progress"});
    request.stream(books, &[json!({"type": "response.created", "response": response})]);
    books.hang();
}

fn answer(mut request: Request, books: &Books, script: &impl Fn(&Call) -> Reply) {
    let call = Call { number: books.call(request.number), body: request.record.body.clone() };
    let number = call.number;
    let item = match script(&call) {
        Reply::Say(words) => json!({"type": "message", "id": format!("msg_{number}"), "role": "assistant",
            "status": "completed", "content": [{"type": "output_text", "text": words, "annotations": []}]}),
        Reply::Run(command) => command_call(&call.body, &command, number),
        Reply::Refuse(status) => return refuse(&mut request, books, status, "as the test says"),
        Reply::Hang => return books.hang(),
        Reply::Stall => return stall(request, books, number),
        Reply::Page => return request.page(books),
        Reply::Drop => return request.cut(),
    };
    let id = format!("resp_{number}");
    // What the cache held is among what went in.
    let input = EACH.input + EACH.cache_read;
    let usage = json!({"input_tokens": input, "input_tokens_details": {"cached_tokens": EACH.cache_read},
        "output_tokens": EACH.output, "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": input + EACH.output});
    request.stream(
        books,
        &[
            json!({"type": "response.created", "response": {"id": id, "status": "in_progress"}}),
            json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
            json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
            json!({"type": "response.completed",
            "response": {"id": id, "status": "completed", "output": [item], "usage": usage}}),
        ],
    );
}
