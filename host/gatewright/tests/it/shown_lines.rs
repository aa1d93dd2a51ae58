//! Each line of the command line that a page shows can be typed as it stands, wherever its reader stands.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::fixture::{Place, REVIEWER, Serving, said};

/// What a shell anywhere makes of a line of a page.
fn typed(line: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_gatewright"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir("/").env("PATH", path).env_remove("GATEWRIGHT_TOKEN").stdin(Stdio::null());
    shell.output().unwrap()
}

fn unescaped(text: &str) -> String {
    [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The pages as who logged in with the first token sees them.
struct Browser<'a> {
    serving: &'a Serving,
    client: reqwest::blocking::Client,
    cookie: String,
}

impl<'a> Browser<'a> {
    fn logged_in(serving: &'a Serving) -> Self {
        let client = reqwest::blocking::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let login = client.post(format!("{}/login", serving.address)).header("origin", &serving.address);
        let login = login.header("content-type", "application/x-www-form-urlencoded");
        let answer = login.body(format!("token={}&next=/", serving.token)).send().unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        Self { serving, client, cookie }
    }

    fn page(&self, path: &str) -> String {
        let page = self.client.get(format!("{}{path}", self.serving.address)).header("cookie", &self.cookie);
        let answer = page.header("accept", "text/html").send().unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.text().unwrap()
    }
}

/// What stands on it as a line to be typed.
fn lines(page: &str) -> Vec<String> {
    let codes = page.split("<code>").skip(1).map(|rest| unescaped(rest.split("</code>").next().unwrap()));
    codes.filter(|line| line.starts_with("gatewright ")).collect()
}

fn line(page: &str, words: &str) -> String {
    let lines = lines(page);
    lines.iter().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words} is not among {lines:#?}")).clone()
}

#[test]
fn a_line_of_a_page_can_be_typed_as_it_stands() {
    let place = Place::new("#!/bin/sh\nexec sleep 600\n", REVIEWER);
    place.init();
    let serving = place.serve();
    let browser = Browser::logged_in(&serving);
    let made = place.json(&["task", "create", "Another line", "--backlog"]);
    let key = made["card"]["work_item"].as_str().unwrap();
    let ticket = format!("/t/{key}");
    let folder = format!("gatewright --dir {} ", place.state().display());
    for path in ["/", "/q", &ticket, "/p/repository", "/repositories", "/system", "/audit"] {
        for line in lines(&browser.page(path)) {
            assert!(line.starts_with(&folder), "{path}: {line}");
        }
    }
    let run = |path: &str, words: &str| {
        let line = line(&browser.page(path), words);
        let done = typed(&line);
        assert!(done.status.success(), "{line}: {}", said(&done));
        said(&done)
    };
    run(&ticket, &format!("task comment {key}"));
    assert_eq!(place.json(&["task", "comment", key, "by its key alone"])[0]["text"], "by its key alone");
    let started = run(&ticket, &format!("task start {key}"));
    assert!(started.contains("To Analyse"), "{started}");
    place.until(key, "at work", |shown| shown["runs"].as_array().is_some_and(|runs| !runs.is_empty()));
    for intent in ["pause", "resume", "stop"] {
        run(&ticket, &format!("task {intent} {key}"));
    }
    run("/repositories", "project freeze repository");
    run("/q", "project unfreeze repository");
}
