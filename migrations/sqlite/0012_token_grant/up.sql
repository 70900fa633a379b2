-- What a token grants is bound to its row: the digest of the claims that were committed. Tokens of a program before this
-- have none, and have expired within the hour.
ALTER TABLE access_token ADD COLUMN grant_sha256 TEXT;

-- Whose labels an export was taken on for: all, or unrestricted.
ALTER TABLE export_job ADD COLUMN labels TEXT NOT NULL DEFAULT 'all';

-- Versions that are labelled as restricted, current and older: made again from the documents when they are restored.
CREATE TABLE restricted_version (
    resource_type TEXT    NOT NULL,
    id            TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    PRIMARY KEY (resource_type, id, version)
) WITHOUT ROWID;

-- A name may be written with escapes, so whatever has some is read.
INSERT INTO restricted_version (resource_type, id, version)
    SELECT resource_type, id, version FROM resource
    WHERE CASE WHEN instr(body, '"security"') > 0 OR instr(body, '\u00') > 0 THEN EXISTS (
        SELECT 1 FROM json_each(body, '$.meta.security') AS label
        WHERE CASE WHEN label.type = 'object' THEN json_extract(label.value, '$.code') IN ('R', 'V') ELSE FALSE END
    ) ELSE FALSE END;
INSERT INTO restricted_version (resource_type, id, version)
    SELECT resource_type, id, version FROM resource_history
    WHERE CASE WHEN instr(body, '"security"') > 0 OR instr(body, '\u00') > 0 THEN EXISTS (
        SELECT 1 FROM json_each(body, '$.meta.security') AS label
        WHERE CASE WHEN label.type = 'object' THEN json_extract(label.value, '$.code') IN ('R', 'V') ELSE FALSE END
    ) ELSE FALSE END;

-- What the query planner should believe (see the first migration).
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('restricted_version', 'restricted_version', '1000 500 1 1');
