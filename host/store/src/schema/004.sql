-- What the fourth schema brought.

INSERT INTO schema_version (version, released) VALUES (4, '0.4');

-- The places that are taken: each claim counts them.
CREATE INDEX job_placed ON job (id) WHERE slot = 1 AND (state = 'claimed' OR winding = 1);

-- When the folder of a run that is over was removed: its log, its brief, what its agent kept.
ALTER TABLE run ADD COLUMN collected_at INTEGER CHECK (collected_at IS NULL OR ended_at IS NOT NULL);
CREATE INDEX run_kept ON run (id) WHERE collected_at IS NULL AND ended_at IS NOT NULL;
