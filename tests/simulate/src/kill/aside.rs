//! A project beside the two whose tickets are counted, for what those never come to. One of its tickets spends more than it may;
//! one waits at a gate for a time, and then for an agent whose program is gone; and when both have ended, the project is observed,
//! and one is begun of which only is written down what would be done.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::errand::stop;
use super::http::{Client, NoAnswer};
use super::person::{has_jobs, list, ticket};
use super::stage::{STOPPED, Stage};

/// The project.
pub(super) const ASIDE: &str = "aside";
/// Whose program goes away between the look at it and its launch.
pub(super) const LEAVER: &str = "leaver";
/// The check for which the gate waits.
const CHECK: &str = "aside";
/// Who died in between saw the program gone before he claimed anything: then nothing comes of it.
const PATIENCE: Duration = Duration::from_secs(3);

/// One project and not three, for each makes every start of a host longer; and few gates. Bugs go past the agent that spends.
const STAGES: &str = r#"
[[stage]]
name = "beginning"
passage = true
to = "analysis"
bug-to = "development"
on-fail = "beginning"

[[stage]]
name = "analysis"
role = "analyst"
to = "development"
on-fail = "analysis"

[[stage]]
name = "development"
role = "developer"
to = "review"
on-fail = "development"
steps = ["checks-green"]

[[stage]]
name = "review"
role = "reviewer"
to = "done"
on-fail = "development"

[[stage]]
name = "done"
terminal = "done"

[[stage]]
name = "cancelled"
terminal = "cancelled"
"#;

/// The project's file, made of one whose developer and reviewer come to an end. An agent of an hour costs so much that a cent is a
/// hundredth of a second.
pub(super) fn file(pattern: &str) -> String {
    let (head, roles) = pattern.split_once("pipeline = \"quick\"\n").unwrap_or((pattern, ""));
    let head = head
        .replace(&format!("name = \"{STOPPED}\""), &format!("name = \"{ASIDE}\""))
        .replace(&format!("/{STOPPED}\"\n"), &format!("/{ASIDE}\"\n"))
        .replace("\"VISIT\"", "\"ASIDE\"");
    let developer = roles.split("\n[roles.reviewer]").next().unwrap_or_default();
    let analyst = developer
        .replace("[roles.developer]\n", "[roles.analyst]\nbudget = { cost-usd = 0.01 }\n")
        .replace("agents/developer.sh", "agents/endless.sh");
    let roles = roles.replace("agents/reviewer.sh", &format!("agents/{LEAVER}.sh"));
    format!(
        "{head}{STAGES}{analyst}\n{roles}\n[gates.checks-green]\n\
         settings = {{ required = [\"{CHECK}\"], poll-interval-seconds = 1 }}\n\n[price]\nusd-per-hour = 3600.0\n"
    )
}

/// The tickets, in the order in which they are begun: the last one only when the others have ended.
const TICKETS: [(&str, &[&str]); 3] = [("Too dear", &[]), ("Too early", &["bug"]), ("Not ours to do", &[])];

/// How far they are.
#[derive(Default)]
pub(super) struct Asides {
    keys: [Option<String>; TICKETS.len()],
    tasks: [Value; TICKETS.len()],
    /// What shall happen to the ticket has happened: it is stopped.
    happened: [bool; TICKETS.len()],
    reported: Option<Instant>,
    is_observed: bool,
    /// Whether one spends too much: a run is weighed each five seconds, and no round waits for that in vain.
    spends: bool,
    /// Whether the project is observed in the end: its file is read anew with all others, which takes seconds.
    observes: bool,
}

/// Where somebody dies for whom the project is observed.
pub(super) const OBSERVES: &str = "commit-of-put_would";
/// Where somebody dies for whom one spends too much.
pub(super) const SPENDS: &str = "commit-of-put_over_budget";

impl Asides {
    pub(super) fn new(spends: bool, observes: bool) -> Self {
        Self { spends, observes, ..Self::default() }
    }

