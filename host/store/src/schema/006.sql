-- What the sixth schema brought: each commit of deliveries that come writes fewer pages.

INSERT INTO schema_version (version, released) VALUES (6, '0.6');

-- A delivery is never deleted, so one more than the greatest id was never given before, and a table of the last id, of which each
-- commit wrote a page, says nothing more. What stands on the disk of the table itself is the same with and without that word:
-- https://www.sqlite.org/lang_altertable.html, section 7. The indexes below make every connection read the schema anew.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'INTEGER PRIMARY KEY AUTOINCREMENT', 'INTEGER PRIMARY KEY')
    WHERE type = 'table' AND name = 'delivery';
PRAGMA writable_schema = RESET;
DELETE FROM sqlite_sequence WHERE name = 'delivery';

-- A delivery stands in one index while it waits and in another one afterwards. They come one by one, and are read many at a time.
DROP INDEX delivery_open;
CREATE INDEX delivery_open ON delivery (state, id, source, project) WHERE state <> 'expanded';
DROP INDEX delivery_source;
CREATE INDEX delivery_source ON delivery (project, source, id, hook_key) WHERE state <> 'pending';
