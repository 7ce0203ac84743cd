-- outside a transaction
-- Commands that wait to be published again are taken from their givers in turn.
CREATE INDEX CONCURRENTLY IF NOT EXISTS commands_pending_of_giver
ON commands (workspace, principal, received_at) WHERE state = 'pending';
