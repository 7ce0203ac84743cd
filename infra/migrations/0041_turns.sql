-- Jobs of an account take turns in the order in which they were submitted: what two direct messages say stays in order.
ALTER TABLE job_progress ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;
