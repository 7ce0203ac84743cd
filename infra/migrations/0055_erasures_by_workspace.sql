-- An erasure is one workspace's: no other's hides it, nor keeps anything of another's people from being kept.
ALTER TABLE erasures DROP CONSTRAINT erasures_pkey, ADD PRIMARY KEY (workspace, recipient_id);
