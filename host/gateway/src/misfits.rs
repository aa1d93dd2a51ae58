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
use domain::time::{Milliseconds, Timestamp};

use crate::api::Flaw;
use crate::throttle::network;
use crate::tongue::{Tongue, say};

/// Addresses that are remembered of a project's sender, and addresses of those that are refused: of both the last ones.
const ADDRESSES: usize = 8;
/// So long after the last of them a sender that was known is spoken of as one that is refused, whatever else of it fits.
const ALARM: Milliseconds = Milliseconds::from_seconds(3600);

/// Who fitted, and who did not.
#[derive(Default)]
pub(crate) struct Misfits(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// Of each source, of each project.
    proven: BTreeMap<&'static str, BTreeMap<ProjectName, Proven>>,
    refused: BTreeMap<Group, Refused>,
}

/// Where a sender's deliveries came from that fitted, and when the last one did.
struct Proven {
    addresses: Vec<IpAddr>,
    last: Timestamp,
}

/// What is told together: each delivery counts in one of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    source: &'static str,
    /// Deliveries from there fitted before; else of none of the projects any has.
    is_proven: bool,
    flaw: Flaw,
    /// For which they may be.
    projects: Vec<ProjectName>,
}

/// What was refused of one group.
#[derive(Default)]
struct Refused {
    by: BTreeMap<IpAddr, Count>,
    /// From further addresses.
    others: Option<Count>,
}

impl Refused {
    fn add(&mut self, peer: IpAddr, count: Count) {
        match self.by.get_mut(&peer) {
            Some(known) => known.join(count),
            None => drop(self.by.insert(peer, count)),
        }
        // A crowd of strangers must not hide for ever who comes after it.
        if self.by.len() > ADDRESSES
            && let Some(oldest) = self.by.iter().min_by_key(|(_, count)| count.last).map(|(address, _)| *address)
            && let Some(count) = self.by.remove(&oldest)
        {
            self.add_other(count);
        }
    }

    fn add_other(&mut self, count: Count) {
        match &mut self.others {
            Some(others) => others.join(count),
            None => self.others = Some(count),
        }
    }

    fn join(&mut self, more: Self) {
        for (address, count) in more.by {
            self.add(address, count);
        }
        if let Some(others) = more.others {
            self.add_other(others);
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
    const fn one(at: Timestamp) -> Self {
        Self { count: 1, first: at, last: at }
    }

    fn join(&mut self, more: Self) {
        self.count += more.count;
        self.first = self.first.min(more.first);
        self.last = self.last.max(more.last);
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

/// Those of one source and one flaw, for the same projects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) source: &'static str,
    pub(crate) flaw: Flaw,
    pub(crate) projects: Vec<ProjectName>,
    pub(crate) count: u64,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    /// How many from where; an address of IPv6 is its network.
    pub(crate) addresses: Vec<(IpAddr, u64)>,
    /// How many from further ones.
    pub(crate) others: u64,
    /// Deliveries from there fitted before: it is the sender's own. Else anybody may have sent them.
    pub(crate) is_proven: bool,
    /// When the last one fitted.
    fitted: Option<Timestamp>,
}

impl Misfits {
    /// One was refused that may be for any of these projects.
    pub(crate) fn note(
        &self,
        (source, flaw): (&'static str, Flaw),
        projects: &[ProjectName],
        peer: IpAddr,
        at: Timestamp,
    ) -> Standing {
        let (mut inner, peer) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), network(peer));
        let proven = inner.proven.get(source);
        let known = |project: &&ProjectName| proven.and_then(|of| of.get(*project));
        let those = |fits: &dyn Fn(Option<&Proven>) -> bool| {
            projects.iter().filter(|project| fits(known(project))).cloned().collect::<Vec<_>>()
        };
        let own = those(&|known| known.is_some_and(|proven| proven.addresses.contains(&peer)));
        let is_proven = !own.is_empty();
        let mut projects = if is_proven { own } else { those(&|known| known.is_none()) };
        if projects.is_empty() {
            return Standing::Stranger;
        }
        projects.sort_unstable();
        projects.dedup();
        inner.refused.entry(Group { source, is_proven, flaw, projects }).or_default().add(peer, Count::one(at));
        if is_proven { Standing::Proven } else { Standing::Possible }
    }

    /// One fitted: what came before from there is mended, and what came from elsewhere was a stranger's.
    pub(crate) fn prove(&self, source: &'static str, project: &ProjectName, peer: IpAddr, at: Timestamp) {
        let (mut inner, peer) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), network(peer));
        let inner = &mut *inner;
        let of_source = inner.proven.entry(source).or_default();
        if let Some(proven) = of_source.get_mut(project) {
            proven.last = at;
            if proven.addresses.last() != Some(&peer) {
                proven.addresses.retain(|known| *known != peer);
                if proven.addresses.len() >= ADDRESSES {
                    proven.addresses.remove(0);
                }
                proven.addresses.push(peer);
            }
            return;
        }
        of_source.insert(project.clone(), Proven { addresses: vec![peer], last: at });
        // What may still be for another project stays.
        let is_left = |group: &Group| !group.is_proven && group.source == source && group.projects.contains(project);
        for (mut group, mut refused) in inner.refused.extract_if(.., |group, _| is_left(group)).collect::<Vec<_>>() {
            group.projects.retain(|other| other != project);
            refused.by.remove(&peer);
            if !group.projects.is_empty() && (!refused.by.is_empty() || refused.others.is_some()) {
                inner.refused.entry(group).or_default().join(refused);
            }
        }
    }

