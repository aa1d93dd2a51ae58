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

-- Deliveries of trackers and forges outside: what is kept beside the body. `hook_key` is the sha256 of what makes two the same.
ALTER TABLE delivery ADD COLUMN hook_key BLOB CHECK (hook_key IS NULL OR octet_length(hook_key) = 32);
ALTER TABLE delivery ADD COLUMN sent_as TEXT;
ALTER TABLE delivery ADD COLUMN word TEXT;
ALTER TABLE delivery ADD COLUMN verified INTEGER CHECK (verified IS NULL OR verified IN (0, 1));
ALTER TABLE delivery ADD COLUMN headers TEXT;
ALTER TABLE delivery ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX delivery_hook ON delivery (project, hook_key) WHERE hook_key IS NOT NULL;
CREATE INDEX delivery_hint ON delivery (id) WHERE state = 'pending' AND hook_key IS NOT NULL;
DROP INDEX delivery_pending;
CREATE INDEX delivery_pending ON delivery (project, work_item, row_order, id)
    WHERE state = 'pending' AND hook_key IS NULL;
