//! What else people do at the board meanwhile, one thing after the other: a third ticket, which waits for the second and never
//! begins, a freeze and its end, the report of a check. It makes the host write what the two tickets alone never need.

use serde_json::{Value, json};

use super::http::{Client, NoAnswer};
use super::person::list;
use super::stage::STOPPED;

const TITLE: &str = "An errand";

/// How far the errands are.
#[derive(Default)]
pub(super) struct Errands {
    done: usize,
    key: String,
}

/// In this order.
#[derive(Clone, Copy)]
enum Errand {
    Write,
    Start,
    Freeze,
    NeedNothing,
    NeedAgain,
    Thaw,
    Check,
    Stop,
    Remove,
}

impl Errand {
    const ALL: [Self; 9] = [
        Self::Write,
        Self::Start,
        Self::Freeze,
        Self::NeedNothing,
        Self::NeedAgain,
        Self::Thaw,
        Self::Check,
        Self::Stop,
        Self::Remove,
    ];
}

impl Errands {
    /// One errand, if it is its time. `needed` is the task of the second ticket. True: nothing is left to do.
    pub(super) fn look(&mut self, client: &Client, needed: &Value) -> Result<bool, NoAnswer> {
        let Some(errand) = Errand::ALL.get(self.done) else { return Ok(true) };
        let Some(needed) = needed["id"].as_u64() else { return Ok(false) };
        match self.run(*errand, client, needed) {
            Ok(true) => self.done += 1,
            Ok(false) => {}
            // What was asked for is so already, or cannot be any more: an answer that got lost had said yes.
            Err(NoAnswer::No(404 | 409 | 410 | 422, _)) => self.done += 1,
            Err(other) => return Err(other),
        }
        Ok(self.done == Errand::ALL.len())
    }

    fn run(&mut self, errand: Errand, client: &Client, needed: u64) -> Result<bool, NoAnswer> {
        let project = format!("/api/v1/projects/{STOPPED}");
        let items = format!("{project}/items");
        if matches!(errand, Errand::Write) {
            let there = client.get(&items)?;
            let found = list(&there).find(|card| card["title"] == TITLE);
            let card = match found {
                Some(card) => card.clone(),
                None => client.send("POST", &items, &json!({"title": TITLE, "after": [needed.to_string()]}))?,
            };
            card["work_item"].as_str().unwrap_or_default().clone_into(&mut self.key);
            return Ok(true);
        }
        let item = format!("{items}/{}", self.key);
        let view = client.get(&item)?;
        let task = &view["task"]["task"];
        let needs = format!("/api/v1/tasks/{}/dependencies", task["id"]);
        let on = json!({"on": needed.to_string()});
        match errand {
            Errand::Write => {}
            Errand::Start => {
                if view["card"]["status"] == "Backlog" {
                    client.send("PUT", &format!("{item}/status"), &json!({"status": "To Analyse"}))?;
                }
                return Ok(!task.is_null());
            }
            Errand::Freeze => {
                client.send("POST", &format!("{project}/freeze"), &json!({"reason": "an errand"}))?;
            }
            Errand::NeedNothing => {
                client.send("DELETE", &needs, &on)?;
            }
            Errand::NeedAgain => {
                client.send("POST", &needs, &on)?;
            }
            Errand::Thaw => {
                client.send("DELETE", &format!("{project}/freeze"), &json!({}))?;
            }
            Errand::Check => {
                let commit = "c0ffee".repeat(7).chars().take(40).collect::<String>();
                let report = json!({"name": "errand", "state": "success"});
                client.send("POST", &format!("{project}/commits/{commit}/checks"), &report)?;
            }
            Errand::Stop => {
                let stands = task["position"]["activity"]["activity"].as_str();
                if !matches!(stands, Some("stopping" | "settled")) {
                    stop(client, task)?;
                }
                return Ok(stands == Some("settled"));
            }
            Errand::Remove => {
                client.send("DELETE", &item, &json!({}))?;
            }
        }
        Ok(true)
    }
}

/// Stops a task as it was looked at; where it changed since, the next look decides anew.
pub(super) fn stop(client: &Client, task: &Value) -> Result<(), NoAnswer> {
    let seen = json!({"note": "", "version": task["version"]});
    match client.send("POST", &format!("/api/v1/tasks/{}/stop", task["id"]), &seen) {
        Ok(_) | Err(NoAnswer::No(409, _)) => Ok(()),
        Err(other) => Err(other),
    }
}
