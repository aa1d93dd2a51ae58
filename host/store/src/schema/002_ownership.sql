-- Ownership: serial projects, pauses, dependencies, and who froze what.

INSERT INTO schema_version (version, released) SELECT MAX(version) + 1, '0.1' FROM schema_version;

-- One task at a time: a new one begins when all earlier ones have ended, or are paused.
ALTER TABLE project ADD COLUMN serial INTEGER NOT NULL DEFAULT 0 CHECK (serial IN (0, 1));

-- Live tasks that a person paused, or wants paused. The task's own record says so too.
CREATE TABLE paused (
    task INTEGER PRIMARY KEY REFERENCES task (id)
) STRICT;
INSERT INTO paused (task)
    SELECT id FROM task WHERE terminal = 0 AND (json_extract(body, '$.paused') = 1
        OR json_extract(body, '$.position.activity.hold.kind') = 'paused');

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
