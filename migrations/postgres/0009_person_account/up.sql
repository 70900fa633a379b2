-- People who sign in: their accounts, the sessions that are open, and how often signing in has failed.

CREATE TABLE person_account (
    -- Random: it names nobody.
    account_id    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- In the one form in which logins are compared.
    login         TEXT COLLATE "C" NOT NULL,
    -- person or workforce
    kind          TEXT COLLATE "C" NOT NULL,
    -- active or disabled
    state         TEXT COLLATE "C" NOT NULL,
    -- Argon2id, with its parameters and salt.
    password_hash TEXT COLLATE "C" NOT NULL,
    -- The secret of the one-time codes, sealed, base64.
    totp_secret   TEXT COLLATE "C" NOT NULL,
    -- The step of the last code that was used; no earlier one counts any more.
    totp_step     BIGINT           NOT NULL,
    -- How and when the person was proofed.
    level         TEXT COLLATE "C" NOT NULL,
    verified_on   TEXT COLLATE "C" NOT NULL,
    -- A Patient with what was verified, sealed, base64.
    attributes    TEXT COLLATE "C" NOT NULL,
    -- Whose account it is, as far as that was known when it was made.
    identity_id   TEXT COLLATE "C",
    created_us    BIGINT           NOT NULL,
    updated_us    BIGINT           NOT NULL
);
CREATE UNIQUE INDEX person_account_login ON person_account (login);

CREATE TABLE session (
    token_sha256  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id    TEXT COLLATE "C" NOT NULL,
    -- As they were when the person signed in.
    identity_level       TEXT COLLATE "C" NOT NULL,
    authentication_level TEXT COLLATE "C" NOT NULL,
    -- Separated by spaces.
    methods       TEXT COLLATE "C" NOT NULL,
    signed_in_us  BIGINT           NOT NULL,
    seen_us       BIGINT           NOT NULL,
    expires_us    BIGINT           NOT NULL
);
CREATE INDEX session_account ON session (account_id);
CREATE INDEX session_expires ON session (expires_us);

-- What is counted is a login or an address; neither stands here, only its HMAC.
CREATE TABLE sign_in_attempt (
    key      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    failures BIGINT           NOT NULL,
    last_us  BIGINT           NOT NULL,
    -- Nothing is tried before.
    next_us  BIGINT           NOT NULL
);
CREATE INDEX sign_in_attempt_last ON sign_in_attempt (last_us);
