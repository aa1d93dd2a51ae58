//! What happened, as the other side wrote it down: git's reflog, the log that agents and hooks write themselves, the host's log for
//! the notices that it is told to write there. The board is the one that is built in, so its comments are ours: they are counted
//! as anybody sees them, by the id that the other side of a real tracker would refuse twice.

use std::collections::BTreeMap;

use super::aside::ASIDE;
use super::person::Person;
use super::round::{Records, Told};
use super::stage::{STOPPED, Stage, WALKED, WALKED_PREFIX, git};

/// How one effect is told from another, and what may become of it in a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effect {
    Merge,
    BranchCut,
    TakeOver,
    Rebase,
    Staging,
    Deploy,
    Agent,
    StoppedAgent,
    Comment,
    Notice,
    Delivery,
    Token,
    Would,
}

impl Effect {
    pub(super) const ALL: [Self; 13] = [
        Self::Merge,
        Self::BranchCut,
        Self::TakeOver,
        Self::Rebase,
        Self::Staging,
        Self::Deploy,
        Self::Agent,
        Self::StoppedAgent,
        Self::Comment,
        Self::Notice,
        Self::Delivery,
        Self::Token,
        Self::Would,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Merge => "merge into main",
            Self::BranchCut => "branch cut",
            Self::TakeOver => "commits taken over",
            Self::Rebase => "rebase",
            Self::Staging => "staging hook",
            Self::Deploy => "deploy hook",
            Self::Agent => "agent started",
            Self::StoppedAgent => "agent to be stopped",
            Self::Comment => "comment",
            Self::Notice => "notice",
            Self::Delivery => "webhook delivery",
            Self::Token => "token made, revoked",
            Self::Would => "would be done",
        }
    }

    /// Whose record it is.
    pub(super) const fn record(self) -> &'static str {
        match self {
            Self::Merge | Self::BranchCut | Self::TakeOver | Self::Rebase => "reflog of the bare repository",
            Self::Staging | Self::Deploy => "the hook's own log",
            Self::Agent | Self::StoppedAgent => "the agents' own log",
            Self::Comment => "the board's comments (ours), by external id",
            Self::Delivery => "the inbox (ours), by the sender's id",
            Self::Token => "the audit (ours), by the token's name",
            Self::Would => "the list of what an observed project would do (ours), by its job",
            Self::Notice => "the log that the notifier writes to (unkeyed: a crash may repeat one)",
        }
    }

    /// The other side refuses a second one.
    pub(super) const fn is_keyed(self) -> bool {
        !matches!(self, Self::Notice)
    }
}

/// What was counted: of each effect its keys, and how often each was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) seen: BTreeMap<Effect, BTreeMap<String, u64>>,
    /// Said once by texts, whose keys differ from round to round.
    texts: BTreeMap<String, u64>,
    flaws: Vec<String>,
}

impl Tally {
    fn saw(&mut self, effect: Effect, key: &str) {
        *self.seen.entry(effect).or_default().entry(key.to_owned()).or_default() += 1;
    }

    /// How many there were.
    pub(super) fn all(&self, effect: Effect) -> u64 {
        self.seen.get(&effect).map_or(0, |seen| seen.values().sum())
    }

    /// How many more than one there were under a key; of what has no key, how many more than in the calm round.
    pub(super) fn doubled(&self, effect: Effect, calm: &Self) -> u64 {
        let nothing = BTreeMap::new();
        let usual = calm.seen.get(&effect).unwrap_or(&nothing);
        let most = |key| if effect.is_keyed() { 1 } else { usual.get(key).copied().unwrap_or_default() };
        self.seen.get(&effect).map_or(0, |seen| seen.iter().map(|(key, times)| times.saturating_sub(most(key))).sum())
    }

    fn kinds(&self, effect: Effect) -> u64 {
        self.seen.get(&effect).map_or(0, |seen| seen.len() as u64)
    }
}

