-- Agent drivers: whose limits and breaker a run counts among.
INSERT INTO schema_version (version, released) SELECT MAX(version) + 1, '0.1' FROM schema_version;

-- Stamped at the claim; it stays with a run that a dead host began, for that run may live.
ALTER TABLE job ADD COLUMN driver TEXT CHECK (driver IS NULL OR slot = 1);

-- `body` is the JSON of `conductor::breaker::Breaker`. A driver that nobody refused has no row.
CREATE TABLE breaker (
    driver TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('closed', 'open', 'half-open')),
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
