//! What is counted of the rows when somebody asks. Each section stands alone: where one cannot be read, the others are told, and
//! `gatewright_section_readable` says which it was.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use conductor::ports::store::{ClaimLimits, QueueCount, StoreError};
use domain::budget::{Cap, DAY_MS};
use domain::cost::Spent;
use prometheus::{CounterVec, GaugeVec, Opts, Registry, TextEncoder};

use crate::app::GatewayState;
use crate::desk::LastBackup;
use crate::problem::Problem;
use crate::process;

/// Jobs whose reasons are counted. More wait seldom, and then the newest so many tell enough.
const JOBS: u32 = 10_000;
/// How a breaker may stand.
const BREAKER: [&str; 3] = ["closed", "open", "half-open"];

/// A row of a metric: its labels, and its figure.
type Row = (Vec<String>, f64);

/// All metrics as text.
pub(crate) fn page(state: &GatewayState) -> Result<String, Problem> {
    let page = Page(Registry::new());
    let told = told(state, &page);
    let mut families = state.meters.registry.gather();
    told.map_err(|error| Problem::broken(&error))?;
    families.extend(page.0.gather());
    families.sort_by(|one, other| one.name().cmp(other.name()));
    TextEncoder::new().encode_to_string(&families).map_err(|error| Problem::broken(&error))
}

type Section = fn(&GatewayState, &Page) -> Result<(), Failed>;

const SECTIONS: [(&str, Section); 11] = [
    ("process", this_process),
    ("health", health),
    ("machine", machine),
    ("tasks", tasks),
    ("jobs", jobs),
    ("drivers", drivers),
    ("projects", projects),
    ("leases", leases),
    ("deliveries", deliveries),
    ("runs", runs),
    ("cost", cost),
];

fn told(state: &GatewayState, page: &Page) -> Result<(), prometheus::Error> {
    let version = [(vec![env!("CARGO_PKG_VERSION").to_owned()], 1.0)];
    page.gauge("gatewright_build_info", "The version of this program.", &["version"], version)?;
    let mut readable: Vec<Row> = Vec::new();
    for (name, section) in SECTIONS {
        // What it registered before it fell is told: each metric is whole by itself.
        let error = match catch_unwind(AssertUnwindSafe(|| section(state, page))) {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("it panicked".to_owned()),
        };
        let fine = error.is_none();
        if let Some(error) = error {
            tracing::warn!(section = name, error, "a section of the metrics cannot be told");
        }
        readable.push((vec![name.to_owned()], f64::from(u8::from(fine))));
    }
    let help = "Whether a section of these metrics could be told.";
    page.gauge("gatewright_section_readable", help, &["section"], readable)
}

/// Why a section is not told.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Metric(#[from] prometheus::Error),
}

/// Metrics under construction.
struct Page(Registry);

impl Page {
    fn gauge(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        rows: impl IntoIterator<Item = Row>,
    ) -> Result<(), prometheus::Error> {
        let gauge = GaugeVec::new(Opts::new(name, help), labels)?;
        for (values, figure) in rows {
            gauge.get_metric_with_label_values(&values)?.set(figure);
        }
        self.0.register(Box::new(gauge))
    }

    fn counter(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        rows: impl IntoIterator<Item = Row>,
    ) -> Result<(), prometheus::Error> {
        let counter = CounterVec::new(Opts::new(name, help), labels)?;
        for (values, figure) in rows {
            counter.get_metric_with_label_values(&values)?.inc_by(figure.max(0.0));
        }
        self.0.register(Box::new(counter))
    }

    fn one(&self, name: &str, help: &str, figure: f64) -> Result<(), prometheus::Error> {
        self.gauge(name, help, &[], [(Vec::new(), figure)])
    }
}

