//! Taking over what a run did in its clone.

use std::os::fd::OwnedFd;
use std::path::Path;

use conductor::ports::forge::{ForgeError, TakeOver, Taken, Trespass, TrespassKind};
use domain::document::Role;
use domain::ids::CommitId;
use kill_points::kill_point;

use super::EmbeddedForge;
use super::claim::{Claim, GitFolder};
use super::clones;
use super::command::{Call, nul_separated, parse_id};
use super::leftovers;
use super::quarantine::Quarantine;
use super::refs::{self, Standing};
use super::resolve;
use super::scan::{ENTRIES, TOLD, scan, tell};
use super::sight::lossy;

/// Paths that are told.
const CHANGED: usize = 10_000;

/// See the port.
pub(super) fn take_over(forge: &EmbeddedForge, request: &TakeOver) -> Result<Taken, ForgeError> {
    // Before the long work, and again, under the lock, when the branch is moved.
    let standing = refs::standing(forge, &request.mark, &request.branch, &request.expected)?;
    let root = clones::open(forge, request.clone)?;
    let mut trespasses = scan(&root, &forge.trash()?, ENTRIES)?;
    let quarantine = Quarantine::new(forge)?;
    let mut found = found(forge, &quarantine, &root, request, &mut trespasses)?;
    kill_point!("before-objects-are-taken-over");
    // The commits first: no tree is read into an index before git's checks accepted it.
    if found.head != request.expected {
        let refused = match quarantine.foreign(forge, &found.head, &request.expected)? {
            None => quarantine.import(forge, &found.head, None)?,
            foreign => foreign,
        };
        if let Some(trespass) = refused {
            trespasses.push(trespass);
            found.head = request.expected.clone();
            found.base = None;
        }
    }
    let tree = clones::place(forge, request.clone);
    let mut head = leftovers::settle(forge, &quarantine, &root, &tree, request, &found, &mut trespasses)?;
    if head != found.head
        && let Some(trespass) = quarantine.import(forge, &head, Some(&found.head))?
    {
        trespasses.push(trespass);
        // Not `found.head`: this commit may have put something back.
        head = request.expected.clone();
    }
    if head != request.expected
        && let Some(trespass) = blocked_folder(forge, request, &head)?
    {
        trespasses.push(trespass);
        head = request.expected.clone();
    }
    let merged = resolve::resolve(forge, &quarantine, request, &head)?;
    if merged != head && quarantine.import(forge, &merged, Some(&head))?.is_none() {
        head = merged;
    }
    kill_point!("before-branch-takes-over");
    let head = match standing {
        Standing::Written(ours) => ours,
        Standing::Ready => refs::advance(forge, &request.mark, &request.branch, &request.expected, &head, "take over")?,
    };
    kill_point!("after-branch-took-over");
    trespasses.sort();
    trespasses.dedup();
    trespasses.truncate(TOLD);
    forge.trash()?.empty()?;
    Ok(Taken { changed: changed(forge, &request.expected, &head)?, head, trespasses })
}

/// A file or a link in the place of a folder that other rules speak of: with it no later clone could hold any document.
fn blocked_folder(forge: &EmbeddedForge, request: &TakeOver, head: &CommitId) -> Result<Option<Trespass>, ForgeError> {
    let rules = request.paths.excluded.iter().chain(request.paths.allowed.iter().flatten());
    let folders = rules.flat_map(|rule| Path::new(rule).ancestors().skip(1)).chain(
        // An excluded path is a folder itself.
        request.paths.excluded.iter().map(Path::new),
    );
    let mut names = folders.filter_map(Path::to_str).filter(|name| !name.is_empty()).collect::<Vec<_>>();
    names.sort_unstable();
    names.dedup();
    // Without a name git would list everything.
    if names.is_empty() {
        return Ok(None);
    }
    let at = |commit: &CommitId| -> Result<Vec<String>, ForgeError> {
        let listed =
            forge.call().args(["ls-tree", "-z", commit.as_str(), "--"]).args(names.iter().copied()).long().answer()?;
        let entries = nul_separated(&listed.stdout).map(|entry| String::from_utf8_lossy(entry).into_owned());
        let blocked = entries.filter_map(|entry| {
            let (about, path) = entry.split_once('\t')?;
            (about.split(' ').nth(1)? != "tree").then(|| path.to_owned())
        });
        Ok(blocked.collect())
    };
    let before = at(&request.expected)?;
    let blocked = at(head)?.into_iter().find(|path| !before.contains(path));
    Ok(blocked.map(|path| Trespass {
        kind: TrespassKind::OutsideOwned,
        note: format!("`{path}` must stay a folder, for documents lie below it; no commit of this run was taken"),
        path,
    }))
}

