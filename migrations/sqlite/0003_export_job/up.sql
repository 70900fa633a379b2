-- Bulk exports: what was asked for, and as of when. Files are not kept: each part says which resources it holds.
CREATE TABLE export_job (
    id             TEXT    NOT NULL PRIMARY KEY,
    caller         TEXT    NOT NULL,
    -- system or patient
    level          TEXT    NOT NULL,
    request        TEXT    NOT NULL,
    -- Separated by commas.
    resource_types TEXT    NOT NULL,
    since_us       INTEGER,
    -- The transaction time, and the last resource of that time.
    at_us          INTEGER NOT NULL,
    last_number    INTEGER NOT NULL,
    -- Parameters that were not applied, as JSON.
    remarks        TEXT    NOT NULL,
    -- planning, complete or failed
    state          TEXT    NOT NULL,
    permille       INTEGER NOT NULL,
    -- The instance that plans it and when it was last heard of; another takes over when it falls silent.
    worker         TEXT,
    heartbeat_us   INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    created_us     INTEGER NOT NULL,
    expires_us     INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE export_part (
    job_id        TEXT    NOT NULL REFERENCES export_job (id) ON DELETE CASCADE,
    part          INTEGER NOT NULL,
    -- resources or deletions
    content       TEXT    NOT NULL,
    resource_type TEXT    NOT NULL,
    -- Resources after the one number up to the other.
    after_number  INTEGER NOT NULL,
    last_number   INTEGER NOT NULL,
    resources     INTEGER NOT NULL,
    PRIMARY KEY (job_id, part)
) WITHOUT ROWID;

-- With resource_live: all resources of a type in the order of their numbers, whatever became of them.
CREATE INDEX resource_tombstone ON resource (resource_type, number) WHERE deleted = TRUE;

-- What the query planner should believe (see the first migration).
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('resource', 'resource_tombstone', '10000 2000 1'),
    ('export_job', 'export_job', '100 1'),
    ('export_part', 'export_part', '4000 40 1');