/// Counts.
pub(super) fn count(stage: &Stage, person: &Person, records: &Records) -> Tally {
    let mut tally = Tally::default();
    for line in stage.reflog(WALKED, "main").iter().filter(|line| line.contains("\ttask ")) {
        let deed = line.rsplit_once('\t').map_or("", |(_, deed)| deed);
        tally.saw(Effect::Merge, deed);
    }
    for line in &person.branch {
        let Some((mark, deed)) = line.rsplit_once('\t').and_then(|(_, message)| message.rsplit_once(": ")) else {
            continue;
        };
        match deed {
            "cut" => tally.saw(Effect::BranchCut, mark),
            "take over" => tally.saw(Effect::TakeOver, mark),
            "rebase" => tally.saw(Effect::Rebase, mark),
            other => tally.flaws.push(format!("the branch's reflog says `{other}`")),
        }
    }
    for line in stage.effects().lines() {
        let kind = line.split(' ').next().unwrap_or_default();
        // The run's mark begins with its job; the rest of it is new with each process.
        let job = line.rsplit_once("run=").and_then(|(_, run)| run.split('-').next()).unwrap_or(line);
        let is_walked = line.split(' ').nth(1).is_some_and(|item| item.starts_with(WALKED_PREFIX));
        let effect = match kind {
            "staging" => Effect::Staging,
            "deploy" => Effect::Deploy,
            _ if is_walked => Effect::Agent,
            // How many of them come so far before they are stopped is nobody's to say.
            _ => Effect::StoppedAgent,
        };
        tally.saw(effect, job);
    }
    for comment in &records.comments {
        match comment["external_id"].as_str() {
            Some(key) => tally.saw(Effect::Comment, key),
            None => tally.flaws.push(format!("a comment without an id: {comment}")),
        }
        *tally.texts.entry(without_ids(comment["text"].as_str().unwrap_or_default())).or_default() += 1;
    }
    for notice in notices(stage) {
        tally.saw(Effect::Notice, &notice);
    }
    for (effect, keys) in
        [(Effect::Delivery, &records.deliveries), (Effect::Token, &records.deeds), (Effect::Would, &records.woulds)]
    {
        for key in keys {
            tally.saw(effect, key);
        }
    }
    tally.flaws.extend(person.doors.wrongs.iter().cloned());
    inspect(stage, records, &mut tally.flaws);
    tally
}

/// What must be so at the end, whatever died.
fn inspect(stage: &Stage, records: &Records, flaws: &mut Vec<String>) {
    let main = git(&stage.forge(WALKED), &["rev-parse", "refs/heads/main"]).unwrap_or_default();
    for (what, commit) in [("validated", &records.validated), ("deployed", &stage.deployed())] {
        if *commit != main {
            flaws.push(format!("main is at {main}, and {what} was {commit}"));
        }
    }
    for project in [STOPPED, ASIDE] {
        let moved = stage.reflog(project, "main").len();
        if moved != 1 {
            flaws.push(format!("main of {project} moved {moved} times, and was made once"));
        }
    }
    for name in records.deeds.iter().filter_map(|deed| deed.strip_prefix("make-token ")) {
        if !records.deeds.contains(&format!("revoke-token {name}")) {
            flaws.push(format!("the token {name} was made, and nothing says that it was revoked"));
        }
    }
    let shown = records.statuses.iter().map(String::as_str).collect::<Vec<_>>();
    if shown != ["Done", "Cancelled"] {
        flaws.push(format!("the board shows {shown:?}"));
    }
    flaws.extend(stage.left_behind().into_iter().map(|left| format!("{left} is left")));
    flaws.extend(
        records.differences.iter().map(|differs| format!("a task is not what its entries make of it: {differs}")),
    );
}

/// The end of a line in the host's log that the notifier `log` wrote.
const NOTIFIED: &str = "plugin=\"log\"";

/// The lines that the notifier `log` wrote.
fn notices(stage: &Stage) -> Vec<String> {
    let log = std::fs::read_to_string(stage.host_log()).unwrap_or_default();
    let lines = log.lines().filter(|line| line.contains(NOTIFIED));
    lines.filter_map(|line| line.split_once("sandbox::evaluate: ")).map(|(_, notice)| without_ids(notice)).collect()
}

