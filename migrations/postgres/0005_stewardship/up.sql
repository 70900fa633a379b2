-- What stewards decide about identities, and what became of each record: every assignment is explained and reversible.
CREATE TABLE steward_decision (
    id             TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    -- merge, link, unlink, split, same, different or defer
    kind           TEXT COLLATE "C"    NOT NULL,
    reason         TEXT COLLATE "C"    NOT NULL,
    decided_by     TEXT COLLATE "C"    NOT NULL,
    decided_us     BIGINT  NOT NULL,
    -- What was asked, and the assignments before it, as JSON.
    detail         TEXT COLLATE "C"    NOT NULL,
    revoked_by     TEXT COLLATE "C",
    revoked_us     BIGINT ,
    revoked_reason TEXT COLLATE "C"
);
CREATE INDEX steward_decision_time ON steward_decision (decided_us, id);

-- What must hold between two records, stored or not. Must-link, cannot-link and continued name the smaller id first;
-- replaced-by names the record that was merged, and its survivor.
CREATE TABLE record_constraint (
    record_a    TEXT COLLATE "C"    NOT NULL,
    record_b    TEXT COLLATE "C"    NOT NULL,
    kind        TEXT COLLATE "C"    NOT NULL,
    -- Empty where no steward decided: continued.
    decision_id TEXT COLLATE "C"    NOT NULL,
    created_us  BIGINT  NOT NULL,
    PRIMARY KEY (record_a, record_b, kind, decision_id)
);
CREATE INDEX record_constraint_b ON record_constraint (record_b, record_a);
CREATE INDEX record_constraint_decision ON record_constraint (decision_id);

-- Assignments that are no longer current; the current one is in record.
CREATE TABLE identity_history (
    seq           BIGINT  NOT NULL PRIMARY KEY,
    record_id     TEXT COLLATE "C"    NOT NULL,
    identity_id   TEXT COLLATE "C"    NOT NULL,
    model_version TEXT COLLATE "C"    NOT NULL,
    probability   DOUBLE PRECISION,
    assigned_us   BIGINT  NOT NULL,
    decision_id   TEXT COLLATE "C",
    until_us      BIGINT  NOT NULL
);
CREATE INDEX identity_history_record ON identity_history (record_id, seq);
CREATE INDEX identity_history_identity ON identity_history (identity_id, seq);

-- Identities that have become part of another one.
CREATE TABLE merged_identity (
    id          TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    survivor_id TEXT COLLATE "C"    NOT NULL,
    merged_us   BIGINT  NOT NULL
);
CREATE INDEX merged_identity_survivor ON merged_identity (survivor_id);

-- The steward's decision that put the record into its identity; none when the matcher did.
ALTER TABLE record ADD COLUMN decision_id TEXT COLLATE "C";

-- Whether what binds the record to others changed too.
ALTER TABLE change ADD COLUMN binds BOOLEAN NOT NULL DEFAULT FALSE;

-- open or deferred; a deferred one says why.
ALTER TABLE review ADD COLUMN state TEXT COLLATE "C" NOT NULL DEFAULT 'open';
ALTER TABLE review ADD COLUMN reason TEXT COLLATE "C";
