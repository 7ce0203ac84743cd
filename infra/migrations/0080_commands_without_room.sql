ALTER TABLE commands ADD COLUMN no_room_at timestamptz;  -- when the bus last took no more of its key's such commands
