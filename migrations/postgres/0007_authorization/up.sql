-- The authorization server: who may ask for tokens, which assertions were used, which tokens are out, and with what they
-- are signed.

-- A row stays when its client is cancelled or disabled, for the audit names it.
CREATE TABLE client (
    client_id     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- udap or smart
    kind          TEXT COLLATE "C" NOT NULL,
    -- active, disabled or cancelled
    state         TEXT COLLATE "C" NOT NULL,
    -- Of a UDAP client: the trust community, and the URI that its certificate and its statements name. Of others empty.
    community     TEXT COLLATE "C" NOT NULL,
    issuer        TEXT COLLATE "C" NOT NULL,
    name          TEXT COLLATE "C" NOT NULL,
    -- Both separated by spaces.
    grant_types   TEXT COLLATE "C" NOT NULL,
    scope         TEXT COLLATE "C" NOT NULL,
    -- The parameters of the registration, as JSON.
    registration  TEXT COLLATE "C" NOT NULL,
    -- URIs of the certifications that were accepted, as a JSON list.
    certifications TEXT COLLATE "C" NOT NULL,
    -- The certificate of the last registration (base64 of DER) and the anchor that it led to (SHA-256, hexadecimal).
    certificate   TEXT COLLATE "C",
    anchor_sha256 TEXT COLLATE "C",
    -- Of a client with registered keys: these themselves, or where they are published.
    jwks          TEXT COLLATE "C",
    jwks_url      TEXT COLLATE "C",
    created_us    BIGINT NOT NULL,
    updated_us    BIGINT NOT NULL
);
-- One registration for each community and URI; a cancelled one makes room.
CREATE UNIQUE INDEX client_registration ON client (community, issuer) WHERE kind = 'udap' AND state <> 'cancelled';

-- Ids of signed requests that were used, until they expire.
CREATE TABLE replay (
    issuer     TEXT COLLATE "C" NOT NULL,
    token_id   TEXT COLLATE "C" NOT NULL,
    expires_us BIGINT NOT NULL,
    PRIMARY KEY (issuer, token_id)
);
CREATE INDEX replay_expires ON replay (expires_us);

-- Access tokens that are out; what was asserted when they were issued is sealed.
CREATE TABLE access_token (
    token_id   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    client_id  TEXT COLLATE "C" NOT NULL,
    issued_us  BIGINT NOT NULL,
    expires_us BIGINT NOT NULL,
    revoked_us BIGINT,
    context    BYTEA
);
CREATE INDEX access_token_expires ON access_token (expires_us);

-- Keys that access tokens are signed with. The newest signs; the others verify until their last tokens have expired.
CREATE TABLE signing_key (
    kid        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- Who keeps the key that it is sealed with: key-file or database.
    sealed_by  TEXT COLLATE "C" NOT NULL,
    -- PKCS #8, sealed, base64.
    private_key TEXT COLLATE "C" NOT NULL,
    created_us BIGINT NOT NULL,
    -- When another one took over.
    retired_us BIGINT
);

