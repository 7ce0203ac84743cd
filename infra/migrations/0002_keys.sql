-- API keys: who acts over HTTP and on the bus. A key is shown once; here lie only what proves it and what it may do.
CREATE TABLE api_keys (
    id           text        PRIMARY KEY CHECK (id ~ '^[0-9A-Za-z]{8}$'),  -- also the principal and the NATS user
    workspace    text        NOT NULL CHECK (workspace ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
    roles        text[]      NOT NULL CHECK (cardinality(roles) > 0),
    label        text        NOT NULL DEFAULT '' CHECK (length(label) <= 100),
    proof        bytea       NOT NULL CHECK (octet_length(proof) = 32),    -- HMAC-SHA256 of the whole key under the pepper
    nats_hash    text        NOT NULL,                                     -- bcrypt of the whole key, for the broker
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    revoked_at   timestamptz
);

CREATE INDEX api_keys_workspace ON api_keys (workspace, created_at);

-- Whoever holds keys in memory, and whoever writes the broker's users, hears of a new or revoked key.
CREATE FUNCTION drumline_keys_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('drumline_keys', NEW.id);
    RETURN NULL;
END $$;

CREATE TRIGGER api_keys_changed AFTER INSERT OR UPDATE OF roles, revoked_at ON api_keys
    FOR EACH ROW EXECUTE FUNCTION drumline_keys_changed();
