-- A part may have to wait for some time after the one before it.
ALTER TABLE send_progress ADD COLUMN not_before timestamptz;
