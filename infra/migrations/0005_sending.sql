-- What leads from a running job to its sends. All of it follows from the log, or expires: it may be emptied at any time
-- (with reactor_position back at 0).

CREATE TABLE reactor_position (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    position bigint  NOT NULL
);
INSERT INTO reactor_position (position) VALUES (0);

CREATE TABLE job_progress (                   -- a submitted job, and how many of its deliveries are over
    job_id     uuid    PRIMARY KEY,
    workspace  text    NOT NULL,
    audience   text    NOT NULL,              -- the frozen audience's root
    accounts   uuid[]  NOT NULL,
    parts      integer NOT NULL,
    recipients integer NOT NULL,
    status     text    NOT NULL,              -- as domain.job.Status
    terminal   integer NOT NULL DEFAULT 0,
    unknown    integer NOT NULL DEFAULT 0
);
CREATE INDEX job_progress_running ON job_progress (job_id) WHERE status = 'running';

CREATE TABLE send_progress (                  -- a delivery that was begun
    delivery_id  uuid    PRIMARY KEY,
    job_id       uuid    NOT NULL,
    ordinal      integer NOT NULL,
    account_id   uuid    NOT NULL,
    recipient_id uuid    NOT NULL,
    part         integer NOT NULL,            -- the part intended last, or to be intended next
    fence        bigint  NOT NULL,            -- under which it was intended last
    state        text    NOT NULL CHECK (state IN ('intended', 'between', 'terminal', 'unknown'))
);
CREATE INDEX send_progress_open ON send_progress (account_id, job_id, ordinal) WHERE state IN ('intended', 'between');

CREATE TABLE sent_messages (                  -- which send a receipt is about
    wa_id       text    PRIMARY KEY,
    delivery_id uuid    NOT NULL,
    part        integer NOT NULL,
    workspace   text    NOT NULL
);

CREATE TABLE send_cursors (                   -- how far a job is on one of its accounts
    job_id     uuid    NOT NULL,
    account_id uuid    NOT NULL,
    ordinal    integer NOT NULL DEFAULT 0,    -- each of the account's recipients up to here has a delivery
    queued     bigint  NOT NULL DEFAULT 0,    -- queue messages so far; names the next one
    PRIMARY KEY (job_id, account_id)
);

CREATE TABLE timers (                         -- decisions that are due, now or later
    id        uuid        PRIMARY KEY,        -- derived from what asked for it, at its version
    workspace text        NOT NULL,
    job_id    uuid        NOT NULL,
    kind      text        NOT NULL CHECK (kind IN ('start', 'complete')),
    due_at    timestamptz NOT NULL
);
CREATE INDEX timers_due ON timers (due_at);

CREATE TABLE session_accounts (               -- who wants a session
    account_id uuid   PRIMARY KEY,
    workspace  text   NOT NULL,
    position   bigint NOT NULL                -- of its registration
);

CREATE TABLE session_states (                 -- what a session says of itself now
    account_id uuid        PRIMARY KEY,
    state      text        NOT NULL,          -- as domain.ports.SessionState
    reason     text        NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp()
);
