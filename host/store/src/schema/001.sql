-- Schema 1 of Gatewright 0.1.
--
-- Times are milliseconds since the epoch, flags are 0 or 1, what stands in `body` is the JSON of the domain's type of that
-- name. The invariants of the design stand here a second time, so that no code can break them unnoticed.

CREATE TABLE schema_version (
    version INTEGER PRIMARY KEY,
    released TEXT NOT NULL
) STRICT;
INSERT INTO schema_version (version, released) VALUES (1, '0.1');

CREATE TABLE project (
    name TEXT PRIMARY KEY,
    prefix TEXT NOT NULL,
    base_branch TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    digest TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- `seed` is the task before its first entry: folding the entries into it makes `body` again.
CREATE TABLE task (
    id INTEGER PRIMARY KEY,
    project TEXT NOT NULL REFERENCES project (name),
    work_item TEXT NOT NULL,
    stage TEXT NOT NULL,
    visit INTEGER NOT NULL,
    activity TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    version INTEGER NOT NULL,
    branch TEXT,
    head TEXT,
    terminal INTEGER NOT NULL CHECK (terminal IN (0, 1)),
    body TEXT NOT NULL CHECK (octet_length(body) < 65536),
    seed TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX task_live ON task (project, work_item) WHERE terminal = 0;
CREATE INDEX task_item ON task (project, work_item, id);
CREATE INDEX task_waiting ON task (project) WHERE terminal = 0 AND activity = 'waiting';

CREATE TRIGGER task_version_grows_by_one BEFORE UPDATE ON task
WHEN NEW.version <> OLD.version + 1
BEGIN SELECT RAISE(ABORT, 'the version of a task grows by one'); END;
CREATE TRIGGER task_epoch_never_shrinks BEFORE UPDATE ON task
WHEN NEW.epoch < OLD.epoch
BEGIN SELECT RAISE(ABORT, 'the epoch of a task never shrinks'); END;
CREATE TRIGGER task_keeps_its_origin BEFORE UPDATE ON task
WHEN NEW.id <> OLD.id OR NEW.project <> OLD.project OR NEW.work_item <> OLD.work_item OR NEW.seed <> OLD.seed
BEGIN SELECT RAISE(ABORT, 'a task keeps its id, its work item and its seed'); END;
CREATE TRIGGER task_terminal_stays BEFORE UPDATE ON task
WHEN OLD.terminal = 1
    AND (NEW.terminal <> 1 OR NEW.stage <> OLD.stage OR NEW.visit <> OLD.visit OR NEW.activity <> OLD.activity)
BEGIN SELECT RAISE(ABORT, 'a terminal task never leaves its place'); END;
CREATE TRIGGER task_is_kept BEFORE DELETE ON task
BEGIN SELECT RAISE(ABORT, 'a task is never deleted'); END;

CREATE TABLE entry (
    task INTEGER NOT NULL REFERENCES task (id),
    version INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (task, version, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER entry_stays BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'entries are only appended'); END;
CREATE TRIGGER entry_is_kept BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'entries are only appended'); END;

-- What the engine was told, and what it made of it.
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task INTEGER NOT NULL REFERENCES task (id),
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('stepped', 'late', 'duplicate', 'illegal', 'terminal', 'panicked')),
    why TEXT,
    version INTEGER,
    job INTEGER REFERENCES job (id),
    delivery INTEGER REFERENCES delivery (id),
    ordinal INTEGER,
    CHECK ((outcome = 'stepped') = (version IS NOT NULL))
) STRICT;
CREATE INDEX event_task ON event (task, id);
CREATE UNIQUE INDEX event_delivery ON event (delivery, ordinal, task) WHERE delivery IS NOT NULL;
CREATE TRIGGER event_stays BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'events are only appended'); END;
CREATE TRIGGER event_is_kept BEFORE DELETE ON event
BEGIN SELECT RAISE(ABORT, 'events are only appended'); END;

