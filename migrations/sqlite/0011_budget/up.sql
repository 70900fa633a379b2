-- How much of each budget is spent. A row that is not there is a full bucket, and so is one whose time has passed.
CREATE TABLE budget (
    -- HMAC of what is counted: a client, an organisation, a subject.
    budget_key BLOB    NOT NULL PRIMARY KEY,
    -- When the bucket is full again.
    full_us    INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX budget_full_us ON budget (full_us);

-- What the query planner should believe (see the first migration).
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('budget', 'budget', '1000000 1'),
    ('budget', 'budget_full_us', '1000000 1');
