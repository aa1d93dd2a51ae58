//! The interfaces of `gatewright:*` as a guest sees them. Each function turns its arguments into the broker's types, asks the
//! broker, and turns the answer back: nothing here decides anything.

use domain::ids::{DocumentId, RunId};
use domain::plugin::{Family, HostError as Refusal};
use wasmtime::Result;
use wasmtime::component::{HasSelf, Linker};

use crate::bindings::gatewright::errors::errors::HostError;
use crate::bindings::gatewright::{
    clock, documents, errors, exec, forge, history, http, kv, log, repo, runs, tasks, tracker,
};
use crate::exchange::{HostAnswer, HostCall};
use crate::output::LogLevel;
use crate::state::State;

/// Links what the host serves of `gatewright:*`, interface by interface.
pub(crate) fn link(linker: &mut Linker<State>) -> Result<()> {
    fn itself(state: &mut State) -> &mut State {
        state
    }
    clock::clock::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    documents::documents::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    errors::errors::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    exec::exec::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    forge::forge::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    history::history::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    http::client::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    kv::store::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    log::log::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    repo::repo::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    runs::runs::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    tasks::tasks::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    tracker::tracker::add_to_linker::<_, HasSelf<State>>(linker, itself)
}

/// Asks, and takes the answer apart: one of another form can only come from a transcript that was changed by hand.
macro_rules! ask {
    ($state:expr, $call:expr, $form:pat => $value:expr) => {
        match $state.ask($call)? {
            Ok($form) => Ok(Ok($value)),
            Ok(_) => Ok(Err(HostError::Other("the transcript holds an answer of another form".to_owned()))),
            Err(error) => Ok(Err(error.into())),
        }
    };
}

impl tasks::tasks::Host for State {}
impl errors::errors::Host for State {}

impl log::log::Host for State {
    fn write(&mut self, level: log::log::Level, message: String) -> Result<()> {
        let level = match level {
            log::log::Level::Debug => LogLevel::Debug,
            log::log::Level::Info => LogLevel::Info,
            log::log::Level::Warn => LogLevel::Warn,
            log::log::Level::Error => LogLevel::Error,
        };
        Ok(self.log(level, message.as_bytes())?)
    }
}

impl clock::clock::Host for State {
    fn now(&mut self) -> Result<u64> {
        self.idle(0)?;
        Ok(self.now.0)
    }
}

impl repo::repo::Host for State {
    fn read(&mut self, at: repo::repo::Revision, path: String) -> Result<Result<Vec<u8>, HostError>> {
        ask!(self, HostCall::RepoRead { at: at.into(), path }, HostAnswer::Bytes(bytes) => bytes.0)
    }

    fn list(&mut self, at: repo::repo::Revision, glob: String) -> Result<Result<Vec<String>, HostError>> {
        ask!(self, HostCall::RepoList { at: at.into(), glob }, HostAnswer::Paths(paths) => paths)
    }

    fn changes(&mut self) -> Result<Result<Vec<repo::repo::ChangedFile>, HostError>> {
        ask!(self, HostCall::RepoChanges, HostAnswer::Changes(changes) => changes.into_iter().map(Into::into).collect())
    }

    fn diff(&mut self, path: String) -> Result<Result<Vec<u8>, HostError>> {
        ask!(self, HostCall::RepoDiff { path }, HostAnswer::Bytes(bytes) => bytes.0)
    }

    fn commits(&mut self) -> Result<Result<Vec<repo::repo::CommitInfo>, HostError>> {
        ask!(self, HostCall::RepoCommits, HostAnswer::Commits(commits) => commits.into_iter().map(Into::into).collect())
    }

    fn last_change(
        &mut self,
        at: repo::repo::Revision,
        path: String,
    ) -> Result<Result<Option<repo::repo::CommitInfo>, HostError>> {
        ask!(self, HostCall::RepoLastChange { at: at.into(), path }, HostAnswer::LastChange(found) => found.map(Into::into))
    }

    fn is_ancestor(&mut self, ancestor: String, descendant: String) -> Result<Result<bool, HostError>> {
        ask!(self, HostCall::RepoIsAncestor { ancestor, descendant }, HostAnswer::Flag(flag) => flag)
    }
}

impl documents::documents::Host for State {
    fn list(&mut self) -> Result<Result<Vec<documents::documents::Document>, HostError>> {
        ask!(self, HostCall::DocumentsList, HostAnswer::Documents(list) => list.into_iter().map(Into::into).collect())
    }

    fn read(&mut self, id: u64) -> Result<Result<Vec<u8>, HostError>> {
        ask!(self, HostCall::DocumentsRead { id: DocumentId(id) }, HostAnswer::Bytes(bytes) => bytes.0)
    }
}

