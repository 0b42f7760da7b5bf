DROP VIEW IF EXISTS projection_status;
DROP TABLE IF EXISTS log_heads;
CREATE VIEW projection_status AS SELECT
  b.name AS projection,
  b.build AS build,
  b.version AS version,
  b.state AS state,
  COALESCE(SUM(c.seq), 0) AS events_applied,
  COALESCE(SUM(h.head - COALESCE(c.seq, 0)), 0) AS events_behind,
  COALESCE(MAX(CASE WHEN h.head > COALESCE(c.seq, 0) THEN {since}COALESCE(c.at, b.created_at){to_now} ELSE 0 END), 0) AS lag_seconds,
  MAX(c.updated_at) AS updated_at
FROM projection_builds AS b
LEFT JOIN (
  SELECT p.log_partition AS log_partition, MAX(p.seq) AS head FROM (
    SELECT log_partition, seq FROM checkpoints
    UNION ALL SELECT log_partition, archived_to AS seq FROM archive_partitions
  ) AS p GROUP BY p.log_partition
) AS h ON 1 = 1
LEFT JOIN checkpoints AS c ON c.projection = b.name AND c.build = b.build AND c.log_partition = h.log_partition
WHERE b.state <> 'dropped'
GROUP BY b.name, b.build, b.version, b.state;
