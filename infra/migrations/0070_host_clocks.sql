-- What each host's clock said when it was last looked at: after a new start of a worker, a jump meanwhile is still seen.
CREATE TABLE host_clocks (
    host       text             PRIMARY KEY,
    boot       text             NOT NULL,
    wall       timestamptz      NOT NULL,
    passed     interval         NOT NULL,  -- since the machine was started
    since      timestamptz,                -- when it last jumped
    settled_at interval         NOT NULL
);
