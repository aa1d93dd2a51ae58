-- What a lost delivery would have told is found by polling: which row of the tracker's log a delivery tells of, in which order
-- the rows stand there, and where the next poll goes on.

ALTER TABLE delivery ADD COLUMN log_row TEXT;
ALTER TABLE delivery ADD COLUMN row_order INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN polled INTEGER NOT NULL DEFAULT 0 CHECK (polled IN (0, 1));
CREATE INDEX delivery_row ON delivery (project, source, log_row) WHERE log_row IS NOT NULL;
DROP INDEX delivery_pending;
CREATE INDEX delivery_pending ON delivery (project, work_item, row_order, id) WHERE state = 'pending';

-- How the item's task stood when the row was written: a delivery that tells of it may be lost, or come again.
ALTER TABLE tracker_activity ADD COLUMN stood TEXT;
CREATE INDEX tracker_activity_project ON tracker_activity (project, id);

UPDATE delivery SET log_row = CAST(json_extract(CAST(body AS TEXT), '$.activity') AS TEXT),
    row_order = json_extract(CAST(body AS TEXT), '$.activity')
WHERE source = 'board' AND json_valid(CAST(body AS TEXT)) AND json_type(CAST(body AS TEXT), '$.activity') = 'integer';
UPDATE tracker_activity SET stood = (
    SELECT json_extract(CAST(d.body AS TEXT), '$.stood') FROM delivery d
    WHERE d.project = tracker_activity.project AND d.source = 'board' AND d.log_row = CAST(tracker_activity.id AS TEXT)
    ORDER BY d.id LIMIT 1);

CREATE TABLE poll (
    project TEXT NOT NULL REFERENCES project (name),
    source TEXT NOT NULL,
    cursor TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (project, source)
) STRICT, WITHOUT ROWID;

INSERT INTO schema_version (version, released) VALUES (2, '0.2');
