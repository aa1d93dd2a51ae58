-- What the fourth schema brought.

INSERT INTO schema_version (version, released) VALUES (4, '0.4');

-- The places that are taken: each claim counts them.
CREATE INDEX job_placed ON job (id) WHERE slot = 1 AND (state = 'claimed' OR winding = 1);

-- When the folder of a run that is over was removed: its log, its brief, what its agent kept.
ALTER TABLE run ADD COLUMN collected_at INTEGER CHECK (collected_at IS NULL OR ended_at IS NOT NULL);
CREATE INDEX run_kept ON run (id) WHERE collected_at IS NULL AND ended_at IS NOT NULL;

-- The newest event and delivery when the clock was last seen to go back: what came before tells nothing of the time that it is now.
CREATE TABLE clock (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    event INTEGER NOT NULL,
    delivery INTEGER NOT NULL
) STRICT;
INSERT INTO clock (id, event, delivery) VALUES (1, 0, 0);

-- One index of the deliveries that are open instead of three: each delivery that comes and each that is read writes less.
DROP INDEX delivery_open;
DROP INDEX delivery_hint;
DROP INDEX delivery_parked;
CREATE INDEX delivery_open ON delivery (state, id, source) WHERE state <> 'expanded';