    /// A look at each. True: all have ended.
    pub(super) fn look(&mut self, client: &Client, stage: &Stage) -> Result<bool, NoAnswer> {
        let are_settled = self.look_at(1, client, stage)? & (!self.spends || self.look_at(0, client, stage)?);
        // What is left to do for them would not be done any more.
        let first = &self.tasks[..2];
        if !are_settled || (!self.is_observed && has_jobs(client, |task| first.contains(task))?) {
            return Ok(false);
        }
        if !self.observes {
            return Ok(true);
        }
        stage.observe_from_now_on(ASIDE);
        let projects = client.get("/api/v1/projects")?;
        self.is_observed = list(&projects).any(|project| project["name"] == ASIDE && project["observed"] == true);
        Ok(self.is_observed && self.look_at(2, client, stage)?)
    }

    fn look_at(&mut self, which: usize, client: &Client, stage: &Stage) -> Result<bool, NoAnswer> {
        let (title, labels) = TICKETS[which];
        let view = ticket(client, ASIDE, title, labels, &mut self.keys[which])?;
        let task = &view["task"]["task"];
        self.tasks[which] = task["id"].clone();
        let stands = task["position"]["activity"]["activity"].as_str();
        if task.is_null() || matches!(stands, Some("stopping" | "settled")) {
            return Ok(stands == Some("settled"));
        }
        if !self.happened[which] {
            self.happened[which] = match which {
                0 => spend(client, stage, task)?,
                1 => self.time(client, stage, task)?,
                _ => list(&woulds(client)?).next().is_some(),
            };
        }
        if self.happened[which] {
            stop(client, task)?;
        } else if stands == Some("held") {
            // Its shim died too often.
            let on = json!({"note": "", "version": task["version"]});
            client.send("POST", &format!("/api/v1/tasks/{}/resume", task["id"]), &on)?;
        }
        Ok(false)
    }

    /// Lets the gate wait until it was asked again by the time, and then reports the check as the reviewer's program goes away.
    fn time(&mut self, client: &Client, stage: &Stage, task: &Value) -> Result<bool, NoAnswer> {
        if task["position"]["stage"] == "review" {
            // Perhaps the report was kept, and the answer got lost.
            self.reported.get_or_insert_with(Instant::now);
        }
        if let Some(reported) = self.reported {
            return Ok(stage.was_passed("after-commit-of-unattempted") || reported.elapsed() > PATIENCE);
        }
        let waits = task["position"]["activity"]["activity"] == "waiting" && stage.was_passed("done-timer");
        let Some(head) = task["head"].as_str().filter(|_| waits) else { return Ok(false) };
        stage.agent_leaves(LEAVER);
        let report = json!({"name": CHECK, "state": "success"});
        client.send("POST", &format!("/api/v1/projects/{ASIDE}/commits/{head}/checks"), &report)?;
        self.reported = Some(Instant::now());
        Ok(false)
    }

    /// The tickets, as paths of the API.
    pub(super) fn items(&self) -> impl Iterator<Item = String> {
        self.keys.iter().flatten().map(|key| format!("/api/v1/projects/{ASIDE}/items/{key}"))
    }
}

/// Asks to go on, which is not to be had while it runs: whoever asks wakes the host, which weighs what is due.
fn spend(client: &Client, stage: &Stage, task: &Value) -> Result<bool, NoAnswer> {
    let stands = task["position"]["activity"]["activity"].as_str();
    if stands == Some("running") {
        match client.send("POST", &format!("/api/v1/tasks/{}/resume", task["id"]), &json!({"note": ""})) {
            Ok(_) | Err(NoAnswer::No(409, _)) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(stands == Some("held") && stage.was_passed("after-commit-of-put_over_budget"))
}

/// What would have been done.
pub(super) fn woulds(client: &Client) -> Result<Value, NoAnswer> {
    client.get(&format!("/api/v1/observed?project={ASIDE}"))
}
