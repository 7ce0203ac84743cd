-- What people write to accounts, and which number an account is. Sealed: nothing here can be read without the master key.

CREATE TABLE inbound_messages (               -- a message that came in; goes with its person
    message_id   uuid        PRIMARY KEY,     -- derived from the account and WhatsApp's id
    recipient_id uuid        NOT NULL REFERENCES people ON DELETE CASCADE,
    account_id   uuid        NOT NULL,
    number       bigint      GENERATED ALWAYS AS IDENTITY,  -- the order of lists
    kind         text        NOT NULL,        -- as domain.ports.Arrived
    sent_at      timestamptz NOT NULL,
    sealed       bytea       NOT NULL         -- WhatsApp's id and the text, under the person's key
);
CREATE INDEX inbound_messages_of_person ON inbound_messages (recipient_id, number);

CREATE TABLE linked_ids (                     -- WhatsApp's other name for a person
    workspace    text  NOT NULL,
    lid_hmac     bytea NOT NULL,
    recipient_id uuid  NOT NULL REFERENCES people ON DELETE CASCADE,
    PRIMARY KEY (workspace, lid_hmac)
);
CREATE INDEX linked_ids_of_person ON linked_ids (recipient_id);

CREATE TABLE account_numbers (                -- the number and linked id of the phone that linked an account
    account_id uuid  PRIMARY KEY,
    workspace  text  NOT NULL,
    sealed     bytea NOT NULL
);

ALTER TABLE read_recipients
    ADD COLUMN opted_out_source text,
    ADD COLUMN heard_at         timestamptz;  -- their last message
