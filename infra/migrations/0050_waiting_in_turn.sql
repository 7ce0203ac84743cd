-- Commands that wait to be published again are taken from their givers in turn.
CREATE INDEX commands_pending_of_giver ON commands (workspace, principal, received_at) WHERE state = 'pending';
