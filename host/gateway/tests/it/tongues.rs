//! What the host itself says no with: whoever reads Russian pages reads it in Russian, whatever part of the host said it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{StatusCode, header};
use conductor::slots::Place;
use domain::ids::Digest;
use domain::plugin::{Grant, PluginInfo, PluginKind, Request, Warning};
use gateway::LoadedPlugin;
use gateway::api::TaskView;

use crate::buttons::hidden;
use crate::sessions::{Browser, form, with};
use crate::spent::{in_russian, launched};
use crate::world::{NOW, Reply, SECRET, World, name};

/// A button of a page in Russian.
async fn press(world: &World, browser: &Browser, path: &str, fields: &[(&str, &str)]) -> Reply {
    let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("csrf", browser.csrf.as_str())]).collect();
    browser.send(world, with(form(path, &fields), header::ACCEPT_LANGUAGE, "ru")).await
}

/// The sentence of a page that says no, which is all in Russian. How the ticket stands may be somebody else's words.
fn no(reply: &Reply, status: StatusCode) -> &str {
    let text = reply.text();
    assert_eq!(reply.status, status, "{text}");
    let (_, why) = text.split_once("Почему</span> ").unwrap_or_else(|| panic!("no reason: {text}"));
    let why = why.split("</p>").next().unwrap();
    let told = why.split(" теперь: ").next().unwrap();
    assert!(!told.contains("lang=\"en\""), "{why}");
    why
}

#[tokio::test]
async fn tickets_that_cannot_wait_for_each_other_say_so_in_russian() {
    let world = World::new();
    for key in ["DEMO-001", "DEMO-002", "DEMO-003"] {
        world.task(key, "Say hello");
    }
    world.post("/api/v1/tasks/DEMO-003/stop", "").await;
    let third = world.store.task_of(&name("demo"), &"DEMO-003".parse().unwrap()).unwrap().unwrap();
    let cleaned = domain::event::Event::CleanedUp { epoch: third.epoch };
    world.store.apply(third.id, &cleaned, NOW).unwrap();
    let browser = Browser::log_in(&world, SECRET).await;
    let version = |page: &str| hidden(page, "/t/DEMO-001/depend", "version");
    let seen = version(browser.get(&world, "/t/DEMO-001").await.text());
    let depend = async |on: &str| {
        let fields = [("task", "1"), ("version", seen.as_str()), ("on", on), ("back", "/t/DEMO-001")];
        press(&world, &browser, "/t/DEMO-001/depend", &fields).await
    };
    world.post("/api/v1/tasks/DEMO-002/dependencies", r#"{"on":"DEMO-001"}"#).await;
    let refused =
        |reply: &Reply, what: &str| assert!(no(reply, StatusCode::CONFLICT).contains(what), "{}", reply.text());
    refused(&depend("DEMO-001").await, "DEMO-001 не может ждать саму себя");
    refused(&depend("DEMO-002").await, "DEMO-001 ждёт DEMO-002, DEMO-002 ждёт DEMO-001");
    refused(&depend("DEMO-003").await, "DEMO-003 остановлена и готова не будет");
    let unreadable = depend("DEMO/1").await;
    assert!(no(&unreadable, StatusCode::BAD_REQUEST).contains("не годится как ключ задачи"), "{}", unreadable.text());
    let fields = [("task", "1"), ("version", seen.as_str()), ("on", "DEMO-002"), ("back", "")];
    let absent = press(&world, &browser, "/t/DEMO-001/undepend", &fields).await;
    refused(&absent, "DEMO-002 ей не нужна");
    assert!(no(&absent, StatusCode::CONFLICT).contains("DEMO-001 теперь: "), "{}", absent.text());
}

#[tokio::test]
async fn what_a_ticket_does_not_ask_is_refused_in_russian() {
    let world = World::new();
    let task = world.task("DEMO-001", "Say hello");
    let browser = Browser::log_in(&world, SECRET).await;
    let wish = async |what: &str, note: &str| {
        let version = world.store.task(task).unwrap().version.to_string();
        let fields = [("task", "1"), ("version", version.as_str()), ("note", note), ("back", "/")];
        press(&world, &browser, &format!("/t/DEMO-001/{what}"), &fields).await
    };
    for (what, said) in [
        (
            "confirm-deploy",
            "здесь так нельзя: `confirm-deploy` отвечает шагу, который об этом спрашивает; задача сейчас: ждёт человека",
        ),
        ("resume", "дальше пускают только удержанную задачу; эта сейчас: ждёт человека"),
        ("waive", "дальше пускают только удержанную задачу; эта сейчас: ждёт человека"),
    ] {
        let reply = wish(what, "because").await;
        assert!(no(&reply, StatusCode::CONFLICT).contains(said), "{what}: {}", reply.text());
    }
    assert_eq!(wish("pause", "").await.status, StatusCode::SEE_OTHER);
    let again = wish("pause", "").await;
    assert!(no(&again, StatusCode::CONFLICT).contains("повтор: это уже произошло"), "{}", again.text());
}

#[tokio::test]
async fn a_delivery_that_is_not_parked_is_refused_in_russian() {
    let world = World::new();
    world.told(1, "push", "no JSON");
    let browser = Browser::log_in(&world, SECRET).await;
    let pending = press(&world, &browser, "/deliveries/1/retry", &[("back", "/deliveries")]).await;
    let said = "изменилось, пока вы смотрели: доставка 1 сейчас: не прочитано; заново читается только отложенная";
    assert!(no(&pending, StatusCode::CONFLICT).contains(said), "{}", pending.text());
    let absent = press(&world, &browser, "/deliveries/7/retry", &[("back", "/deliveries")]).await;
    assert!(no(&absent, StatusCode::NOT_FOUND).contains("доставки `7` нет"), "{}", absent.text());
}

#[tokio::test]
async fn what_an_address_names_in_vain_is_told_in_russian() {
    let world = World::new();
    for (path, status, said) in [
        ("/deliveries/9", StatusCode::NOT_FOUND, "доставки `9` нет"),
        ("/deliveries/x", StatusCode::BAD_REQUEST, "`x` не годится как номер доставки: нужно целое число"),
        ("/p/a%20b", StatusCode::BAD_REQUEST, "`a b` не годится как имя проекта: нужны латинские буквы"),
        ("/audit?what=dance", StatusCode::BAD_REQUEST, "`dance` — такого аудит не записывает; есть: "),
    ] {
        let reply = in_russian(&world, path).await;
        assert!(no(&reply, status).contains(said), "{path}: {}", reply.text());
    }
}

#[tokio::test]
async fn what_keeps_a_run_from_a_place_is_told_in_russian() {
    let world = World::new();
    let place = Place { runs: Some(1), repository: "/srv/demo.git".to_owned(), ..Place::default() };
    world.desk.limits.lock().unwrap().places = Some(Arc::new(BTreeMap::from([(name("demo"), place)])));
    launched(&world, "DEMO-001").await;
    world.task("DEMO-002", "Say goodbye");
    world.post("/api/v1/tasks/DEMO-002/approve", "").await;
    let view: TaskView = world.get("/api/v1/tasks/DEMO-002").await.parse();
    assert_eq!(
        view.standing.sentence, "it waits: 1 run of the project `demo` is under way",
        "programs read what they did"
    );
    for path in ["/", "/q", "/t/DEMO-002", "/p/demo"] {
        let page = in_russian(&world, path).await;
        let said = "проект “demo”: уже идёт 1 запуск, больше не положено";
        assert!(page.text().contains(said), "{path}: {}", page.text());
        assert!(!page.text().contains("is under way"), "{path}: {}", page.text());
    }
}

#[tokio::test]
async fn a_pause_is_told_in_russian_and_a_hold_says_of_which_kind_it_is() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    world.post("/api/v1/tasks/DEMO-001/pause", "").await;
    let held = world.task("DEMO-002", "Say goodbye");
    let panicked = domain::event::Event::Panicked { message: "out of ink".to_owned(), unanswered: false };
    world.store.apply(held, &panicked, NOW).unwrap();
    for path in ["/t/DEMO-001", "/"] {
        let page = in_russian(&world, path).await;
        assert!(
            page.text().contains("удержана на шаге “approve”, человек поставил на паузу<"),
            "{path}: {}",
            page.text()
        );
        assert!(!page.text().contains(">paused<"), "{path}: {}", page.text());
    }
    let history = in_russian(&world, "/t/DEMO-002").await;
    let said = "удержана: решение о ней сломалось: <span lang=\"en\">out of ink</span>";
    assert!(history.text().contains(said), "{}", history.text());
    world.post("/api/v1/tasks/DEMO-002/reject", "").await;
    let silent = in_russian(&world, "/t/DEMO-002").await;
    assert!(silent.text().contains("причина не названа"), "{}", silent.text());
}

