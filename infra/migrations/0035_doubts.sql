-- Sends that nobody could tell of are looked up, an account at a time.
CREATE INDEX send_progress_unknown ON send_progress (account_id) WHERE state = 'unknown';
