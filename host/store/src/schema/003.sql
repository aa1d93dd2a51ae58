-- What the third schema brought.

INSERT INTO schema_version (version, released) VALUES (3, '0.3');

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

-- Counting: what pages and metrics count is counted in an index, for the rows themselves are large.

CREATE INDEX task_counted ON task (project, terminal, stage, activity);
CREATE INDEX run_living ON run (id) WHERE ended_at IS NULL;
CREATE INDEX job_cancelled ON job (id) WHERE state = 'cancelled';
CREATE INDEX delivery_parked ON delivery (source) WHERE state = 'parked';
