-- How much the dead letters of each key hold, so that nobody's fill the table: counted with every change of a body.
CREATE TABLE dead_letter_usage (
    workspace text   NOT NULL,
    principal text   NOT NULL,
    letters   bigint NOT NULL,   -- that still have their body
    bytes     bigint NOT NULL,   -- of those bodies, sealed
    PRIMARY KEY (workspace, principal)
);

-- Until the trigger is there no letter may come or go: it would be counted by nobody.
LOCK TABLE dead_letters IN SHARE ROW EXCLUSIVE MODE;

INSERT INTO dead_letter_usage
SELECT workspace, principal, count(*), sum(length(body)) FROM dead_letters WHERE body IS NOT NULL GROUP BY 1, 2;

CREATE FUNCTION drumline_dead_letters_counted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before bytea := CASE WHEN TG_OP = 'UPDATE' THEN OLD.body END;
    letters integer := (NEW.body IS NOT NULL)::integer - (before IS NOT NULL)::integer;
    bytes integer := coalesce(length(NEW.body), 0) - coalesce(length(before), 0);
BEGIN
    IF letters <> 0 OR bytes <> 0 THEN
        INSERT INTO dead_letter_usage AS u VALUES (NEW.workspace, NEW.principal, letters, bytes)
        ON CONFLICT (workspace, principal) DO UPDATE
            SET letters = u.letters + excluded.letters, bytes = u.bytes + excluded.bytes;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER dead_letters_counted AFTER INSERT OR UPDATE OF body ON dead_letters
    FOR EACH ROW EXECUTE FUNCTION drumline_dead_letters_counted();