#[tokio::test]
async fn the_audit_names_deeds_in_russian_beside_the_words_that_find_them() {
    let world = World::new();
    world.post("/api/v1/projects/demo/freeze", r#"{"reason":"it smells"}"#).await;
    let english = world.get("/audit").await;
    assert!(
        english.text().contains("<td role=\"cell\" data-label=\"What\"><code>freeze</code></td>"),
        "{}",
        english.text()
    );
    let russian = in_russian(&world, "/audit").await;
    assert!(russian.text().contains("заморозка <code>freeze</code>"), "{}", russian.text());
}

#[tokio::test]
async fn of_what_the_host_lacks_is_told_in_russian() {
    let world = World::empty(false);
    for path in ["/", "/system"] {
        let what = "the disk is &#60;nearly&#62; full: /srv/state";
        let english = world.get(path).await;
        assert!(english.text().contains(what), "{}", english.text());
        let russian = in_russian(&world, path).await;
        let said = format!(
            "на диске слишком мало места: ничего не запускается, остальное идёт: <span lang=\"en\">{what}</span>"
        );
        assert!(russian.text().contains(&said), "{path}: {}", russian.text());
    }
}

#[tokio::test]
async fn what_is_odd_about_a_plugin_is_told_in_russian() {
    let world = World::new();
    let info = PluginInfo {
        id: Some("lint".parse().unwrap()),
        digest: Digest::of(b"a component"),
        size: 7,
        kind: PluginKind::Gate,
        request: Request::default(),
        functions: Vec::new(),
        warnings: vec![Warning::NoRequest],
    };
    *world.desk.plugins.lock().unwrap() = vec![LoadedPlugin { project: name("demo"), info, grant: Grant::default() }];
    let english = world.get("/plugins").await;
    let said = "it has no section gatewright:request, and so asks for nothing";
    assert!(english.text().contains(said), "{}", english.text());
    let russian = in_russian(&world, "/plugins").await;
    let said = "в нём нет раздела “gatewright:request”, и потому он ничего не просит";
    assert!(russian.text().contains(said), "{}", russian.text());
}
