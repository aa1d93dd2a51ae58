//! Who is told of as refused, for which project, from where, and until when.

use super::*;

fn demo() -> ProjectName {
    ProjectName::new("demo").unwrap()
}

fn other() -> ProjectName {
    ProjectName::new("other").unwrap()
}

fn peer(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn note(misfits: &Misfits, flaw: Flaw, projects: &[ProjectName], from: &str, at: u64) -> Standing {
    misfits.note(("gitea", flaw), projects, peer(from), Timestamp(at))
}

fn prove(misfits: &Misfits, project: &ProjectName, from: &str, at: u64) {
    misfits.prove("gitea", project, peer(from), Timestamp(at));
}

/// Each with its projects, its count, and whether its sender was known.
fn told(misfits: &Misfits) -> Vec<(Flaw, String, u64, bool)> {
    let one = |misfit: Misfit| {
        let projects = misfit.projects.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        (misfit.flaw, projects, misfit.count, misfit.is_proven)
    };
    misfits.all().into_iter().map(one).collect()
}

#[test]
fn once_a_delivery_fits_a_stranger_counts_no_more_and_what_came_before_is_mended() {
    let misfits = Misfits::default();
    assert_eq!(note(&misfits, Flaw::Unfit, &[demo()], "10.0.0.5", 1), Standing::Possible);
    assert_eq!(note(&misfits, Flaw::Unfit, &[demo()], "192.0.2.1", 2), Standing::Possible);
    assert_eq!(note(&misfits, Flaw::Unfit, &[demo()], "10.0.0.5", 3), Standing::Possible);
    let first = misfits.all().remove(0);
    assert_eq!((first.count, first.first, first.last), (3, Timestamp(1), Timestamp(3)));
    assert!(!first.is_proven && first.advice(Tongue::Russian).contains("послали посторонние"));
    let advice = first.advice(Tongue::English);
    assert!(advice.contains("strangers sent them") && advice.contains("of demo name"), "{advice}");
    prove(&misfits, &demo(), "10.0.0.5", 4);
    assert_eq!(misfits.all(), [], "the secret was entered, and all is well");
    assert_eq!(note(&misfits, Flaw::Unfit, &[demo()], "192.0.2.1", 5), Standing::Stranger);
    assert_eq!(note(&misfits, Flaw::Unfit, &[demo()], "10.0.0.5", 6), Standing::Proven);
    let second = misfits.all().remove(0);
    assert_eq!((second.count, second.addresses.as_slice()), (1, [(peer("10.0.0.5"), 1)].as_slice()));
    assert!(second.is_proven && second.advice(Tongue::English).contains("changed on one side alone"));
    assert!(second.advice(Tongue::Russian).contains("сменили только с одной стороны"));
    prove(&misfits, &demo(), "192.0.2.200", 7);
    assert_eq!(misfits.all()[0].count, 1, "a forge may have two addresses");
}

#[test]
fn the_alarm_ends_some_time_after_the_sender_was_mended() {
    let misfits = Misfits::default();
    prove(&misfits, &demo(), "10.0.0.5", 1);
    note(&misfits, Flaw::Unsigned, &[demo()], "10.0.0.5", 2);
    let alarms = |at: u64| misfits.all()[0].is_alarming(Timestamp(at));
    assert!(alarms(3) && alarms(2 + ALARM.0), "nothing fitted since");
    prove(&misfits, &demo(), "10.0.0.5", 3);
    assert!(alarms(1 + ALARM.0), "one webhook is well and another one may not be");
    assert!(!alarms(2 + ALARM.0));
    assert_eq!(misfits.all()[0].count, 1, "it is told all the same");
}

#[test]
fn however_many_addresses_send_the_last_are_remembered() {
    let misfits = Misfits::default();
    for number in 0..1_000_u32 {
        note(
            &misfits,
            Flaw::Unfit,
            &[demo()],
            &std::net::Ipv4Addr::from(0x0a00_0000 + number).to_string(),
            number.into(),
        );
    }
    // The own sender comes after the crowd.
    note(&misfits, Flaw::Unfit, &[demo()], "192.0.2.1", 1_000);
    let told = misfits.all().remove(0);
    assert_eq!((told.count, told.addresses.len(), told.others), (1_001, ADDRESSES, 1_001 - ADDRESSES as u64));
    assert!(told.addresses.contains(&(peer("192.0.2.1"), 1)));
    for number in 0..1_000_u32 {
        prove(&misfits, &demo(), &std::net::Ipv4Addr::from(0x0b00_0000 + number).to_string(), 2_000);
    }
    assert_eq!(misfits.0.lock().unwrap().proven["gitea"][&demo()].addresses.len(), ADDRESSES);
}

#[test]
fn each_delivery_counts_once_whatever_projects_it_may_be_for() {
    let misfits = Misfits::default();
    for (from, at) in [("10.0.0.5", 1), ("10.0.0.5", 2), ("192.0.2.1", 3)] {
        note(&misfits, Flaw::Unsigned, &[demo(), other()], from, at);
    }
    note(&misfits, Flaw::Unfit, &[demo(), other()], "10.0.0.5", 4);
    let both = "demo other".to_owned();
    assert_eq!(told(&misfits), [(Flaw::Unsigned, both.clone(), 3, false), (Flaw::Unfit, both, 1, false)]);
    let advice = |t| misfits.all()[0].advice(t);
    assert!(advice(Tongue::English).contains("its webhook has no secret"));
    assert!(advice(Tongue::Russian).contains("у его вебхука нет секрета"));
    // What came from there was this project's and is mended; the rest may be the other one's.
    prove(&misfits, &demo(), "10.0.0.5", 5);
    assert_eq!(told(&misfits), [(Flaw::Unsigned, "other".to_owned(), 1, false)]);
    // From there it is the one that is known, and from elsewhere the other one.
    assert_eq!(note(&misfits, Flaw::Unsigned, &[demo(), other()], "10.0.0.5", 6), Standing::Proven);
    assert_eq!(note(&misfits, Flaw::Unsigned, &[demo(), other()], "192.0.2.9", 7), Standing::Possible);
    assert_eq!(
        told(&misfits),
        [(Flaw::Unsigned, "other".to_owned(), 2, false), (Flaw::Unsigned, "demo".to_owned(), 1, true)]
    );
    assert!(misfits.all()[1].advice(Tongue::English).contains("a second webhook without a secret"));
    assert!(misfits.all()[1].advice(Tongue::Russian).contains("второй вебхук без секрета"));
    prove(&misfits, &other(), "10.0.0.6", 8);
    assert_eq!(note(&misfits, Flaw::Unsigned, &[demo(), other()], "192.0.2.9", 9), Standing::Stranger);
    assert_eq!(told(&misfits), [(Flaw::Unsigned, "demo".to_owned(), 1, true)]);
}

#[test]
fn what_is_no_signature_is_not_taken_for_none() {
    let misfits = Misfits::default();
    note(&misfits, Flaw::Malformed, &[demo()], "10.0.0.5", 1);
    let advice = |t| misfits.all()[0].advice(t);
    assert!(advice(Tongue::English).contains("something on the way changes the header"));
    assert!(advice(Tongue::Russian).contains("заголовок меняют по дороге"));
}
