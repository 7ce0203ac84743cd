-- What each machine's clock said when it was last looked at: after a new start of a worker, also in another container of
-- the machine, a jump meanwhile is still seen.
CREATE TABLE host_clocks (
    boot       text             PRIMARY KEY,  -- the machine's start, by its kernel's name for it
    wall       timestamptz      NOT NULL,
    passed     interval         NOT NULL,  -- since that start
    started    timestamptz      NOT NULL,  -- that start, by the clock as it was last believed
    since      timestamptz,                -- when it last jumped
    settled_at interval         NOT NULL,
    kept_at    timestamptz      NOT NULL DEFAULT clock_timestamp()  -- by the database's clock
);
