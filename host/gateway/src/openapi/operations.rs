//! What each route for programs takes and answers. Whoever adds a route adds its line: a test holds this table against the router's.

use super::Answer::{Bytes, Json, Lines, List, Nothing, Stream, Text};
use super::Operation;

const LIMIT: &str = "limit";

/// All of them, by path.
pub(super) const OPERATIONS: &[Operation] = &[
    get("/healthz", "Whether the process answers; asks neither store nor network", &[], Text),
    get("/health", "The same in the words of the system that came before", &[], Json("Alive")),
    get("/readyz", "Whether the host is well, with reasons", &[], Json("Health")).or(503, "Health"),
    get("/metrics", "Figures for Prometheus, in its text format", &[], Text),
    get("/queue", "The queue, in the words of the system that came before", &[], Json("Queue")),
    get("/status", "Tasks that have not ended, likewise", &[], Json("Status")),
    get("/api/v1/metrics", "Raw figures, likewise", &[], Json("OldMetrics")),
    get("/api/v1/openapi.json", "This description", &[], Json("OpenApi")),
    get("/api/v1/projects", "Projects", &[], List("Project")),
    get(
        "/api/v1/projects/{project}/freeze",
        "Why a project is frozen, and who froze and thawed it",
        &[],
        Json("Freeze"),
    ),
    post("/api/v1/projects/{project}/freeze", "No new task is admitted", "FreezeReason", Json("Freeze")),
    delete("/api/v1/projects/{project}/freeze", "New tasks are admitted again", Json("Freeze")),
    get("/api/v1/projects/{project}/items", "Cards, newest first", &[LIMIT], List("Card")),
    post("/api/v1/projects/{project}/items", "Makes a card", "NewCard", Json("Card")).made(),
    get("/api/v1/projects/{project}/items/{item}", "A card and the newest task that came of it", &[], Json("CardView")),
    delete("/api/v1/projects/{project}/items/{item}", "Removes a card, as a person does", Nothing),
    put("/api/v1/projects/{project}/items/{item}/status", "Moves a card, as a person does", "Move", Json("Card")),
    post("/api/v1/projects/{project}/items/{item}/status", "The same", "Move", Json("Card")),
    get(
        "/api/v1/projects/{project}/items/{item}/comments",
        "Comments, newest first",
        &["before", LIMIT],
        List("Comment"),
    ),
    post("/api/v1/projects/{project}/items/{item}/comments", "Writes a comment", "NewComment", List("Comment")).made(),
    get("/api/v1/projects/{project}/items/{item}/activity", "Who moved it, oldest first", &[], List("Activity")),
    get("/api/v1/projects/{project}/commits/{commit}/checks", "What was reported about a commit", &[], List("Check")),
    post("/api/v1/projects/{project}/commits/{commit}/checks", "Reports a check", "NewCheck", Json("Check")).made(),
    get("/api/v1/tasks", "Tasks, newest first", &["live", "project", "before", LIMIT], Json("TaskListing")),
    post("/api/v1/tasks", "Makes a card in the start status", "NewTaskCard", Json("CardView")).made().with(&["wait"]),
    get("/api/v1/tasks/{task}", "A task and how it stands", &[], Json("TaskView")),
    get("/api/v1/tasks/{task}/entries", "What happened, oldest first", &[], List("Entry")),
    get("/api/v1/tasks/{task}/why", "Why it stands where it stands, now or at a time", &["at"], Json("Why")),
    get("/api/v1/tasks/{task}/rebuild", "Its entries folded anew, and compared with its row", &[], Json("Rebuilt")),
    get("/api/v1/tasks/{task}/dependencies", "What must be done before it goes on", &[], Json("Dependencies")),
    post("/api/v1/tasks/{task}/dependencies", "It needs that task", "NewDependency", Json("Dependencies")),
    delete("/api/v1/tasks/{task}/dependencies", "It goes on without", Json("Dependencies")).taking("NewDependency"),
    get("/api/v1/tasks/{task}/change", "What it changes, and how much that is", &[], Json("Change")),
    get("/api/v1/tasks/{task}/runs", "Launches of agents and commands, newest first", &["before", LIMIT], List("Run")),
    get("/api/v1/tasks/{task}/documents", "Documents, newest first", &[], List("Document")),
    get("/api/v1/tasks/{task}/documents/{document}", "A document as plain text", &[], Text),
    get(
        "/api/v1/tasks/{task}/evaluations",
        "What plugins answered, newest first",
        &["before", LIMIT],
        List("Evaluation"),
    ),
    intent("/api/v1/tasks/{task}/approve", "A person approves"),
    intent("/api/v1/tasks/{task}/reject", "A person sends it back, with a note"),
    intent("/api/v1/tasks/{task}/confirm-deploy", "A person confirms the deploy"),
    intent("/api/v1/tasks/{task}/stop", "A person ends it"),
    intent("/api/v1/tasks/{task}/resume", "A person lets it on"),
    post("/api/v1/tasks/{task}/waive", "A person waves it over a step, with a note", "WaiverNote", Json("Taken")),
    intent("/api/v1/tasks/{task}/pause", "A person pauses it"),
    get("/api/v1/queue", "Jobs, the live ones first, with what each waits for", &[LIMIT], Json("LiveQueue")),
    get("/api/v1/leases", "Who has the right to merge or deploy", &[], List("Lease")),
    get("/api/v1/evaluations", "What plugins answered, newest first", &["task", "before", LIMIT], List("Evaluation")),
    get("/api/v1/evaluations/{evaluation}", "An answer, whole", &[], Json("Evaluation")),
    get("/api/v1/evaluations/{evaluation}/transcript", "What was asked and answered", &[], Json("Transcript")),
    get("/api/v1/blobs/{digest}", "Bytes by sha256", &[], Bytes),
    get("/api/v1/runs/{run}", "A run; while it lives, with the figures so far", &[], Json("Run")),
    get("/api/v1/runs/{run}/log", "The end of its log as plain text", &["tail"], Text),
    get("/api/v1/events", "A stream of server-sent events: that something changed", &["since:cursor"], Stream),
    get(
        "/api/v1/audit",
        "What anybody wanted, and what became of it, newest first",
        &["who", "what", "task:any-task", "project:any-project", "since", "until", "before", LIMIT],
        Json("AuditPage"),
    ),
    get(
        "/api/v1/audit.jsonl",
        "The same, all of it, a line of JSON each",
        &["who", "what", "task:any-task", "project:any-project", "since", "until"],
        Lines,
    ),
    get("/api/v1/tokens", "All tokens that ever were, without their secrets", &[], List("Token")),
    post("/api/v1/tokens", "Makes a token; its secret is answered this once", "WantedToken", Json("MadeToken")).made(),
    delete("/api/v1/tokens/{name}", "Revokes a token", Json("Token")),
    get(
        "/api/v1/observed",
        "What would have been done in observed projects, oldest first",
        &["project", "since", "after", LIMIT],
        List("Would"),
    ),
    get(
        "/api/v1/deliveries",
        "What trackers, forges and the board told, newest first",
        &["source", "project:any-project", "state", "before:delivery", LIMIT],
        List("Delivery"),
    ),
    get(
        "/api/v1/deliveries/refused",
        "Those that were refused for their signature and may be a sender's own",
        &[],
        List("RefusedDeliveries"),
    ),
    get("/api/v1/deliveries/{delivery}", "A delivery, and what it tells", &[], Json("Delivery")),
    get("/api/v1/deliveries/{delivery}/body", "Its body as it came", &[], Text),
    plain("post", "/api/v1/deliveries/{delivery}/retry", "A parked one is read once more", &[], Json("Delivery")),
    post("/api/v1/deliveries/retry", "All that are parked are read once more", "ForParked", Json("Retried")),
    post("/api/v1/all/stop", "A person ends every live task, or those of a project", "ForAll", Json("Reached")),
    post("/api/v1/all/pause", "A person pauses every live task, or those of a project", "ForAll", Json("Reached")),
    post("/api/v1/all/resume", "A person lets on what people paused", "ForAll", Json("Reached")),
    post("/api/v1/all/retry", "A person lets on what broke together", "ForHeld", Json("Reached")),
    get("/api/v1/system", "What runs are held by on this machine", &[], Json("System")),
];

const fn plain(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    query: &'static [&'static str],
    answer: super::Answer,
) -> Operation {
    Operation { method, path, summary, query, body: None, status: 200, answer, other: None }
}

const fn get(
    path: &'static str,
    summary: &'static str,
    query: &'static [&'static str],
    answer: super::Answer,
) -> Operation {
    plain("get", path, summary, query, answer)
}

const fn post(path: &'static str, summary: &'static str, body: &'static str, answer: super::Answer) -> Operation {
    plain("post", path, summary, &[], answer).taking(body)
}

const fn put(path: &'static str, summary: &'static str, body: &'static str, answer: super::Answer) -> Operation {
    plain("put", path, summary, &[], answer).taking(body)
}

const fn delete(path: &'static str, summary: &'static str, answer: super::Answer) -> Operation {
    plain("delete", path, summary, &[], answer)
}

/// Its body may be left out.
const fn intent(path: &'static str, summary: &'static str) -> Operation {
    post(path, summary, "IntentNote", Json("Taken"))
}