-- `token` fences the claim and survives it. `winding`: cancelled while it was claimed, and its run has not ended yet.
CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task INTEGER NOT NULL REFERENCES task (id),
    version INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    class TEXT NOT NULL CHECK (class IN ('drive', 'aftermath')),
    effect TEXT NOT NULL,
    body TEXT NOT NULL,
    lease TEXT,
    slot INTEGER NOT NULL CHECK (slot IN (0, 1)),
    priority INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'claimed', 'done', 'cancelled')),
    winding INTEGER NOT NULL DEFAULT 0 CHECK (winding IN (0, 1)),
    attempts INTEGER NOT NULL DEFAULT 0,
    attempted INTEGER NOT NULL DEFAULT 0 CHECK (attempted IN (0, 1)),
    token INTEGER NOT NULL DEFAULT 0,
    available_at INTEGER NOT NULL,
    claimed_at INTEGER,
    closed_at INTEGER,
    owner TEXT,
    owner_uuid TEXT,
    host TEXT,
    pid INTEGER,
    started_at INTEGER,
    why TEXT,
    UNIQUE (task, version, ordinal),
    CHECK ((owner IS NULL) = (owner_uuid IS NULL) AND (owner IS NULL) = (host IS NULL)),
    CHECK (state <> 'queued' OR (owner IS NULL AND pid IS NULL AND started_at IS NULL AND claimed_at IS NULL)),
    CHECK (state <> 'claimed' OR (owner IS NOT NULL AND claimed_at IS NOT NULL)),
    CHECK (state <> 'done' OR owner IS NULL),
    CHECK (state = 'cancelled' OR winding = 0),
    CHECK ((state IN ('queued', 'claimed')) = (closed_at IS NULL))
) STRICT;
CREATE INDEX job_queued ON job (priority DESC, available_at, id) WHERE state = 'queued';
CREATE INDEX job_live ON job (task, class, id) WHERE state IN ('queued', 'claimed');
CREATE INDEX job_owned ON job (owner_uuid) WHERE state = 'claimed' OR winding = 1;

CREATE TRIGGER job_token_grows BEFORE UPDATE ON job
WHEN NEW.token < OLD.token
BEGIN SELECT RAISE(ABORT, 'the token of a job only grows'); END;
CREATE TRIGGER job_claim_is_fenced BEFORE UPDATE ON job
WHEN NEW.state = 'claimed' AND OLD.state <> 'claimed' AND NEW.token <= OLD.token
BEGIN SELECT RAISE(ABORT, 'a claim takes a new token'); END;
CREATE TRIGGER job_closed_stays BEFORE UPDATE ON job
WHEN OLD.state IN ('done', 'cancelled') AND NEW.state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'a closed job is never opened again'); END;
CREATE TRIGGER job_is_kept BEFORE DELETE ON job
BEGIN SELECT RAISE(ABORT, 'a job is never deleted'); END;
CREATE TRIGGER job_drives_no_terminal_task BEFORE INSERT ON job
WHEN NEW.class = 'drive' AND (SELECT terminal FROM task WHERE id = NEW.task) = 1
BEGIN SELECT RAISE(ABORT, 'a terminal task has no live drive job'); END;
CREATE TRIGGER task_ends_without_drive_jobs BEFORE UPDATE ON task
WHEN NEW.terminal = 1
    AND EXISTS (SELECT 1 FROM job WHERE task = NEW.id AND class = 'drive' AND state IN ('queued', 'claimed'))
BEGIN SELECT RAISE(ABORT, 'a terminal task has no live drive job'); END;

