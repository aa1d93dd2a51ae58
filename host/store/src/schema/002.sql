-- What the second schema brought.

INSERT INTO schema_version (version, released) VALUES (2, '0.2');

-- Ownership: serial projects, pauses, dependencies, and who froze what.

-- One task at a time: a new one begins when all earlier ones have ended, or stand aside.
ALTER TABLE project ADD COLUMN serial INTEGER NOT NULL DEFAULT 0 CHECK (serial IN (0, 1));

-- Live tasks that stand aside: a person paused them, or wants them paused, or they wait for an answer. The task's own record says so too.
CREATE TABLE paused (
    task INTEGER PRIMARY KEY REFERENCES task (id)
) STRICT;
INSERT INTO paused (task)
    SELECT id FROM task WHERE terminal = 0 AND (json_extract(body, '$.paused') = 1
        OR json_extract(body, '$.position.activity.hold.kind') IN ('paused', 'needs-input'));

-- `met`: a task of that work item, this one or a later one, is done.
ALTER TABLE dependency ADD COLUMN met INTEGER NOT NULL DEFAULT 0 CHECK (met IN (0, 1));
CREATE INDEX dependency_open ON dependency (task, needs) WHERE met = 0;
CREATE INDEX dependency_needed ON dependency (needs) WHERE met = 0;
CREATE TRIGGER dependency_stays_met BEFORE UPDATE ON dependency
WHEN NEW.met < OLD.met OR NEW.task <> OLD.task OR NEW.needs <> OLD.needs
BEGIN SELECT RAISE(ABORT, 'what was done stays done'); END;

-- What the task of a card shall need when it begins.
CREATE TABLE tracker_item_needs (
    project TEXT NOT NULL,
    work_item TEXT NOT NULL,
    needs INTEGER NOT NULL REFERENCES task (id),
    PRIMARY KEY (project, work_item, needs),
    FOREIGN KEY (project, work_item) REFERENCES tracker_item (project, work_item)
) STRICT, WITHOUT ROWID;

-- Each freeze and each thaw, with who wanted it; a thaw has no reason.
CREATE TABLE freeze_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL REFERENCES project (name),
    reason TEXT,
    actor TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX freeze_log_project ON freeze_log (project, id);
CREATE TRIGGER freeze_log_stays BEFORE UPDATE ON freeze_log
BEGIN SELECT RAISE(ABORT, 'the log of freezes is only appended'); END;
CREATE TRIGGER freeze_log_is_kept BEFORE DELETE ON freeze_log
BEGIN SELECT RAISE(ABORT, 'the log of freezes is only appended'); END;
INSERT INTO freeze_log (project, reason, actor, at) SELECT project, reason, actor, at FROM freeze;

-- Agent drivers: whose limits and breaker a run counts among.
-- Stamped at the claim; it stays with a run that a dead host began, for that run may live.
ALTER TABLE job ADD COLUMN driver TEXT CHECK (driver IS NULL OR slot = 1);

-- `body` is the JSON of `conductor::breaker::Breaker`. A driver that nobody refused has no row.
CREATE TABLE breaker (
    driver TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('closed', 'open', 'half-open')),
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Schema 2: what the ended runs of a project cost, by day.
--
-- A day is counted from the epoch, in UTC, by the end of the run. The sums are those of the entries `run-ended` that say what
-- counted, and grow in the transaction that writes one.

CREATE TABLE spending (
    project TEXT NOT NULL REFERENCES project (name),
    day INTEGER NOT NULL,
    runs INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_creation_tokens INTEGER NOT NULL,
    priced_tokens INTEGER NOT NULL,
    cost_microusd INTEGER NOT NULL,
    priced_microusd INTEGER NOT NULL,
    wall_ms INTEGER NOT NULL,
    PRIMARY KEY (project, day)
) STRICT, WITHOUT ROWID;

-- Schema 1 knew no tokens of the cache, and no price.
INSERT INTO spending
SELECT t.project, e.at / 86400000, COUNT(*),
    CAST(MIN(4e18, TOTAL(e.body ->> '$.spent.input_tokens')) AS INTEGER),
    CAST(MIN(4e18, TOTAL(e.body ->> '$.spent.output_tokens')) AS INTEGER),
    0, 0, 0,
    CAST(MIN(4e18, TOTAL(e.body ->> '$.spent.cost_microusd')) AS INTEGER),
    0,
    CAST(MIN(4e18, TOTAL(e.body ->> '$.spent.wall')) AS INTEGER)
FROM entry e JOIN task t ON t.id = e.task
WHERE e.kind = 'run-ended' AND e.body ->> '$.spent' IS NOT NULL
GROUP BY t.project, e.at / 86400000;

CREATE TRIGGER spending_grows BEFORE UPDATE ON spending
WHEN NEW.runs <= OLD.runs OR NEW.cost_microusd < OLD.cost_microusd OR NEW.wall_ms < OLD.wall_ms
BEGIN SELECT RAISE(ABORT, 'what was spent only grows'); END;
CREATE TRIGGER spending_is_kept BEFORE DELETE ON spending
BEGIN SELECT RAISE(ABORT, 'what was spent is never forgotten'); END;

-- What a lost delivery would have told is found by polling: which row of the tracker's log a delivery tells of, in which order
-- the rows stand there, and where the next poll goes on.

