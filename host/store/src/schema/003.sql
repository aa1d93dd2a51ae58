-- What the third schema brought.

INSERT INTO schema_version (version, released) VALUES (3, '0.3');

-- What pages for people look for: live tasks by what goes on in them, the newest of a project, and who was last heard of.

CREATE INDEX task_standing ON task (activity, id) WHERE terminal = 0;
CREATE INDEX task_ended ON task (project, id) WHERE terminal = 1;
CREATE INDEX delivery_source ON delivery (project, source, id);
