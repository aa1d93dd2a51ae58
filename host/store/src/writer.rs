//! The one thread that writes. It takes what waits, runs it in one transaction (each in a SAVEPOINT of its own as soon as one of
//! them fails), commits once, and only then answers: an answer means that the fsync is done. The committer itself knows no
//! thread: the simulator calls it on its own.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use conductor::ports::asker::{asked_from, asker};
use conductor::ports::store::StoreError;
use kill_points::{ARMED, pass};
use rusqlite::Connection;

use crate::checkpoint::Checkpointer;
use crate::failure::{Result, of_sql};
use crate::open::Core;
use crate::seen::Seen;

#[cfg(test)]
mod tests;

/// How many requests may stand in line; whoever comes later waits to be let in.
const LINE: usize = 1024;
/// How many share one commit: enough to make the fsync cheap, few enough that the first does not wait long for the last.
const GROUP: usize = 256;
/// How long a group stays open for the next request, and in all: little beside a commit, and nothing for a lone caller. Where the
/// last commit took less than that, another one costs less than the wait.
const GAP: Duration = Duration::from_micros(500);
const LINGER: Duration = Duration::from_millis(2);
/// How long a request that nobody asks again waits while another program holds the database: the most patient sender's time.
const PATIENCE: Duration = Duration::from_secs(30);

type Outcome<T> = std::result::Result<T, StoreError>;

/// What a request sees: the connection within its savepoint.
pub(crate) struct Tx<'a> {
    pub(crate) sql: &'a Connection,
    pub(crate) core: &'a Core,
    pub(crate) seen: &'a RefCell<Seen>,
}

/// What the writer tells everybody else.
#[derive(Default)]
pub(crate) struct News {
    fatal: OnceLock<String>,
    commits: AtomicU64,
    listeners: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
    stopwatch: OnceLock<Stopwatch>,
}

/// Told how long things took, in microseconds; called where the time is lost, so it must not lose any itself.
pub struct Stopwatch {
    /// Of each commit that changed something, and how many requests shared it.
    pub commits: Box<dyn Fn(u64, usize) + Send + Sync>,
    /// Of each look for a job to claim, and what it found: `claimed`, `none`, `failed`.
    pub claims: Box<dyn Fn(u64, &'static str) + Send + Sync>,
}

/// Since then, in microseconds.
pub(crate) fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

impl News {
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    pub(crate) fn subscribe(&self, listener: Box<dyn Fn() + Send + Sync>) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    pub(crate) fn measure(&self, stopwatch: Stopwatch) {
        let _ = self.stopwatch.set(stopwatch);
    }

    /// None: nobody wants to know, and no clock is read.
    pub(crate) fn stopwatch(&self) -> Option<&Stopwatch> {
        self.stopwatch.get()
    }

    /// After an I/O error nothing is said any more but that.
    pub(crate) fn check(&self) -> Outcome<()> {
        self.fatal.get().map_or(Ok(()), |text| Err(StoreError::Fatal(text.clone())))
    }

    /// An error on its way out; a fatal one stays.
    pub(crate) fn mark(&self, error: StoreError) -> StoreError {
        if let StoreError::Fatal(text) = &error {
            let _ = self.fatal.set(text.clone());
        }
        error
    }

    fn tell(&self) {
        for listener in &*self.listeners.lock().unwrap_or_else(PoisonError::into_inner) {
            listener();
        }
    }
}

/// The way to the one connection that writes.
pub(crate) enum Writer {
    /// The line in front of the thread.
    Thread { line: Option<SyncSender<Box<dyn Request>>>, thread: Option<JoinHandle<()>> },
    /// On the caller's own thread, each request a group of its own.
    Here(Mutex<Committer>),
}

impl Writer {
    /// `sql` is watched for that checkpointer.
    pub(crate) fn start(
        sql: Connection,
        seen: RefCell<Seen>,
        checkpointer: Checkpointer,
        core: Arc<Core>,
        news: Arc<News>,
    ) -> std::io::Result<Self> {
        let (line, waiting) = sync_channel(LINE);
        let body = move || Committer { checkpointer: Some(checkpointer), sql, seen, core, news }.run(&waiting);
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(body)?;
        Ok(Self::Thread { line: Some(line), thread: Some(thread) })
    }

