//! A spent budget waits for the operator: nothing failed, and whoever pays says how much more it may be.

use axum::http::StatusCode;
use conductor::ports::store::{Completion, Reached, RunRow};
use domain::document::Role;
use domain::effect::{Claim, run_of};
use domain::event::{Event, Withholder};
use gateway::api::{State, TaskView, Why};

use crate::buttons::{hidden, press};
use crate::sessions::Browser;
use crate::world::{NOW, Reply, SECRET, World, request};

const SPENT: &str = "nothing is launched: the budget of this task is spent: $2.50 of $2.00; raise `cost-usd` of [budget.task] in \
                     the project's file, then resume it";

/// A page in Russian.
pub(crate) async fn in_russian(world: &World, path: &str) -> Reply {
    let request = request(axum::http::Method::GET, path).header("accept-language", "ru");
    world.send(request.body(axum::body::Body::empty()).unwrap()).await
}

/// Its developer is to be launched.
pub(crate) async fn launched(world: &World, key: &str) -> Claim {
    world.task(key, "Say hello");
    world.post(&format!("/api/v1/tasks/{key}/approve"), "").await;
    world.claimed_launch()
}

/// What became of a claim.
pub(crate) fn complete(world: &World, claim: &Claim, event: Event, run: Option<&RunRow>) {
    let completion =
        Completion { job: claim.job.id, token: claim.token, event, wakes: claim.wakes, evaluation: None, run };
    world.store.complete(completion, NOW).unwrap();
}

/// Its launch is kept back, for a budget is spent.
async fn over_budget(world: &World, key: &str) {
    let claim = launched(world, key).await;
    let event = Event::Withheld { epoch: claim.job.epoch, by: Withholder::Budget, reason: SPENT.to_owned() };
    complete(world, &claim, event, None);
}

#[tokio::test]
async fn a_spent_budget_waits_for_the_operator_and_nothing_broke() {
    let world = World::new();
    over_budget(&world, "DEMO-001").await;
    let view: TaskView = world.get("/api/v1/tasks/DEMO-001").await.parse();
    assert_eq!((view.standing.state, view.standing.needs_person), (State::NeedsYou, true));
    let why: Why = world.get("/api/v1/tasks/DEMO-001/why").await.parse();
    for sentence in [&view.standing.sentence, &why.waits_for] {
        assert!(sentence.contains("$2.50 of $2.00; raise `cost-usd` of [budget.task]"), "{sentence}");
    }
    for line in ["gatewright task resume DEMO-001", "gatewright task stop DEMO-001"] {
        assert!(why.moved_by.iter().any(|command| command == line), "{line}: {:?}", why.moved_by);
    }
    let page = world.get("/").await.text().to_owned();
    let (needs, broken) = page.split_once("id=\"broken\"").unwrap();
    for part in
        ["Needs you</span>", "$2.50 of $2.00; raise “cost-usd” of [budget.task]", "gatewright task resume DEMO-001"]
    {
        assert!(needs.contains(part), "{part}: {needs}");
    }
    assert!(broken.starts_with(" data-broken=\"0\"") && broken.contains("Nothing is broken."), "{broken}");
    assert!(page.contains("nothing is broken") && !page.contains("by the system"), "{page}");
    for path in ["/t/DEMO-001", "/p/demo", "/find?q=hello"] {
        let page = world.get(path).await;
        assert!(page.text().contains("◆</span> Needs you</span>"), "{path}: {}", page.text());
        assert!(!page.text().contains("▲</span> Held</span>"), "{path}");
    }
    let russian = in_russian(&world, "/").await;
    assert!(
        russian.text().contains("ничего не сломано") && !russian.text().contains("— система"),
        "{}",
        russian.text()
    );
    // More money is one answer to all that wait for it.
    over_budget(&world, "DEMO-002").await;
    let browser = Browser::log_in(&world, SECRET).await;
    let page = browser.get(&world, "/").await.text().to_owned();
    let (needs, broken) = page.split_once("id=\"broken\"").unwrap();
    assert_eq!(
        (hidden(needs, "/retry", "cause"), hidden(needs, "/retry", "count")),
        ("over-budget".into(), "2".into())
    );
    assert!(needs.contains("gatewright retry --cause over-budget --count 2") && !broken.contains("over-budget"));
    let pressed = press(&world, &browser, "/retry", &[("cause", "over-budget"), ("count", "2")]).await;
    assert_eq!(pressed.status, StatusCode::SEE_OTHER, "{}", pressed.text());
    let reached = world.post("/api/v1/all/retry", r#"{"cause":"over-budget"}"#).await;
    assert_eq!(reached.parse::<Reached>(), Reached::default(), "nobody is left");
}

#[tokio::test]
async fn a_run_that_a_budget_ended_was_stopped_and_not_failed_by_the_system() {
    let world = World::new();
    let claim = launched(&world, "DEMO-001").await;
    let mut row = RunRow::begun(run_of(claim.job.id), &claim.task, Role::Developer, 1, "agent".to_owned(), NOW);
    row.over_budget = Some("the budget of a run is spent: $6.00 of $5.00".to_owned());
    row.ended_at = Some(NOW);
    world.store.put_run(&row, claim.token).unwrap();
    let page = world.get(&format!("/r/{}", row.id)).await;
    assert!(page.text().contains("$6.00 of $5.00") && page.text().contains("⊘</span> Stopped"), "{}", page.text());
    assert!(!page.text().contains("Held"), "{}", page.text());
}