fn labels(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn this_process(state: &GatewayState, page: &Page) -> Result<(), Failed> {
    page.one(
        "gatewright_start_time_seconds",
        "When this life of the host began, since the Unix epoch.",
        state.meters.since.0 as f64 / 1e3,
    )?;
    let Some(own) = process::own() else { return Ok(()) };
    let cpu = [(Vec::new(), own.cpu_seconds)];
    page.counter("process_cpu_seconds_total", "Processor time of this process, its runs not among it.", &[], cpu)?;
    page.one("process_resident_memory_bytes", "Memory that this process has.", own.resident_bytes)?;
    page.one("process_virtual_memory_bytes", "Memory that this process may reach.", own.virtual_bytes)?;
    page.one("process_open_fds", "Files that this process has open.", own.open_files)?;
    page.one("process_threads", "Threads of this process.", own.threads)?;
    Ok(())
}

fn health(state: &GatewayState, page: &Page) -> Result<(), Failed> {
    let health = state.desk.health();
    page.one("gatewright_ready", "Whether the host says that it is well.", f64::from(u8::from(health.ok)))?;
    let limits = state.desk.limits();
    let launches = "Whether anything may be launched: no, where too little of the disk is free.";
    page.one("gatewright_launches_allowed", launches, f64::from(u8::from(limits.may_launch)))?;
    page.one("gatewright_runs_limit", "Runs that may live at one time.", f64::from(limits.runs))?;
    let commits = [(Vec::new(), state.store.sequence() as f64)];
    page.counter("gatewright_store_commits_total", "Commits that changed something.", &[], commits)?;
    Ok(())
}

fn machine(state: &GatewayState, page: &Page) -> Result<(), Failed> {
    if let Some(disk) = state.desk.readings().disk {
        page.one("gatewright_disk_free_bytes", "What is free where the state folder lies.", disk.free_bytes as f64)?;
        page.one("gatewright_disk_size_bytes", "How large that disk is.", disk.size_bytes as f64)?;
        page.one("gatewright_disk_floor_bytes", "Below this nothing is launched.", disk.floor_bytes as f64)?;
    }
    if let Some(LastBackup { at, .. }) = state.desk.backups().fine().and_then(|backups| backups.last) {
        let help = "When the newest backup was finished, since the Unix epoch.";
        page.one("gatewright_backup_last_success_timestamp_seconds", help, at.0 as f64 / 1e3)?;
    }
    Ok(())
}

fn tasks(state: &GatewayState, page: &Page) -> Result<(), Failed> {
    let counts = state.store.count_tasks()?;
    let live = counts
        .iter()
        .filter(|row| !row.ended)
        .map(|row| (labels(&[row.project.as_str(), row.stage.as_str(), &row.activity]), row.count as f64));
    page.gauge("gatewright_tasks", "Tasks that have not ended.", &["project", "stage", "activity"], live)?;
    let ended = counts
        .iter()
        .filter(|row| row.ended)
        .map(|row| (labels(&[row.project.as_str(), row.stage.as_str()]), row.count as f64));
    let names = ["project", "stage"];
    page.counter(
        "gatewright_tasks_ended_total",
        "Tasks that have ended, by the stage that they ended in.",
        &names,
        ended,
    )?;
    Ok(())
}

fn jobs(state: &GatewayState, page: &Page) -> Result<(), Failed> {
    let (now, limits) = (state.now(), state.desk.limits());
    let counts = state.store.count_jobs(now)?;
    let states = [("queued", counts.queued), ("claimed", counts.claimed), ("winding", counts.winding)];
    let states = states.map(|(word, count)| (labels(&[word]), count as f64));
    page.gauge("gatewright_jobs", "Jobs that have not ended, by how they stand.", &["state"], states)?;
    let cancelled = [(Vec::new(), counts.cancelled as f64)];
    page.counter("gatewright_jobs_cancelled_total", "Jobs that were cancelled.", &[], cancelled)?;
    page.one(
        "gatewright_jobs_retrying",
        "Jobs that wait after an attempt that did not end them.",
        counts.retrying as f64,
    )?;
    let oldest = counts.due_since.map_or(0.0, |at| now.since(at).0 as f64 / 1e3);
    page.one(
        "gatewright_job_oldest_due_seconds",
        "How long the oldest job has waited that is due and that no freeze, lease, other task or earlier job holds.",
        oldest,
    )?;
    let queue = state.store.count_queue(now)?;
    let names = ["stage", "effect"];
    let of = |row: &QueueCount| labels(&[row.stage.as_str(), &row.effect]);
    let depths = queue.iter().map(|row| (of(row), row.queued as f64));
    page.gauge("gatewright_queue_jobs", "Jobs that wait, by their task's stage and by what they do.", &names, depths)?;
    let ages = queue.iter().map(|row| (of(row), row.due_since.map_or(0.0, |at| now.since(at).0 as f64 / 1e3)));
    page.gauge(
        "gatewright_queue_oldest_due_seconds",
        "How long the oldest of them has waited that is due.",
        &names,
        ages,
    )?;
    let waiting = waiting(state, &limits)?;
    let waiting = waiting.into_iter().map(|(reason, count)| (labels(&[reason]), count));
    let help = "Jobs that wait, by the first thing that holds them; none: they are claimed next.";
    page.gauge("gatewright_jobs_waiting", help, &["reason"], waiting)?;
    Ok(())
}

fn waiting(state: &GatewayState, limits: &ClaimLimits) -> Result<BTreeMap<&'static str, f64>, StoreError> {
    let mut reasons = BTreeMap::new();
    for job in state.store.jobs(limits, state.now(), JOBS)?.iter().filter(|job| job.state == "queued") {
        *reasons.entry(job.reason.as_ref().map_or("none", |reason| reason.word())).or_insert(0.0) += 1.0;
    }
    Ok(reasons)
}

