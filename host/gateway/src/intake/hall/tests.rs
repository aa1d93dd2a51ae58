//! Who finds a place and a seat, who gives his up, and that nobody is remembered.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::oneshot::error::TryRecvError;

use super::*;

fn hall(most: usize) -> (Arc<Hall>, Arc<AtomicUsize>) {
    let turned = Arc::new(AtomicUsize::new(0));
    let seen = turned.clone();
    let told = Arc::new(move |_: IpAddr| {
        seen.fetch_add(1, Ordering::SeqCst);
    });
    (Arc::new(Hall::of(most, vec!["10.0.0.1".parse().unwrap()], told)), turned)
}

fn enter(hall: &Arc<Hall>, peer: &str) -> Option<(Place, Leave)> {
    let mut place = hall.enter(peer.parse().unwrap())?;
    let leave = place.be_silent();
    Some((place, leave))
}

fn is_told(leave: &mut Leave) -> bool {
    !matches!(leave.try_recv(), Err(TryRecvError::Empty))
}

#[tokio::test]
async fn of_one_address_so_many_have_a_seat_and_the_next_has_it_when_one_leaves() {
    let (hall, _) = hall(1_000);
    let chairs = |peer: &str| enter(&hall, peer).unwrap().0;
    let one = chairs("192.0.2.1");
    let mut seats = Vec::new();
    for _ in 0..SEATS_OF_ONE {
        seats.push(one.chairs().seat().await);
    }
    let same = chairs("::ffff:192.0.2.1");
    let next = tokio::spawn(same.chairs().seat());
    tokio::task::yield_now().await;
    assert!(!next.is_finished(), "it waits, and is not turned away");
    let other = chairs("192.0.2.2");
    seats.push(other.chairs().seat().await);
    for everybody in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "::ffff:10.0.0.1"] {
        let everybody = chairs(everybody);
        for _ in 0..=SEATS_OF_ONE {
            seats.push(everybody.chairs().seat().await);
        }
    }
    drop(seats.remove(0));
    next.await.unwrap();
}

#[test]
fn who_has_most_gives_up_what_was_silent_longest_and_then_what_came_last() {
    let (hall, turned) = hall(4);
    let mut rich = (0..4).map(|_| enter(&hall, "192.0.2.1").unwrap()).collect::<Vec<_>>();
    let speaking = rich[0].0.speak();
    rich[0].1 = speaking;
    let mut poor = vec![enter(&hall, "192.0.2.2").unwrap()];
    assert_eq!(rich.iter_mut().map(|(_, leave)| is_told(leave)).collect::<Vec<_>>(), [false, true, false, false]);
    let speaking = rich[2].0.speak();
    rich[2].1 = speaking;
    let speaking = rich[3].0.speak();
    rich[3].1 = speaking;
    assert_eq!(turned.load(Ordering::SeqCst), 0, "who said nothing lost nothing");
    poor.push(enter(&hall, "192.0.2.2").unwrap());
    assert_eq!(rich.iter_mut().map(|(_, leave)| is_told(leave)).collect::<Vec<_>>(), [false, true, false, true]);
    assert_eq!(turned.load(Ordering::SeqCst), 1);
    let others = [enter(&hall, "192.0.2.3"), enter(&hall, "192.0.2.4")];
    assert!(others.iter().all(Option::is_some), "whoever has fewer is let in");
    assert_eq!(hall.guests().open, 4, "what left makes room for another");
}

#[test]
fn the_last_of_an_address_that_has_all_goes_and_nobody_who_left_is_remembered() {
    let (hall, turned) = hall(2);
    let mut all = (0..2).map(|_| enter(&hall, "192.0.2.1").unwrap()).collect::<Vec<_>>();
    for (place, leave) in &mut all {
        *leave = place.speak();
    }
    assert!(enter(&hall, "192.0.2.1").is_none(), "it came last");
    assert_eq!(turned.load(Ordering::SeqCst), 1);
    assert!(all.iter_mut().all(|(_, leave)| !is_told(leave)));
    assert!(all[0].0.sit() && all[1].0.sit());
    assert!(enter(&hall, "192.0.2.2").is_none(), "whoever has a seat is not sent away");
    all[0].1 = all[0].0.be_silent();
    let other = enter(&hall, "192.0.2.2").unwrap();
    assert!(is_told(&mut all[0].1) && !all[0].0.sit(), "whose place is gone finds no seat");
    drop((all, other));
    let guests = hall.guests();
    assert!(guests.groups.is_empty() && guests.open == 0);
}