impl forge::forge::Host for State {
    fn checks(&mut self) -> Result<Result<Vec<forge::forge::Check>, HostError>> {
        ask!(self, HostCall::ForgeChecks, HostAnswer::Checks(checks) => checks.into_iter().map(Into::into).collect())
    }

    fn code_pull_request(&mut self) -> Result<Result<Option<forge::forge::PullRequest>, HostError>> {
        ask!(self, HostCall::ForgeCodePullRequest, HostAnswer::PullRequest(found) => found.map(Into::into))
    }
}

impl tracker::tracker::Host for State {
    fn current(&mut self) -> Result<Result<tracker::tracker::WorkItem, HostError>> {
        ask!(self, HostCall::TrackerCurrent, HostAnswer::WorkItem(item) => item.into())
    }

    fn comments(&mut self, newest: u32) -> Result<Result<Vec<tracker::tracker::Comment>, HostError>> {
        ask!(self, HostCall::TrackerComments { newest }, HostAnswer::Comments(list) => list.into_iter().map(Into::into).collect())
    }
}

impl runs::runs::Host for State {
    fn list(&mut self, newest: u32) -> Result<Result<Vec<tasks::tasks::Run>, HostError>> {
        ask!(self, HostCall::RunsList { newest }, HostAnswer::Runs(runs) => runs.into_iter().map(Into::into).collect())
    }

    fn log_tail(&mut self, run: u64, bytes: u32) -> Result<Result<Vec<u8>, HostError>> {
        ask!(self, HostCall::RunsLogTail { run: RunId(run), bytes }, HostAnswer::Bytes(bytes) => bytes.0)
    }

    fn report(&mut self, run: u64) -> Result<Result<Option<String>, HostError>> {
        ask!(self, HostCall::RunsReport { run: RunId(run) }, HostAnswer::Report(report) => report)
    }
}

impl State {
    /// A function that comes later: what it needs is checked all the same, and a denial is remembered.
    fn later<A>(&mut self, name: &str, family: Family, object: String) -> Result<Result<A, HostError>> {
        match self.ask(HostCall::Later { name: name.to_owned(), family, object })? {
            Ok(_) => Ok(Err(Refusal::Unavailable(format!("`{name}` comes later")).into())),
            Err(error) => Ok(Err(error.into())),
        }
    }
}

impl history::history::Host for State {
    fn finished(&mut self, newest: u32) -> Result<Result<Vec<history::history::FinishedTask>, HostError>> {
        match self.ask(HostCall::HistoryFinished { newest })? {
            Ok(_) => Ok(Err(Refusal::Unavailable("`history.finished` comes later".to_owned()).into())),
            Err(error) => Ok(Err(error.into())),
        }
    }
}

impl kv::store::Host for State {
    fn get(&mut self, key: String) -> Result<Result<Option<Vec<u8>>, HostError>> {
        self.later("kv.get", Family::Kv, key)
    }

    fn put(&mut self, key: String, value: Vec<u8>, expected: Option<Vec<u8>>) -> Result<Result<bool, HostError>> {
        self.meter.arguments(value.len() + expected.map_or(0, |expected| expected.len()))?;
        self.later("kv.put", Family::Kv, key)
    }

    fn delete(&mut self, key: String, expected: Vec<u8>) -> Result<Result<bool, HostError>> {
        self.meter.arguments(expected.len())?;
        self.later("kv.delete", Family::Kv, key)
    }

    fn keys(&mut self, prefix: String) -> Result<Result<Vec<String>, HostError>> {
        self.later("kv.keys", Family::Kv, prefix)
    }
}

impl http::client::Host for State {
    fn send(&mut self, request: http::client::Request) -> Result<Result<http::client::Response, HostError>> {
        let headers: usize = request.headers.iter().map(|header| header.name.len() + header.value.len()).sum();
        self.meter.arguments(request.url.len() + headers + request.body.map_or(0, |body| body.len()))?;
        self.later("http.send", Family::Http, origin_of(&request.url).to_owned())
    }
}

/// The part of a URL that a grant is about; what is no URL is refused by the broker.
fn origin_of(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find(['/', '?', '#']).map_or(url.len(), |at| after_scheme + at);
    &url[..end]
}

impl exec::exec::Host for State {
    fn run(&mut self, command: String, arguments: Vec<String>) -> Result<Result<exec::exec::Progress, HostError>> {
        self.meter.arguments(arguments.iter().map(|argument| argument.len() + 8).sum())?;
        self.later("exec.run", Family::Exec, command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_of_a_url_ends_before_its_path() {
        assert_eq!(origin_of("https://a.example.org:8443/x?y#z"), "https://a.example.org:8443");
        assert_eq!(origin_of("https://user@a.example.org"), "https://user@a.example.org");
        assert_eq!(origin_of("https://a.example.org?x=/"), "https://a.example.org");
        assert_eq!(origin_of("no url"), "no url");
    }
}
