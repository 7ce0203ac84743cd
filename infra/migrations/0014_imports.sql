-- Lists that are imported by a worker of their own: the upload, sealed, until the import has ended; how far it is;
-- which rows were left out. An import has the id of the audience that it makes.

CREATE TABLE imports (
    import_id   uuid        PRIMARY KEY,
    workspace   text        NOT NULL,
    principal   text        NOT NULL,
    roles       text[]      NOT NULL,         -- of the principal, when it was accepted
    upload      uuid        NOT NULL,         -- of import_chunks
    same        bytea       NOT NULL,         -- HMAC of the form and the file, to know the same request again
    title       text        NOT NULL,         -- reference
    dry_run     boolean     NOT NULL,
    asked       bytea       NOT NULL,         -- sealed: the country, and what the owner says of columns
    size        bigint      NOT NULL,         -- bytes
    state       text        NOT NULL DEFAULT 'waiting',
    tally       jsonb       NOT NULL DEFAULT '{}',   -- counts, as far as it is
    columns     bytea,                        -- sealed: the file's columns, and what they were taken for
    rule        text,                         -- why it was refused, the field, our sentence and its numbers
    field       text,
    sentence    text,
    detail      jsonb,
    tries       integer     NOT NULL DEFAULT 0,
    received_at timestamptz NOT NULL DEFAULT now(),
    changed_at  timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz
);
CREATE INDEX imports_unfinished ON imports (tries, received_at) WHERE ended_at IS NULL;
CREATE INDEX imports_by_workspace ON imports (workspace, received_at);

CREATE TABLE import_chunks (                  -- an upload's file in pieces; deleted when its import has ended
    upload      uuid        NOT NULL,
    place       integer     NOT NULL,         -- from 0
    sealed      bytea       NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (upload, place)
);

CREATE TABLE import_bad_rows (                -- rows that were left out, by the line they begin on
    import_id uuid    NOT NULL REFERENCES imports ON DELETE CASCADE,
    line      integer NOT NULL,
    reason    text    NOT NULL,
    name      text,                           -- the column it is about
    PRIMARY KEY (import_id, line)
);
