DROP TABLE IF EXISTS projection_builds;
DROP TABLE IF EXISTS parked_events;
DROP TABLE IF EXISTS checkpoints;
DROP TABLE IF EXISTS log_identity;
