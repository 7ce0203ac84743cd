-- A pid means something only in its PID namespace: two containers of one host have equal ones.
ALTER TABLE leases ADD COLUMN namespace text;  -- of a holder without one nobody can prove that it is dead