CREATE TABLE lease (
    project TEXT NOT NULL REFERENCES project (name),
    name TEXT NOT NULL,
    holder INTEGER REFERENCES task (id),
    token INTEGER NOT NULL,
    PRIMARY KEY (project, name)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER lease_token_grows BEFORE UPDATE ON lease
WHEN NEW.token < OLD.token
BEGIN SELECT RAISE(ABORT, 'the token of a lease only grows'); END;
CREATE TRIGGER lease_change_is_fenced BEFORE UPDATE ON lease
WHEN NEW.holder IS NOT NULL AND NEW.holder IS NOT OLD.holder AND (OLD.holder IS NOT NULL OR NEW.token <= OLD.token)
BEGIN SELECT RAISE(ABORT, 'a lease passes on only when it is free, and with a new token'); END;
CREATE TRIGGER lease_is_kept BEFORE DELETE ON lease
BEGIN SELECT RAISE(ABORT, 'a lease is never deleted: its token would begin anew'); END;

-- Who stands in line; the smallest task id is next.
CREATE TABLE lease_request (
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    task INTEGER NOT NULL REFERENCES task (id),
    PRIMARY KEY (project, name, task),
    FOREIGN KEY (project, name) REFERENCES lease (project, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
    id INTEGER PRIMARY KEY REFERENCES job (id),
    task INTEGER NOT NULL REFERENCES task (id),
    host TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX run_task ON run (task, id);

CREATE TABLE evaluation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task INTEGER REFERENCES task (id),
    job INTEGER REFERENCES job (id),
    step TEXT NOT NULL,
    plugin TEXT NOT NULL,
    digest TEXT,
    answer TEXT NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX evaluation_task ON evaluation (task, id);

CREATE TABLE document (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task INTEGER NOT NULL REFERENCES task (id),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    stage TEXT NOT NULL,
    visit INTEGER NOT NULL,
    run INTEGER REFERENCES job (id),
    written_at INTEGER NOT NULL,
    size INTEGER NOT NULL,
    blob TEXT NOT NULL REFERENCES blob (digest)
) STRICT;
CREATE INDEX document_task ON document (task, name, id);

-- The bytes lie in `blobs/` of the host; a row stands here once something names them.
CREATE TABLE blob (
    digest TEXT PRIMARY KEY,
    size INTEGER,
    named INTEGER NOT NULL,
    host TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE wake_count (
    project TEXT NOT NULL REFERENCES project (name),
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (project, subject, kind)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER wake_count_grows BEFORE UPDATE ON wake_count
WHEN NEW.count <= OLD.count
BEGIN SELECT RAISE(ABORT, 'a wake count only grows'); END;

CREATE TABLE check_result (
    project TEXT NOT NULL REFERENCES project (name),
    head TEXT NOT NULL,
    name TEXT NOT NULL,
    reported_at INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (project, head, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE freeze (
    project TEXT PRIMARY KEY REFERENCES project (name),
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tracker_item (
    project TEXT NOT NULL REFERENCES project (name),
    work_item TEXT NOT NULL,
    number INTEGER NOT NULL,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    status TEXT NOT NULL,
    labels TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    gone TEXT,
    PRIMARY KEY (project, work_item)
) STRICT, WITHOUT ROWID;
CREATE INDEX tracker_item_number ON tracker_item (project, number);

CREATE TABLE tracker_activity (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    work_item TEXT NOT NULL,
    actor TEXT NOT NULL,
    before TEXT,
    after TEXT NOT NULL,
    at INTEGER NOT NULL,
    FOREIGN KEY (project, work_item) REFERENCES tracker_item (project, work_item)
) STRICT;
CREATE INDEX tracker_activity_item ON tracker_activity (project, work_item, id);

CREATE TABLE tracker_comment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    work_item TEXT NOT NULL,
    actor TEXT NOT NULL,
    external_id TEXT,
    text TEXT NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (project, work_item, external_id),
    FOREIGN KEY (project, work_item) REFERENCES tracker_item (project, work_item)
) STRICT;

CREATE TABLE delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    project TEXT NOT NULL REFERENCES project (name),
    work_item TEXT,
    received_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'expanded', 'parked')),
    attempts INTEGER NOT NULL DEFAULT 0,
    closed_at INTEGER,
    why TEXT,
    CHECK ((state = 'pending') = (closed_at IS NULL))
) STRICT;
CREATE INDEX delivery_pending ON delivery (project, work_item, id) WHERE state = 'pending';
CREATE TRIGGER delivery_is_kept BEFORE DELETE ON delivery
BEGIN SELECT RAISE(ABORT, 'a delivery is never deleted'); END;

-- An intent is taken once, whoever tells of it first.
CREATE TABLE intent (
    project TEXT NOT NULL REFERENCES project (name),
    key TEXT NOT NULL,
    delivery INTEGER NOT NULL REFERENCES delivery (id),
    ordinal INTEGER NOT NULL,
    task INTEGER REFERENCES task (id),
    taken_at INTEGER NOT NULL,
    PRIMARY KEY (project, key)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX intent_delivery ON intent (delivery, ordinal, task);

CREATE TABLE dependency (
    task INTEGER NOT NULL REFERENCES task (id),
    needs INTEGER NOT NULL REFERENCES task (id),
    PRIMARY KEY (task, needs),
    CHECK (task <> needs)
) STRICT, WITHOUT ROWID;

CREATE TABLE estimate (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL REFERENCES project (name),
    work_item TEXT NOT NULL,
    evaluation INTEGER NOT NULL REFERENCES evaluation (id),
    at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE lesson (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL REFERENCES project (name),
    task INTEGER REFERENCES task (id),
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE plugin (
    digest TEXT PRIMARY KEY REFERENCES blob (digest),
    added_at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE kv (
    project TEXT NOT NULL REFERENCES project (name),
    plugin TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (project, plugin, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE actor (
    project TEXT NOT NULL REFERENCES project (name),
    name TEXT NOT NULL,
    source TEXT NOT NULL,
    external_id TEXT NOT NULL,
    PRIMARY KEY (project, source, external_id)
) STRICT, WITHOUT ROWID;
