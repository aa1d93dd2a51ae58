-- What the fifth schema brought.

INSERT INTO schema_version (version, released) VALUES (5, '0.5');

-- Which deliveries are here is known in memory, and read at the start from an index that each delivery is written at the end of.
-- One ordered by the keys, which are chance, cost each delivery a page of its own.
DROP INDEX delivery_hook;
DROP INDEX delivery_source;
CREATE INDEX delivery_source ON delivery (project, source, id, hook_key);
