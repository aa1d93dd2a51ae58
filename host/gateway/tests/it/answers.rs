//! What pages answer is whole: counts are of all, searches look everywhere, a page of any log is bounded.

use conductor::ports::store::ClaimLimits;

use crate::runs::under_way;
use crate::world::{NOW, World};

async fn card(world: &World, title: &str) {
    let card = serde_json::json!({ "title": title });
    assert!(world.post("/api/v1/projects/demo/items", &card.to_string()).await.status.is_success());
}

#[tokio::test]
async fn a_board_counts_the_cards_that_it_does_not_show() {
    let world = World::new();
    for number in 0..103 {
        card(&world, &format!("An idea, number {number}")).await;
    }
    let board = world.get("/p/demo").await;
    assert!(board.text().contains("not started <span class=\"count\">103</span>"), "{}", board.text());
    assert!(!board.text().contains("An idea, number 2<") && board.text().contains("An idea, number 102<"));
}

#[tokio::test]
async fn a_search_finds_tickets_and_cards_in_any_case_with_any_letters() {
    let world = World::new();
    world.task("DEMO-901", "Привет, мир");
    world.task("DEMO-902", "Say \"hi\" loudly");
    card(&world, "Здравствуйте, ЗЕБРЫ").await;
    for (asked, found) in [
        ("%D0%BF%D1%80%D0%B8%D0%B2%D0%B5%D1%82", "Привет, мир"),
        ("%22HI%22", "DEMO-902"),
        ("%D0%B7%D0%B5%D0%B1%D1%80%D1%8B", "Здравствуйте, ЗЕБРЫ"),
    ] {
        let hits = world.get(&format!("/find?q={asked}")).await;
        assert!(hits.text().contains(found), "{asked}: {}", hits.text());
        assert!(!hits.text().contains("aria-current"), "a search is no page of the navigation");
    }
}

#[tokio::test]
async fn what_is_performed_stands_before_all_that_waits() {
    let world = World::new();
    for number in 1..=4 {
        let task = world.task(&format!("DEMO-00{number}"), "Say hello");
        assert!(world.post(&format!("/api/v1/tasks/{task}/approve"), "{}").await.status.is_success());
        if number == 1 {
            world.claimed_launch();
        }
    }
    let jobs = world.store.jobs(&ClaimLimits::of(2), NOW, 3).unwrap();
    let told: Vec<_> = jobs.iter().map(|job| (job.task.0, job.state.as_str())).collect();
    assert_eq!(told[0], (1, "claimed"), "{told:?}");
    assert!(told.windows(2).all(|pair| pair[0].0 <= pair[1].0), "the oldest come first: {told:?}");
    let page = world.get("/q").await;
    assert!(page.text().contains("Performed now"), "{}", page.text());
}

#[tokio::test]
async fn a_log_is_searched_letter_for_letter_and_its_page_is_bounded() {
    let world = World::new();
    let run = format!("/r/{}", under_way(&world).await);
    *world.desk.log.lock().unwrap() = Some(b"one\nfn  main() {}\ntwo\n".to_vec());
    let found = world.get(&format!("{run}?q=fn%20%20main")).await;
    assert!(found.text().contains("1 line has it"), "{}", found.text());
    for unseen in ["\0".repeat(3 << 20), "\0a".repeat(2 << 20), format!("{}\n", "\0a\u{1}".repeat(300)).repeat(3000)] {
        *world.desk.log.lock().unwrap() = Some(unseen.into_bytes());
        let page = world.get(&run).await;
        assert!(page.bytes.len() < 3 << 20, "{} bytes", page.bytes.len());
        assert!(page.text().contains("Older"), "what is left out is on an older page");
    }
}

#[tokio::test]
async fn the_parts_of_a_log_stay_where_they_are_when_they_are_shown_otherwise() {
    let world = World::new();
    let run = format!("/r/{}", under_way(&world).await);
    *world.desk.log.lock().unwrap() = Some("line\n".repeat(2000).into_bytes());
    let page = world.get(&format!("{run}?before=5000")).await;
    for way in ["before=5000&#38;wrap=0", "before=5000&#38;raw=1"] {
        assert!(page.text().contains(way), "{way}: {}", page.text());
    }
}

#[tokio::test]
async fn the_cost_of_a_day_counts_runs_under_way_and_the_disk_stands_for_itself() {
    let world = World::new();
    under_way(&world).await;
    let page = world.get("/").await;
    assert!(page.text().contains("today (UTC) $1.50"), "{}", page.text());
    assert!(page.text().contains("today $1.50 of $5.00 (30 %)"), "{}", page.text());
    assert!(page.text().contains("disk: 40.0 GiB free"), "{}", page.text());
}
