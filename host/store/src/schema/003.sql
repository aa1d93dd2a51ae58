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
