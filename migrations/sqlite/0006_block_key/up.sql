-- Block keys of records, for instances that keep no index in memory. All of it is derived from `record`: the program fills
-- it, follows the change log with it, and fills it anew when it derives keys differently.

-- A key is a rule, a hash and a birth year; a number is that of the Patient in `resource`.
CREATE TABLE block_key (
    key    INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (key, number)
) WITHOUT ROWID;

-- The keys under which a record stands, eight bytes each, so that they can be taken back.
CREATE TABLE block_record (
    number    INTEGER NOT NULL PRIMARY KEY,
    record_id TEXT    NOT NULL,
    keys      BLOB    NOT NULL
);

CREATE TABLE block_state (
    one        INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    -- How the keys were derived.
    derivation INTEGER NOT NULL,
    -- Changes up to this one are in the keys.
    seq        INTEGER NOT NULL,
    -- The record that was filled in last; NULL when all were.
    filled_to  TEXT
);

-- What the query planner should believe (see the first migration).
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('block_key', 'block_key', '20000000 3 1'),
    ('block_record', NULL, '1000000'),
    ('block_state', NULL, '1');
