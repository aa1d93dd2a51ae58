//! Deliveries that were refused for their signature in this life of the host: they left nothing in the store, for anybody may send
//! them, and whoever changed a secret on one side alone, or made a webhook without one, must hear of them all the same.
//!
//! Nothing that a stranger writes is taken for more than it is. One counts here only if it bears a signature, reads, and names what a
//! project of ours is bound to; or if it bears none that could fit, so that its body is not waited for, and its head tells of an event
//! as the sender's does. From the first delivery on that fits, only those count that come from where fitting ones came.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use domain::ids::ProjectName;
use domain::time::Timestamp;

use crate::api::Flaw;
use crate::throttle::network;
use crate::tongue::{Tongue, say};

/// Addresses that are remembered of a project's sender, and addresses of those that are refused. The last to prove themselves, and
/// the first to be refused.
const ADDRESSES: usize = 8;

/// By their source and their project, of which there are few.
#[derive(Default)]
pub(crate) struct Misfits(Mutex<BTreeMap<(&'static str, ProjectName), Sender>>);

/// What is known of who sends for a project.
#[derive(Default)]
struct Sender {
    /// Where deliveries came from that fitted.
    proven: Vec<IpAddr>,
    refused: BTreeMap<Flaw, Refused>,
}

/// What was refused of one flaw.
#[derive(Default)]
struct Refused {
    by: BTreeMap<IpAddr, Count>,
    /// From further addresses.
    others: Option<Count>,
}

impl Refused {
    fn note(&mut self, peer: IpAddr, at: Timestamp) {
        if self.by.len() < ADDRESSES || self.by.contains_key(&peer) {
            self.by.entry(peer).or_insert(Count::none(at)).add(at);
        } else {
            self.others.get_or_insert(Count::none(at)).add(at);
        }
    }
}

#[derive(Clone, Copy)]
struct Count {
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

impl Count {
    const fn none(at: Timestamp) -> Self {
        Self { count: 0, first: at, last: at }
    }

    fn add(&mut self, at: Timestamp) {
        self.count += 1;
        self.last = at;
    }
}

/// What is known of who was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Deliveries from there fitted before.
    Proven,
    /// None fitted yet, from wherever.
    Possible,
    /// Others fit, and none from there.
    Stranger,
}

/// Those of one source and one flaw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) source: &'static str,
    pub(crate) flaw: Flaw,
    pub(crate) projects: Vec<ProjectName>,
    pub(crate) count: u64,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    /// How many from where; an address of IPv6 is its network. Whom `proven` says so, deliveries from there fitted before.
    pub(crate) addresses: Vec<From>,
    /// How many from further ones.
    pub(crate) others: u64,
}

/// How many from one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct From {
    pub(crate) address: IpAddr,
    pub(crate) count: u64,
    pub(crate) proven: bool,
}

impl Misfits {
    /// One was refused that names a project.
    pub(crate) fn note(
        &self,
        (source, flaw): (&'static str, Flaw),
        project: &ProjectName,
        peer: IpAddr,
        at: Timestamp,
    ) -> Standing {
        let (mut senders, peer) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), network(peer));
        let sender = senders.entry((source, project.clone())).or_default();
        let standing = match &sender.proven {
            proven if proven.contains(&peer) => Standing::Proven,
            proven if proven.is_empty() => Standing::Possible,
            _ => return Standing::Stranger,
        };
        sender.refused.entry(flaw).or_default().note(peer, at);
        standing
    }

    /// One fitted: what came from elsewhere was a stranger's.
    pub(crate) fn prove(&self, source: &'static str, project: &ProjectName, peer: IpAddr) {
        let (mut senders, peer) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), network(peer));
        let sender = senders.entry((source, project.clone())).or_default();
        if sender.proven.last() == Some(&peer) {
            return;
        }
        sender.proven.retain(|known| *known != peer);
        if sender.proven.len() >= ADDRESSES {
            sender.proven.remove(0);
        }
        sender.proven.push(peer);
        for refused in sender.refused.values_mut() {
            refused.by.retain(|address, _| sender.proven.contains(address));
            refused.others = None;
        }
    }

    /// What is worth a look at the secret, by source and flaw.
    pub(crate) fn all(&self) -> Vec<Misfit> {
        let senders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = BTreeMap::<(&'static str, Flaw), Misfit>::new();
        for ((source, project), sender) in &*senders {
            for (flaw, refused) in &sender.refused {
                let counts = || refused.by.values().chain(&refused.others).copied();
                let Some(first) = counts().map(|count| count.first).min() else { continue };
                let misfit = all.entry((*source, *flaw)).or_insert_with(|| Misfit::none(source, *flaw, first));
                misfit.projects.push(project.clone());
                misfit.first = misfit.first.min(first);
                misfit.last = counts().map(|count| count.last).fold(misfit.last, Timestamp::max);
                let others = refused.others.map_or(0, |others| others.count);
                // One without a signature is noted for each project that it may be for.
                match flaw {
                    Flaw::Unfit => misfit.others += others,
                    Flaw::Unsigned => misfit.others = misfit.others.max(others),
                }
                for (address, count) in &refused.by {
                    let proven = sender.proven.contains(address);
                    let Some(from) = misfit.addresses.iter_mut().find(|from| from.address == *address) else {
                        misfit.addresses.push(From { address: *address, count: count.count, proven });
                        continue;
                    };
                    from.proven |= proven;
                    match flaw {
                        Flaw::Unfit => from.count += count.count,
                        Flaw::Unsigned => from.count = from.count.max(count.count),
                    }
                }
            }
        }
        all.into_values().map(Misfit::counted).collect()
    }
}

