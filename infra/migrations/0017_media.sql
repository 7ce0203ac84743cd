-- Files that messages carry. What they hold lies sealed in a directory or an S3 bucket; here is what each is, and that it is whole.

CREATE TABLE media (                          -- each content once a workspace
    workspace  text        NOT NULL,
    id         text        NOT NULL,          -- HMAC of the content under the workspace's key, hex
    number     bigint      GENERATED ALWAYS AS IDENTITY,
    kind       text        NOT NULL,
    mimetype   text        NOT NULL,
    size       bigint      NOT NULL CHECK (size > 0),
    width      integer,
    height     integer,
    written    boolean     NOT NULL DEFAULT false,  -- false: its segments are being written, or removed
    put_at     timestamptz NOT NULL DEFAULT now(),
    used_at    timestamptz NOT NULL DEFAULT now(),  -- put or asked for by a command; removal counts from here
    deleted_at timestamptz,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX media_shown ON media (workspace, number DESC) WHERE written AND deleted_at IS NULL;
CREATE INDEX media_unused ON media (used_at);

CREATE TABLE media_uploads (                  -- on their way, in chunks
    id         uuid        PRIMARY KEY,
    workspace  text        NOT NULL,
    size       bigint      NOT NULL CHECK (size > 0),
    chunks     integer[]   NOT NULL DEFAULT '{}',  -- the size of each chunk that lies sealed in the store
    media      text,                          -- what it became
    touched_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX media_uploads_of ON media_uploads (workspace);
CREATE INDEX media_uploads_idle ON media_uploads (touched_at);
