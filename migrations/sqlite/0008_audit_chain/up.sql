-- Seals over audit rows: each covers what was added since the one before, and that one. Audit rows themselves never change.
CREATE TABLE audit_seal (
    number      INTEGER NOT NULL PRIMARY KEY,
    -- The digest of the seal before; zeros for the first.
    previous    TEXT    NOT NULL,
    -- The seal covers the audit rows of these numbers, without the missing ones, and the late ones.
    first_seq   INTEGER NOT NULL,
    last_seq    INTEGER NOT NULL,
    row_count   INTEGER NOT NULL,
    -- Numbers of the range that no row had when it was sealed: 7,9-12
    missing     TEXT    NOT NULL,
    -- Numbers that earlier seals missed, and whose rows were committed later.
    late        TEXT    NOT NULL,
    -- SHA-256 of the rows, and of the seal itself.
    rows_sha256 TEXT    NOT NULL,
    sealed_us   INTEGER NOT NULL,
    digest      TEXT    NOT NULL,
    -- Which key has made the HMAC of the digest, where there is a key.
    key_id      TEXT,
    mac         TEXT
);

-- Which audit rows are about what: made from the rows when they are sealed.
CREATE TABLE audit_subject (
    -- Patient/ID, Patient/* for what may hold any Patient
    subject TEXT    NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (subject, seq)
) WITHOUT ROWID;

-- What the query planner should believe (see the first migration).
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('audit_seal', NULL, '1000000'),
    ('audit_subject', 'audit_subject', '3000000 4 1');
