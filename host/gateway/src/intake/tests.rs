//! A store that answers nobody: who comes then waits here and not in its line, whether or not he waits for the answer.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use conductor::ports::inbox::Answer;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::task::{JoinSet, yield_now};
use tower::ServiceExt as _;
use webhooks::Secret;

use super::*;

const SECRET: &[u8] = b"a secret of this test";
const BODY: &str = r#"{"ref":"refs/heads/x","repository":{"full_name":"acme/app"}}"#;
/// More than have a place in the line, and than the store itself has room for.
const SENDERS: usize = 3 * IN_LINE;

/// Those that nobody was told of yet.
#[derive(Default)]
struct Silent(Mutex<Vec<Answer>>);

impl Silent {
    fn waiting(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Tells all of them.
    fn tell(&self) -> usize {
        let answers = std::mem::take(&mut *self.0.lock().unwrap());
        let told = answers.len();
        for answer in answers {
            answer(Ok(Received::New));
        }
        told
    }
}

impl Inbox for Silent {
    fn receive(&self, _: NewDelivery, answer: Answer) {
        self.0.lock().unwrap().push(answer);
    }
}

fn delivery(number: usize) -> Request {
    let mut hmac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    hmac.update(BODY.as_bytes());
    let signature = hmac.finalize().into_bytes().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    Request::post("/webhook/gitea")
        .header("content-type", "application/json")
        .header("x-gitea-event-type", "push")
        .header("x-gitea-delivery", number.to_string())
        .header("x-gitea-signature", signature)
        .body(Body::from(BODY))
        .unwrap()
}

/// All of them have come as far as they come.
async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

async fn with_senders() -> (Arc<Silent>, JoinSet<StatusCode>) {
    let inbox = Arc::new(Silent::default());
    let intake = Intake::new(inbox.clone(), Arc::new(|_, _, _| {}), Arc::new(|| Timestamp(1)));
    intake.put_hooks(Hooks::new(vec![Hook {
        project: ProjectName::new("demo").unwrap(),
        source: Source::Gitea,
        about: "acme/app".to_owned(),
        secrets: vec![Secret::new(SECRET).unwrap()],
        unsigned: false,
    }]));
    let router = intake_router(Arc::new(intake));
    let mut senders = JoinSet::new();
    for number in 0..SENDERS {
        let router = router.clone();
        senders.spawn(async move { router.oneshot(delivery(number)).await.unwrap().status() });
    }
    settle().await;
    (inbox, senders)
}

#[tokio::test]
async fn no_more_deliveries_stand_in_the_stores_line_than_have_a_place_there() {
    let (inbox, mut senders) = with_senders().await;
    while !senders.is_empty() {
        assert_eq!(inbox.waiting(), IN_LINE.min(senders.len()));
        for _ in 0..inbox.tell() {
            assert_eq!(senders.join_next().await.unwrap().unwrap(), StatusCode::ACCEPTED);
        }
        settle().await;
    }
}

#[tokio::test]
async fn who_hangs_up_before_there_is_a_place_is_kept_all_the_same() {
    let (inbox, mut senders) = with_senders().await;
    senders.shutdown().await;
    let mut kept = 0;
    while inbox.waiting() > 0 {
        kept += inbox.tell();
        settle().await;
    }
    assert_eq!(kept, SENDERS);
}
