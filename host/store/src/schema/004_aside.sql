-- A long queue: what is held is set aside, so that a claim does not read it again and again.

INSERT INTO schema_version (version, released) SELECT MAX(version) + 1, '0.1' FROM schema_version;

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
