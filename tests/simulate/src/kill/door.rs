//! What comes to the host's doors besides: a token that is made, used and revoked, a browser that logs in and out by it, and a forge
//! outside that says the same thing twice. Whoever got no answer does not know what was done, and asks as real ones would.

use serde_json::{Value, json};

use super::http::{Client, NoAnswer};
use super::person::list;
use super::stage::Stage;

/// What tokens of this are called: `errand-1`, …
const TOKENS: &str = "errand-";
/// The sender's id of what the forge says.
pub(super) const DELIVERY: &str = "0f0e0d0c-0b0a-0908-0706-050403020100";
/// What it says.
const PUSH: &str =
    r#"{"ref": "refs/heads/main", "before": "", "after": "", "repository": {"full_name": "else/visited"}}"#;

/// How far all of it is.
#[derive(Default)]
pub(super) struct Doors {
    done: usize,
    tokens: u32,
    secret: String,
    session: String,
    /// What must not be.
    pub(super) wrongs: Vec<String>,
}

/// In this order.
#[derive(Clone, Copy)]
enum Call {
    MakeToken,
    UseToken,
    LogIn,
    LogOut,
    Revoke,
    Tell,
    TellAgain,
    WaitUntilRead,
}

impl Call {
    const ALL: [Self; 8] = [
        Self::MakeToken,
        Self::UseToken,
        Self::LogIn,
        Self::LogOut,
        Self::Revoke,
        Self::Tell,
        Self::TellAgain,
        Self::WaitUntilRead,
    ];
}

impl Doors {
    /// As far as it goes. True: nothing is left to do.
    pub(super) fn look(&mut self, client: &Client, stage: &Stage) -> Result<bool, NoAnswer> {
        while let Some(call) = Call::ALL.get(self.done) {
            if !self.call(*call, client, stage)? {
                return Ok(false);
            }
            self.done += 1;
        }
        Ok(true)
    }

    fn call(&mut self, call: Call, client: &Client, stage: &Stage) -> Result<bool, NoAnswer> {
        match call {
            Call::MakeToken => {
                // A secret is told once: whoever did not hear it makes another token.
                self.tokens += 1;
                let wanted = json!({"name": format!("{TOKENS}{}", self.tokens), "right": "operate"});
                let made = client.send("POST", "/api/v1/tokens", &wanted)?;
                made["secret"].as_str().unwrap_or_default().clone_into(&mut self.secret);
                Ok(true)
            }
            Call::UseToken => {
                client.with(&self.secret).get("/api/v1/projects")?;
                // It is written down when the answer has gone already.
                Ok(stage.was_passed("after-commit-of-token_used"))
            }
            Call::LogIn => self.log_in(client),
            Call::LogOut => self.log_out(client),
            Call::Revoke => revoke_all(client),
            Call::Tell => Ok(matches!(tell(stage)?, 200 | 202)),
            Call::TellAgain => {
                let status = tell(stage)?;
                if status == 202 {
                    self.wrongs.push("a delivery that was kept already was taken as a new one".to_owned());
                }
                Ok(true)
            }
            Call::WaitUntilRead => Ok(list(&deliveries(client)?).all(|row| row["state"] != "pending")),
        }
    }

    fn log_in(&mut self, client: &Client) -> Result<bool, NoAnswer> {
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let answer = client.exchange("POST", "/login", &form, &format!("token={}&next=/", self.secret))?;
        if answer.status != 303 {
            return Err(NoAnswer::No(answer.status, "of a log-in".to_owned()));
        }
        let cookie = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next());
        let secret = cookie.and_then(|cookie| cookie.split_once('=')).map(|(_, secret)| secret.to_owned());
        self.session = secret.unwrap_or_default();
        Ok(true)
    }

    fn log_out(&self, client: &Client) -> Result<bool, NoAnswer> {
        let cookie = client.cookie(&self.session);
        let page = client.exchange("GET", "/login", &[("Cookie", &cookie)], "")?;
        let key = page.body.split_once("name=\"csrf\" value=\"").and_then(|(_, rest)| rest.split('"').next());
        // The page has no such key: the session ended, and the answer got lost.
        let Some(key) = key else { return Ok(true) };
        let form = [("Content-Type", "application/x-www-form-urlencoded"), ("Cookie", &cookie)];
        let answer = client.exchange("POST", "/logout", &form, &format!("csrf={key}"))?;
        if answer.status == 303 { Ok(true) } else { Err(NoAnswer::No(answer.status, "of a log-out".to_owned())) }
    }
}

/// Also those whose secret nobody heard.
fn revoke_all(client: &Client) -> Result<bool, NoAnswer> {
    for token in list(&client.get("/api/v1/tokens")?) {
        let name = token["name"].as_str().unwrap_or_default();
        if name.starts_with(TOKENS) && token["revoked_at"].is_null() {
            client.send("DELETE", &format!("/api/v1/tokens/{name}"), &json!({}))?;
        }
    }
    Ok(true)
}

/// The forge's word, which is not signed; how it was answered.
fn tell(stage: &Stage) -> Result<u16, NoAnswer> {
    let address = stage.webhooks().ok_or(NoAnswer::Gone)?;
    let headers = [("Content-Type", "application/json"), ("X-Gitea-Event", "push"), ("X-Gitea-Delivery", DELIVERY)];
    let answer = Client::new(&address, "").exchange("POST", "/webhook/gitea", &headers, PUSH)?;
    answer.json().map(|_| answer.status)
}

/// What the forge told, as the host lists it.
pub(super) fn deliveries(client: &Client) -> Result<Value, NoAnswer> {
    client.get("/api/v1/deliveries?source=gitea")
}

/// Of each token that it was made, and that it was revoked: one line of the audit each.
pub(super) fn deeds(client: &Client) -> Result<Vec<String>, NoAnswer> {
    let mut deeds = Vec::new();
    for what in ["make-token", "revoke-token"] {
        let lines = client.get(&format!("/api/v1/audit?what={what}&limit=500"))?;
        let done = list(&lines).filter(|line| line["outcome"] == "done");
        deeds.extend(done.map(|line| format!("{what} {}", line["subject"].as_str().unwrap_or_default())));
    }
    Ok(deeds)
}
