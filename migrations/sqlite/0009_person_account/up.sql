-- People who sign in: their accounts, the sessions that are open, and how often signing in has failed.

CREATE TABLE person_account (
    -- Random: it names nobody.
    account_id    TEXT    NOT NULL PRIMARY KEY,
    -- In the one form in which logins are compared.
    login         TEXT    NOT NULL,
    -- person or workforce
    kind          TEXT    NOT NULL,
    -- active or disabled
    state         TEXT    NOT NULL,
    -- Argon2id, with its parameters and salt.
    password_hash TEXT    NOT NULL,
    -- The secret of the one-time codes, sealed, base64.
    totp_secret   TEXT    NOT NULL,
    -- The step of the last code that was used; no earlier one counts any more.
    totp_step     INTEGER NOT NULL,
    -- How and when the person was proofed.
    level         TEXT    NOT NULL,
    verified_on   TEXT    NOT NULL,
    -- A Patient with what was verified, sealed, base64.
    attributes    TEXT    NOT NULL,
    -- Whose account it is, as far as that was known when it was made.
    identity_id   TEXT,
    created_us    INTEGER NOT NULL,
    updated_us    INTEGER NOT NULL
);
CREATE UNIQUE INDEX person_account_login ON person_account (login);

CREATE TABLE session (
    token_sha256  TEXT    NOT NULL PRIMARY KEY,
    account_id    TEXT    NOT NULL,
    -- As they were when the person signed in.
    identity_level       TEXT NOT NULL,
    authentication_level TEXT NOT NULL,
    -- Separated by spaces.
    methods       TEXT    NOT NULL,
    signed_in_us  INTEGER NOT NULL,
    seen_us       INTEGER NOT NULL,
    expires_us    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX session_account ON session (account_id);
CREATE INDEX session_expires ON session (expires_us);

-- What is counted is a login or an address; neither stands here, only its HMAC.
CREATE TABLE sign_in_attempt (
    key      TEXT    NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    last_us  INTEGER NOT NULL,
    -- Nothing is tried before.
    next_us  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sign_in_attempt_last ON sign_in_attempt (last_us);

-- What the query planner should believe (see the first migration).
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('person_account', 'sqlite_autoindex_person_account_1', '100000 1'),
    ('person_account', 'person_account_login', '100000 1'),
    ('session', 'session', '100000 1'),
    ('session', 'session_account', '100000 2 1'),
    ('session', 'session_expires', '100000 2 1'),
    ('sign_in_attempt', 'sign_in_attempt', '100000 1'),
    ('sign_in_attempt', 'sign_in_attempt_last', '100000 2 1');
