-- Current version of every resource; a deleted one stays as a tombstone without body and without search values.
-- The first value of each search parameter is a column here; further values of a repeating one are in search_value.
CREATE TABLE resource (
    resource_type     TEXT    NOT NULL,
    id                TEXT    NOT NULL,
    version           INTEGER NOT NULL,
    updated_us        INTEGER NOT NULL,
    deleted           INTEGER NOT NULL,
    body              TEXT    NOT NULL,
    family            TEXT,
    given             TEXT,
    birth_lo          INTEGER,
    birth_hi          INTEGER,
    identifier_system TEXT,
    identifier_value  TEXT,
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
    resource_type TEXT    NOT NULL,
    id            TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    updated_us    INTEGER NOT NULL,
    deleted       INTEGER NOT NULL,
    body          TEXT    NOT NULL,
    PRIMARY KEY (resource_type, id, version)
);

-- The second and further values of family, given and identifier.
CREATE TABLE search_value (
    resource_type TEXT NOT NULL,
    parameter     TEXT NOT NULL,
    value         TEXT NOT NULL,
    system        TEXT NOT NULL,
    id            TEXT NOT NULL,
    PRIMARY KEY (resource_type, parameter, value, system, id)
) WITHOUT ROWID;
CREATE INDEX search_value_resource ON search_value (resource_type, id);

CREATE TABLE identity (
    id         TEXT    NOT NULL PRIMARY KEY,
    created_us INTEGER NOT NULL
) WITHOUT ROWID;

-- What the matcher knows of one current Patient.
CREATE TABLE record (
    id            TEXT    NOT NULL PRIMARY KEY,
    version       INTEGER NOT NULL,
    normaliser    INTEGER NOT NULL,
    features      BLOB    NOT NULL,
    identity_id   TEXT    NOT NULL REFERENCES identity (id),
    model_version TEXT    NOT NULL,
    probability   REAL,
    assigned_us   INTEGER NOT NULL,
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
    record_id     TEXT    NOT NULL REFERENCES record (id) ON DELETE CASCADE,
    identity_id   TEXT    NOT NULL REFERENCES identity (id) ON DELETE CASCADE,
    probability   REAL    NOT NULL,
    created_us    INTEGER NOT NULL,
    model_version TEXT    NOT NULL,
    PRIMARY KEY (record_id, identity_id)
) WITHOUT ROWID;
CREATE INDEX review_identity ON review (identity_id);

-- Which record changed, in the order of commits.
CREATE TABLE change (
    seq       INTEGER NOT NULL PRIMARY KEY,
    record_id TEXT    NOT NULL
);

CREATE TABLE audit (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    at_us         INTEGER NOT NULL,
    request_id    TEXT    NOT NULL,
    action        TEXT    NOT NULL,
    outcome       TEXT    NOT NULL,
    caller        TEXT    NOT NULL,
    resource_type TEXT,
    detail        TEXT    NOT NULL
);

-- How far a load of a file has come.
CREATE TABLE load_progress (
    key        TEXT    NOT NULL PRIMARY KEY,
    lines      INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    loaded     INTEGER NOT NULL,
    rejected   INTEGER NOT NULL,
    updated_us INTEGER NOT NULL
) WITHOUT ROWID;

-- What the query planner should believe. Without it SQLite takes a resource type for a selective condition; with
-- figures of the day a plan could change from one day to the next. The shape is that of a million people.
ANALYZE;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('resource', 'sqlite_autoindex_resource_1', '1000000 500000 1'),
    ('resource', 'resource_family', '1000000 500000 50 1'),
    ('resource', 'resource_given', '1000000 500000 500 1'),
    ('resource', 'resource_birth', '1000000 500000 40 40 1'),
    ('resource', 'resource_identifier', '1000000 500000 2 1 1'),
    ('resource', 'resource_tombstone', '1000 500 1'),
    ('resource_history', 'sqlite_autoindex_resource_history_1', '1000000 500000 2 1'),
    ('search_value', 'search_value', '1500000 1000000 500000 2 1 1'),
    ('search_value', 'search_value_resource', '1500000 1000000 2'),
    ('identity', 'identity', '900000 1'),
    ('record', 'sqlite_autoindex_record_1', '1000000 1'),
    ('record', 'record_identity', '1000000 2'),
    ('review', 'review', '10000 2 1'),
    ('review', 'review_identity', '10000 2'),
    ('change', NULL, '1000000'),
    ('audit', NULL, '1000000');