    /// Without a thread: a write is done when its call returns, by whoever calls.
    pub(crate) fn here(sql: Connection, seen: RefCell<Seen>, core: Arc<Core>, news: Arc<News>) -> Self {
        Self::Here(Mutex::new(Committer { checkpointer: None, sql, seen, core, news }))
    }

    /// Runs `work` in a transaction. It may run more than once: where another of its group fails, or the group's commit does.
    pub(crate) fn write<T, F>(&self, work: F) -> Outcome<T>
    where
        T: Send + 'static,
        F: FnMut(&Tx<'_>) -> Result<T> + Send + 'static,
    {
        self.enqueue(work)?.recv().map_err(|_| gone())?
    }

    /// Puts `work` into the line; the answer comes after its commit.
    fn enqueue<T, F>(&self, work: F) -> std::result::Result<Receiver<Outcome<T>>, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Tx<'_>) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = sync_channel(1);
        // A caller that is gone needs no answer.
        self.send(Box::new(Typed {
            work,
            asker: asker(),
            until: None,
            outcome: None,
            reply: move |outcome| drop(reply.send(outcome)),
        }))
        .map_err(|_| gone())?;
        Ok(answer)
    }

    /// Puts `work` into the line, and calls `tell` after its commit, on the thread that writes: it must not wait for anything. Where
    /// another program holds the database it is tried again: who sent it may not come again.
    pub(crate) fn write_and_tell<T, F>(&self, work: F, tell: Box<dyn FnOnce(Outcome<T>) + Send>)
    where
        T: Send + 'static,
        F: FnMut(&Tx<'_>) -> Result<T> + Send + 'static,
    {
        let until = Some(Instant::now() + PATIENCE);
        let request = Box::new(Typed { work, asker: asker(), until, outcome: None, reply: tell });
        if let Err(request) = self.send(request) {
            request.fail(&Trouble::Fatal("the writer is gone".to_owned()));
        }
    }

    fn send(&self, request: Box<dyn Request>) -> std::result::Result<(), Box<dyn Request>> {
        match self {
            Self::Thread { line: Some(line), .. } => line.send(request).map_err(|refused| refused.0),
            Self::Thread { line: None, .. } => Err(request),
            Self::Here(committer) => {
                let committer = committer.lock().unwrap_or_else(PoisonError::into_inner);
                let mut group = vec![request];
                while !group.is_empty() {
                    group = committer.serve(group);
                }
                Ok(())
            }
        }
    }
}

fn gone() -> StoreError {
    StoreError::Fatal("the writer is gone".to_owned())
}

impl Drop for Writer {
    fn drop(&mut self) {
        let Self::Thread { line, thread } = self else { return };
        drop(line.take());
        let thread = thread.take().filter(|thread| thread.thread().id() != thread::current().id());
        if let Some(thread) = thread {
            // What it panicked of was told to whoever asked.
            let _ = thread.join();
        }
    }
}

/// Why a whole group cannot be committed.
pub(crate) enum Trouble {
    Full(String),
    Fatal(String),
    Busy(String),
    Other(String),
}

impl Trouble {
    fn of(error: &rusqlite::Error) -> Self {
        match of_sql(error) {
            StoreError::Full(text) => Self::Full(text),
            StoreError::Fatal(text) => Self::Fatal(text),
            StoreError::Busy(text) => Self::Busy(text),
            other => Self::Other(other.to_string()),
        }
    }

