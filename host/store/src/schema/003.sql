-- What the third schema brought.

INSERT INTO schema_version (version, released) VALUES (3, '0.3');

-- Counting: what pages and metrics count is counted in an index, for the rows themselves are large.

CREATE INDEX task_counted ON task (project, terminal, stage, activity);
CREATE INDEX run_living ON run (id) WHERE ended_at IS NULL;
CREATE INDEX job_cancelled ON job (id) WHERE state = 'cancelled';
CREATE INDEX delivery_parked ON delivery (source) WHERE state = 'parked';
