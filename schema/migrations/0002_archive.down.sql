DROP TABLE IF EXISTS archive_lease;
DROP TABLE IF EXISTS archive_partitions;
DROP TABLE IF EXISTS archive_segments;
