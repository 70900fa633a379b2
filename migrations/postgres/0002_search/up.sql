-- Search values move to one table for each kind of search parameter, and every resource gets a number: what is found
-- pages by it, and it is what the search tables name a resource by.
CREATE SEQUENCE resource_number AS BIGINT;
DROP TABLE search_value;
DROP INDEX resource_family, resource_given, resource_birth, resource_identifier, resource_tombstone;
ALTER TABLE resource
    DROP COLUMN family,
    DROP COLUMN given,
    DROP COLUMN birth_lo,
    DROP COLUMN birth_hi,
    DROP COLUMN identifier_system,
    DROP COLUMN identifier_value,
    ADD COLUMN number BIGINT NOT NULL DEFAULT nextval('resource_number'),
    -- Which version of the search parameters its search values were made by; 0 asks for them to be made again.
    ADD COLUMN search_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE resource
    ALTER COLUMN number DROP DEFAULT,
    ALTER COLUMN search_version DROP DEFAULT,
    DROP CONSTRAINT resource_pkey,
    ADD PRIMARY KEY (number),
    ADD UNIQUE (resource_type, id);
CREATE INDEX resource_live ON resource (resource_type, number) WHERE deleted = FALSE;
CREATE INDEX resource_updated ON resource (resource_type, updated_us, number);
CREATE INDEX resource_search_version ON resource (search_version, number);
CREATE INDEX resource_history_updated ON resource_history (resource_type, updated_us, id, version);

-- Strings: folded for searching, and as received for `:exact`.
CREATE TABLE search_string (
    parameter SMALLINT         NOT NULL,
    value     TEXT COLLATE "C" NOT NULL,
    number    BIGINT           NOT NULL,
    exact     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (parameter, value, number, exact)
);
CREATE INDEX search_string_number ON search_string (number, parameter);

-- Tokens and references: system and value; of a reference the type and the id.
CREATE TABLE search_token (
    parameter SMALLINT         NOT NULL,
    value     TEXT COLLATE "C" NOT NULL,
    system    TEXT COLLATE "C" NOT NULL,
    number    BIGINT           NOT NULL,
    PRIMARY KEY (parameter, value, system, number)
);
CREATE INDEX search_token_number ON search_token (number, parameter);

-- Dates: the first and the last microsecond that the value may mean.
CREATE TABLE search_date (
    parameter SMALLINT NOT NULL,
    lo_us     BIGINT   NOT NULL,
    hi_us     BIGINT   NOT NULL,
    number    BIGINT   NOT NULL,
    PRIMARY KEY (parameter, lo_us, hi_us, number)
);
CREATE INDEX search_date_number ON search_date (number, parameter);

-- Keys that the server makes for itself.
CREATE TABLE secret (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value      BYTEA            NOT NULL,
    created_us BIGINT           NOT NULL
);
