-- Apps of people who sign in (authorization code): what a client is besides its keys, codes and refresh tokens that are
-- out, and what people have agreed to.

-- private_key_jwt, or none of a public client.
ALTER TABLE client ADD COLUMN auth_method TEXT COLLATE "C" NOT NULL DEFAULT 'private_key_jwt';
-- Addresses as JSON lists: where codes may go, where a signed-out person may go, whose scripts may read answers.
ALTER TABLE client ADD COLUMN redirect_uris TEXT COLLATE "C" NOT NULL DEFAULT '[]';
ALTER TABLE client ADD COLUMN logout_uris TEXT COLLATE "C" NOT NULL DEFAULT '[]';
ALTER TABLE client ADD COLUMN origins TEXT COLLATE "C" NOT NULL DEFAULT '[]';
-- What a test suite's client need not do, separated by spaces.
ALTER TABLE client ADD COLUMN compatibility TEXT COLLATE "C" NOT NULL DEFAULT '';

-- Everything that one code has led to: revoking the family ends all of it.
CREATE TABLE token_family (
    family_id  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    client_id  TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    -- Who signed in how, and what was granted, sealed.
    content    BYTEA   NOT NULL,
    created_us BIGINT NOT NULL,
    expires_us BIGINT NOT NULL,
    revoked_us BIGINT
);
CREATE INDEX token_family_expires ON token_family (expires_us);
CREATE INDEX token_family_account ON token_family (account_id);

CREATE TABLE authorization_code (
    -- SHA-256 of the code, hexadecimal.
    code       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    client_id  TEXT COLLATE "C" NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    family_id  TEXT COLLATE "C" NOT NULL,
    -- What the code stands for, sealed.
    content    BYTEA   NOT NULL,
    expires_us BIGINT NOT NULL,
    -- Kept after the use, so that another use is noticed.
    used_us    BIGINT
);
CREATE INDEX authorization_code_expires ON authorization_code (expires_us);
CREATE INDEX authorization_code_account ON authorization_code (account_id);

CREATE TABLE refresh_token (
    -- SHA-256 of the token, hexadecimal.
    token      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    family_id  TEXT COLLATE "C" NOT NULL,
    issued_us  BIGINT NOT NULL,
    expires_us BIGINT NOT NULL,
    -- When it was exchanged for the next one.
    used_us    BIGINT
);
CREATE INDEX refresh_token_expires ON refresh_token (expires_us);

-- What a person has last agreed to let a client do.
CREATE TABLE consent (
    account_id TEXT COLLATE "C" NOT NULL,
    client_id  TEXT COLLATE "C" NOT NULL,
    scope      TEXT COLLATE "C" NOT NULL,
    granted_us BIGINT NOT NULL,
    PRIMARY KEY (account_id, client_id)
);

-- Empty of a token that no person has signed in for.
ALTER TABLE access_token ADD COLUMN family_id TEXT COLLATE "C";

-- ES256 signs access tokens, RS256 identity tokens.
ALTER TABLE signing_key ADD COLUMN algorithm TEXT COLLATE "C" NOT NULL DEFAULT 'ES256';