    fn error(&self) -> StoreError {
        match self {
            Self::Full(text) => StoreError::Full(text.clone()),
            Self::Fatal(text) => StoreError::Fatal(text.clone()),
            Self::Busy(text) => StoreError::Busy(text.clone()),
            Self::Other(text) => StoreError::Broken(text.clone()),
        }
    }
}

/// One call in the line.
pub(crate) trait Request: Send {
    /// What was asked, by the name of the store's method.
    fn kind(&self) -> &'static str;
    /// Until when it is tried again while the database is held; none: it is told at once.
    fn until(&self) -> Option<Instant>;
    /// Ok: whether its savepoint is to be kept.
    fn run(&mut self, tx: &Tx<'_>) -> std::result::Result<bool, Trouble>;
    fn answer(self: Box<Self>);
    fn fail(self: Box<Self>, trouble: &Trouble);
}

struct Typed<T, F, R> {
    work: F,
    /// From where it was asked: the thread that writes works for many.
    asker: Option<String>,
    until: Option<Instant>,
    outcome: Option<Outcome<T>>,
    /// Takes the outcome to whoever asked.
    reply: R,
}

impl<T, F, R> Request for Typed<T, F, R>
where
    T: Send,
    F: FnMut(&Tx<'_>) -> Result<T> + Send,
    R: FnOnce(Outcome<T>) + Send,
{
    fn kind(&self) -> &'static str {
        std::any::type_name::<F>().trim_end_matches("::{{closure}}").rsplit("::").next().unwrap_or_default()
    }

    fn until(&self) -> Option<Instant> {
        self.until
    }

    fn run(&mut self, tx: &Tx<'_>) -> std::result::Result<bool, Trouble> {
        let outcome = catch_unwind(AssertUnwindSafe(|| asked_from(self.asker.clone(), || (self.work)(tx))))
            .unwrap_or_else(|panic| {
                let why = format!("the store panicked: {}", words(&*panic));
                Err(StoreError::Broken(why).into())
            })
            .map_err(StoreError::from);
        match outcome {
            Err(StoreError::Full(text)) => Err(Trouble::Full(text)),
            Err(StoreError::Fatal(text)) => Err(Trouble::Fatal(text)),
            outcome => {
                let keep = outcome.is_ok();
                self.outcome = Some(outcome);
                Ok(keep)
            }
        }
    }

    fn answer(self: Box<Self>) {
        let Self { outcome, reply, .. } = *self;
        reply(outcome.unwrap_or_else(|| Err(StoreError::Broken("the request was not run".to_owned()))));
    }

    fn fail(self: Box<Self>, trouble: &Trouble) {
        let Self { reply, .. } = *self;
        reply(Err(trouble.error()));
    }
}

/// The places around a commit, one for each kind of request in it.
fn pass_all(group: &[Box<dyn Request>], when: &str) {
    if ARMED {
        for request in group {
            pass(&kill_points::commit(when, request.kind()));
        }
    }
}

/// What a panic said.
pub(crate) fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a word").to_owned()
}

/// The connection that writes, and what it takes to run a group of requests in one commit.
pub(crate) struct Committer {
    // Before the connection that writes: that one is the last to close.
    checkpointer: Option<Checkpointer>,
    sql: Connection,
    seen: RefCell<Seen>,
    core: Arc<Core>,
    news: Arc<News>,
}

impl Committer {
    fn run(&self, waiting: &Receiver<Box<dyn Request>>) {
        let (mut last, mut took, mut again) = (1, Duration::ZERO, Vec::new());
        loop {
            let mut group = again;
            if group.is_empty() {
                let Ok(first) = waiting.recv() else { break };
                group.push(first);
            }
            group.extend(waiting.try_iter().take(GROUP - 1));
            // Whoever was answered a moment ago is about to ask again: without this pause the first of them would have a
            // commit to himself while the others wait for the next.
            let until = Instant::now() + LINGER;
            while group.len() < last && took > LINGER {
                let Ok(next) = waiting.recv_timeout(until.saturating_duration_since(Instant::now()).min(GAP)) else {
                    break;
                };
                group.push(next);
            }
            last = group.len();
            let began = Instant::now();
            again = self.serve(group);
            took = began.elapsed();
        }
    }

