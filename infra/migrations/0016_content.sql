-- A part of a message was the reference to its text; now it is an object with its kind, for there are others than texts.
UPDATE read_campaigns SET parts = (
    SELECT coalesce(jsonb_agg(jsonb_build_object('kind', 'text', 'text', part, 'delay', 0, 'reply_to', null) ORDER BY place), '[]')
    FROM jsonb_array_elements(parts) WITH ORDINALITY AS t (part, place))
WHERE jsonb_typeof(parts -> 0) = 'string';
UPDATE read_jobs SET parts = (
    SELECT coalesce(jsonb_agg(jsonb_build_object('kind', 'text', 'text', part, 'delay', 0, 'reply_to', null) ORDER BY place), '[]')
    FROM jsonb_array_elements(parts) WITH ORDINALITY AS t (part, place))
WHERE jsonb_typeof(parts -> 0) = 'string';
