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
