-- A job's whole life: revisions, flags, time zones, expiry, deferred starts; timers of any kind.

ALTER TABLE read_jobs
    ADD COLUMN start_local    text,                        -- as asked for, on the clocks of `zone`
    ADD COLUMN zone           text,
    ADD COLUMN expires_at     timestamptz,
    ADD COLUMN flags          jsonb  NOT NULL DEFAULT '[]',
    ADD COLUMN revisions      bigint NOT NULL DEFAULT 0,
    ADD COLUMN revised_by     text,
    ADD COLUMN revised_at     timestamptz,
    ADD COLUMN changes_by     text,
    ADD COLUMN changes_note   text,
    ADD COLUMN voided         jsonb  NOT NULL DEFAULT '[]', -- approvals that count no more: by, reason, at
    ADD COLUMN deferred       text,
    ADD COLUMN deferred_until timestamptz;

-- The review queue is the jobs that await an answer: a withdrawn approval or a revision brings one back.
DROP TABLE read_review_queue;
CREATE INDEX read_jobs_in_review ON read_jobs (workspace, born) WHERE status IN ('submitted', 'flagged');

ALTER TABLE read_workspaces
    ADD COLUMN flag_above        bigint,
    ADD COLUMN flag_links        boolean NOT NULL DEFAULT false,
    ADD COLUMN flagged_approvals bigint  NOT NULL DEFAULT 2;

-- The reactors read the log anew: their tables follow from it, and timers are now about jobs and deliveries.
TRUNCATE job_progress, send_progress, sent_messages, send_cursors;
UPDATE reactor_position SET position = 0;

ALTER TABLE job_progress
    ADD COLUMN messages integer NOT NULL,                  -- the job's own pace for each account
    ADD COLUMN seconds  integer NOT NULL;

-- A delivery between two parts is found by its job: a revision may have moved it to another account.
CREATE INDEX send_progress_between ON send_progress (job_id, ordinal) WHERE state = 'between';

DROP TABLE timers;
CREATE TABLE timers (                                      -- decisions that are due, now or later
    id         uuid        PRIMARY KEY,                    -- derived from what asked for it, at its version
    workspace  text        NOT NULL,
    kind       text        NOT NULL,                       -- as domain.reactors.Kind
    subject    uuid        NOT NULL,                       -- the job, or the delivery
    serves     integer     NOT NULL,                       -- the version, part or count that the decision is about
    due_at     timestamptz NOT NULL,
    local_time text,                                       -- as asked for, on the clocks of `zone`
    zone       text
);
CREATE INDEX timers_due ON timers (due_at);
CREATE INDEX timers_of ON timers (subject);
