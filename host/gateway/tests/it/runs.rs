//! The page of a run and its log, whatever an agent wrote there.

use axum::http::{StatusCode, header};
use conductor::ports::store::RunRow;
use domain::document::Role;
use domain::event::RunResult;
use domain::ids::{FenceToken, RunId};

use crate::world::{NOW, World};

/// Nobody claimed the job before.
const FIRST_CLAIM: FenceToken = FenceToken(1);

/// A task whose developer is under way, and its run.
pub(crate) async fn under_way(world: &World) -> RunId {
    world.task("DEMO-001", "Say hello");
    world.post("/api/v1/tasks/DEMO-001/approve", "").await;
    let claim = world.claimed_launch();
    let row = RunRow {
        pid: Some(42),
        model: Some("large <model>".to_owned()),
        ..RunRow::begun(RunId(claim.job.id.0), &claim.task, Role::Developer, 1, "agent --print".to_owned(), NOW)
    };
    world.store.put_run(&row, claim.token).unwrap();
    row.id
}

fn write(world: &World, text: impl Into<Vec<u8>>) {
    *world.desk.log.lock().unwrap() = Some(text.into());
}

#[tokio::test]
async fn a_log_is_shown_from_its_end_and_searched_on_the_server() {
    let world = World::new();
    let run = under_way(&world).await;
    let page = world.get(&format!("/r/{run}")).await;
    assert!(
        page.text().contains("There is no log") && page.text().contains("large &#60;model&#62;"),
        "{}",
        page.text()
    );
    write(
        &world,
        (0..2000).map(|number| format!("line {number}")).collect::<Vec<_>>().join("\n") + "\nerror: no such thing\n",
    );
    let page = world.get(&format!("/r/{run}")).await;
    let text = page.text();
    assert!(text.contains(">line 1999</li>") && text.contains(">line 1501</li>") && !text.contains(">line 1500</li>"));
    assert!(text.contains("First trouble") && text.contains("data-follow"));
    let older = text.split("before=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let older = world.get(&format!("/r/{run}?before={older}")).await;
    assert!(older.text().contains(">line 1500</li>") && older.text().contains(">line 1001</li>"));
    let found = world.get(&format!("/r/{run}?q=line+17")).await;
    assert!(found.text().contains("line 1799") && !found.text().contains(">line 1800"), "{}", found.text());
    assert!(found.text().contains("111 lines have it"));
    let nothing = world.get(&format!("/r/{run}?q=absent")).await;
    assert!(nothing.text().contains("Nothing has") && nothing.text().contains(">Clear</a>"));
    assert_eq!(world.get(&format!("/r/{run}?before=x")).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.get("/r/999").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_hostile_log_is_text() {
    let world = World::new();
    let run = under_way(&world).await;
    let line = "\u{1b}[31mred\u{1b}[0m </li></ol><script>alert(1)</script> \u{202E}drowssap \u{1b}]8;;http://x.example\u{7} \r over";
    let mut log = format!("{line}\n").into_bytes();
    log.extend_from_slice(&[0xff, 0xfe, 0, b'\n']);
    log.extend_from_slice("<img src=x onerror=alert(1)>".repeat(40_000).as_bytes());
    write(&world, log);
    for path in [format!("/r/{run}"), format!("/r/{run}?before=400"), format!("/r/{run}?q=%3Cscript%3E")] {
        let page = world.get(&path).await;
        assert_eq!(page.status, StatusCode::OK);
        let text = page.text();
        assert!(!text.contains("<script>") && !text.contains("<img src=x") && !text.contains('\u{1b}'), "{path}");
        assert!(!text.contains('\u{202E}') && !text.contains('\0'), "{path}");
        assert!(text.len() < 6 << 20, "{path}: {} bytes", text.len());
    }
    let page = world.get(&format!("/r/{run}?before=400")).await;
    assert!(page.text().contains(">red &#60;/li&#62;&#60;/ol&#62;&#60;script&#62;"), "{}", page.text());
    assert!(page.text().contains("⟦U+001B⟧]8;;http://x.example"), "an address is hidden: {}", page.text());
    let raw = world.get(&format!("/r/{run}?before=400&raw=1")).await;
    let spelled = "⟦U+001B⟧[31mred⟦U+001B⟧[0m &#60;/li&#62;&#60;/ol&#62;&#60;script&#62;";
    assert!(raw.text().contains(spelled), "{}", raw.text());
}

/// What an agent writes with `stream-json`, as lines.
fn stream() -> String {
    let lines = [
        serde_json::json!({ "type": "system", "subtype": "init", "model": "large", "tools": ["Bash"] }),
        serde_json::json!({ "type": "assistant", "message": { "content": [
            { "type": "text", "text": "I say \"hello\" <b>first</b>." },
            { "type": "tool_use", "id": "t", "name": "Bash", "input": { "command": "cargo test" } },
        ] } }),
        serde_json::json!({ "type": "user", "message": { "content": [
            { "type": "tool_result", "tool_use_id": "t", "is_error": true, "content": format!("\u{1b}[31mone failed\u{1b}[0m {}", "x".repeat(9000)) },
        ] } }),
        serde_json::json!({ "type": "of tomorrow", "told": "as it is" }),
        serde_json::json!({ "type": "result", "subtype": "success", "is_error": false, "num_turns": 2 }),
    ];
    lines.map(|line| format!("{line}\n")).concat()
}

#[tokio::test]
async fn a_stream_of_an_agent_is_shown_as_what_it_says_and_raw_is_one_click_away() {
    let world = World::new();
    let run = under_way(&world).await;
    write(&world, stream());
    let page = world.get(&format!("/r/{run}")).await;
    let text = page.text();
    for part in [
        "I say &#34;hello&#34; &#60;b&#62;first&#60;/b&#62;.</span>",
        "<b>Bash</b> <span class=\"what\">cargo test</span>",
        "<span class=\"what\">one failed xxx",
        "✕</span> error</span>",
        "success, turns: 2",
        "&#34;told&#34;:&#34;as it is&#34;",
        "First trouble",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("tool_use_id") && !text.contains("[31m"), "{text}");
    let (_, link) = text.split_once(&format!("href=\"/r/{run}?raw=1\"")).expect("a way to the raw lines");
    assert!(link.starts_with(">Raw lines<"));
    let raw = world.get(&format!("/r/{run}?raw=1")).await;
    assert!(raw.text().contains("tool_use_id") && raw.text().contains("\\u001b[31mone failed"), "{}", raw.text());
    // Followed: from the end of what was shown, whole lines.
    let end = text.split("data-end=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    write(&world, stream() + "{\"type\":\"turn.started\"}\n{\"type\":\"tu");
    let more = world.get(&format!("/r/{run}?after={end}")).await;
    assert!(more.text().contains("a turn begins") && !more.text().contains("I say"), "{}", more.text());
    let russian = crate::world::request(axum::http::Method::GET, &format!("/r/{run}")).header("accept-language", "ru");
    let russian = world.send(russian.body(axum::body::Body::empty()).unwrap()).await;
    assert!(russian.text().contains("агент</span>") && russian.text().contains("ходов: 2"), "{}", russian.text());
}

#[tokio::test]
async fn a_search_finds_what_an_agent_said_also_over_quotes() {
    let world = World::new();
    let run = under_way(&world).await;
    write(&world, stream());
    let found = world.get(&format!("/r/{run}?q=cargo+test")).await;
    assert!(found.text().contains("1 line has it") && found.text().contains("<b>Bash</b>"), "{}", found.text());
    let at = stream().find('\n').unwrap() + 1;
    assert!(found.text().contains(&format!("#b{at}\">{at}</a>")), "{}", found.text());
    let quoted = world.get(&format!("/r/{run}?q=say+%22hello%22")).await;
    assert!(quoted.text().contains("1 line has it"), "{}", quoted.text());
    // What was left out of the page is found all the same, and shown as it stands there.
    let left_out = world.get(&format!("/r/{run}?q=is_error%22:true")).await;
    assert!(left_out.text().contains("1 line has it"), "{}", left_out.text());
}

#[tokio::test]
async fn the_whole_log_is_fetched_as_a_file() {
    let world = World::new();
    let run = under_way(&world).await;
    assert_eq!(world.get(&format!("/r/{run}/raw")).await.status, StatusCode::NOT_FOUND);
    let whole: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    write(&world, whole.clone());
    let raw = world.get(&format!("/r/{run}/raw")).await;
    assert_eq!(raw.bytes, whole);
    assert_eq!(raw.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(raw.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert!(raw.headers[header::CONTENT_DISPOSITION].to_str().unwrap().starts_with("attachment"));
}

#[tokio::test]
async fn a_run_stands_as_it_ended_and_not_as_its_process_did() {
    let world = World::new();
    let run = under_way(&world).await;
    let living = world.store.run(run).unwrap();
    let cases = [
        (Some(RunResult::Success), Some(0), "Done"),
        (Some(RunResult::Error), Some(0), "Held"),
        (Some(RunResult::Failure), Some(0), "Failed"),
        (Some(RunResult::Timeout), None, "Failed"),
        (Some(RunResult::Cancellation), None, "Stopped"),
        (None, Some(0), "Done"),
        (None, None, "Failed"),
    ];
    for (result, exit_code, word) in cases {
        let row = RunRow { ended_at: Some(NOW), result, exit_code, ..living.clone() };
        world.store.put_run(&row, FIRST_CLAIM).unwrap();
        let page = world.get(&format!("/r/{run}")).await;
        assert!(page.text().contains(&format!("</span> {word}</span>")), "{result:?}: {}", page.text());
        let ticket = world.get("/t/DEMO-001").await;
        let (before, _) = ticket.text().split_once(&format!("href=\"/r/{run}\"")).unwrap();
        let (_, row) = before.rsplit_once("<li").unwrap();
        assert!(row.contains(&format!("</span> {word}</span>")), "{result:?}: {row}");
    }
    let stopped = RunRow { ended_at: Some(NOW), result: Some(RunResult::Cancellation), ..living };
    world.store.put_run(&stopped, FIRST_CLAIM).unwrap();
    let russian = crate::world::request(axum::http::Method::GET, &format!("/r/{run}")).header("accept-language", "ru");
    let page = world.send(russian.body(axum::body::Body::empty()).unwrap()).await;
    assert!(page.text().contains("Остановлено") && page.text().contains("прерван человеком или бюджетом"));
}
