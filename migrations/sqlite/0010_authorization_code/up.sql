-- Apps of people who sign in (authorization code): what a client is besides its keys, codes and refresh tokens that are
-- out, and what people have agreed to.

-- private_key_jwt, or none of a public client.
ALTER TABLE client ADD COLUMN auth_method TEXT NOT NULL DEFAULT 'private_key_jwt';
-- Addresses as JSON lists: where codes may go, where a signed-out person may go, whose scripts may read answers.
ALTER TABLE client ADD COLUMN redirect_uris TEXT NOT NULL DEFAULT '[]';
ALTER TABLE client ADD COLUMN logout_uris TEXT NOT NULL DEFAULT '[]';
ALTER TABLE client ADD COLUMN origins TEXT NOT NULL DEFAULT '[]';
-- What a test suite's client need not do, separated by spaces.
ALTER TABLE client ADD COLUMN compatibility TEXT NOT NULL DEFAULT '';

-- Everything that one code has led to: revoking the family ends all of it.
CREATE TABLE token_family (
    family_id  TEXT    NOT NULL PRIMARY KEY,
    client_id  TEXT    NOT NULL,
    account_id TEXT    NOT NULL,
    -- Who signed in how, and what was granted, sealed.
    content    BLOB    NOT NULL,
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    revoked_us INTEGER
) WITHOUT ROWID;
CREATE INDEX token_family_expires ON token_family (expires_us);
CREATE INDEX token_family_account ON token_family (account_id);

CREATE TABLE authorization_code (
    -- SHA-256 of the code, hexadecimal.
    code       TEXT    NOT NULL PRIMARY KEY,
    client_id  TEXT    NOT NULL,
    account_id TEXT    NOT NULL,
    family_id  TEXT    NOT NULL,
    -- What the code stands for, sealed.
    content    BLOB    NOT NULL,
    expires_us INTEGER NOT NULL,
    -- Kept after the use, so that another use is noticed.
    used_us    INTEGER
) WITHOUT ROWID;
CREATE INDEX authorization_code_expires ON authorization_code (expires_us);
CREATE INDEX authorization_code_account ON authorization_code (account_id);

CREATE TABLE refresh_token (
    -- SHA-256 of the token, hexadecimal.
    token      TEXT    NOT NULL PRIMARY KEY,
    family_id  TEXT    NOT NULL,
    issued_us  INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    -- When it was exchanged for the next one.
    used_us    INTEGER
) WITHOUT ROWID;
CREATE INDEX refresh_token_expires ON refresh_token (expires_us);

-- What a person has last agreed to let a client do.
CREATE TABLE consent (
    account_id TEXT    NOT NULL,
    client_id  TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    granted_us INTEGER NOT NULL,
    PRIMARY KEY (account_id, client_id)
) WITHOUT ROWID;

-- Empty of a token that no person has signed in for.
ALTER TABLE access_token ADD COLUMN family_id TEXT;

-- ES256 signs access tokens, RS256 identity tokens.
ALTER TABLE signing_key ADD COLUMN algorithm TEXT NOT NULL DEFAULT 'ES256';

-- What the query planner should believe (see the first migration).
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('token_family', 'token_family', '1000000 1'),
    ('token_family', 'token_family_expires', '1000000 2 1'),
    ('token_family', 'token_family_account', '1000000 10 1'),
    ('authorization_code', 'authorization_code', '1000000 1'),
    ('authorization_code', 'authorization_code_expires', '1000000 2 1'),
    ('authorization_code', 'authorization_code_account', '1000000 10 1'),
    ('refresh_token', 'refresh_token', '1000000 1'),
    ('refresh_token', 'refresh_token_expires', '1000000 2 1'),
    ('consent', 'consent', '100000 3 1');