    /// Answers the group, but for those that are to be tried again.
    fn serve(&self, mut group: Vec<Box<dyn Request>>) -> Vec<Box<dyn Request>> {
        let watched = self.news.stopwatch().map(|stopwatch| (stopwatch, Instant::now()));
        match self.commit(&mut group) {
            Ok(changed) => {
                if changed {
                    self.news.commits.fetch_add(1, Ordering::AcqRel);
                    if let Some((stopwatch, began)) = watched {
                        (stopwatch.commits)(micros(began), group.len());
                    }
                }
                for request in group {
                    request.answer();
                }
                if changed {
                    self.news.tell();
                    self.shorten();
                }
                Vec::new()
            }
            // One large request must not take the small ones with it.
            Err(Trouble::Full(_)) if group.len() > 1 => {
                group.into_iter().flat_map(|request| self.serve(vec![request])).collect()
            }
            Err(trouble) => {
                self.news.mark(trouble.error());
                let (now, is_held) = (Instant::now(), matches!(trouble, Trouble::Busy(_)));
                let (patient, others): (Vec<_>, Vec<_>) =
                    group.into_iter().partition(|request| is_held && request.until().is_some_and(|until| now < until));
                for request in others {
                    request.fail(&trouble);
                }
                patient
            }
        }
    }

    /// What was answered is durable already: an error here is told to those who come next.
    fn shorten(&self) {
        if let Some(Err(error)) = self.checkpointer.as_ref().map(|checkpointer| checkpointer.note(&self.sql)) {
            self.news.mark(of_sql(&error));
        }
    }

    /// Runs the group in one transaction; whether it changed anything.
    ///
    /// As a rule each request is kept. Where one is not, the group is run once more with a savepoint around each: that costs as
    /// much as a small request does, so it is not paid before it is needed.
    fn commit(&self, group: &mut [Box<dyn Request>]) -> std::result::Result<bool, Trouble> {
        match self.transaction(group, false)? {
            Some(changed) => Ok(changed),
            None if group.len() == 1 => Ok(false),
            None => Ok(self.transaction(group, true)?.unwrap_or(false)),
        }
    }

    /// None: one of the requests is not to be kept, so nothing was.
    fn transaction(
        &self,
        group: &mut [Box<dyn Request>],
        with_savepoints: bool,
    ) -> std::result::Result<Option<bool>, Trouble> {
        if let Some(text) = self.news.fatal.get() {
            return Err(Trouble::Fatal(text.clone()));
        }
        let before = self.sql.total_changes();
        let mut run = || {
            self.say("BEGIN IMMEDIATE")?;
            for request in &mut *group {
                if with_savepoints {
                    self.one(&mut **request)?;
                } else if !request.run(&self.tx())? {
                    self.say("ROLLBACK")?;
                    return Ok(false);
                }
            }
            if self.sql.total_changes() != before {
                pass_all(group, "before");
            }
            self.say("COMMIT")?;
            Ok(true)
        };
        let kept = run();
        let mut seen = self.seen.borrow_mut();
        if matches!(kept, Ok(true)) {
            seen.keep();
        } else {
            seen.forget(0);
        }
        drop(seen);
        let kept = kept.inspect_err(|_| {
            // The database may have rolled back by itself; otherwise this does, or the file is past helping.
            if !self.sql.is_autocommit() {
                let _ = self.say("ROLLBACK");
            }
        })?;
        if !kept {
            return Ok(None);
        }
        let changed = self.sql.total_changes() != before;
        if changed {
            pass_all(group, "after");
        }
        Ok(Some(changed))
    }

    fn one(&self, request: &mut dyn Request) -> std::result::Result<(), Trouble> {
        self.say("SAVEPOINT request")?;
        let mark = self.seen.borrow().mark();
        if !request.run(&self.tx())? {
            self.say("ROLLBACK TO request")?;
            self.seen.borrow_mut().forget(mark);
        }
        self.say("RELEASE request")
    }

    fn tx(&self) -> Tx<'_> {
        Tx { sql: &self.sql, core: &self.core, seen: &self.seen }
    }

    fn say(&self, statement: &str) -> std::result::Result<(), Trouble> {
        let done = self.sql.prepare_cached(statement).and_then(|mut prepared| prepared.execute([]));
        done.map(|_| ()).map_err(|error| Trouble::of(&error))
    }
}
