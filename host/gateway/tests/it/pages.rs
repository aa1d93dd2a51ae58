//! Pages: whole without a script, and safe whatever a title says.

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use conductor::ports::store::{ClaimLimits, Incarnation, NewEvaluation};
use domain::event::Event;
use domain::ids::{PluginId, StepName};
use domain::pipeline::{EdgeStep, Pipeline, PipelineDraft, StepKind};
use gateway::api::Block;
use gateway::{Backups, Desk as _, LastRestore};

use crate::world::{NOW, World, name, project, request};

const HOSTILE: &str =
    "</title><script>alert(1)</script><img src=x onerror=alert(2)> \u{202E}drowssap\u{200B} \" onload=\"x";

fn assert_disarmed(text: &str) {
    assert!(!text.contains("<script>"), "{text}");
    assert!(!text.contains("<img src=x"), "{text}");
    assert!(!text.contains("\" onload"), "{text}");
    assert!(text.contains("&#60;script&#62;alert(1)"), "{text}");
    assert!(text.contains("⟦U+202E⟧drowssap⟦U+200B⟧"), "{text}");
    assert!(!text.contains('\u{202E}'));
}

#[tokio::test]
async fn the_empty_board_names_the_next_command() {
    let world = World::empty(true);
    let page = world.get("/").await;
    assert_eq!(
        (page.status, &page.headers[header::CONTENT_TYPE]),
        (StatusCode::OK, &"text/html; charset=utf-8".parse().unwrap())
    );
    assert!(page.text().contains("<code>gatewright init</code>"));
    let world = World::new();
    let page = world.get("/").await;
    assert!(page.text().contains("gatewright task create --project demo"));
    assert!(page.text().contains("Nothing waits for you."));
}

#[tokio::test]
async fn hostile_titles_are_text_and_nothing_in_them_is_invisible() {
    let world = World::new();
    world.task("DEMO-001", HOSTILE);
    let card = serde_json::json!({ "title": HOSTILE, "labels": [HOSTILE.get(..80).unwrap()], "description": HOSTILE });
    world.post("/api/v1/projects/demo/items", &card.to_string()).await;
    let item = world.store.items(&name("demo"), 1).unwrap()[0].work_item.clone();
    world
        .post(
            &format!("/api/v1/projects/demo/items/{item}/comments"),
            &serde_json::json!({ "text": HOSTILE }).to_string(),
        )
        .await;
    for path in ["/", "/p/demo", "/t/DEMO-001", "/find?q=script", &format!("/t/{item}")] {
        let page = world.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_disarmed(page.text());
    }
}

#[tokio::test]
async fn what_was_told_is_shown_with_what_came_of_it_and_is_text() {
    let world = World::new();
    let empty = world.get("/deliveries").await;
    assert!(empty.text().contains("Nobody told anything yet"), "{}", empty.text());
    let push = format!(
        r#"{{"ref": "refs/heads/{}", "after": "{}", "repository": {{"full_name": "acme/app"}}}}"#,
        HOSTILE.escape_default().to_string().replace("\\u{", "x").replace('}', ""),
        "a".repeat(40)
    );
    world.told(1, "push", &push);
    world.told(2, HOSTILE, "no JSON");
    for path in ["/deliveries", "/deliveries?source=gitea&project=&state=pending", "/deliveries?project=demo"] {
        let page = world.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_disarmed(page.text());
        assert!(page.text().contains("<a href=\"/deliveries/1\">1</a>"), "{path}");
        assert!(page.text().contains("signature fits") && page.text().contains("not read yet"), "{path}");
    }
    assert!(world.get("/deliveries?source=plane").await.text().contains("No delivery fits."));
    assert_eq!(world.get("/deliveries?source=nobody").await.status, StatusCode::BAD_REQUEST);
    let first = world.get("/deliveries/1").await;
    assert!(first.text().contains("x-gitea-event-type") && first.text().contains("branch"), "{}", first.text());
    let second = world.get("/deliveries/2").await;
    assert_disarmed(second.text());
    assert!(second.text().contains("Unreadable"), "{}", second.text());
    assert_eq!(world.get("/deliveries/3").await.status, StatusCode::NOT_FOUND);
    for number in 3..105 {
        world.told(number, "push", &push);
    }
    let newest = world.get("/deliveries?source=gitea").await;
    assert!(newest.text().contains("/deliveries?before=5&#38;source=gitea"), "{}", newest.text());
    let older = world.get("/deliveries?before=5&source=gitea").await;
    assert!(older.text().contains("<a href=\"/deliveries/4\">4</a>") && !older.text().contains("Older"));
}

