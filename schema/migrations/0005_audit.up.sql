-- The Merkle tree of each partition's archived events, in tiles: hashes holds up to 256 hashes of 32 bytes of the tree's level
-- 8 * level, from number 256 * n on. Those at level 0 are of the events themselves, in order from sequence 1. Hashes are only
-- ever added, to the last tile of a level.
CREATE TABLE IF NOT EXISTS audit_tiles (
  log_partition INTEGER NOT NULL,
  level         INTEGER NOT NULL,
  n             BIGINT NOT NULL,
  hashes        {bytes} NOT NULL,
  PRIMARY KEY (log_partition, level, n)
) {table};

-- The signed heads: each is a note with the size and root of every partition's tree. Numbers begin at 1 and have no hole. What
-- stands beside the note is said in it, too.
CREATE TABLE IF NOT EXISTS audit_heads (
  number    BIGINT NOT NULL,
  signed_at {time} NOT NULL,
  note      {bytes} NOT NULL,
  PRIMARY KEY (number)
) {table};
