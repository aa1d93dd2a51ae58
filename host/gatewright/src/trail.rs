//! What the operator's files say now, as lines of the audit: that they changed, and which third parties' components came, went, or
//! are other ones. It is compared with the last such lines, so an edit that was made while no host ran is told at the next start.

use std::collections::BTreeMap;
use std::path::Path;

use conductor::ports::access::{Access, AuditFilter, Deed, Record};
use conductor::ports::store::StoreError;
use configuration::Loaded;
use domain::ids::{Actor, Digest};
use domain::time::Timestamp;

/// Lines that are looked through for what was last told of a component: more changes than anybody makes by hand.
const LOOKED_AT: u32 = 10_000;

/// Appends what is new.
pub(crate) fn note(access: &dyn Access, dir: &Path, loaded: &Loaded, now: Timestamp) -> Result<(), StoreError> {
    let files = files(dir, loaded);
    let last = access.audit(&AuditFilter { what: Some(Deed::Reload), ..AuditFilter::default() }, 1)?;
    let before = last.into_iter().next().and_then(|row| row.after);
    if before.as_deref() != Some(files.as_str()) {
        let subject = Some("gatewright.toml, projects/".to_owned());
        let after = Some(files.to_string());
        access.record(&Record { subject, before, after, ..Record::done(Actor::Host, Deed::Reload) }, now)?;
    }
    let told = told(access)?;
    let mut there = BTreeMap::new();
    for file in &loaded.projects {
        for plugin in &file.plugins {
            let subject = format!("{}/{}", file.project.name, plugin.id);
            there.insert(subject, (Some(file.project.name.clone()), plugin.sha256.to_string()));
        }
    }
    for (subject, (project, digest)) in &there {
        let before = told.get(subject).cloned().flatten();
        if before.as_ref() == Some(digest) {
            continue;
        }
        let what = if before.is_some() { Deed::ChangePlugin } else { Deed::AddPlugin };
        let (subject, after) = (Some(subject.clone()), Some(digest.clone()));
        let project = project.clone();
        access.record(&Record { project, subject, before, after, ..Record::done(Actor::Host, what) }, now)?;
    }
    for (subject, before) in told {
        if before.is_some() && !there.contains_key(&subject) {
            let gone = Record { subject: Some(subject), before, ..Record::done(Actor::Host, Deed::ChangePlugin) };
            access.record(&Record { why: "it stands in no file any more".to_owned(), ..gone }, now)?;
        }
    }
    Ok(())
}

/// Of each component what the newest line says that it is; none: it went.
fn told(access: &dyn Access) -> Result<BTreeMap<String, Option<String>>, StoreError> {
    let mut lines = Vec::new();
    for what in [Deed::AddPlugin, Deed::ChangePlugin] {
        lines.extend(access.audit(&AuditFilter { what: Some(what), ..AuditFilter::default() }, LOOKED_AT)?);
    }
    lines.sort_by_key(|row| row.id);
    Ok(lines.into_iter().filter_map(|row| Some((row.subject?, row.after))).collect())
}

/// One name for all that the files say. A file that went between the reading and now counts as empty: the next look tells.
fn files(dir: &Path, loaded: &Loaded) -> Digest {
    let mut all = std::fs::read(dir.join("gatewright.toml")).unwrap_or_default();
    for file in &loaded.projects {
        let name = format!("{}.toml", file.project.name);
        all.extend_from_slice(
            Digest::of(&std::fs::read(dir.join("projects").join(name)).unwrap_or_default()).as_str().as_bytes(),
        );
    }
    Digest::of(&all)
}
