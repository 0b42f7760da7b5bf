-- Every event ever appended, in runs of one partition. It belongs to no build: what is here is nowhere else once the stream is
-- trimmed. data is a segment as package segment writes it, sha256 the hash of that. Neighbours are merged into longer ones;
-- tier counts how often, and is 9 for one that is as long as it gets.
CREATE TABLE IF NOT EXISTS archive_segments (
  log_partition INTEGER NOT NULL,
  from_seq      BIGINT NOT NULL,
  to_seq        BIGINT NOT NULL,
  count         INTEGER NOT NULL,
  tier          INTEGER NOT NULL,
  bytes         BIGINT NOT NULL,
  first_at      {time} NOT NULL,
  last_at       {time} NOT NULL,
  reached_at    {time} NOT NULL,
  sha256        {key} NOT NULL,
  data          {bytes} NOT NULL,
  created_at    {time} NOT NULL,
  PRIMARY KEY (log_partition, from_seq)
) {table};

-- How far the archive is. Up to verified_to it was read back and hashed; stream_id is the address of that event.
CREATE TABLE IF NOT EXISTS archive_partitions (
  log_partition INTEGER NOT NULL,
  archived_to   BIGINT NOT NULL,
  verified_to   BIGINT NOT NULL,
  stream_id     {name} NOT NULL,
  reached_at    {time} NOT NULL,
  token         BIGINT NOT NULL,
  updated_at    {time} NOT NULL,
  PRIMARY KEY (log_partition)
) {table};

-- Who archives. There is one row at most.
CREATE TABLE IF NOT EXISTS archive_lease (
  singleton  {flag} NOT NULL,
  worker     {short} NOT NULL,
  token      BIGINT NOT NULL,
  expires_at {time} NOT NULL,
  PRIMARY KEY (singleton)
) {table};
