DROP VIEW IF EXISTS projection_status;
