-- What the third schema brought.

INSERT INTO schema_version (version, released) VALUES (3, '0.3');

-- Observed projects: decisions are made, and what would be done outside is written down instead.
ALTER TABLE project ADD COLUMN observe INTEGER NOT NULL DEFAULT 0 CHECK (observe IN (0, 1));

-- `key`: the job's number, or what else names the effect over all its attempts; so each stands here once.
CREATE TABLE would (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL REFERENCES project (name),
    key TEXT NOT NULL,
    task INTEGER REFERENCES task (id),
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (project, key)
) STRICT;
CREATE TRIGGER would_stays BEFORE UPDATE ON would
BEGIN SELECT RAISE(ABORT, 'what would have been done is only appended'); END;
CREATE TRIGGER would_is_kept BEFORE DELETE ON would
BEGIN SELECT RAISE(ABORT, 'what would have been done is only appended'); END;

-- What pages for people look for: live tasks by what goes on in them, the newest of a project, and who was last heard of.

CREATE INDEX task_standing ON task (activity, id) WHERE terminal = 0;
CREATE INDEX task_ended ON task (project, id) WHERE terminal = 1;
CREATE INDEX delivery_source ON delivery (project, source, id);

-- A long queue of launches: of whose worker a launch would be a run, as `PROJECT role ROLE` or `PROJECT hook HOOK`. All launches of
-- one place may begin, or none may: what a limit, a breaker or a missing program holds back is passed over by place.
ALTER TABLE job ADD COLUMN place TEXT CHECK (place IS NULL OR slot = 1);
UPDATE job SET place = (SELECT project FROM task WHERE id = job.task) || CASE effect
        WHEN 'launch-agent' THEN ' role ' || (body ->> '$.role')
        WHEN 'retest' THEN ' hook test'
        ELSE ' hook ' || effect END
    WHERE slot = 1 AND state IN ('queued', 'claimed');
DROP INDEX job_ready;
CREATE INDEX job_ready ON job (slot, priority DESC, available_at, id, place) WHERE state = 'queued' AND aside = 0;
CREATE INDEX job_place ON job (place, available_at) WHERE state = 'queued' AND aside = 0 AND slot = 1;

-- Who may do what at the operator's listener, and what they did.

-- `secret` is the SHA-256 of 256 random bits. A name is used once: a line of the audit means one token for ever.
CREATE TABLE token (
    name TEXT PRIMARY KEY,
    right TEXT NOT NULL CHECK (right IN ('read', 'operate', 'admin')),
    secret TEXT NOT NULL UNIQUE CHECK (length(secret) = 64),
    made_by TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    expires_at INTEGER,
    used_at INTEGER,
    revoked_at INTEGER,
    revoked_by TEXT,
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
) STRICT, WITHOUT ROWID;
CREATE TRIGGER token_stays BEFORE UPDATE ON token
WHEN NEW.name <> OLD.name OR NEW.right <> OLD.right OR NEW.secret <> OLD.secret OR NEW.made_at <> OLD.made_at
    OR NEW.expires_at IS NOT OLD.expires_at
    OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NOT OLD.revoked_at)
BEGIN SELECT RAISE(ABORT, 'a token keeps what it is, and what was revoked stays so'); END;
CREATE TRIGGER token_is_kept BEFORE DELETE ON token
BEGIN SELECT RAISE(ABORT, 'a token is revoked, never deleted'); END;

-- Browsers that logged in. `opened_with` is the hash of the token's secret: where that opens nothing, the session does not either.
CREATE TABLE session (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token TEXT NOT NULL,
    opened_with TEXT NOT NULL CHECK (length(opened_with) = 64),
    secret TEXT NOT NULL UNIQUE CHECK (length(secret) = 64),
    opened_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;
CREATE INDEX session_open ON session (id) WHERE ended_at IS NULL;
CREATE TRIGGER session_ended_stays BEFORE UPDATE ON session
WHEN OLD.ended_at IS NOT NULL AND NEW.ended_at IS NOT OLD.ended_at
BEGIN SELECT RAISE(ABORT, 'a session that ended is never opened again'); END;

-- What anybody wanted, whether it was done or not. `who` is the actor's name; `before` and `after` are words for people.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    outcome TEXT NOT NULL,
    peer TEXT,
    project TEXT,
    task INTEGER,
    subject TEXT,
    before TEXT,
    after TEXT,
    why TEXT NOT NULL
) STRICT;
CREATE INDEX audit_task ON audit (task, id) WHERE task IS NOT NULL;
CREATE INDEX audit_who ON audit (who, id);
CREATE INDEX audit_what ON audit (what, id);
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is only appended'); END;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is only appended'); END;

-- What earlier hosts wrote down of what people wanted.
INSERT INTO audit (at, actor, who, what, outcome, peer, project, task, subject, before, after, why)
SELECT at, actor, coalesce(actor ->> '$.name', 'host'), what, outcome, NULL, project, task, subject, NULL, NULL, why
FROM (
    SELECT e.at AS at, e.body -> '$.actor' AS actor, e.body ->> '$.intent' AS what,
        CASE WHEN e.kind = 'intent-refused' THEN 'refused' WHEN e.outcome = 'stepped' THEN 'done' ELSE e.outcome END AS outcome,
        t.project AS project, t.id AS task, t.work_item AS subject,
        coalesce(e.body ->> '$.note', e.body ->> '$.why', '') AS why, e.id AS place
    FROM event e JOIN task t ON t.id = e.task WHERE e.kind IN ('intent', 'intent-refused')
    UNION ALL
    SELECT at, actor, CASE WHEN reason IS NULL THEN 'thaw' ELSE 'freeze' END, 'done', project, NULL, project,
        coalesce(reason, ''), id
    FROM freeze_log
)
ORDER BY at, place;
-- Deliveries of trackers and forges outside: what is kept beside the body. `hook_key` is the sha256 of what makes two the same.
ALTER TABLE delivery ADD COLUMN hook_key BLOB CHECK (hook_key IS NULL OR octet_length(hook_key) = 32);
ALTER TABLE delivery ADD COLUMN sent_as TEXT;
ALTER TABLE delivery ADD COLUMN word TEXT;
ALTER TABLE delivery ADD COLUMN verified INTEGER CHECK (verified IS NULL OR verified IN (0, 1));
ALTER TABLE delivery ADD COLUMN headers TEXT;
ALTER TABLE delivery ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX delivery_hook ON delivery (project, hook_key) WHERE hook_key IS NOT NULL;
-- What nobody has read yet, or nobody could.
CREATE INDEX delivery_open ON delivery (id) WHERE state <> 'expanded';
CREATE INDEX delivery_hint ON delivery (id) WHERE state = 'pending' AND hook_key IS NOT NULL;
DROP INDEX delivery_pending;
CREATE INDEX delivery_pending ON delivery (project, work_item, row_order, id)
    WHERE state = 'pending' AND hook_key IS NULL;

-- Counting: what pages and metrics count is counted in an index, for the rows themselves are large.

CREATE INDEX task_counted ON task (project, terminal, stage, activity);
CREATE INDEX run_living ON run (id) WHERE ended_at IS NULL;
CREATE INDEX job_cancelled ON job (id) WHERE state = 'cancelled';
CREATE INDEX delivery_parked ON delivery (source) WHERE state = 'parked';