fn drivers(state: &GatewayState, page: &Page) -> Result<(), Failed> {
    let limits = state.desk.limits();
    let rows = crate::routes::queue::drivers(&limits, state.store.drivers()?);
    let breakers = rows.iter().flat_map(|row| {
        BREAKER.map(|word| (labels(&[row.driver.as_str(), word]), f64::from(u8::from(row.state == word))))
    });
    let help = "How the breaker of an agent driver stands: 1 at the state that it has.";
    page.gauge("gatewright_driver_breaker_state", help, &["driver", "state"], breakers)?;
    let runs = rows.iter().map(|row| (labels(&[row.driver.as_str()]), f64::from(row.runs)));
    page.gauge("gatewright_driver_runs", "Runs of an agent driver that live.", &["driver"], runs)?;
    let bounded = rows.iter().filter_map(|row| Some((labels(&[row.driver.as_str()]), f64::from(row.limit?))));
    page.gauge("gatewright_driver_runs_limit", "Runs that an agent driver may have.", &["driver"], bounded)?;
    Ok(())
}

fn projects(state: &GatewayState, page: &Page) -> Result<(), Failed> {
    let mut frozen: Vec<Row> = Vec::new();
    for project in state.store.projects()? {
        let is_frozen = state.store.freeze(&project.name)?.is_some();
        frozen.push((labels(&[project.name.as_str()]), f64::from(u8::from(is_frozen))));
    }
    page.gauge("gatewright_project_frozen", "Whether a project admits no new task.", &["project"], frozen)?;
    let needs = state.store.count_needs()? as f64;
    page.one("gatewright_needs_unmet", "What tasks need of each other and is not done.", needs)?;
    Ok(())
}

fn leases(state: &GatewayState, page: &Page) -> Result<(), Failed> {
    let rows = state.store.leases()?.into_iter().map(|(project, lease, holder, _)| {
        (labels(&[project.as_str(), lease.as_str()]), f64::from(u8::from(holder.is_some())))
    });
    page.gauge("gatewright_lease_held", "Whether a task has the lease.", &["project", "lease"], rows)?;
    Ok(())
}

fn deliveries(state: &GatewayState, page: &Page) -> Result<(), Failed> {
    let counts = state.store.count_deliveries()?;
    let rows = counts.iter().flat_map(|row| {
        [("pending", row.pending), ("parked", row.parked)]
            .map(|(word, count)| (labels(&[&row.source, word]), count as f64))
    });
    let help = "Deliveries that nobody is through with; parked: a person must look.";
    page.gauge("gatewright_deliveries", help, &["source", "state"], rows)?;
    Ok(())
}

fn runs(state: &GatewayState, page: &Page) -> Result<(), Failed> {
    let mut living: BTreeMap<&'static str, f64> = BTreeMap::new();
    for run in state.store.living_runs(JOBS)? {
        *living.entry(run.role.as_str()).or_insert(0.0) += 1.0;
    }
    let living = living.into_iter().map(|(role, count)| (labels(&[role]), count));
    page.gauge("gatewright_runs_living", "Runs that have begun and not ended.", &["role"], living)?;
    Ok(())
}

fn cost(state: &GatewayState, page: &Page) -> Result<(), Failed> {
    let (mut money, mut tokens, mut today): (Vec<Row>, Vec<Row>, Vec<Row>) = Default::default();
    let projects = state.store.projects()?;
    for project in &projects {
        let name = project.name.as_str();
        let spending = state.store.spending(&project.name, state.now().0 / DAY_MS)?;
        money.push((labels(&[name]), dollars(spending.total.cost_microusd)));
        today.push((labels(&[name]), dollars(spending.day.cost_microusd)));
        tokens.extend(kinds(&spending.total).map(|(kind, count)| (labels(&[name, kind]), count as f64)));
    }
    page.counter("gatewright_cost_usd_total", "What runs that ended cost, in US dollars.", &["project"], money)?;
    page.gauge(
        "gatewright_cost_today_usd",
        "What runs cost that ended today (UTC), in US dollars.",
        &["project"],
        today,
    )?;
    let help = "Tokens of runs that ended; priced: nobody said how many, and the price counts.";
    page.counter("gatewright_tokens_total", help, &["project", "kind"], tokens)?;
    let caps: Vec<(&str, &str, Cap)> = projects
        .iter()
        .flat_map(|project| {
            let budgets = state.desk.budgets(&project.name);
            let scopes = [("task", budgets.task), ("day", budgets.day), ("total", budgets.total)];
            scopes.map(|(scope, cap)| (project.name.as_str(), scope, cap))
        })
        .collect();
    let money =
        caps.iter().filter_map(|(project, scope, cap)| Some((labels(&[project, scope]), dollars(cap.cost_microusd?))));
    page.gauge("gatewright_cost_cap_usd", "What may be spent at most, in US dollars.", &["project", "scope"], money)?;
    let tokens = caps.iter().filter_map(|(project, scope, cap)| Some((labels(&[project, scope]), cap.tokens? as f64)));
    page.gauge("gatewright_token_cap", "How many tokens may be spent at most.", &["project", "scope"], tokens)?;
    Ok(())
}

fn dollars(microusd: u64) -> f64 {
    microusd as f64 / 1e6
}

fn kinds(spent: &Spent) -> [(&'static str, u64); 5] {
    [
        ("input", spent.input_tokens),
        ("output", spent.output_tokens),
        ("cache-read", spent.cache_read_tokens),
        ("cache-creation", spent.cache_creation_tokens),
        ("priced", spent.priced_tokens),
    ]
}
