-- What stewards decide about identities, and what became of each record: every assignment is explained and reversible.
CREATE TABLE steward_decision (
    id             TEXT    NOT NULL PRIMARY KEY,
    -- merge, link, unlink, split, same, different or defer
    kind           TEXT    NOT NULL,
    reason         TEXT    NOT NULL,
    decided_by     TEXT    NOT NULL,
    decided_us     INTEGER NOT NULL,
    -- What was asked, and the assignments before it, as JSON.
    detail         TEXT    NOT NULL,
    revoked_by     TEXT,
    revoked_us     INTEGER,
    revoked_reason TEXT
) WITHOUT ROWID;
CREATE INDEX steward_decision_time ON steward_decision (decided_us, id);

-- What must hold between two records, stored or not. Must-link, cannot-link and continued name the smaller id first;
-- replaced-by names the record that was merged, and its survivor.
CREATE TABLE record_constraint (
    record_a    TEXT    NOT NULL,
    record_b    TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    -- Empty where no steward decided: continued.
    decision_id TEXT    NOT NULL,
    created_us  INTEGER NOT NULL,
    PRIMARY KEY (record_a, record_b, kind, decision_id)
) WITHOUT ROWID;
CREATE INDEX record_constraint_b ON record_constraint (record_b, record_a);
CREATE INDEX record_constraint_decision ON record_constraint (decision_id);

-- Assignments that are no longer current; the current one is in record.
CREATE TABLE identity_history (
    seq           INTEGER NOT NULL PRIMARY KEY,
    record_id     TEXT    NOT NULL,
    identity_id   TEXT    NOT NULL,
    model_version TEXT    NOT NULL,
    probability   REAL,
    assigned_us   INTEGER NOT NULL,
    decision_id   TEXT,
    until_us      INTEGER NOT NULL
);
CREATE INDEX identity_history_record ON identity_history (record_id, seq);
CREATE INDEX identity_history_identity ON identity_history (identity_id, seq);

-- Identities that have become part of another one.
CREATE TABLE merged_identity (
    id          TEXT    NOT NULL PRIMARY KEY,
    survivor_id TEXT    NOT NULL,
    merged_us   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX merged_identity_survivor ON merged_identity (survivor_id);

-- The steward's decision that put the record into its identity; none when the matcher did.
ALTER TABLE record ADD COLUMN decision_id TEXT;

-- Whether what binds the record to others changed too.
ALTER TABLE change ADD COLUMN binds INTEGER NOT NULL DEFAULT FALSE;

-- open or deferred; a deferred one says why.
ALTER TABLE review ADD COLUMN state TEXT NOT NULL DEFAULT 'open';
ALTER TABLE review ADD COLUMN reason TEXT;

-- What the query planner should believe (see the first migration).
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('steward_decision', 'steward_decision', '10000 1'),
    ('steward_decision', 'steward_decision_time', '10000 1 1'),
    ('record_constraint', 'record_constraint', '40000 3 1 1 1'),
    ('record_constraint', 'record_constraint_b', '40000 3 1'),
    ('record_constraint', 'record_constraint_decision', '40000 4'),
    ('identity_history', 'identity_history_record', '100000 2 1'),
    ('identity_history', 'identity_history_identity', '100000 2 1'),
    ('merged_identity', 'merged_identity', '100000 1'),
    ('merged_identity', 'merged_identity_survivor', '100000 2');