#[tokio::test]
async fn the_audit_says_who_did_what_and_where_to_get_all_of_it() {
    let world = World::new();
    assert!(world.get("/audit").await.text().contains("Nobody did anything yet"));
    world.post("/api/v1/projects/demo/freeze", &serde_json::json!({ "reason": HOSTILE }).to_string()).await;
    for path in ["/audit", "/audit?who=operator&what=freeze&task=&project="] {
        let page = world.get(path).await;
        assert_disarmed(page.text());
        assert!(page.text().contains("<code>freeze</code>") && page.text().contains("operator"), "{path}");
    }
    assert!(world.get("/audit?who=operator").await.text().contains("\"/api/v1/audit.jsonl?who=operator\""));
    assert!(world.get("/audit?who=nobody").await.text().contains("Nothing was done that fits."));
    assert_eq!(world.get("/audit?what=dance").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_needs_a_person_stands_first_with_the_line_that_helps() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    let text = world.get("/").await.text().to_owned();
    let need = text.find("gatewright task approve DEMO-001").unwrap();
    assert!(need < text.find("id=\"broken\"").unwrap());
    assert!(text.contains("<span class=\"shape\" aria-hidden=\"true\">◆</span> Needs you"), "{text}");
    assert!(text.contains("1 waits for you"));
    assert!(text.contains("Everything waits for you."));
    assert!(text.contains("<time datetime=\"2026-09-21T14:13:20Z\">2026-09-21 14:13:20 UTC</time>"));
}

#[tokio::test]
async fn pages_work_without_a_script_and_have_none_inline() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    world.post("/api/v1/projects/demo/freeze", r#"{"reason":"a <b> reason"}"#).await;
    for path in ["/", "/q", "/repositories", "/system", "/p/demo", "/find?q=hello", "/t/DEMO-001", "/t/NONE-1"] {
        let page = world.get(path).await;
        let text = page.text();
        assert!(text.contains("href=\"\">Refresh</a>"), "{path}");
        assert!(!text.contains("style=") && !text.contains("onclick"), "{path}");
        assert_eq!(text.matches("<script").count(), 1);
        assert!(text.contains("<script src=\"/static/page.js\" defer></script>"));
    }
    assert!(world.get("/").await.text().contains("a &#60;b&#62; reason"));
}

#[tokio::test]
async fn trouble_is_said_on_the_board() {
    let world = World::empty(false);
    let reply = world.get("/").await;
    let page = reply.text();
    assert!(page.contains("the disk is &#60;nearly&#62; full"));
    let system = world.get("/system").await;
    assert!(
        system.text().contains("the disk is &#60;nearly&#62; full") && system.text().contains("sandbox: by nobody")
    );
    assert!(system.text().contains("a run sees what &#60;you&#62; see"), "{}", system.text());
}

#[tokio::test]
async fn the_system_says_when_it_was_last_saved_and_seen_to_restore() {
    let world = World::new();
    let page = world.get("/system").await;
    for part in
        ["last backup:", "3 tasks, 7 B", "/kept/&#60;one&#62;", "banner failed", "gatewright restore --verify /kept/"]
    {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
    let verified = Some(LastRestore { at: NOW, backup_at: NOW, tasks: 1 });
    let last = world.desk.backups().fine().unwrap().last;
    *world.desk.backups.lock().unwrap() = Block::Fine(Backups { last, verified });
    let page = world.get("/system").await;
    assert!(page.text().contains("last verified restore:") && page.text().contains(", 1 task</p>"), "{}", page.text());
    assert!(!page.text().contains("banner failed"));
    *world.desk.backups.lock().unwrap() = Block::Broken { error: "backups.json: <denied>".to_owned() };
    let page = world.get("/system").await;
    assert!(page.text().contains("banner failed") && page.text().contains("backups.json: &#60;denied&#62;"));
    assert!(!page.text().contains("none was made yet"), "{}", page.text());
    assert!(world.get("/metrics").await.text().contains("gatewright_ready"));
    *world.desk.backups.lock().unwrap() = Block::Fine(Backups::default());
    let page = world.get("/system").await;
    assert!(page.text().contains("banner failed") && page.text().contains("gatewright backup --to FOLDER"));
    assert!(!page.text().contains("last backup:"));
}

#[tokio::test]
async fn a_ticket_tells_what_happened() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    world.post("/api/v1/tasks/DEMO-001/approve", r#"{"note":"go <on>"}"#).await;
    let page = world.get("/t/DEMO-001").await;
    let text = page.text();
    for part in [
        "created by ada",
        "approved by operator: go &#60;on&#62;",
        "entered development",
        "What is &#60;wanted&#62;",
        "labels: ui",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("data-cursor=\""));
}

#[tokio::test]
async fn a_ticket_that_is_not_there_is_a_page_too() {
    let world = World::new();
    let page = world.get("/t/NONE-1").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.text().contains("there is no work item NONE-1"));
    let page = world.get("/t/%3Cscript%3E").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(!page.text().contains("<script>"));
}

#[tokio::test]
async fn whatever_a_browser_meets_is_a_page_in_its_language_with_the_way_back() {
    let world = World::new();
    let ask = |method: Method, path: &str, headers: &[(&str, &str)]| {
        let mut builder = request(method, path).header("accept-language", "ru");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(Body::empty()).unwrap()
    };
    let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8"), ("referer", "http://127.0.0.1:8500/q?a=b")];
    let cases = [
        (Method::GET, "/nowhere", StatusCode::NOT_FOUND),
        (Method::GET, "/t/NONE-1", StatusCode::NOT_FOUND),
        (Method::GET, "/stop-all", StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, "/", StatusCode::UNAUTHORIZED),
        (Method::GET, "/r/999/raw", StatusCode::NOT_FOUND),
        (Method::GET, "/static/none", StatusCode::NOT_FOUND),
        (Method::GET, "/language/xx", StatusCode::NOT_FOUND),
        (Method::GET, "/find?what=x", StatusCode::BAD_REQUEST),
        (Method::GET, "/api/v1/tasks/999", StatusCode::NOT_FOUND),
        (Method::GET, "/api/v1/tokens", StatusCode::UNAUTHORIZED),
        (Method::POST, "/stop-all", StatusCode::UNAUTHORIZED),
    ];
    for (method, path, status) in cases {
        let page = world.send(ask(method.clone(), path, &browser)).await;
        assert_eq!(page.status, status, "{path}: {}", page.text());
        assert_eq!(page.headers[header::CONTENT_TYPE], "text/html; charset=utf-8", "{path}");
        let text = page.text();
        assert!(text.contains("<html lang=\"ru\">") && text.contains("<a href=\"/q?a=b\">Назад</a>"), "{path}: {text}");
        assert!(text.contains("На первую страницу"), "{path}");
        // What presses a button is not pressed again by a link.
        assert_eq!(text.contains("class=\"refresh\""), method == Method::GET, "{path}: {text}");
        let program = world.send(ask(method, path, &[("accept", "application/json")])).await;
        assert_eq!(program.status, status, "{path}");
        program.detail();
    }
    let elsewhere = ask(Method::GET, "/", &[("accept", "text/html"), ("origin", "http://evil.example")]);
    let page = world.send(elsewhere).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.text().contains("Нельзя") && page.text().contains("lang=\"en\""), "{}", page.text());
}

