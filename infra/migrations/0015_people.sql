-- The phone book: who was erased, what people can be filtered and searched by, tags, saved filters.

CREATE TABLE suppressed (                          -- numbers of people who were erased: nobody imports them again
    workspace   text  NOT NULL,
    number_hmac bytea NOT NULL,
    PRIMARY KEY (workspace, number_hmac)
);

CREATE TABLE erasures (                            -- people whose erasure the log tells and the vault has not seen to yet
    recipient_id uuid PRIMARY KEY,
    workspace    text NOT NULL
);

-- Words that are about one person (the proof of a consent, what they wrote) go with them.
ALTER TABLE contents ADD COLUMN recipient_id uuid;
CREATE INDEX contents_of_person ON contents (recipient_id) WHERE recipient_id IS NOT NULL;

ALTER TABLE people
    ADD COLUMN added      bigint    GENERATED ALWAYS AS IDENTITY,  -- the order of lists
    ADD COLUMN attributes jsonb     NOT NULL DEFAULT '{}',         -- values of declared attributes, in their own types
    ADD COLUMN tags       text[]    NOT NULL DEFAULT '{}',
    ADD COLUMN words      integer[] NOT NULL DEFAULT '{}';         -- 32 bits of the HMAC of each word of the name
CREATE INDEX people_newest ON people (workspace, added);
CREATE INDEX people_by_attribute ON people USING gin (attributes jsonb_path_ops) WHERE attributes <> '{}';
CREATE INDEX people_by_tag ON people USING gin (tags) WHERE tags <> '{}';
CREATE INDEX people_by_word ON people USING gin (words) WHERE words <> '{}';

CREATE TABLE attributes (                          -- which variables people may be filtered by
    workspace text    NOT NULL,
    name      text    NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,39}$'),
    kind      text    NOT NULL,                    -- as domain.filters.Kind
    filled    bigint,                              -- people up to here have their values; NULL: all have
    PRIMARY KEY (workspace, name)
);

CREATE TABLE segments (                            -- saved filters; titles and filters are sealed under the id
    id         uuid        PRIMARY KEY,
    workspace  text        NOT NULL,
    number     bigint      GENERATED ALWAYS AS IDENTITY,
    sealed     bytea       NOT NULL,
    changed_at timestamptz NOT NULL
);
CREATE INDEX segments_newest ON segments (workspace, number);

ALTER TABLE read_recipients ADD COLUMN erased_at timestamptz;
ALTER TABLE read_audiences ADD COLUMN filter text;  -- of an audience that was chosen: the reference of its filter