/// Commits have other names in each round, and how long each run took, and so what it cost, is another thing in each.
fn without_ids(text: &str) -> String {
    let text = text.split("What it cost:").next().unwrap_or_default().trim_end();
    let is_commit = |word: &str| word.len() >= 40 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = text.split(' ').map(|word| if is_commit(word.trim_matches('`')) { "<commit>" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// What was doubled, what is missing.
pub(super) fn judge(told: &Told, person: &Person, calm: Option<&Tally>) -> Vec<String> {
    let tally = &told.tally;
    let mut wrongs = tally.flaws.clone();
    for (effect, seen) in &tally.seen {
        for (key, times) in seen.iter().filter(|(_, times)| effect.is_keyed() && **times > 1) {
            wrongs.push(format!("{}: {times} times under the key {key}", effect.name()));
        }
    }
    let lost_runs = told.random.1 + told.hits.iter().filter(|place| place.starts_with("shim-")).count() as u64;
    let ordered = |step: &str| person.holds.values().filter(|hold| hold.step == step && hold.was_done).count() as u64;
    for (effect, wanted) in [
        (Effect::Merge, 1),
        (Effect::BranchCut, 1),
        (Effect::Rebase, 1),
        (Effect::Delivery, 1),
        (Effect::Staging, 1 + ordered("staging")),
        (Effect::Deploy, 1 + ordered("deploy")),
    ] {
        if tally.all(effect) != wanted {
            wrongs.push(format!("{}: {} times instead of {wanted}", effect.name(), tally.all(effect)));
        }
    }
    for hold in person.holds.values().filter(|_| lost_runs == 0) {
        wrongs.push(format!("held, though no shim died: {}: {}", hold.kind, hold.reason));
    }
    if let Some(calm) = calm {
        compare(told, calm, lost_runs, &mut wrongs);
    }
    wrongs
}

/// Against a round in which nobody died. A run whose shim died is launched again, and says so; else nothing differs.
fn compare(told: &Told, calm: &Tally, lost_runs: u64, wrongs: &mut Vec<String>) {
    let tally = &told.tally;
    for (effect, more) in [(Effect::Agent, lost_runs), (Effect::TakeOver, 0), (Effect::Comment, 3 * lost_runs)] {
        let (found, least) = (tally.kinds(effect), calm.kinds(effect));
        if !(least..=least + more).contains(&found) {
            wrongs.push(format!("{}: {found} instead of {least} and at most {more} more", effect.name()));
        }
    }
    for (text, times) in &calm.texts {
        let found = tally.texts.get(text).copied().unwrap_or_default();
        if found < *times || (found > *times && lost_runs == 0) {
            wrongs.push(format!("a comment stands {found} times instead of {times}: {text}"));
        }
    }
    let deaths = told.random.0 + told.hits.len() as u64;
    let nothing = BTreeMap::new();
    let (said, heard) =
        (calm.seen.get(&Effect::Notice).unwrap_or(&nothing), tally.seen.get(&Effect::Notice).unwrap_or(&nothing));
    for (notice, times) in said {
        let found = heard.get(notice).copied().unwrap_or_default();
        if found < *times {
            wrongs.push(format!("a notice was told {found} times instead of {times}: {notice}"));
        }
    }
    let more = heard.values().sum::<u64>().saturating_sub(said.values().sum());
    if more > deaths + 2 * lost_runs {
        wrongs.push(format!("{more} notices more than in a calm round, by {deaths} deaths"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_no_part_of_what_is_said() {
        let said = format!("merged as `{}` today", "a1".repeat(20));
        assert_eq!(without_ids(&said), "merged as <commit> today");
        assert_eq!(without_ids("merged as abc"), "merged as abc");
        assert_eq!(without_ids("it is done\n\nWhat it cost: 2 s\n- developer: 1 run"), "it is done");
    }

    #[test]
    fn what_was_done_twice_under_one_key_is_doubled() {
        let mut tally = Tally::default();
        for job in ["7", "7", "8"] {
            tally.saw(Effect::Deploy, job);
        }
        let calm = Tally::default();
        let doubled = tally.doubled(Effect::Deploy, &calm);
        assert_eq!((tally.all(Effect::Deploy), doubled, tally.kinds(Effect::Deploy)), (3, 1, 2));
        assert_eq!(tally.doubled(Effect::Merge, &calm), 0);
    }

    #[test]
    fn what_has_no_key_is_doubled_where_it_was_told_more_often_than_in_a_calm_round() {
        let (mut tally, mut calm) = (Tally::default(), Tally::default());
        for _ in 0..3 {
            tally.saw(Effect::Notice, "it waits");
        }
        calm.saw(Effect::Notice, "it waits");
        calm.saw(Effect::Notice, "it waits");
        assert_eq!(tally.doubled(Effect::Notice, &calm), 1);
    }
}
