-- Lists on their way in: each counts among those that wait, from before its first byte until it is an import.

CREATE TABLE import_uploads (
    upload    uuid        PRIMARY KEY,        -- of import_chunks
    workspace text        NOT NULL,
    seen_at   timestamptz NOT NULL DEFAULT now()   -- when its last piece came; one that nobody sends counts no more
);
CREATE INDEX import_uploads_by_workspace ON import_uploads (workspace);
