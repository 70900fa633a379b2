-- What a token grants is bound to its row: the digest of the claims that were committed. Tokens of a program before this
-- have none, and have expired within the hour.
ALTER TABLE access_token ADD COLUMN grant_sha256 TEXT COLLATE "C";

-- Whose labels an export was taken on for: all, or unrestricted.
ALTER TABLE export_job ADD COLUMN labels TEXT COLLATE "C" NOT NULL DEFAULT 'all';

-- Versions that are labelled as restricted, current and older: made again from the documents when they are restored.
CREATE TABLE restricted_version (
    resource_type TEXT COLLATE "C" NOT NULL,
    id            TEXT COLLATE "C" NOT NULL,
    version       BIGINT           NOT NULL,
    PRIMARY KEY (resource_type, id, version)
);

-- A name may be written with escapes, so whatever has some is read.
INSERT INTO restricted_version (resource_type, id, version)
    SELECT resource_type, id, version FROM resource
    WHERE CASE WHEN strpos(body, '"security"') > 0 OR strpos(body, '\u00') > 0 THEN EXISTS (
        SELECT 1 FROM json_array_elements(CASE json_typeof(body::json #> '{meta,security}')
            WHEN 'array' THEN body::json #> '{meta,security}' ELSE '[]'::json END) AS label
        WHERE label ->> 'code' IN ('R', 'V')
    ) ELSE FALSE END;
INSERT INTO restricted_version (resource_type, id, version)
    SELECT resource_type, id, version FROM resource_history
    WHERE CASE WHEN strpos(body, '"security"') > 0 OR strpos(body, '\u00') > 0 THEN EXISTS (
        SELECT 1 FROM json_array_elements(CASE json_typeof(body::json #> '{meta,security}')
            WHEN 'array' THEN body::json #> '{meta,security}' ELSE '[]'::json END) AS label
        WHERE label ->> 'code' IN ('R', 'V')
    ) ELSE FALSE END;
