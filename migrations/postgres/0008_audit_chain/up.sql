-- Seals over audit rows: each covers what was added since the one before, and that one. Audit rows themselves never change.
CREATE TABLE audit_seal (
    number      BIGINT           NOT NULL PRIMARY KEY,
    -- The digest of the seal before; zeros for the first.
    previous    TEXT COLLATE "C" NOT NULL,
    -- The seal covers the audit rows of these numbers, without the missing ones, and the late ones.
    first_seq   BIGINT           NOT NULL,
    last_seq    BIGINT           NOT NULL,
    row_count   BIGINT           NOT NULL,
    -- Numbers of the range that no row had when it was sealed: 7,9-12
    missing     TEXT COLLATE "C" NOT NULL,
    -- Numbers that earlier seals missed, and whose rows were committed later.
    late        TEXT COLLATE "C" NOT NULL,
    -- SHA-256 of the rows, and of the seal itself.
    rows_sha256 TEXT COLLATE "C" NOT NULL,
    sealed_us   BIGINT           NOT NULL,
    digest      TEXT COLLATE "C" NOT NULL,
    -- Which key has made the HMAC of the digest, where there is a key.
    key_id      TEXT COLLATE "C",
    mac         TEXT COLLATE "C"
);

-- Which audit rows are about what: made from the rows when they are sealed.
CREATE TABLE audit_subject (
    -- Patient/ID, Patient/* for what may hold any Patient
    subject TEXT COLLATE "C" NOT NULL,
    seq     BIGINT           NOT NULL,
    PRIMARY KEY (subject, seq)
);
