-- Block keys of records, for instances that keep no index in memory. All of it is derived from `record`: the program fills
-- it, follows the change log with it, and fills it anew when it derives keys differently.

-- A key is a rule, a hash and a birth year; a number is that of the Patient in `resource`.
CREATE TABLE block_key (
    key    BIGINT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (key, number)
);

-- The keys under which a record stands, eight bytes each, so that they can be taken back.
CREATE TABLE block_record (
    number    BIGINT           NOT NULL PRIMARY KEY,
    record_id TEXT COLLATE "C" NOT NULL,
    keys      BYTEA            NOT NULL
);

CREATE TABLE block_state (
    one        INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    -- How the keys were derived.
    derivation INTEGER NOT NULL,
    -- Changes up to this one are in the keys.
    seq        BIGINT  NOT NULL,
    -- The record that was filled in last; NULL when all were.
    filled_to  TEXT COLLATE "C"
);
