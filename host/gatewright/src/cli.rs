//! The command line: what there is to say, and what it means.

mod lists;
mod many;
mod upkeep;

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use domain::access::Right;
use domain::ids::{DeliveryId, ProjectName, TokenName, WorkItemId};
use domain::time::{Milliseconds, Timestamp};

use crate::reference::Reference;

pub(crate) use lists::{Audit, Part};
pub(crate) use many::{Many, Retry};
pub(crate) use upkeep::{Backup, Completions, Config, HealthOptions, Man, Restore};

/// One of these words, which a shell then knows too.
fn words<T, const N: usize>(words: [&'static str; N]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: std::error::Error + Send + Sync> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| word.parse::<T>())
}

/// Carries a ticket to a deployed change.
///
/// Exit codes: 0 done, 1 the answer is no, 2 wrong use, 3 could not find out.
#[derive(Debug, Parser)]
#[command(name = "gatewright", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// The folder of the host's state [default: $XDG_STATE_HOME/gatewright/NAME of the repository that you stand in].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Print one JSON value instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set Gatewright up for the git repository that you stand in. Writes nothing into it but the remote `gatewright`.
    Init(Init),
    /// Run the host: the queue, the agents, the board at the operator's address.
    Serve(Serve),
    /// The whole way of a ticket on a small repository of its own, with scripted agents.
    Demo(Demo),
    /// Check all files of the state folder.
    Check,
    /// Tickets and their tasks.
    #[command(subcommand)]
    Task(Task),
    /// Projects, and the freeze of their repositories.
    #[command(subcommand)]
    Project(Project),
    /// Stop every live task: processes, jobs, clones and branches.
    Stop(StopAll),
    /// Launch nothing more for any live task, until each is resumed; runs under way end first.
    Pause(Many),
    /// Let on what people paused.
    Resume(Many),
    /// Try again what broke together: tasks that are held by one cause at one step.
    Retry(Retry),
    /// What is queued, what runs, and why the rest waits.
    Queue,
    /// Projects whose file says `mode = "observe"`: what would have been done.
    #[command(subcommand)]
    Observe(Observe),
    /// What plugins answered.
    #[command(subcommand)]
    Verdict(Verdict),
    /// Who may do what at the operator's address: named tokens.
    #[command(subcommand)]
    Token(Token),
    /// Who did what, and who wanted to; newest first.
    Audit(Audit),
    /// Third parties' components.
    #[command(subcommand)]
    Plugin(Plugin),
    /// Keep the state in one file, while the host is at work: database, blobs, repositories, files.
    Backup(Backup),
    /// Make a new state folder of a backup; all of it is checked first.
    Restore(Restore),
    /// Look at and try all that a host relies on; each thing with what helps. Exit 1: something that it needs does not work.
    Doctor,
    /// Whether the host of this folder is alive and well, for a container's health check. Exit 1: it is not.
    Health(HealthOptions),
    /// The settings that hold.
    #[command(subcommand)]
    Config(Config),
    /// What a shell needs to complete commands: `gatewright completions bash > /etc/bash_completion.d/gatewright`.
    Completions(Completions),
    /// Write the man pages.
    Man(Man),
    /// What trackers, forges and the board told.
    #[command(subcommand)]
    Delivery(Delivery),
    /// Requests of trackers and forges.
    #[command(subcommand)]
    Webhook(Webhook),
    /// Machine code for the component on standard input: a host calls itself so, in a child with limits.
    #[command(hide = true, name = crate::wiring::COMPILE)]
    CompileComponent,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The repository [default: the one that you stand in].
    #[arg(value_name = "REPOSITORY")]
    pub(crate) repository: Option<PathBuf>,
    /// The project's name [default: the folder's].
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The pipeline: `quick` (development, review, testing, merge) or `full` (with analysis, staging and deploy).
    #[arg(long, default_value = "quick", value_parser = ["quick", "full"])]
    pub(crate) pipeline: String,
    /// The letters before the number of a work item [default: made of the name].
    #[arg(long, value_name = "LETTERS")]
    pub(crate) prefix: Option<String>,
    /// The branch that tasks are for [default: the one that is checked out].
    #[arg(long, value_name = "BRANCH")]
    pub(crate) base: Option<String>,
    /// The command of every role, as one line: `--agent "claude -p {brief}"` [default: what is found on PATH].
    #[arg(long, value_name = "COMMAND")]
    pub(crate) agent: Option<String>,
    /// The command of one role: `--role reviewer="./review.sh {brief}"`. May be repeated.
    #[arg(long, value_name = "ROLE=COMMAND")]
    pub(crate) role: Vec<String>,
    /// The project's own test suite, as one line: `--test "make test"` [default: found by the repository's files].
    #[arg(long, value_name = "COMMAND")]
    pub(crate) test: Option<String>,
    /// The hook that brings a commit to staging (pipeline `full`).
    #[arg(long, value_name = "COMMAND")]
    pub(crate) staging: Option<String>,
    /// The hook that brings a commit to production (pipeline `full`).
    #[arg(long, value_name = "COMMAND")]
    pub(crate) deploy: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Stand still at the Nth claimed job, or at the first one with an effect, so that a power cut can be played there:
    /// N:claimed, EFFECT:done.
    #[arg(long, hide = true, value_name = "PLACE:POINT")]
    pub(crate) halt_at: Option<String>,
    /// At the first SIGTERM claim nothing more and wait for the runs; a second one ends the host at once.
    #[arg(long)]
    pub(crate) drain_on_stop: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Kill the host this many times on the way, at points drawn by the seed.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) crash: u32,
    /// What the points are drawn from.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub(crate) seed: u64,
    /// Lay out the demonstration's world in `--dir`, and leave it to whoever plays in it.
    #[arg(long, hide = true)]
    pub(crate) only_world: bool,
    /// Keep the folder (it is kept anyway when `--dir` names it, or when the demo fails).
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Make a ticket and start it.
    Create {
        /// What shall change, in a line.
        title: String,
        /// The ticket's text; `-` reads it from standard input.
        #[arg(long, short, default_value = "", hide_default_value = true)]
        description: String,
        /// Labels, e.g. `Bug`.
        #[arg(long)]
        label: Vec<String>,
        /// Of which project [default: the only one].
        #[arg(long)]
        project: Option<ProjectName>,
        /// Begin only when that task is done: its number, or the key of its work item. May be repeated.
        #[arg(long, value_name = "TASK")]
        after: Vec<Reference>,
        /// Leave it in Backlog: it starts when it is moved to To Analyse.
        #[arg(long)]
        backlog: bool,
    },
    /// Start a card that nobody started: move it to where tasks begin.
    Start {
        /// The card's key.
        card: WorkItemId,
        /// Of which project [default: the one whose letters the key has].
        #[arg(long)]
        project: Option<ProjectName>,
    },
    /// Write under a card. It drives nothing.
    Comment {
        /// The card's key.
        card: WorkItemId,
        /// What to write; `-` reads it from standard input.
        text: String,
        /// Of which project [default: the one whose letters the key has].
        #[arg(long)]
        project: Option<ProjectName>,
    },
    /// All tasks, newest first.
    List {
        /// Ended ones too.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        part: Part,
    },
    /// One task: where it stands, what it waits for, what happened.
    Show {
        /// The task's number, or the work item's key.
        task: Reference,
    },
    /// Why it stands where it stands: what arrived, what was decided and on what evidence, what would move it.
    Why {
        /// The task's number, or the work item's key.
        task: Reference,
        /// At that time (`2026-01-31T12:00:00Z`), or so long ago: 7d, 12h, 90m.
        #[arg(long, value_name = "TIME", value_parser = crate::when::given)]
        at: Option<Timestamp>,
    },
    /// Fold its entries anew and compare with its row. Exit 1: they differ.
    Rebuild {
        /// The task's number, or the work item's key.
        task: Reference,
    },
    /// Let it go on.
    Approve(Decision),
    /// Send it back, with a reason.
    Reject(Decision),
    /// Start the deploy.
    ConfirmDeploy(Decision),
    /// End it: processes, jobs, clone and branch.
    Stop(Decision),
    /// A held task goes on at the step that holds.
    Resume(Decision),
    /// Launch nothing more for it.
    Pause(Decision),
    /// Go over the step that holds; journaled with who and why.
    Waive(Decision),
    /// It goes on only when another one of its project is done. A cycle is refused.
    Depend(Needs),
    /// It goes on without another one.
    Undepend(Needs),
}

