//! Two hosts at one time: one took over, and the other does not know. It finishes what it has, looks for more, and claims.
//!
//! The real program keeps that from happening by a lock that the kernel holds to the end of its process, and so it takes up what
//! others left only when it starts. What the old one claims and leaves here is found by a restart too.

use conductor::Work;

use super::Simulation;
use crate::host::word;
use crate::world::look;

impl Simulation {
    /// A host that does not know that another took over looks for work too, and claims.
    fn old_look(&mut self) {
        let Some(host) = self.old.first_mut() else { return };
        look(&self.world).tell(|| "the old host looks for work".to_owned());
        let before = host.work.len();
        match host.look(1, true) {
            Ok(_) => self.old_claims |= host.work[before..].iter().any(|work| matches!(work, Work::Perform(_))),
            Err(error) => {
                look(&self.world).disturbed += 1;
                self.tell(|| format!("the store says to the old host: {error}"));
            }
        }
    }

    pub(super) fn old_work(&mut self) {
        if self.luck.in_thousand(250) {
            return self.old_look();
        }
        let Some(host) = self.old.iter_mut().find(|host| !host.work.is_empty()) else { return };
        let what = word(&host.work[0]);
        look(&self.world).tell(|| format!("the old host goes on: {what}"));
        let right = match &host.work[0] {
            Work::Perform(claim) | Work::Finish(claim) => Some((claim.job.id, claim.token)),
            Work::Cancel(job, token) => Some((*job, *token)),
            Work::Expand(_) | Work::Look(_) | Work::Weigh(_) | Work::Read(_) => None,
        };
        let before = right.and_then(|(job, token)| self.auditor.passed_on(job, token));
        if let Err(error) = host.perform(0) {
            look(&self.world).disturbed += 1;
            self.tell(|| format!("the store says to the old host: {error}"));
        }
        let after = right.and_then(|(job, token)| self.auditor.passed_on(job, token));
        if before.is_some() && after.is_some() && before != after {
            let wrong = format!("a right that had passed on changed its job: {before:?} became {after:?}");
            look(&self.world).wrongs.push(wrong);
        }
        let ended = self.old.extract_if(.., |host| host.work.is_empty()).collect::<Vec<_>>();
        for old in &ended {
            old.fate.end();
            look(&self.world).shims.forget(old.life);
        }
        if !ended.is_empty() {
            self.restart_after_the_old();
        }
    }

    /// An old host ended. What it claimed after it was taken over from, and left, the next start finds: a host reaps when it
    /// starts.
    pub(super) fn restart_after_the_old(&mut self) {
        if std::mem::take(&mut self.old_claims)
            && let Some(host) = &self.host
        {
            host.fate.end();
        }
    }

    pub(super) fn take_over(&mut self) {
        if let Some(host) = self.host.take().filter(|host| !host.fate.is_dead()) {
            self.tell(|| "another host takes over, and the old one does not know".to_owned());
            host.fate.spare();
            self.old.push(host);
            self.start();
            self.old.retain(|old| !old.work.is_empty());
        }
    }
}
