-- Bulk exports: what was asked for, and as of when. Files are not kept: each part says which resources it holds.
CREATE TABLE export_job (
    id             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    caller         TEXT COLLATE "C" NOT NULL,
    -- system or patient
    level          TEXT COLLATE "C" NOT NULL,
    request        TEXT COLLATE "C" NOT NULL,
    -- Separated by commas.
    resource_types TEXT COLLATE "C" NOT NULL,
    since_us       BIGINT,
    -- The transaction time, and the last resource of that time.
    at_us          BIGINT           NOT NULL,
    last_number    BIGINT           NOT NULL,
    -- Parameters that were not applied, as JSON.
    remarks        TEXT COLLATE "C" NOT NULL,
    -- planning, complete or failed
    state          TEXT COLLATE "C" NOT NULL,
    permille       INTEGER          NOT NULL,
    -- The instance that plans it and when it was last heard of; another takes over when it falls silent.
    worker         TEXT COLLATE "C",
    heartbeat_us   BIGINT           NOT NULL,
    attempts       INTEGER          NOT NULL,
    created_us     BIGINT           NOT NULL,
    expires_us     BIGINT           NOT NULL
);

CREATE TABLE export_part (
    job_id        TEXT COLLATE "C" NOT NULL REFERENCES export_job (id) ON DELETE CASCADE,
    part          INTEGER          NOT NULL,
    -- resources or deletions
    content       TEXT COLLATE "C" NOT NULL,
    resource_type TEXT COLLATE "C" NOT NULL,
    -- Resources after the one number up to the other.
    after_number  BIGINT           NOT NULL,
    last_number   BIGINT           NOT NULL,
    resources     BIGINT           NOT NULL,
    PRIMARY KEY (job_id, part)
);

-- With resource_live: all resources of a type in the order of their numbers, whatever became of them.
CREATE INDEX resource_tombstone ON resource (resource_type, number) WHERE deleted = TRUE;