#[derive(Debug, Args)]
pub(crate) struct Needs {
    /// The task's number, or the work item's key.
    pub(crate) task: Reference,
    /// The other one's.
    #[arg(long, value_name = "TASK")]
    pub(crate) on: Reference,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Project {
    /// All of them: pipeline, serial or not, frozen or not.
    List,
    /// Admit no new task; those that have begun go on. It outlives restarts.
    Freeze {
        /// Which.
        name: ProjectName,
        /// Why, in a line; the board shows it.
        #[arg(long, short, default_value = "an operator froze it", alias = "note")]
        reason: String,
    },
    /// Admit new tasks again.
    Unfreeze {
        /// Which.
        name: ProjectName,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Decision {
    /// The task's number, or the work item's key.
    pub(crate) task: Reference,
    /// Why, or the answer to a question.
    #[arg(long, short, default_value = "", hide_default_value = true, alias = "reason")]
    pub(crate) note: String,
    /// Only if the task is still at this version (`task show --json`); otherwise say what happened meanwhile.
    #[arg(long, value_name = "VERSION")]
    pub(crate) seen: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make one. Its secret is printed once, alone on standard output.
    New {
        /// How the audit calls its bearer: letters, digits, `-`, `_`, `.`. No name is used twice.
        name: TokenName,
        /// `read`; `operate` (decide about tasks, cards, freezes); `admin` (tokens, waivers). Each holds those before it.
        #[arg(long, value_parser = words::<Right, _>(Right::ALL.map(Right::as_str)))]
        right: Right,
        /// It ends after so long: 30d, 12h, 90m [default: when it is revoked].
        #[arg(long, value_name = "SPAN", value_parser = crate::when::span)]
        expires: Option<Milliseconds>,
    },
    /// All that ever were, without their secrets.
    List,
    /// From now on it opens nothing; sessions and streams that it opened end.
    Revoke {
        /// Which.
        name: TokenName,
    },
}

#[derive(Debug, Args)]
pub(crate) struct StopAll {
    /// All of them; a single one is stopped by `task stop`.
    #[arg(long, required_unless_present = "project")]
    pub(crate) all: bool,
    /// Of this project alone.
    #[arg(long)]
    pub(crate) project: Option<ProjectName>,
    /// Return when they have ended: no process lives, no clone is left. What must not be cut short ends first.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Why; each task's timeline keeps it.
    #[arg(long, short, default_value = "", hide_default_value = true)]
    pub(crate) note: String,
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Observe {
    /// Every effect that was decided and not performed, once, oldest first.
    Report {
        /// Of which project [default: all].
        #[arg(long)]
        project: Option<ProjectName>,
        /// Since that time (`2026-01-31T12:00:00Z`), or for so long: 7d, 12h, 90m.
        #[arg(long, value_name = "TIME", value_parser = crate::when::given)]
        since: Option<Timestamp>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verdict {
    /// Newest first.
    List {
        /// Of one task: its number, or the work item's key.
        #[arg(long)]
        task: Option<Reference>,
        #[command(flatten)]
        part: Part,
    },
    /// One evaluation: question, answer, plugin.
    Show {
        /// Its number.
        id: u64,
        /// Print the whole transcript.
        #[arg(long)]
        transcript: bool,
    },
    /// Run the component again on what it saw then. Exit 1: it answers otherwise.
    Replay {
        /// Its number.
        #[arg(required_unless_present = "file", conflicts_with = "file")]
        id: Option<u64>,
        /// A transcript in a file, perhaps with changed answers.
        #[arg(long, value_name = "F")]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Delivery {
    /// Newest first; before them what was refused for its signature and may be a sender's own.
    List {
        /// Of this sender: board, plane, gitea.
        #[arg(long, value_parser = ["board", "plane", "gitea"])]
        source: Option<String>,
        /// Of one project.
        #[arg(long)]
        project: Option<ProjectName>,
        /// That stand so: pending, expanded, parked.
        #[arg(long, value_parser = ["pending", "expanded", "parked"])]
        state: Option<String>,
        /// Older than that one.
        #[arg(long, value_name = "ID")]
        before: Option<DeliveryId>,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// One delivery: what was kept of it, and what it tells of.
    Show {
        /// Its number.
        id: DeliveryId,
    },
    /// Read a parked one once more, as if it had just come. Exit 1: it is not parked.
    Retry {
        /// Its number.
        #[arg(required_unless_present = "all_parked", conflicts_with = "all_parked")]
        id: Option<DeliveryId>,
        /// All that are parked.
        #[arg(long)]
        all_parked: bool,
        /// Only if they are still so many: the number that the board showed.
        #[arg(long, value_name = "N", requires = "all_parked")]
        count: Option<u64>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Webhook {
    /// The event that a stored request tells of, and what it is good for. Exit 1: it is no event that we know; 2: the file is broken.
    Decode {
        /// JSON with `headers` and `raw_body`.
        file: PathBuf,
        /// Who sent it: plane, gitea.
        #[arg(long, value_name = "SOURCE", value_parser = words::<webhooks::Source, _>(webhooks::Source::ALL.map(webhooks::Source::as_str)))]
        source: webhooks::Source,
        /// Check its signature by the secret in this file. Exit 1: it does not fit.
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// Take a third party's component up as a step of an edge.
    Add {
        /// The component.
        file: PathBuf,
        /// The edge that it guards: `review:testing`, or the source stage where that is unique.
        #[arg(long, value_name = "EDGE")]
        gate: String,
        /// Ask it before this step [default: as the last gate before anything that the host does].
        #[arg(long, value_name = "STEP")]
        before: Option<String>,
        /// The step's name [default: the file's].
        #[arg(long)]
        step: Option<String>,
        /// In which project [default: the only one].
        #[arg(long)]
        project: Option<String>,
        /// The gate's settings, as an inline table of TOML, e.g. `{ required = ["build"] }`.
        #[arg(long, value_name = "TABLE")]
        settings: Option<String>,
        /// Grant nothing of what it asks for.
        #[arg(long)]
        deny: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// What a component is and what it asks for.
    Inspect {
        /// The component.
        file: PathBuf,
    },
    /// Write into a component what it asks for: the tools of JavaScript and Python do not. Exit 1: no host would take it.
    Request {
        /// The component, without a request.
        file: PathBuf,
        /// What it asks for: `version = 1` and a `[[capability]]` for each.
        request: PathBuf,
        /// Where the component with its request is written.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
}
