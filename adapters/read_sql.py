"""The statements that page the log and read streams."""

# Statements are planned while the tables are still empty, and kept: whole tables must not be scanned.
READING = "SET enable_seqscan = off"

MOST_AT_ONCE = 1_000  # events of one stream

INSERT = "INSERT INTO {} (originator_id, originator_version, topic, state) SELECT * FROM unnest(%b, %b, %b, %b)"
COLUMNS = "originator_id, originator_version, topic, state, notification_id"
PAGE = f"SELECT {COLUMNS} FROM stored_events WHERE notification_id > %b ORDER BY notification_id LIMIT %b"  # noqa: S608  # of constants
STREAM = f"""
SELECT {COLUMNS} FROM stored_events WHERE originator_id = %b AND originator_version > %b AND originator_version <= %b
"""  # noqa: S608  # of constants
# Of each stream its newest usable snapshot (at position 0), and the next events after it.
STREAMS = f"""
WITH asked AS MATERIALIZED (
    SELECT stream, topic FROM unnest(%b, %b) a(stream, topic)
), taken AS MATERIALIZED (
    SELECT stream, s.* FROM asked CROSS JOIN LATERAL (
        SELECT originator_version, s.topic, state FROM snapshots s
        WHERE originator_id = stream AND s.topic = asked.topic ORDER BY originator_version DESC LIMIT 1
    ) s
)
SELECT stream, originator_version, topic, state, 0::bigint FROM taken
UNION ALL
SELECT e.* FROM asked LEFT JOIN taken USING (stream) CROSS JOIN LATERAL (
    SELECT {COLUMNS} FROM stored_events
    WHERE originator_id = stream AND stored_events.originator_version > coalesce(taken.originator_version, 0)
    ORDER BY stored_events.originator_version LIMIT {MOST_AT_ONCE}
) e
"""  # noqa: S608  # of constants
# By the primary key, whatever the planner may think of so many streams: the sum hides the other index from it.
HISTORIES = f"""
SELECT e.* FROM unnest(%b) asked(stream) CROSS JOIN LATERAL (
    SELECT {COLUMNS} FROM stored_events WHERE originator_id = stream AND notification_id + 0 <= %b
    ORDER BY originator_version
) e
"""  # noqa: S608  # of constants