/// The commits that a clone offers.
pub(super) struct Found {
    /// What the branch shall get; `expected`: nothing.
    pub(super) head: CommitId,
    /// The work tree belongs to `head`: what differs from it was left uncommitted.
    pub(super) is_checked_out: bool,
    /// The newest commit of the base that came with it; none: it brings nothing of the base that the branch has not.
    pub(super) base: Option<CommitId>,
}

fn found(
    forge: &EmbeddedForge,
    quarantine: &Quarantine,
    root: &OwnedFd,
    request: &TakeOver,
    trespasses: &mut Vec<Trespass>,
) -> Result<Found, ForgeError> {
    let expected = &request.expected;
    let nothing = |is_checked_out| Found { head: expected.clone(), is_checked_out, base: None };
    let folder = match GitFolder::open(root)? {
        Ok(folder) => folder,
        Err(trespass) => {
            trespasses.push(trespass);
            return Ok(nothing(true));
        }
    };
    let claim = folder.claim(&request.branch)?;
    if claim.head.as_ref() == Some(expected) && claim.branch.as_ref().is_none_or(|branch| branch == expected) {
        return Ok(nothing(true));
    }
    let refused = match folder.objects() {
        Ok(objects) => quarantine.copy_from(forge, &objects, expected)?,
        Err(trespass) => Some(trespass),
    };
    // What was copied in spite of it may be all that the commits need; if not, they are not whole.
    trespasses.extend(refused);
    let offer = Offer { forge, quarantine, request, base: refs::head(forge, &forge.base)? };
    let mut found = offer.choose(claim, trespasses)?;
    found.base = offer.brought_in(&found.head)?;
    Ok(found)
}

/// How a claimed commit stands to the branch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// It is the branch's head.
    Same,
    /// It rests on the branch's head.
    Ahead,
    /// It rests on a commit of the base that is newer than the branch's: a rebase.
    Rebased,
    /// It is an older commit of the branch, or of the base.
    Behind,
    /// It goes another way.
    Diverged,
    /// It is not among the objects, or history below it has holes.
    Missing,
    /// Nothing is claimed.
    Nowhere,
}

struct Offer<'a> {
    forge: &'a EmbeddedForge,
    quarantine: &'a Quarantine,
    request: &'a TakeOver,
    /// The base branch's head now.
    base: Option<CommitId>,
}

