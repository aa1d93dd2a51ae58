//! The person at the board: writes two tickets, approves, confirms, looks at what is held, and stops one of the two. All of it
//! through the host's API, and each time only after a look at what is there: whether a request that nobody answered was carried
//! out, is not known.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::aside::Asides;
use super::door::Doors;
use super::errand::Errands;
use super::http::{Client, NoAnswer};
use super::stage::{STOPPED, Stage, WALKED};

/// What a person remembers of a round.
#[derive(Default)]
pub(super) struct Person {
    /// After how many visits of stages the one ticket stops the other.
    stops_after: u64,
    pushed: bool,
    /// Of each version at which the ticket was held: why, and what the other side had seen of the hook by then.
    pub(super) holds: BTreeMap<u64, Hold>,
    /// How often a hook had done its work for a commit when its fate was last unknown.
    deeds: BTreeMap<String, usize>,
    /// The branch's reflog where the ticket awaits its deploy.
    pub(super) branch: Vec<String>,
    /// Keys of the two tickets.
    pub(super) walked: Option<String>,
    pub(super) stopped: Option<String>,
    errands: Errands,
    pub(super) doors: Doors,
    pub(super) asides: Asides,
}

/// What a person found held.
pub(super) struct Hold {
    pub(super) kind: String,
    pub(super) reason: String,
    pub(super) step: String,
    /// The hook had done it since this person looked last: going on does it once more, by his word.
    pub(super) was_done: bool,
}

impl Person {
    pub(super) fn new(stops_after: u64, asides: Asides) -> Self {
        Self { stops_after, asides, ..Self::default() }
    }

    /// One look at the board. True: all tickets have ended, and nothing is left to do for them.
    pub(super) fn look(&mut self, client: &Client, stage: &Stage) -> Result<bool, NoAnswer> {
        let walked = self.walk(client, stage)?;
        let stopped = self.stop(client, stage, visits(&walked))?;
        // The other ticket may end while an errand waits for it; not before the errand knows it.
        let are_run = self.errands.look(client, &stopped)?;
        let is_told = self.doors.look(client, stage)?;
        let are_settled = self.asides.look(client, stage)? && is_settled(&walked) && is_settled(&stopped);
        if !are_settled || !are_run || !is_told {
            return Ok(false);
        }
        Ok(!has_jobs(client, |_| true)?)
    }

    fn walk(&mut self, client: &Client, stage: &Stage) -> Result<Value, NoAnswer> {
        let title = "Keep slugs within 30 characters";
        let view = ticket(client, WALKED, title, &[], &mut self.walked)?;
        let task = view["task"]["task"].clone();
        let activity = &task["position"]["activity"];
        let status = view["card"]["status"].as_str().unwrap_or_default();
        match (activity["activity"].as_str(), status) {
            (Some("awaiting-person"), "In Review") => {
                if task["position"]["stage"] == "deploy-staging" && !self.pushed {
                    self.pushed = stage.somebody_pushes().is_some();
                    if !self.pushed {
                        return Ok(task);
                    }
                }
                self.r#move(client, "Approved")?;
            }
            (Some("awaiting-person"), "Awaiting Deploy") => {
                if let Some(branch) = task["branch"].as_str().filter(|_| self.branch.is_empty()) {
                    self.branch = stage.reflog(WALKED, branch);
                }
                self.r#move(client, "Confirm Deploy")?;
            }
            (Some("held"), _) => self.let_on(client, stage, &task)?,
            _ => {}
        }
        Ok(task)
    }