impl Misfit {
    fn none(source: &'static str, flaw: Flaw, at: Timestamp) -> Self {
        let (projects, addresses) = (Vec::new(), Vec::new());
        Self { source, flaw, projects, count: 0, first: at, last: at, addresses, others: 0 }
    }

    fn counted(self) -> Self {
        Self { count: self.others + self.addresses.iter().map(|from| from.count).sum::<u64>(), ..self }
    }

    /// Deliveries from there fitted before: it is the sender's own, and wants mending. Else anybody may have sent them.
    pub(crate) fn is_proven(&self) -> bool {
        self.addresses.iter().any(|from| from.proven)
    }

    /// What is known, and what may be done; for people.
    pub(crate) fn advice(&self, t: Tongue) -> String {
        let source = self.source;
        let projects = self.projects.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match (self.flaw, self.is_proven()) {
            (Flaw::Unfit, true) => say!(
                t,
                "deliveries from the same address fitted before, so the secret was likely changed on one side alone: `secret-files` \
                 under [webhooks.{source}] of {projects} and the webhook at {source} must name the same one",
                "раньше доставки с того же адреса подходили, так что секрет, скорее всего, сменили только с одной стороны: \
                 `secret-files` в [webhooks.{source}] проекта {projects} и вебхук в {source} должны называть один и тот же"
            ),
            (Flaw::Unfit, false) => say!(
                t,
                "no delivery of {source} has fitted since the host started. Is one of these addresses your {source}'s? Then its webhook \
                 signs with another secret than `secret-files` under [webhooks.{source}] of {projects} name. If none is, strangers sent \
                 them, and nothing is to be done",
                "с запуска хоста не подошла ни одна доставка {source}. Есть ли среди этих адресов ваш {source}? Тогда его вебхук \
                 подписывает другим секретом, чем называют `secret-files` в [webhooks.{source}] проекта {projects}. Если нет, их послали \
                 посторонние, и делать ничего не надо"
            ),
            (Flaw::Unsigned, true) => say!(
                t,
                "other deliveries from the same address are signed, so {source} likely has a second webhook without a secret, or the \
                 secret was taken out: each webhook for {projects} needs the one that `secret-files` under [webhooks.{source}] name",
                "другие доставки с того же адреса подписаны, так что в {source}, скорее всего, есть второй вебхук без секрета или секрет \
                 из него убрали: каждому вебхуку проекта {projects} нужен тот, что называют `secret-files` в [webhooks.{source}]"
            ),
            (Flaw::Unsigned, false) => say!(
                t,
                "no delivery of {source} has fitted since the host started. Is one of these addresses your {source}'s? Then its webhook \
                 has no secret: enter there the one that `secret-files` under [webhooks.{source}] of {projects} name. If none is, \
                 strangers sent them, and nothing is to be done",
                "с запуска хоста не подошла ни одна доставка {source}. Есть ли среди этих адресов ваш {source}? Тогда у его вебхука нет \
                 секрета: впишите там тот, что называют `secret-files` в [webhooks.{source}] проекта {projects}. Если нет, их послали \
                 посторонние, и делать ничего не надо"
            ),
        }
    }

