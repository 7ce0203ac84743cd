-- What was last said of an account's session, whatever people or WhatsApp forbid: a resumed account stands so.
ALTER TABLE read_accounts
    ADD COLUMN session        text    NOT NULL DEFAULT 'registered',
    ADD COLUMN session_reason text,
    ADD COLUMN restriction    text,
    ADD COLUMN leaving        boolean NOT NULL DEFAULT false;
UPDATE read_accounts SET session = CASE
        WHEN status <> 'restricted' THEN status WHEN linked THEN 'degraded' ELSE 'logged_out' END,
    session_reason = reason, restriction = CASE WHEN status = 'restricted' THEN reason END;

-- Of an account that somebody wants unlinked.
ALTER TABLE session_accounts ADD COLUMN leaving boolean NOT NULL DEFAULT false;
