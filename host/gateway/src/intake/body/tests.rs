//! How a body is read: by its room, its rate and its time.

use std::io;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::*;

const CHUNK: usize = 64 << 10;

type Sending = UnboundedSender<Result<Bytes, io::Error>>;

/// A body that somebody sends, and what comes of it.
fn sending(bodies: &Arc<Bodies>, announced: Option<usize>) -> (Sending, JoinHandle<Result<Whole, Refusal>>) {
    sending_from(bodies, None, announced)
}

fn sending_from(
    bodies: &Arc<Bodies>,
    from: Option<IpAddr>,
    announced: Option<usize>,
) -> (Sending, JoinHandle<Result<Whole, Refusal>>) {
    let (sender, chunks) = unbounded_channel();
    let body = Body::from_stream(UnboundedReceiverStream::new(chunks));
    let bodies = bodies.clone();
    (sender, tokio::spawn(async move { bodies.read(from, announced, body).await }))
}

fn send(sender: &Sending, bytes: usize) {
    for at in (0..bytes).step_by(CHUNK) {
        let _ = sender.send(Ok(Bytes::from(vec![b' '; CHUNK.min(bytes - at)])));
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_room_counts_for_nobodys_time_and_small_bodies_wait_for_none() {
    let bodies = Arc::new(Bodies::of(LARGEST_DELIVERY));
    let (holder, held) = sending(&bodies, Some(LARGEST_DELIVERY));
    send(&holder, LARGEST_DELIVERY / 2);
    sleep(Duration::from_millis(1)).await;
    let later = (0..5).map(|number| {
        let announced = (number % 2 == 0).then_some(LARGEST_DELIVERY);
        let (sender, read) = sending(&bodies, announced);
        send(&sender, LARGEST_DELIVERY);
        read
    });
    let later = later.collect::<Vec<_>>();
    sleep(Duration::from_millis(1)).await;
    assert!(later.iter().all(|read| !read.is_finished()));
    let (small, read) = sending(&bodies, Some(LARGE));
    send(&small, LARGE);
    drop(small);
    let read = timeout(Duration::from_millis(1), read).await.unwrap().unwrap().unwrap();
    assert_eq!((read.bytes.len(), read.room.is_none()), (LARGE, true));
    // The one that has the room never sends the rest: his time is over, and not theirs.
    assert!(matches!(held.await.unwrap(), Err(Refusal::Slow)));
    for read in later {
        let whole = read.await.unwrap().unwrap();
        assert_eq!(whole.bytes.len(), LARGEST_DELIVERY);
        sleep(BODY_TIME).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_announces_much_and_sends_nothing_takes_no_room() {
    let bodies = Arc::new(Bodies::of(LARGEST_DELIVERY));
    let (idle, _never) = sending(&bodies, Some(LARGEST_DELIVERY));
    send(&idle, LARGE);
    let (sender, read) = sending(&bodies, Some(LARGEST_DELIVERY));
    send(&sender, LARGEST_DELIVERY);
    drop(sender);
    assert!(timeout(Duration::from_secs(1), read).await.unwrap().unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_ends_long_before_its_time() {
    let bodies = Arc::new(Bodies::default());
    let (trickle, read) = sending(&bodies, Some(1000));
    let since = Instant::now();
    let drops = tokio::spawn(async move {
        while trickle.send(Ok(Bytes::from_static(b" "))).is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(matches!(read.await.unwrap(), Err(Refusal::Slow)));
    assert_eq!(since.elapsed().as_secs(), PATIENCE.as_secs());
    drops.abort();
    // Who sends a KiB each second is waited for, until the time of all bodies is over.
    let (steady, read) = sending(&bodies, Some(20 << 10));
    let since = Instant::now();
    let steps = tokio::spawn(async move {
        while steady.send(Ok(Bytes::from(vec![b' '; 1024]))).is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    });
    assert!(matches!(read.await.unwrap(), Err(Refusal::Slow)));
    assert_eq!(since.elapsed().as_secs(), BODY_TIME.as_secs());
    steps.abort();
}

#[tokio::test(start_paused = true)]
async fn one_address_that_holds_its_share_keeps_nobody_else_waiting() {
    let bodies = Arc::new(Bodies::of(SHARES * LARGEST_DELIVERY));
    let (stranger, other): (IpAddr, IpAddr) = ([192, 0, 2, 2].into(), [192, 0, 2, 3].into());
    // So many would fill it all, and none of them goes on.
    let held: Vec<_> = (0..2 * SHARES)
        .map(|_| {
            let (sender, read) = sending_from(&bodies, Some(stranger), Some(LARGEST_DELIVERY));
            send(&sender, 2 * LARGE);
            (sender, read)
        })
        .collect();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(bodies.room(), (SHARES - 1) * LARGEST_DELIVERY);
    for from in [Some(other), None] {
        let (sender, read) = sending_from(&bodies, from, Some(LARGEST_DELIVERY));
        send(&sender, LARGEST_DELIVERY);
        drop(sender);
        let whole = timeout(Duration::from_millis(1), read).await.unwrap().unwrap().unwrap();
        assert_eq!(whole.bytes.len(), LARGEST_DELIVERY, "{from:?}");
    }
    for (_, read) in held {
        assert!(matches!(read.await.unwrap(), Err(Refusal::Slow)));
    }
    assert_eq!(bodies.room(), SHARES * LARGEST_DELIVERY);
}
