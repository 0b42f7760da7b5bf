DROP TABLE IF EXISTS log_repair_lease;
DROP TABLE IF EXISTS log_repairs;
