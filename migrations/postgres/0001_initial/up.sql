-- Text is compared by its bytes (COLLATE "C"), as SQLite does, so that both databases order and page alike.

-- Current version of every resource; a deleted one stays as a tombstone without body and without search values.
-- The first value of each search parameter is a column here; further values of a repeating one are in search_value.
CREATE TABLE resource (
    resource_type     TEXT COLLATE "C" NOT NULL,
    id                TEXT COLLATE "C" NOT NULL,
    version           BIGINT           NOT NULL,
    updated_us        BIGINT           NOT NULL,
    deleted           BOOLEAN          NOT NULL,
    body              TEXT COLLATE "C" NOT NULL,
    family            TEXT COLLATE "C",
    given             TEXT COLLATE "C",
    birth_lo          INTEGER,
    birth_hi          INTEGER,
    identifier_system TEXT COLLATE "C",
    identifier_value  TEXT COLLATE "C",
    PRIMARY KEY (resource_type, id)
);
CREATE INDEX resource_family ON resource (resource_type, family, id) WHERE family IS NOT NULL;
CREATE INDEX resource_given ON resource (resource_type, given, id) WHERE given IS NOT NULL;
CREATE INDEX resource_birth ON resource (resource_type, birth_lo, birth_hi, id) WHERE birth_lo IS NOT NULL;
CREATE INDEX resource_identifier ON resource (resource_type, identifier_value, identifier_system, id)
    WHERE identifier_value IS NOT NULL;
CREATE INDEX resource_tombstone ON resource (resource_type, id) WHERE deleted = TRUE;

-- Versions that are no longer current.
CREATE TABLE resource_history (
    resource_type TEXT COLLATE "C" NOT NULL,
    id            TEXT COLLATE "C" NOT NULL,
    version       BIGINT           NOT NULL,
    updated_us    BIGINT           NOT NULL,
    deleted       BOOLEAN          NOT NULL,
    body          TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (resource_type, id, version)
);

-- The second and further values of family, given and identifier.
CREATE TABLE search_value (
    resource_type TEXT COLLATE "C" NOT NULL,
    parameter     TEXT COLLATE "C" NOT NULL,
    value         TEXT COLLATE "C" NOT NULL,
    system        TEXT COLLATE "C" NOT NULL,
    id            TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (resource_type, parameter, value, system, id)
);
CREATE INDEX search_value_resource ON search_value (resource_type, id);

CREATE TABLE identity (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    created_us BIGINT           NOT NULL
);

-- What the matcher knows of one current Patient.
CREATE TABLE record (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version       BIGINT           NOT NULL,
    normaliser    INTEGER          NOT NULL,
    features      BYTEA            NOT NULL,
    identity_id   TEXT COLLATE "C" NOT NULL REFERENCES identity (id),
    model_version TEXT COLLATE "C" NOT NULL,
    probability   DOUBLE PRECISION,
    assigned_us   BIGINT           NOT NULL,
    -- How the person was verified, as the record says or as is configured for its source.
    verification_level TEXT,
    verified_on   TEXT,
    -- The record that has replaced this one.
    replaced_by   TEXT
);
CREATE INDEX record_identity ON record (identity_id);
CREATE INDEX record_replaced ON record (replaced_by) WHERE replaced_by IS NOT NULL;

-- A record that may belong to another identity than its own: for a person to decide.
CREATE TABLE review (
    record_id     TEXT COLLATE "C" NOT NULL REFERENCES record (id) ON DELETE CASCADE,
    identity_id   TEXT COLLATE "C" NOT NULL REFERENCES identity (id) ON DELETE CASCADE,
    probability   DOUBLE PRECISION NOT NULL,
    created_us    BIGINT           NOT NULL,
    model_version TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (record_id, identity_id)
);
CREATE INDEX review_identity ON review (identity_id);

-- Which record changed, in the order of commits.
CREATE TABLE change (
    seq       BIGINT           NOT NULL PRIMARY KEY,
    record_id TEXT COLLATE "C" NOT NULL
);

CREATE TABLE audit (
    seq           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_us         BIGINT           NOT NULL,
    request_id    TEXT COLLATE "C" NOT NULL,
    action        TEXT COLLATE "C" NOT NULL,
    outcome       TEXT COLLATE "C" NOT NULL,
    caller        TEXT COLLATE "C" NOT NULL,
    resource_type TEXT COLLATE "C",
    detail        TEXT COLLATE "C" NOT NULL
);

-- How far a load of a file has come.
CREATE TABLE load_progress (
    key        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    lines      BIGINT           NOT NULL,
    bytes      BIGINT           NOT NULL,
    loaded     BIGINT           NOT NULL,
    rejected   BIGINT           NOT NULL,
    updated_us BIGINT           NOT NULL
);
