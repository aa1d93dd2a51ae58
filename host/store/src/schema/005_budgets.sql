-- Schema 2: what the ended runs of a project cost, by day.
--
-- A day is counted from the epoch, in UTC, by the end of the run. The sums are those of the entries `run-ended` that say what
-- counted, and grow in the transaction that writes one.

CREATE TABLE spending (
    project TEXT NOT NULL REFERENCES project (name),
    day INTEGER NOT NULL,
    runs INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_creation_tokens INTEGER NOT NULL,
    priced_tokens INTEGER NOT NULL,
    cost_microusd INTEGER NOT NULL,
    priced_microusd INTEGER NOT NULL,
    wall_ms INTEGER NOT NULL,
    PRIMARY KEY (project, day)
) STRICT, WITHOUT ROWID;

-- Schema 1 knew no tokens of the cache, and no price.
INSERT INTO spending
SELECT t.project, e.at / 86400000, COUNT(*),
    CAST(MIN(4e18, TOTAL(e.body ->> '$.spent.input_tokens')) AS INTEGER),
    CAST(MIN(4e18, TOTAL(e.body ->> '$.spent.output_tokens')) AS INTEGER),
    0, 0, 0,
    CAST(MIN(4e18, TOTAL(e.body ->> '$.spent.cost_microusd')) AS INTEGER),
    0,
    CAST(MIN(4e18, TOTAL(e.body ->> '$.spent.wall')) AS INTEGER)
FROM entry e JOIN task t ON t.id = e.task
WHERE e.kind = 'run-ended' AND e.body ->> '$.spent' IS NOT NULL
GROUP BY t.project, e.at / 86400000;

CREATE TRIGGER spending_grows BEFORE UPDATE ON spending
WHEN NEW.runs <= OLD.runs OR NEW.cost_microusd < OLD.cost_microusd OR NEW.wall_ms < OLD.wall_ms
BEGIN SELECT RAISE(ABORT, 'what was spent only grows'); END;
CREATE TRIGGER spending_is_kept BEFORE DELETE ON spending
BEGIN SELECT RAISE(ABORT, 'what was spent is never forgotten'); END;

INSERT INTO schema_version (version, released) SELECT MAX(version) + 1, '0.1' FROM schema_version;