ALTER TABLE delivery ADD COLUMN log_row TEXT;
ALTER TABLE delivery ADD COLUMN row_order INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN polled INTEGER NOT NULL DEFAULT 0 CHECK (polled IN (0, 1));
CREATE INDEX delivery_row ON delivery (project, source, log_row) WHERE log_row IS NOT NULL;
DROP INDEX delivery_pending;
CREATE INDEX delivery_pending ON delivery (project, work_item, row_order, id) WHERE state = 'pending';

-- How the item's task stood when the row was written: a delivery that tells of it may be lost, or come again.
ALTER TABLE tracker_activity ADD COLUMN stood TEXT;
CREATE INDEX tracker_activity_project ON tracker_activity (project, id);

UPDATE delivery SET log_row = CAST(json_extract(CAST(body AS TEXT), '$.activity') AS TEXT),
    row_order = json_extract(CAST(body AS TEXT), '$.activity')
WHERE source = 'board' AND json_valid(CAST(body AS TEXT)) AND json_type(CAST(body AS TEXT), '$.activity') = 'integer';
UPDATE tracker_activity SET stood = (
    SELECT json_extract(CAST(d.body AS TEXT), '$.stood') FROM delivery d
    WHERE d.project = tracker_activity.project AND d.source = 'board' AND d.log_row = CAST(tracker_activity.id AS TEXT)
    ORDER BY d.id LIMIT 1);

CREATE TABLE poll (
    project TEXT NOT NULL REFERENCES project (name),
    source TEXT NOT NULL,
    cursor TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (project, source)
) STRICT, WITHOUT ROWID;

-- A long queue: what is held is set aside, so that a claim does not read it again and again.

-- A queued job that a claim found held by something else than time, places or breakers. It says nothing about whether the job
-- may be claimed: a claim asks that anew. The triggers below take everything back that a change may have set free.
ALTER TABLE job ADD COLUMN aside INTEGER NOT NULL DEFAULT 0 CHECK (aside IN (0, 1));
DROP INDEX job_queued;
CREATE INDEX job_ready ON job (slot, priority DESC, available_at, id) WHERE state = 'queued' AND aside = 0;
CREATE INDEX job_aside ON job (task) WHERE aside = 1;
CREATE INDEX job_later ON job (available_at) WHERE state = 'queued';

-- Jobs of one task wait for each other.
CREATE TRIGGER job_lets_go AFTER UPDATE OF state, winding ON job
WHEN (NEW.state <> OLD.state AND NEW.state <> 'claimed') OR NEW.winding < OLD.winding
BEGIN UPDATE job SET aside = 0 WHERE aside = 1 AND task = NEW.task; END;

-- Tasks of one project wait for each other: for a task that ends or begins, is paused, needs another or has what it needs.
CREATE TRIGGER task_lets_go AFTER UPDATE OF terminal, branch ON task
WHEN NEW.terminal <> OLD.terminal OR NEW.branch IS NOT OLD.branch
BEGIN
    UPDATE job SET aside = 0 WHERE aside = 1
        AND task IN (SELECT id FROM task WHERE project = NEW.project AND terminal = 0);
END;
CREATE TRIGGER pause_lets_go AFTER INSERT ON paused
BEGIN
    UPDATE job SET aside = 0 WHERE aside = 1
        AND task IN (SELECT id FROM task
            WHERE project = (SELECT project FROM task WHERE id = NEW.task) AND terminal = 0);
END;
CREATE TRIGGER need_lets_go AFTER INSERT ON dependency
BEGIN
    UPDATE job SET aside = 0 WHERE aside = 1
        AND task IN (SELECT id FROM task
            WHERE project = (SELECT project FROM task WHERE id = NEW.task) AND terminal = 0);
END;
CREATE TRIGGER met_need_lets_go AFTER UPDATE ON dependency
BEGIN
    UPDATE job SET aside = 0 WHERE aside = 1
        AND task IN (SELECT id FROM task
            WHERE project = (SELECT project FROM task WHERE id = NEW.task) AND terminal = 0);
END;
CREATE TRIGGER dropped_need_lets_go AFTER DELETE ON dependency
BEGIN
    UPDATE job SET aside = 0 WHERE aside = 1
        AND task IN (SELECT id FROM task
            WHERE project = (SELECT project FROM task WHERE id = OLD.task) AND terminal = 0);
END;
CREATE TRIGGER thaw_lets_go AFTER DELETE ON freeze
BEGIN
    UPDATE job SET aside = 0 WHERE aside = 1
        AND task IN (SELECT id FROM task WHERE project = OLD.project AND terminal = 0);
END;
CREATE TRIGGER project_lets_go AFTER UPDATE OF serial ON project
WHEN NEW.serial <> OLD.serial
BEGIN
    UPDATE job SET aside = 0 WHERE aside = 1
        AND task IN (SELECT id FROM task WHERE project = NEW.name AND terminal = 0);
END;

-- Nor does a lease pass on, or a place in its line, without those who wait for it.
CREATE TRIGGER lease_lets_go AFTER UPDATE ON lease
BEGIN
    UPDATE job SET aside = 0 WHERE aside = 1
        AND task IN (SELECT id FROM task WHERE project = NEW.project AND terminal = 0);
END;
CREATE TRIGGER line_lets_go AFTER DELETE ON lease_request
BEGIN
    UPDATE job SET aside = 0 WHERE aside = 1
        AND task IN (SELECT id FROM task WHERE project = OLD.project AND terminal = 0);
END;
