-- Who was erased stays known by their id (the log has it in any case): nothing about them is kept again, and an erasure
-- that is not in a restored database is told from one that is.
ALTER TABLE erasures ADD COLUMN done_at timestamptz;
CREATE INDEX erasures_pending ON erasures (recipient_id) WHERE done_at IS NULL;
INSERT INTO erasures (recipient_id, workspace, done_at)
SELECT id, workspace, erased_at FROM read_recipients WHERE erased_at IS NOT NULL ON CONFLICT DO NOTHING;

CREATE TABLE forgotten_chats (                -- with people who were erased: to be deleted in the browser that has them
    account_id   uuid  NOT NULL,
    recipient_id uuid  NOT NULL,
    workspace    text  NOT NULL,
    sealed       bytea NOT NULL,              -- the number: the vault has it no more
    PRIMARY KEY (account_id, recipient_id)
);
