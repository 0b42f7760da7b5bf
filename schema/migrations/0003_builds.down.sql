DROP TABLE IF EXISTS parked_discards;
DROP TABLE IF EXISTS parked_retries;
DROP TABLE IF EXISTS projection_views;
DROP TABLE IF EXISTS projection_pauses;
DROP TABLE IF EXISTS projection_goals;
