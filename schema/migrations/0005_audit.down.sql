DROP TABLE IF EXISTS audit_heads;
DROP TABLE IF EXISTS audit_tiles;
