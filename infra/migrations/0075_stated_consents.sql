CREATE TABLE stated_consents (                -- that lists stated which were imported while somebody waited; until recorded
    workspace   text        NOT NULL,
    audience_id uuid        NOT NULL,
    place       integer     NOT NULL,         -- of this piece in its list
    principal   text        NOT NULL,         -- who gave the list, with the roles of that time
    roles       text[]      NOT NULL,
    sealed      bytea       NOT NULL,         -- whose, since when, by what proof: under the workspace's key
    tries       integer     NOT NULL DEFAULT 0,      -- that failed
    stated_at   timestamptz NOT NULL DEFAULT now(),
    due_at      timestamptz NOT NULL DEFAULT now(),  -- when it is tried next
    PRIMARY KEY (workspace, audience_id, place)
);
