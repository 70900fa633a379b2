-- Search values move to one table for each kind of search parameter, and every resource gets a number: what is found
-- pages by it, and it is what the search tables name a resource by.
CREATE TABLE numbered (
    number         INTEGER NOT NULL PRIMARY KEY,
    resource_type  TEXT    NOT NULL,
    id             TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    updated_us     INTEGER NOT NULL,
    deleted        INTEGER NOT NULL,
    -- Which version of the search parameters its search values were made by; 0 asks for them to be made again.
    search_version INTEGER NOT NULL,
    body           TEXT    NOT NULL,
    UNIQUE (resource_type, id)
);
INSERT INTO numbered (resource_type, id, version, updated_us, deleted, search_version, body)
    SELECT resource_type, id, version, updated_us, deleted, 0, body FROM resource ORDER BY resource.rowid;
DROP TABLE search_value;
DROP TABLE resource;
ALTER TABLE numbered RENAME TO resource;
CREATE INDEX resource_live ON resource (resource_type, number) WHERE deleted = FALSE;
CREATE INDEX resource_updated ON resource (resource_type, updated_us, number);
CREATE INDEX resource_search_version ON resource (search_version, number);
CREATE INDEX resource_history_updated ON resource_history (resource_type, updated_us, id, version);

-- Strings: folded for searching, and as received for `:exact`.
CREATE TABLE search_string (
    parameter INTEGER NOT NULL,
    value     TEXT    NOT NULL,
    number    INTEGER NOT NULL,
    exact     TEXT    NOT NULL,
    PRIMARY KEY (parameter, value, number, exact)
) WITHOUT ROWID;
CREATE INDEX search_string_number ON search_string (number, parameter);

-- Tokens and references: system and value; of a reference the type and the id.
CREATE TABLE search_token (
    parameter INTEGER NOT NULL,
    value     TEXT    NOT NULL,
    system    TEXT    NOT NULL,
    number    INTEGER NOT NULL,
    PRIMARY KEY (parameter, value, system, number)
) WITHOUT ROWID;
CREATE INDEX search_token_number ON search_token (number, parameter);

-- Dates: the first and the last microsecond that the value may mean.
CREATE TABLE search_date (
    parameter INTEGER NOT NULL,
    lo_us     INTEGER NOT NULL,
    hi_us     INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    PRIMARY KEY (parameter, lo_us, hi_us, number)
) WITHOUT ROWID;
CREATE INDEX search_date_number ON search_date (number, parameter);

-- Keys that the server makes for itself.
CREATE TABLE secret (
    name       TEXT    NOT NULL PRIMARY KEY,
    value      BLOB    NOT NULL,
    created_us INTEGER NOT NULL
) WITHOUT ROWID;

-- What the query planner should believe (see the first migration).
DELETE FROM sqlite_stat1 WHERE tbl IN ('resource', 'search_value', 'numbered');
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('resource', 'sqlite_autoindex_resource_1', '1000000 200000 1'),
    ('resource', 'resource_live', '990000 200000 1'),
    ('resource', 'resource_updated', '1000000 200000 2 1'),
    ('resource', 'resource_search_version', '1000000 1000000 1'),
    ('resource_history', 'resource_history_updated', '1000000 200000 2 1 1'),
    ('search_string', 'search_string', '10000000 1000000 50 1 1'),
    ('search_string', 'search_string_number', '10000000 10 2'),
    ('search_token', 'search_token', '6000000 600000 4 2 1'),
    ('search_token', 'search_token_number', '6000000 6 1'),
    ('search_date', 'search_date', '1000000 1000000 40 40 1'),
    ('search_date', 'search_date_number', '1000000 2 1');
