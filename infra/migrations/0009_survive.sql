-- Messages that nobody could handle, until somebody replays or drops them. The table is the list: DEAD on the bus only
-- tells that there is a new one, and may be wiped.
CREATE TABLE dead_letters (
    id          uuid        PRIMARY KEY,           -- the command's key; of what could not be read, from where it lay
    number      bigint      GENERATED ALWAYS AS IDENTITY UNIQUE,  -- the order of lists
    workspace   text        NOT NULL,              -- empty: nobody's
    principal   text        NOT NULL,              -- empty: nobody
    name        text        NOT NULL,              -- the command's
    command_id  uuid,                              -- NULL: it could not be read, and cannot be replayed
    reason      text        NOT NULL,
    state       text        NOT NULL DEFAULT 'dead' CHECK (state IN ('dead', 'replayed', 'dropped')),
    replays     integer     NOT NULL DEFAULT 0,
    died_at     timestamptz NOT NULL DEFAULT now(),
    traceparent text        NOT NULL DEFAULT '',
    body        bytea,                             -- sealed under the id
    CHECK ((state = 'dropped') = (body IS NULL))
);
CREATE INDEX dead_letters_of_workspace ON dead_letters (workspace, number DESC);

CREATE TABLE dead_letter_actions (                 -- who did what to them; never changed
    number    bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    letter    uuid        NOT NULL REFERENCES dead_letters,
    action    text        NOT NULL CHECK (action IN ('shown', 'replayed', 'dropped')),
    principal text        NOT NULL,                -- a key's id, or 'terminal'
    at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX dead_letter_actions_of_letter ON dead_letter_actions (letter, number);
