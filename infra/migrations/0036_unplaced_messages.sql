CREATE TABLE unplaced_messages (              -- what somebody wrote whose number WhatsApp has not told yet
    message_id uuid        PRIMARY KEY,       -- derived from the account and WhatsApp's id
    workspace  text        NOT NULL,
    account_id uuid        NOT NULL,
    kept_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    sealed     bytea       NOT NULL           -- all of it, under the workspace's key
);
CREATE INDEX unplaced_messages_of ON unplaced_messages (account_id, kept_at);
