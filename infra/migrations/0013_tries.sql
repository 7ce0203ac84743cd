-- Tries of a message by itself that were begun: the broker counts deliveries, also of those that nobody came to.
CREATE TABLE tries (
    message text    PRIMARY KEY,  -- what tells it in its stream from any other
    begun   integer NOT NULL
);

-- The message that died. NULL: none did, its command's body could not be opened.
ALTER TABLE dead_letters ADD COLUMN source text;
