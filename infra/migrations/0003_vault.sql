-- Personal data and free texts, all sealed by adapters/sealing.py: nothing here can be read without the master key.

CREATE TABLE contents (                       -- each text once a workspace
    workspace text  NOT NULL,
    ref       text  NOT NULL,                 -- HMAC of the text under the workspace's key, hex
    sealed    bytea NOT NULL,
    PRIMARY KEY (workspace, ref)
);

CREATE TABLE people (                         -- a recipient, by number, in one workspace
    recipient_id uuid    PRIMARY KEY,
    workspace    text    NOT NULL,
    number_hmac  bytea   NOT NULL,
    wrapped_key  bytea   NOT NULL,            -- the person's own key under the master key; gone = erased
    country      text,                        -- ISO 3166-1, from the number
    version      integer NOT NULL,            -- the newest of person_versions
    UNIQUE (workspace, number_hmac)
);

CREATE TABLE person_versions (                -- what was known of a person when; never changed, kept while a job needs it
    recipient_id uuid    NOT NULL REFERENCES people ON DELETE CASCADE,
    version      integer NOT NULL,
    commitment   bytea   NOT NULL,            -- HMAC of all fields under the person's key: tells whether anything changed
    sealed       jsonb   NOT NULL,            -- field -> base64; a field without a value is left out
    PRIMARY KEY (recipient_id, version)
);

CREATE TABLE audience_imports (               -- one import a row: an audience is imported once
    audience_id uuid        PRIMARY KEY,
    workspace   text        NOT NULL,
    count       integer     NOT NULL,
    rejected    integer     NOT NULL,
    merged      integer     NOT NULL,
    digest      text        NOT NULL,         -- over the members and the counts; what the event names
    source      bytea       NOT NULL,         -- HMAC of the file, to know the same one again
    imported_at timestamptz NOT NULL
);

CREATE TABLE audience_members (
    audience_id   uuid    NOT NULL REFERENCES audience_imports ON DELETE CASCADE,
    ordinal       integer NOT NULL,           -- from 1
    recipient_id  uuid    NOT NULL,
    vault_version integer NOT NULL,
    PRIMARY KEY (audience_id, ordinal)
);

CREATE TABLE frozen_audience (                -- what a job was approved for; content-addressed by its Merkle root, append-only
    root          text    NOT NULL,
    ordinal       integer NOT NULL,           -- from 1
    recipient_id  uuid    NOT NULL,
    vault_version integer NOT NULL,
    account_id    uuid    NOT NULL,
    PRIMARY KEY (root, ordinal)
);
CREATE INDEX frozen_audience_by_account ON frozen_audience (root, account_id, ordinal);