impl Offer<'_> {
    /// What is checked out counts, whatever it is called there: an agent may commit to a branch of its own, or to none. If that
    /// has nothing to offer, the task's branch counts.
    fn choose(&self, claim: Claim, trespasses: &mut Vec<Trespass>) -> Result<Found, ForgeError> {
        let expected = &self.request.expected;
        let relation = match self.relation(claim.head.as_ref())? {
            // In the middle of a rebase the branch still stands where it was, and some of its commits are missing here.
            Relation::Rebased if claim.head != claim.branch => Relation::Diverged,
            other => other,
        };
        match (relation, claim.head) {
            (Relation::Ahead | Relation::Rebased, Some(head)) => {
                return Ok(Found { head, is_checked_out: true, base: None });
            }
            (Relation::Diverged, Some(head)) => self.keep(&head, trespasses)?,
            (Relation::Missing, _) => {
                let note = "the commit that is checked out is not whole: objects are missing";
                tell(trespasses, TrespassKind::ObjectsRefused, ".git/HEAD", note);
            }
            (Relation::Nowhere, _) => {
                let note = "the clone's `HEAD` names no commit";
                tell(trespasses, TrespassKind::GitFolderBroken, ".git/HEAD", note);
            }
            _ => {}
        }
        let tip_relation = self.relation(claim.branch.as_ref())?;
        let found = match (tip_relation, claim.branch) {
            (Relation::Ahead | Relation::Rebased, Some(head)) => {
                Found { head, is_checked_out: relation == Relation::Nowhere, base: None }
            }
            (other, tip) => {
                if let (Relation::Diverged, Some(tip)) = (other, tip)
                    && relation != Relation::Diverged
                {
                    self.keep(&tip, trespasses)?;
                }
                // Without a head that can be read, the files can only be what the run made of the launch's commit.
                let is_checked_out = matches!(relation, Relation::Same | Relation::Missing | Relation::Nowhere);
                Found { head: expected.clone(), is_checked_out, base: None }
            }
        };
        if !found.is_checked_out && relation != Relation::Diverged {
            let note = "the clone stands on an older commit; what was left uncommitted there was not taken";
            tell(trespasses, TrespassKind::HeadElsewhere, "", note);
        }
        Ok(found)
    }

    fn call(&self) -> Call {
        self.quarantine.call(self.forge).long()
    }

    fn relation(&self, commit: Option<&CommitId>) -> Result<Relation, ForgeError> {
        let expected = self.request.expected.as_str();
        let Some(commit) = commit else { return Ok(Relation::Nowhere) };
        if commit.as_str() == expected {
            return Ok(Relation::Same);
        }
        if !self.is_there(commit)? {
            return Ok(Relation::Missing);
        }
        let rests = |below: &str, above: &str| self.call().args(["merge-base", "--is-ancestor", below, above]).answer();
        // Other codes than 0 and 1: history with holes.
        Ok(match rests(expected, commit.as_str())?.code {
            0 => Relation::Ahead,
            1 if rests(commit.as_str(), expected)?.code == 0 => Relation::Behind,
            1 => match self.brought_in(commit)? {
                Some(base) if base == *commit => Relation::Behind,
                Some(_) if self.request.role == Role::Developer => Relation::Rebased,
                _ => Relation::Diverged,
            },
            _ => Relation::Missing,
        })
    }

    /// The newest commit of the base below this one, if the branch did not have it. Which commits are the base's, the
    /// repository says, never the clone.
    fn brought_in(&self, commit: &CommitId) -> Result<Option<CommitId>, ForgeError> {
        let Some(base) = &self.base else { return Ok(None) };
        let answer = self.call().args(["merge-base", commit.as_str(), base.as_str()]).answer()?;
        // 1: they share nothing. Else history with holes: it is refused when it is imported.
        if answer.code != 0 {
            return Ok(None);
        }
        let newest = parse_id(&answer.stdout)?;
        let known = ["merge-base", "--is-ancestor", newest.as_str(), self.request.expected.as_str()];
        Ok((self.call().args(known).answer()?.code != 0).then_some(newest))
    }

    fn is_there(&self, commit: &CommitId) -> Result<bool, ForgeError> {
        Ok(self.call().args(["cat-file", "-e", &format!("{commit}^{{commit}}")]).answer()?.code == 0)
    }

    /// Rewritten history is not taken, but it may have cost money: it is kept under a ref that only the host sees.
    fn keep(&self, commit: &CommitId, trespasses: &mut Vec<Trespass>) -> Result<(), ForgeError> {
        let mark = &self.request.mark;
        let kept = format!("refs/gatewright/kept/task-{}-job-{}", mark.task, mark.job);
        let mut note = format!(
            "the commits at {commit} do not rest on the branch's head {}: they were amended, rebased or reset. \
             Commit on top of it instead; a rebase onto `{}` counts once it is carried to its end",
            self.request.expected, self.forge.base
        );
        match self.quarantine.import(self.forge, commit, None)? {
            None => {
                let call = self.forge.durable().env("GIT_COMMITTER_DATE", refs::date(mark));
                call.args(["update-ref", &kept, commit.as_str()]).done()?;
                note.push_str(&format!(" (kept as {kept})"));
            }
            Some(refused) => trespasses.push(refused),
        }
        tell(trespasses, TrespassKind::HistoryRewritten, "", &note);
        Ok(())
    }
}

/// Paths that differ between two commits of the repository.
fn changed(forge: &EmbeddedForge, from: &CommitId, to: &CommitId) -> Result<Vec<String>, ForgeError> {
    if from == to {
        return Ok(Vec::new());
    }
    let call = forge.call().args(["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-ext-diff"]);
    let told = call.args([from.as_str(), to.as_str()]).long().bytes()?;
    let mut paths: Vec<String> = nul_separated(&told).take(CHANGED).map(lossy).collect();
    paths.sort();
    Ok(paths)
}
