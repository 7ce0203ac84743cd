CREATE TABLE read_templates (
    id         uuid        PRIMARY KEY,
    workspace  text        NOT NULL,
    born       bigint      NOT NULL,
    position   bigint      NOT NULL,
    changed_at timestamptz NOT NULL,
    title      text        NOT NULL,
    parts      jsonb       NOT NULL,
    created_by text        NOT NULL,
    created_at timestamptz NOT NULL,
    version    bigint      NOT NULL,
    archived   boolean     NOT NULL
);
CREATE INDEX read_templates_newest ON read_templates (workspace, born DESC);

ALTER TABLE read_campaigns ADD COLUMN template_id uuid, ADD COLUMN template_version bigint;