    /// What is worth a look at the secret, by source.
    pub(crate) fn all(&self) -> Vec<Misfit> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |(group, refused): (&Group, &Refused)| {
            let Group { source, is_proven, flaw, projects } = group.clone();
            let counts = refused.by.values().chain(&refused.others).copied();
            let whole = counts.reduce(|mut whole, count| {
                whole.join(count);
                whole
            })?;
            let of = inner.proven.get(source);
            let fitted = projects.iter().filter_map(|project| Some(of?.get(project)?.last)).max();
            let addresses = refused.by.iter().map(|(address, count)| (*address, count.count)).collect();
            let others = refused.others.map_or(0, |others| others.count);
            let Count { count, first, last } = whole;
            Some(Misfit { source, flaw, projects, count, first, last, addresses, others, is_proven, fitted })
        };
        inner.refused.iter().filter_map(told).collect()
    }
}

impl Misfit {
    /// It is the sender's own, and wants mending now: the last came a moment ago, or nothing fitted since.
    pub(crate) fn is_alarming(&self, now: Timestamp) -> bool {
        self.is_proven && (now.since(self.last) < ALARM || self.fitted.is_none_or(|at| at <= self.last))
    }

    /// What is known, and what may be done; for people.
    pub(crate) fn advice(&self, t: Tongue) -> String {
        let source = self.source;
        let projects = self.projects.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match (self.flaw, self.is_proven) {
            (Flaw::Unfit, true) => say!(
                t,
                "deliveries from the same address fitted before, so the secret was likely changed on one side alone: `secret-files` \
                 under [webhooks.{source}] of {projects} and the webhook at {source} must name the same one",
                "раньше доставки с того же адреса подходили, так что секрет, скорее всего, сменили только с одной стороны: \
                 `secret-files` в [webhooks.{source}] проекта {projects} и вебхук в {source} должны называть один и тот же"
            ),
            (Flaw::Unfit, false) => say!(
                t,
                "no delivery of {source} for {projects} has fitted since the host started. Is one of these addresses your {source}'s? Then its webhook \
                 signs with another secret than `secret-files` under [webhooks.{source}] of {projects} name. If none is, strangers sent \
                 them, and nothing is to be done",
                "с запуска хоста не подошла ни одна доставка {source} для {projects}. Есть ли среди этих адресов ваш {source}? Тогда его вебхук \
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
                "no delivery of {source} for {projects} has fitted since the host started. Is one of these addresses your {source}'s? Then its webhook \
                 has no secret: enter there the one that `secret-files` under [webhooks.{source}] of {projects} name. If none is, \
                 strangers sent them, and nothing is to be done",
                "с запуска хоста не подошла ни одна доставка {source} для {projects}. Есть ли среди этих адресов ваш {source}? Тогда у его вебхука нет \
                 секрета: впишите там тот, что называют `secret-files` в [webhooks.{source}] проекта {projects}. Если нет, их послали \
                 посторонние, и делать ничего не надо"
            ),
            (Flaw::Malformed, true) => say!(
                t,
                "deliveries from the same address fitted before, and these bear something that is no signature of {source}'s: something \
                 on the way changes the header, or a second webhook there signs in another way. The answer to each, and the log, say \
                 what is wrong with it",
                "раньше доставки с того же адреса подходили, а у этих вместо подписи {source} что-то другое: заголовок меняют по дороге, \
                 или там есть второй вебхук, который подписывает иначе. Что именно не так, сказано в каждом ответе и в журнале"
            ),
            (Flaw::Malformed, false) => say!(
                t,
                "no delivery of {source} for {projects} has fitted since the host started, and these bear something that is no signature of {source}'s. \
                 Is one of these addresses your {source}'s? Then something on the way changes the header, or it signs in another way; \
                 the answer to each, and the log, say what is wrong with it. If none is, strangers sent them, and nothing is to be done",
                "с запуска хоста не подошла ни одна доставка {source} для {projects}, а у этих вместо подписи {source} что-то другое. Есть ли среди этих \
                 адресов ваш {source}? Тогда заголовок меняют по дороге или он подписывает иначе; что именно не так, сказано в каждом \
                 ответе и в журнале. Если нет, их послали посторонние, и делать ничего не надо"
            ),
        }
    }

    /// How many came from where, for people.
    pub(crate) fn senders(&self, t: Tongue) -> String {
        let from = self.addresses.iter().map(|(address, count)| format!("{address}: {count}"));
        let others = (self.others > 0).then(|| {
            let others = self.others;
            say!(t, "others: {others}", "другие: {others}")
        });
        from.chain(others).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests;
