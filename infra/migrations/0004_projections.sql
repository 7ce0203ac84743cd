-- Read models: all of it follows from the log, and may be emptied at any time (with `projected` back at 0).
-- Titles, texts and notes are references to sealed contents. born and position: log positions of a row's first and last event.

CREATE TABLE projected (                      -- how far the log was taken in; written with the rows
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    position bigint  NOT NULL
);
INSERT INTO projected (position) VALUES (0);

CREATE TABLE read_workspaces (
    workspace    text        PRIMARY KEY,
    born         bigint      NOT NULL,
    position     bigint      NOT NULL,
    changed_at   timestamptz NOT NULL,
    approvals    bigint      NOT NULL,
    own_approval boolean     NOT NULL,
    messages     bigint      NOT NULL,
    seconds      bigint      NOT NULL
);

CREATE TABLE read_accounts (
    id            uuid        PRIMARY KEY,
    workspace     text        NOT NULL,
    born          bigint      NOT NULL,
    position      bigint      NOT NULL,
    changed_at    timestamptz NOT NULL,
    label         text        NOT NULL,
    registered_at timestamptz NOT NULL,
    status        text        NOT NULL,
    reason        text,
    linked        boolean     NOT NULL,
    paused        boolean     NOT NULL,
    permits       bigint      NOT NULL,
    permits_until timestamptz
);
CREATE INDEX read_accounts_newest ON read_accounts (workspace, born DESC);

CREATE TABLE read_audiences (
    id          uuid        PRIMARY KEY,
    workspace   text        NOT NULL,
    born        bigint      NOT NULL,
    position    bigint      NOT NULL,
    changed_at  timestamptz NOT NULL,
    title       text        NOT NULL,
    count       bigint      NOT NULL,
    rejected    bigint      NOT NULL,
    merged      bigint      NOT NULL,
    imported_at timestamptz NOT NULL
);
CREATE INDEX read_audiences_newest ON read_audiences (workspace, born DESC);

CREATE TABLE read_recipients (
    id           uuid        PRIMARY KEY,
    workspace    text        NOT NULL,
    born         bigint      NOT NULL,
    position     bigint      NOT NULL,
    changed_at   timestamptz NOT NULL,
    consented    boolean     NOT NULL,
    source       text,
    given_at     timestamptz,
    opted_out_at timestamptz
);

CREATE TABLE read_campaigns (
    id          uuid        PRIMARY KEY,
    workspace   text        NOT NULL,
    born        bigint      NOT NULL,
    position    bigint      NOT NULL,
    changed_at  timestamptz NOT NULL,
    title       text        NOT NULL,
    parts       jsonb       NOT NULL,
    audience_id uuid,
    created_by  text        NOT NULL,
    created_at  timestamptz NOT NULL,
    version     bigint      NOT NULL,
    archived    boolean     NOT NULL
);
CREATE INDEX read_campaigns_newest ON read_campaigns (workspace, born DESC);

CREATE TABLE read_jobs (
    id               uuid        PRIMARY KEY,
    workspace        text        NOT NULL,
    born             bigint      NOT NULL,
    position         bigint      NOT NULL,
    changed_at       timestamptz NOT NULL,
    campaign_id      uuid        NOT NULL,
    campaign_version bigint      NOT NULL,
    title            text        NOT NULL,
    parts            jsonb       NOT NULL,
    audience_id      uuid        NOT NULL,
    audience         text        NOT NULL,    -- the frozen audience's root
    recipients       bigint      NOT NULL,
    accounts         jsonb       NOT NULL,
    start_at         timestamptz,
    messages         bigint      NOT NULL,
    seconds          bigint      NOT NULL,
    approvals_needed bigint      NOT NULL,
    own_approval     boolean     NOT NULL,
    submitted_by     text        NOT NULL,
    submitted_at     timestamptz NOT NULL,
    review_hash      text        NOT NULL,
    approved_by      jsonb       NOT NULL,
    status           text        NOT NULL,
    rejected_by      text,
    note             text,
    approved_at      timestamptz,
    started_at       timestamptz,
    ended_at         timestamptz
);
CREATE INDEX read_jobs_newest ON read_jobs (workspace, born DESC);

CREATE TABLE read_job_counts (                -- of the deliveries a job has begun, how many are in which state
    id        uuid   PRIMARY KEY,             -- the job's
    workspace text   NOT NULL,
    intended  bigint NOT NULL,
    "between" bigint NOT NULL,                -- one part is sent, the next not yet begun
    sent      bigint NOT NULL,
    delivered bigint NOT NULL,
    "read"    bigint NOT NULL,
    failed    bigint NOT NULL,
    partial   bigint NOT NULL,
    skipped   bigint NOT NULL,
    unknown   bigint NOT NULL
);

CREATE TABLE read_review_queue (              -- jobs that await an answer
    id               uuid        PRIMARY KEY,
    workspace        text        NOT NULL,
    born             bigint      NOT NULL,
    position         bigint      NOT NULL,
    changed_at       timestamptz NOT NULL,
    campaign_id      uuid        NOT NULL,
    campaign_version bigint      NOT NULL,
    title            text        NOT NULL,
    parts            jsonb       NOT NULL,
    audience_id      uuid        NOT NULL,
    audience         text        NOT NULL,
    recipients       bigint      NOT NULL,
    accounts         jsonb       NOT NULL,
    start_at         timestamptz,
    messages         bigint      NOT NULL,
    seconds          bigint      NOT NULL,
    approvals_needed bigint      NOT NULL,
    own_approval     boolean     NOT NULL,
    submitted_by     text        NOT NULL,
    submitted_at     timestamptz NOT NULL,
    review_hash      text        NOT NULL,
    approved_by      jsonb       NOT NULL
);
CREATE INDEX read_review_queue_oldest ON read_review_queue (workspace, born);

CREATE TABLE read_deliveries (                -- one recipient of one job, once it was begun
    id           uuid        PRIMARY KEY,
    workspace    text        NOT NULL,
    born         bigint      NOT NULL,
    position     bigint      NOT NULL,
    changed_at   timestamptz NOT NULL,
    job_id       uuid        NOT NULL,
    recipient_id uuid        NOT NULL,
    account_id   uuid        NOT NULL,
    ordinal      bigint      NOT NULL,
    state        text        NOT NULL,
    reason       text,
    part         bigint      NOT NULL,        -- from 0
    parts        bigint,
    attempt      bigint      NOT NULL,
    wa_id        text,
    intended_at  timestamptz,
    sent_at      timestamptz,
    delivered_at timestamptz,
    read_at      timestamptz
) WITH (fillfactor = 70);                     -- each row is written three to five times: leave room beside it
CREATE INDEX read_deliveries_of_job ON read_deliveries (job_id, ordinal);
CREATE INDEX read_deliveries_to_look_at ON read_deliveries (job_id, ordinal)
    WHERE state IN ('failed', 'partial', 'skipped', 'unknown');
