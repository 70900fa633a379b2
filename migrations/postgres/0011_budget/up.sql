-- How much of each budget is spent. A row that is not there is a full bucket, and so is one whose time has passed.
CREATE TABLE budget (
    -- HMAC of what is counted: a client, an organisation, a subject.
    budget_key BYTEA  NOT NULL PRIMARY KEY,
    -- When the bucket is full again.
    full_us    BIGINT NOT NULL
);

CREATE INDEX budget_full_us ON budget (full_us);
