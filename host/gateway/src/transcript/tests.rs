//! What each kind of line says, and that a hostile one is text.

use super::*;

/// A line, and what it says: each saying as `class name: text`. None: it is shown as it is.
fn check(line: &str, expected: Option<&[&str]>) {
    let said = told(Tongue::English, line);
    let shown = said.map(|said| said.iter().map(row).collect::<Vec<_>>());
    assert_eq!(
        shown.as_deref(),
        expected.map(|rows| rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>()).as_deref(),
        "{line}"
    );
}

fn row(saying: &Saying) -> String {
    format!("{} {}: {}", saying.class(), saying.name, saying.text)
}

#[test]
fn a_stream_of_claude_code_reads_as_a_talk() {
    let cases: [(&str, &[&str]); 13] = [
        (
            r#"{"type":"system","subtype":"init","cwd":"/w","session_id":"s","tools":["Bash","Read"],"model":"claude-opus-5-5","permissionMode":"default"}"#,
            &["note : began: claude-opus-5-5, 2 tools"],
        ),
        (
            r#"{"type":"assistant","message":{"id":"m","role":"assistant","content":[{"type":"text","text":"I look at the tests first.\nThen I mend."}]},"parent_tool_use_id":null,"session_id":"s"}"#,
            &["words : I look at the tests first.\nThen I mend."],
        ),
        (
            r#"{"type":"assistant","message":{"content":[{"type":"thinking","thinking":"Hm.","signature":"xx"},{"type":"tool_use","id":"t","name":"Bash","input":{"command":"cargo test\n--all","description":"tests"}}]}}"#,
            &["thought : Hm.", "tool Bash: cargo test --all"],
        ),
        (
            r#"{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t","name":"Edit","input":{"file_path":"/w/a.rs","old_string":"a","new_string":"b"}}]}}"#,
            &["tool Edit: /w/a.rs"],
        ),
        (
            r#"{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t","name":"TodoWrite","input":{"todos":[1]}}]}}"#,
            &[r#"tool TodoWrite: {"todos":[1]}"#],
        ),
        (
            r#"{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t","name":"Stop","input":{}}]}}"#,
            &["tool Stop: "],
        ),
        (
            r#"{"type":"user","message":{"role":"user","content":[{"tool_use_id":"t","type":"tool_result","content":"made it\n","is_error":false}]}}"#,
            &["answer : made it"],
        ),
        (
            r#"{"type":"user","message":{"role":"user","content":[{"tool_use_id":"t","type":"tool_result","content":[{"type":"text","text":"one"},{"type":"image","source":{}}]}]}}"#,
            &["answer : one\n[image]"],
        ),
        (
            r#"{"type":"user","message":{"role":"user","content":[{"tool_use_id":"t","type":"tool_result","content":"no such file","is_error":true}]}}"#,
            &["wrong : no such file"],
        ),
        (r#"{"type":"user","message":{"role":"user","content":"Do it."}}"#, &["note : Do it."]),
        (
            r#"{"type":"result","subtype":"success","is_error":false,"num_turns":2,"duration_ms":62000,"result":"all done","total_cost_usd":0.01112,"usage":{"input_tokens":2000,"cache_read_input_tokens":600,"output_tokens":50},"permission_denials":[]}"#,
            &["end : success, turns: 2, 1 min, 2000 tokens in, 600 of a cache, 50 tokens out, $0.02"],
        ),
        (
            r#"{"type":"result","subtype":"success","is_error":true,"num_turns":1,"result":"API Error: 500","total_cost_usd":0,"permission_denials":[{"tool_name":"Bash"}]}"#,
            &["wrong : API Error: 500", "end : success, turns: 1, $0.00, tools refused: 1"],
        ),
        (
            r#"{"type":"result","subtype":"error_max_turns","is_error":true,"errors":["Reached maximum number of turns (1)"]}"#,
            &["wrong : Reached maximum number of turns (1)", "end : error_max_turns"],
        ),
    ];
    for (line, expected) in cases {
        check(line, Some(expected));
    }
}

#[test]
fn a_stream_of_codex_reads_as_a_talk() {
    let cases: [(&str, &[&str]); 14] = [
        (r#"{"type":"thread.started","thread_id":"01a1-dc"}"#, &["note : began: conversation 01a1-dc"]),
        (r#"{"type":"turn.started"}"#, &["note : a turn begins"]),
        (
            r#"{"type":"item.completed","item":{"id":"item_0","type":"reasoning","text":"**Thinking**"}}"#,
            &["thought : **Thinking**"],
        ),
        (
            r#"{"type":"item.started","item":{"id":"item_1","type":"command_execution","command":"/bin/bash -lc 'ls'","aggregated_output":"","exit_code":null,"status":"in_progress"}}"#,
            &["tool command: /bin/bash -lc 'ls'"],
        ),
        (
            r#"{"type":"item.completed","item":{"id":"item_1","type":"command_execution","command":"ls","aggregated_output":"a\nb\n","exit_code":0,"status":"completed"}}"#,
            &["answer : exit 0\na\nb"],
        ),
        (
            r#"{"type":"item.completed","item":{"id":"item_1","type":"command_execution","command":"ls","aggregated_output":"no","exit_code":2,"status":"failed"}}"#,
            &["wrong : exit 2\nno"],
        ),
        (
            r#"{"type":"item.started","item":{"id":"i","type":"mcp_tool_call","server":"docs","tool":"find","arguments":{"query":"axum"}}}"#,
            &["tool docs.find: axum"],
        ),
        (
            r#"{"type":"item.completed","item":{"id":"i","type":"mcp_tool_call","server":"docs","tool":"find","result":null,"error":{"message":"refused"}}}"#,
            &["wrong : refused"],
        ),
        (
            r#"{"type":"item.completed","item":{"id":"i","type":"file_change","changes":[{"path":"a.rs","kind":"update"},{"path":"b.rs","kind":"add"}]}}"#,
            &["tool file_change: update a.rs, add b.rs"],
        ),
        (r#"{"type":"item.completed","item":{"id":"i","type":"agent_message","text":"hello"}}"#, &["words : hello"]),
        (r#"{"type":"item.completed","item":{"id":"i","type":"error","message":"careful"}}"#, &["wrong : careful"]),
        (r#"{"type":"error","message":"Reconnecting... 1/5"}"#, &["wrong : Reconnecting... 1/5"]),
        (r#"{"type":"turn.failed","error":{"message":"retry limit"}}"#, &["wrong : retry limit"]),
        (
            r#"{"type":"turn.completed","usage":{"input_tokens":2000,"cached_input_tokens":600,"output_tokens":50}}"#,
            &["end : 2000 tokens in, 600 of a cache, 50 tokens out"],
        ),
    ];
    for (line, expected) in cases {
        check(line, Some(expected));
    }
}

#[test]
fn every_other_line_is_shown_as_it_is() {
    let deep = format!("{}{}", r#"{"type":"#.repeat(5000), "}".repeat(5000));
    let lines = [
        "",
        "compiling 3 of 7",
        "{",
        "{}",
        "[1]",
        r#"{"type":7}"#,
        r#"{"type":"assistant"}"#,
        r#"{"type":"assistant","message":{"content":[]}}"#,
        r#"{"type":"assistant","message":{"content":[{"type":"of tomorrow"}]}}"#,
        r#"{"type":"system","subtype":"api_retry","attempt":1}"#,
        r#"{"type":"item.completed","item":{"type":"todo_list","items":[]}}"#,
        r#"{"type":"item.started","item":{"type":"agent_message","text":"x"}}"#,
        r#"{"type":"result"}"#,
        r#"{"type":"turn.started"} and more"#,
        &deep,
    ];
    for line in lines {
        check(line, None);
    }
}

#[test]
fn a_hostile_line_is_text_in_which_nothing_is_invisible() {
    let hostile = "<script>\u{1b}[31mred\u{1b}[0m \u{202E}drow \u{1b}]8;;http://x\u{7}\u{0}";
    let shown = "<script>red ⟦U+202E⟧drow ⟦U+001B⟧]8;;http://x⟦U+0007⟧⟦U+0000⟧";
    let line = |content: Value| serde_json::json!({ "type": "assistant", "message": { "content": [content] } });
    let words = line(serde_json::json!({ "type": "text", "text": hostile })).to_string();
    check(&words, Some(&[&format!("words : {shown}")]));
    let tool = line(serde_json::json!({ "type": "tool_use", "name": hostile, "input": { "command": hostile } }));
    check(&tool.to_string(), Some(&[&format!("tool {shown}: {shown}")]));
}

#[test]
fn a_long_answer_shows_its_beginning_its_end_and_how_much_lies_between() {
    let long = format!("begin {} end", "ж".repeat(1_000_000));
    let line =
        serde_json::json!({ "type": "user", "message": { "content": [{ "type": "tool_result", "content": long }] } });
    let said = told(Tongue::English, &line.to_string()).unwrap();
    let text = &said[0].text;
    assert!(text.starts_with("begin ж") && text.ends_with("ж end") && text.contains(" […999210…] "), "{text}");
    assert!(text.chars().count() < 900);
}

#[test]
fn what_is_looked_for_is_found_as_a_line_holds_it() {
    assert_eq!(as_written("plain words, и русские"), None);
    assert_eq!(as_written("say \"hi\"\t"), Some("say \\\"hi\\\"\\t".to_owned()));
}
