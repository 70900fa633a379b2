-- The authorization server: who may ask for tokens, which assertions were used, which tokens are out, and with what they
-- are signed.

-- A row stays when its client is cancelled or disabled, for the audit names it.
CREATE TABLE client (
    client_id     TEXT    NOT NULL PRIMARY KEY,
    -- udap or smart
    kind          TEXT    NOT NULL,
    -- active, disabled or cancelled
    state         TEXT    NOT NULL,
    -- Of a UDAP client: the trust community, and the URI that its certificate and its statements name. Of others empty.
    community     TEXT    NOT NULL,
    issuer        TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    -- Both separated by spaces.
    grant_types   TEXT    NOT NULL,
    scope         TEXT    NOT NULL,
    -- The parameters of the registration, as JSON.
    registration  TEXT    NOT NULL,
    -- URIs of the certifications that were accepted, as a JSON list.
    certifications TEXT   NOT NULL,
    -- The certificate of the last registration (base64 of DER) and the anchor that it led to (SHA-256, hexadecimal).
    certificate   TEXT,
    anchor_sha256 TEXT,
    -- Of a client with registered keys: these themselves, or where they are published.
    jwks          TEXT,
    jwks_url      TEXT,
    created_us    INTEGER NOT NULL,
    updated_us    INTEGER NOT NULL
);
-- One registration for each community and URI; a cancelled one makes room.
CREATE UNIQUE INDEX client_registration ON client (community, issuer) WHERE kind = 'udap' AND state <> 'cancelled';

-- Ids of signed requests that were used, until they expire.
CREATE TABLE replay (
    issuer     TEXT    NOT NULL,
    token_id   TEXT    NOT NULL,
    expires_us INTEGER NOT NULL,
    PRIMARY KEY (issuer, token_id)
) WITHOUT ROWID;
CREATE INDEX replay_expires ON replay (expires_us);

-- Access tokens that are out; what was asserted when they were issued is sealed.
CREATE TABLE access_token (
    token_id   TEXT    NOT NULL PRIMARY KEY,
    client_id  TEXT    NOT NULL,
    issued_us  INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    revoked_us INTEGER,
    context    BLOB
) WITHOUT ROWID;
CREATE INDEX access_token_expires ON access_token (expires_us);

-- Keys that access tokens are signed with. The newest signs; the others verify until their last tokens have expired.
CREATE TABLE signing_key (
    kid        TEXT    NOT NULL PRIMARY KEY,
    -- Who keeps the key that it is sealed with: key-file or database.
    sealed_by  TEXT    NOT NULL,
    -- PKCS #8, sealed, base64.
    private_key TEXT   NOT NULL,
    created_us INTEGER NOT NULL,
    -- When another one took over.
    retired_us INTEGER
);

-- What the query planner should believe (see the first migration).
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('client', 'sqlite_autoindex_client_1', '1000 1'),
    ('client', 'client_registration', '1000 200 1'),
    ('replay', 'replay', '1000000 100000 1'),
    ('replay', 'replay_expires', '1000000 2 1 1'),
    ('access_token', 'access_token', '1000000 1'),
    ('access_token', 'access_token_expires', '1000000 2 1'),
    ('signing_key', 'sqlite_autoindex_signing_key_1', '10 1');