    /// How many came from where, for people.
    pub(crate) fn senders(&self, t: Tongue) -> String {
        let from = self.addresses.iter().map(|From { address, count, .. }| format!("{address}: {count}"));
        let others = (self.others > 0).then(|| {
            let others = self.others;
            say!(t, "others: {others}", "другие: {others}")
        });
        from.chain(others).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo() -> ProjectName {
        ProjectName::new("demo").unwrap()
    }

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn note(misfits: &Misfits, from: &str, at: u64) -> Standing {
        misfits.note(("gitea", Flaw::Unfit), &demo(), peer(from), Timestamp(at))
    }

    #[test]
    fn once_a_delivery_fits_a_stranger_counts_no_more() {
        let misfits = Misfits::default();
        assert_eq!(note(&misfits, "10.0.0.5", 1), Standing::Possible);
        assert_eq!(note(&misfits, "192.0.2.1", 2), Standing::Possible);
        assert_eq!(note(&misfits, "10.0.0.5", 3), Standing::Possible);
        let told = misfits.all().remove(0);
        assert_eq!((told.count, told.first, told.last), (3, Timestamp(1), Timestamp(3)));
        assert!(!told.is_proven() && told.advice(Tongue::Russian).contains("послали посторонние"));
        assert!(
            told.advice(Tongue::English).contains("strangers sent them")
                && told.advice(Tongue::English).contains("of demo name")
        );
        misfits.prove("gitea", &demo(), peer("10.0.0.5"));
        assert_eq!(note(&misfits, "192.0.2.1", 4), Standing::Stranger);
        let told = misfits.all().remove(0);
        assert_eq!(told.addresses, [From { address: peer("10.0.0.5"), count: 2, proven: true }]);
        assert!(told.is_proven() && told.advice(Tongue::English).contains("changed on one side alone"));
        assert!(told.advice(Tongue::Russian).contains("сменили только с одной стороны"));
        assert_eq!(note(&misfits, "10.0.0.5", 5), Standing::Proven);
        assert_eq!(misfits.all()[0].count, 3);
        misfits.prove("gitea", &demo(), peer("192.0.2.200"));
        assert_eq!(misfits.all()[0].count, 3, "a forge may have two addresses");
        assert_eq!(misfits.note(("plane", Flaw::Unfit), &demo(), peer("192.0.2.1"), Timestamp(6)), Standing::Possible);
        assert_eq!(misfits.all().len(), 2);
    }

    #[test]
    fn however_many_addresses_send_few_are_remembered() {
        let misfits = Misfits::default();
        for number in 0..1_000_u32 {
            note(&misfits, &std::net::Ipv4Addr::from(0x0a00_0000 + number).to_string(), 1);
        }
        let told = misfits.all().remove(0);
        assert_eq!((told.count, told.addresses.len(), told.others), (1_000, ADDRESSES, 1_000 - ADDRESSES as u64));
        for number in 0..1_000_u32 {
            misfits.prove("gitea", &demo(), std::net::Ipv4Addr::from(0x0b00_0000 + number).into());
        }
        assert_eq!(misfits.0.lock().unwrap().values().next().unwrap().proven.len(), ADDRESSES);
    }

    #[test]
    fn what_is_not_signed_counts_once_though_it_may_be_for_many_projects() {
        let misfits = Misfits::default();
        let other = ProjectName::new("other").unwrap();
        for (from, at) in [("10.0.0.5", 1), ("10.0.0.5", 2), ("192.0.2.1", 3)] {
            for project in [&demo(), &other] {
                misfits.note(("gitea", Flaw::Unsigned), project, peer(from), Timestamp(at));
            }
        }
        note(&misfits, "10.0.0.5", 4);
        let told = misfits.all();
        assert_eq!(
            told.iter().map(|misfit| (misfit.flaw, misfit.count)).collect::<Vec<_>>(),
            [(Flaw::Unsigned, 3), (Flaw::Unfit, 1)]
        );
        assert_eq!(told[0].projects, [demo(), other]);
        assert!(told[0].advice(Tongue::English).contains("its webhook has no secret"));
        assert!(told[0].advice(Tongue::Russian).contains("у его вебхука нет секрета"));
        misfits.prove("gitea", &demo(), peer("10.0.0.5"));
        let told = misfits.all();
        assert!(told[0].is_proven() && told[0].advice(Tongue::English).contains("a second webhook without a secret"));
        assert!(told[0].advice(Tongue::Russian).contains("второй вебхук без секрета"));
    }
}
