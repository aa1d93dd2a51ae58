-- What the fourth schema brought.

INSERT INTO schema_version (version, released) VALUES (4, '0.4');

-- The places that are taken: each claim counts them.
CREATE INDEX job_placed ON job (id) WHERE slot = 1 AND (state = 'claimed' OR winding = 1);