#[tokio::test]
async fn a_program_at_a_form_is_told_the_right_that_it_lacks() {
    let world = World::new();
    let body = r#"{"name":"reader","right":"read"}"#;
    let made: serde_json::Value = world.post("/api/v1/tokens", body).await.parse();
    let secret = made["secret"].as_str().unwrap();
    let press = request(Method::POST, "/stop-all").header(header::AUTHORIZATION, format!("Bearer {secret}"));
    let reply = world.send(press.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert!(reply.detail().contains("has the right `read`, and this needs `operate`"), "{}", reply.text());
}

#[tokio::test]
async fn assets_are_served_from_the_binary_only() {
    let world = World::new();
    for (file, kind) in [
        ("page.css", "text/css; charset=utf-8"),
        ("page.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let reply = world.get(&format!("/static/{file}")).await;
        assert_eq!((reply.status, reply.headers[header::CONTENT_TYPE].to_str().unwrap()), (StatusCode::OK, kind));
    }
    assert_eq!(world.get("/static/..%2FCargo.toml").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_key_leads_to_its_ticket_and_words_to_those_that_have_them() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    world.task("DEMO-002", "Say goodbye");
    let found = world.get("/find?q=demo-001").await;
    assert_eq!(
        (found.status, found.headers[header::LOCATION].to_str().unwrap()),
        (StatusCode::SEE_OTHER, "/t/DEMO-001")
    );
    let found = world.get("/find?q=good").await;
    assert!(found.text().contains("DEMO-002") && !found.text().contains("DEMO-001"));
    let none = world.get("/find?q=nowhere%25").await;
    assert!(none.text().contains("“nowhere%”") && none.text().contains(">Clear</a>"));
}

#[tokio::test]
async fn the_queue_says_who_waits_for_what() {
    let world = World::new();
    let empty = world.get("/q").await;
    assert!(empty.text().contains("gatewright task create"));
    world.task("DEMO-001", "Say hello");
    world.post("/api/v1/tasks/DEMO-001/approve", "").await;
    world.post("/api/v1/projects/demo/freeze", r#"{"reason":"the deploy smells"}"#).await;
    let page = world.get("/q").await;
    let text = page.text();
    for part in
        ["Frozen", "the deploy smells", "gatewright project unfreeze demo", "<code>launch-agent</code>", "DEMO-001"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn a_number_and_its_noun_agree() {
    let world = World::new();
    let task = world.task("DEMO-001", "Say hello");
    world.post("/api/v1/tasks/DEMO-001/approve", "").await;
    assert!(world.get("/q").await.text().contains(" wait, 0 are performed now; places for runs: 0/2."));
    let owner = Incarnation {
        host: "here".to_owned(),
        boot_id: "boot".to_owned(),
        pid: 7,
        start_time: 1,
        uuid: "a".repeat(32),
    };
    world.store.claim(&owner, &ClaimLimits::of(2), NOW).unwrap().expect("a job");
    let page = world.get("/q").await;
    assert!(page.text().contains(", 1 is performed now; places"), "{}", page.text());
    let panicked = Event::Panicked { message: "out of ink".to_owned(), unanswered: false };
    world.store.apply(task, &panicked, NOW).unwrap();
    let page = world.get("/").await;
    assert!(page.text().contains("<strong>1 ticket</strong>: deciding about it broke"), "{}", page.text());
    let russian = request(Method::GET, "/").header("accept-language", "ru").body(Body::empty()).unwrap();
    assert!(world.send(russian).await.text().contains("<strong>1 задача</strong>: решение о ней сломалось"));
}

#[tokio::test]
async fn what_the_inside_of_the_host_wrote_is_marked_as_english_on_a_russian_page() {
    let world = World::new();
    let task = world.task("DEMO-001", "Say hello");
    let panicked = Event::Panicked { message: "out of <ink> \u{E001}".to_owned(), unanswered: false };
    world.store.apply(task, &panicked, NOW).unwrap();
    for path in ["/", "/t/DEMO-001", "/p/demo"] {
        let russian = request(Method::GET, path).header("accept-language", "ru").body(Body::empty()).unwrap();
        let page = world.send(russian).await;
        let (_, english) =
            page.text().split_once("удержана").expect(path).1.split_once("<span lang=\"en\">").expect(path);
        let (english, _) = english.split_once("</span>").unwrap();
        assert!(english.contains("out of &#60;ink&#62;"), "{path}: {english}");
        assert!(!page.text().contains(['\u{E000}', '\u{E001}']), "{path}");
    }
    let english = world.get("/t/DEMO-001").await;
    assert!(!english.text().contains("lang=\"en\">out of") && english.text().contains("out of &#60;ink&#62;"));
}

#[tokio::test]
async fn a_repository_counts_the_answers_of_its_gates_and_of_nothing_else() {
    let world = World::new();
    let mut demo = project("demo", "DEMO");
    let mut stages = demo.pipeline.stages().to_vec();
    let edge = stages[0].edge.as_mut().unwrap();
    let plugin = PluginId::new("checks-green").unwrap();
    let gate = EdgeStep {
        name: StepName::new("checks").unwrap(),
        kind: StepKind::Gate { plugin: plugin.clone() },
        ..edge.steps[0].clone()
    };
    edge.steps.push(gate);
    demo.pipeline = Pipeline::new(PipelineDraft { name: "small".to_owned(), stages }).unwrap();
    world.store.put_project(&demo, NOW).unwrap();
    let task = world.task("DEMO-001", "Say hello");
    let blob = world.store.put_blob(b"{}").unwrap();
    for (step, answer) in [("checks", "pass"), ("checks", "infra"), ("inbound", "ok"), ("guard", "allow")] {
        let evaluation = NewEvaluation {
            job: None,
            task: Some(task),
            step: step.to_owned(),
            plugin: plugin.clone(),
            digest: None,
            answer: answer.to_owned(),
            summary: String::new(),
            verdict: blob.clone(),
            transcript: blob.clone(),
            head: None,
            base: None,
            micros: 1500,
            at: NOW,
        };
        world.store.put_evaluation(&evaluation).unwrap();
    }
    let page = world.get("/repositories").await;
    let cells: Vec<&str> = page.text().split("<td ").skip(1).filter_map(|cell| cell.split(['>', '<']).nth(1)).collect();
    assert_eq!(cells, ["checks", "1 / 2 (50 %)", "1"], "{}", page.text());
}

#[tokio::test]
async fn pages_speak_the_readers_language_and_keep_the_choice() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    let page = |headers: &'static [(&'static str, &'static str)]| {
        let mut builder = request(Method::GET, "/");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        world.send(builder.body(Body::empty()).unwrap())
    };
    let russian = page(&[("accept-language", "ru, en;q=0.5")]).await;
    assert!(russian.text().contains("<html lang=\"ru\">") && russian.text().contains("Ждёт вас"));
    assert!(!russian.text().contains("Needs you"));
    let english = page(&[("accept-language", "de"), ("cookie", "gatewright-language=en")]).await;
    assert!(english.text().contains("<html lang=\"en\">") && english.text().contains("Needs you"));
    assert!(english.text().contains("href=\"/language/ru?back=%2F\""));
    let chosen = world.get("/language/ru?back=%2Ft%2FDEMO-001").await;
    assert_eq!(chosen.headers[header::LOCATION], "/t/DEMO-001");
    let cookie = chosen.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("gatewright-language=ru;") && cookie.contains("SameSite=Lax"), "{cookie}");
    assert_eq!(world.get("/language/xx").await.status, StatusCode::NOT_FOUND);
}
