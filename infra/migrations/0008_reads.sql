-- Lists: an index for each filter that leads into a large table, in the list's order; tests/projections/test_plans.py
-- shows that each is used. The order is ascending (it is read backwards): new rows then go to the index's last page.

CREATE INDEX read_jobs_by_status ON read_jobs (workspace, status, born);
CREATE INDEX read_jobs_of_campaign ON read_jobs (campaign_id, born);

CREATE INDEX read_recipients_newest ON read_recipients (workspace, born);
CREATE INDEX read_recipients_by_consent ON read_recipients (workspace, consented, born);
CREATE INDEX read_recipients_by_source ON read_recipients (workspace, source, born);

DROP INDEX read_deliveries_to_look_at;
CREATE INDEX read_deliveries_by_state ON read_deliveries (job_id, state, ordinal);
CREATE INDEX read_deliveries_by_reason ON read_deliveries (job_id, reason, ordinal) WHERE reason IS NOT NULL;
CREATE INDEX read_deliveries_of_recipient ON read_deliveries (recipient_id, born);

CREATE INDEX frozen_audience_by_recipient ON frozen_audience (recipient_id);

-- What drumline decides for itself is not listed: a send is not slowed down by these.
CREATE INDEX commands_newest ON commands (workspace, received_at, key) WHERE principal NOT LIKE 'system-%';
CREATE INDEX commands_of_principal ON commands (workspace, principal, received_at, key)
    WHERE principal NOT LIKE 'system-%';
CREATE INDEX commands_of_stream ON commands (stream, received_at, key) WHERE principal NOT LIKE 'system-%';
CREATE INDEX commands_not_applied ON commands (workspace, state, received_at, key)
    WHERE state <> 'applied' AND principal NOT LIKE 'system-%';

CREATE INDEX timers_next ON timers (workspace, due_at, id);

-- How many rows a list has, by one word of each; kept by the projection that writes them.
CREATE TABLE read_accounts_sums (workspace text, word text, rows bigint NOT NULL, PRIMARY KEY (workspace, word));
CREATE TABLE read_audiences_sums (workspace text, word text, rows bigint NOT NULL, PRIMARY KEY (workspace, word));
CREATE TABLE read_campaigns_sums (workspace text, word text, rows bigint NOT NULL, PRIMARY KEY (workspace, word));
CREATE TABLE read_jobs_sums (workspace text, word text, rows bigint NOT NULL, PRIMARY KEY (workspace, word));
CREATE TABLE read_recipients_sums (workspace text, word text, rows bigint NOT NULL, PRIMARY KEY (workspace, word));