    fn r#move(&self, client: &Client, status: &str) -> Result<(), NoAnswer> {
        let key = self.walked.as_deref().unwrap_or_default();
        let path = format!("/api/v1/projects/{WALKED}/items/{key}/status");
        client.send("PUT", &path, &json!({ "status": status })).map(drop)
    }

    /// Reads what the hook wrote itself, and says: go on.
    fn let_on(&mut self, client: &Client, stage: &Stage, task: &Value) -> Result<(), NoAnswer> {
        let version = task["version"].as_u64().unwrap_or_default();
        let hold = &task["position"]["activity"]["hold"];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        // A run that was ordered anew and lost before its hook did anything adds no deed: the one before was counted then.
        let seen = &mut self.deeds;
        self.holds.entry(version).or_insert_with(|| {
            let (kind, step) = (word(&hold["kind"]), word(&hold["step"]));
            let head = task["head"].as_str().unwrap_or_default();
            let written = format!("{step} {head} ");
            let deeds = stage.effects().lines().filter(|line| line.starts_with(&written)).count();
            let was_done = kind == "fate-unknown" && is_more(seen, written, deeds);
            Hold { kind, step, was_done, reason: word(&hold["reason"]) }
        });
        let path = format!("/api/v1/tasks/{}/resume", task["id"]);
        client.send("POST", &path, &json!({"note": "I looked", "version": version})).map(drop)
    }

    fn stop(&mut self, client: &Client, stage: &Stage, visits: u64) -> Result<Value, NoAnswer> {
        let view = ticket(client, STOPPED, "Never finished", &[], &mut self.stopped)?;
        let task = view["task"]["task"].clone();
        let key = self.stopped.as_deref().unwrap_or_default();
        let works = stage.effects().lines().any(|line| line.starts_with(&format!("developer {key} ")));
        let may_stop =
            !matches!(task["position"]["activity"]["activity"].as_str(), None | Some("stopping" | "settled"));
        if may_stop && works && visits >= self.stops_after {
            client.send("POST", &format!("/api/v1/tasks/{}/stop", task["id"]), &json!({"note": ""}))?;
        }
        Ok(task)
    }
}

/// The ticket of this title with its task: written where there is none, and moved to where work begins.
pub(super) fn ticket(
    client: &Client,
    project: &str,
    title: &str,
    labels: &[&str],
    key: &mut Option<String>,
) -> Result<Value, NoAnswer> {
    let items = format!("/api/v1/projects/{project}/items");
    if key.is_none() {
        let there = client.get(&items)?;
        let found = list(&there).find(|card| card["title"] == title);
        let found = found.and_then(|card| card["work_item"].as_str()).map(str::to_owned);
        *key = if found.is_some() {
            found
        } else {
            let card = json!({"title": title, "description": "It is at most 30 characters long.", "labels": labels});
            client.send("POST", &items, &card)?["work_item"].as_str().map(str::to_owned)
        };
    }
    let path = format!("{items}/{}", key.as_deref().unwrap_or_default());
    let view = client.get(&path)?;
    if view["task"].is_null() && view["card"]["status"] != "To Analyse" {
        client.send("PUT", &format!("{path}/status"), &json!({"status": "To Analyse"}))?;
    }
    Ok(view)
}

/// Whether anything is to be done yet for such tasks.
pub(super) fn has_jobs(client: &Client, of: impl Fn(&Value) -> bool) -> Result<bool, NoAnswer> {
    let queue = client.get("/api/v1/queue")?;
    let is_live = |job: &Value| matches!(job["state"].as_str(), Some("queued" | "claimed"));
    Ok(list(&queue).any(|job| is_live(job) && of(&job["task"])))
}

pub(super) fn list(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["items"].as_array().into_iter().flatten()
}

fn is_settled(task: &Value) -> bool {
    task["position"]["activity"]["activity"] == "settled"
}

fn visits(task: &Value) -> u64 {
    task["visits"].as_object().into_iter().flatten().filter_map(|(_, visits)| visits.as_u64()).sum()
}

/// Whether there are more deeds of this kind than were seen before.
fn is_more(seen: &mut BTreeMap<String, usize>, kind: String, deeds: usize) -> bool {
    seen.insert(kind, deeds).unwrap_or_default() < deeds
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hook deploys and its shim dies; it is ordered anew and dies before it does anything; ordered once more it deploys: two
    /// deeds, and one of them by a person's order.
    #[test]
    fn an_order_that_did_nothing_is_none_of_the_deeds() {
        let mut seen = BTreeMap::new();
        let mut is_anew = |deeds| is_more(&mut seen, "deploy 1234 ".to_owned(), deeds);
        assert_eq!([is_anew(1), is_anew(1), is_anew(2)], [true, false, true]);
        assert!(!is_more(&mut seen, "staging 1234 ".to_owned(), 0), "it never did anything");
    }
}
