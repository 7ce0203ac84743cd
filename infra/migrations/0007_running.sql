-- Caps of the sending policy, what an account waits for, two more states of a delivery, and a lease that ends by itself.

ALTER TABLE read_workspaces
    ADD COLUMN per_minute bigint,
    ADD COLUMN per_hour   bigint,
    ADD COLUMN per_day    bigint;

ALTER TABLE read_accounts
    ADD COLUMN deferred_until timestamptz,
    ADD COLUMN deferred_by    text;

ALTER TABLE read_job_counts
    ADD COLUMN again    bigint NOT NULL DEFAULT 0,  -- nothing was sent yet, and it will be tried again
    ADD COLUMN given_up bigint NOT NULL DEFAULT 0;

-- A holder renews its lease; one that hangs loses it. Nobody's lease is cut short by this migration.
ALTER TABLE leases ADD COLUMN expires_at timestamptz;
UPDATE leases SET expires_at = clock_timestamp() + interval '1 minute' WHERE owner IS NOT NULL;

-- A cursor counts the rows of one frozen audience: a revised job begins another.
DELETE FROM send_cursors;
ALTER TABLE send_cursors DROP CONSTRAINT send_cursors_pkey;
ALTER TABLE send_cursors ADD COLUMN audience text NOT NULL;
ALTER TABLE send_cursors ADD PRIMARY KEY (job_id, audience, account_id);

-- An account that was removed wants a session no more, but for what its last one may have left open.
ALTER TABLE session_accounts ADD COLUMN removed boolean NOT NULL DEFAULT false;
