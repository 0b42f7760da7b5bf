-- How far the log is, as some gateway or worker looked at it last; about once a second one of them does, and every five where nothing
-- is appended.
CREATE TABLE IF NOT EXISTS log_heads (
  log_partition INTEGER NOT NULL,
  head          BIGINT NOT NULL,
  noted_at      {time} NOT NULL,
  PRIMARY KEY (log_partition)
) {table};

-- How far each build of each projection has come, for analysts. The head of a partition is the furthest that the log, any
-- projection or the archive was seen at. Where neither gateway nor worker runs, nobody looks: head_at says so.
DROP VIEW IF EXISTS projection_status;
CREATE VIEW projection_status AS SELECT
  b.name AS projection,
  b.build AS build,
  b.version AS version,
  b.state AS state,
  COALESCE(SUM(c.seq), 0) AS events_applied,
  COALESCE(SUM(h.head - COALESCE(c.seq, 0)), 0) AS events_behind,
  COALESCE(MAX(CASE WHEN h.head > COALESCE(c.seq, 0) THEN {since}COALESCE(c.at, b.created_at){to_now} ELSE 0 END), 0) AS lag_seconds,
  MAX(c.updated_at) AS updated_at,
  MAX(n.noted_at) AS head_at,
  {since}MAX(n.noted_at){to_now} AS head_age_seconds
FROM projection_builds AS b
LEFT JOIN (
  SELECT p.log_partition AS log_partition, MAX(p.seq) AS head FROM (
    SELECT log_partition, seq FROM checkpoints
    UNION ALL SELECT log_partition, archived_to AS seq FROM archive_partitions
    UNION ALL SELECT log_partition, head AS seq FROM log_heads
  ) AS p GROUP BY p.log_partition
) AS h ON 1 = 1
LEFT JOIN checkpoints AS c ON c.projection = b.name AND c.build = b.build AND c.log_partition = h.log_partition
LEFT JOIN log_heads AS n ON n.log_partition = h.log_partition
WHERE b.state <> 'dropped'
GROUP BY b.name, b.build, b.version, b.state;
