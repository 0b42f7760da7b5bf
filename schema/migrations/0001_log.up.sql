-- The log's identity. There is one row at most; state is 'creating' until Redis holds the same identity.
CREATE TABLE IF NOT EXISTS log_identity (
  singleton     {flag} NOT NULL,
  id            {name} NOT NULL,
  placement_key {key} NOT NULL,
  partitions    INTEGER NOT NULL,
  epoch         BIGINT NOT NULL,
  state         {name} NOT NULL,
  created_at    {time} NOT NULL,
  PRIMARY KEY (singleton)
) {table};

-- How far each build of each SQL projection has come in each partition. All events up to seq are applied; token is the
-- newest lease's, at is the time of the event at seq.
CREATE TABLE IF NOT EXISTS checkpoints (
  projection    {name} NOT NULL,
  build         INTEGER NOT NULL,
  log_partition INTEGER NOT NULL,
  seq           BIGINT NOT NULL,
  stream_id     {name} NOT NULL,
  token         BIGINT NOT NULL,
  at            {time},
  updated_at    {time} NOT NULL,
  PRIMARY KEY (projection, build, log_partition)
) {table};

-- Events that a projection could not apply, and those that follow them in the same conversation, as exact bytes. reason
-- is empty for those that only follow.
CREATE TABLE IF NOT EXISTS parked_events (
  projection    {name} NOT NULL,
  build         INTEGER NOT NULL,
  log_partition INTEGER NOT NULL,
  aggregate     {name} NOT NULL,
  seq           BIGINT NOT NULL,
  stream_id     {name} NOT NULL,
  event         {bytes} NOT NULL,
  metadata      {bytes} NOT NULL,
  payload       {bytes} NOT NULL,
  reason        {text} NOT NULL,
  parked_at     {time} NOT NULL,
  PRIMARY KEY (projection, build, log_partition, aggregate, seq)
) {table};

-- The builds of each projection. Readers use the tables of the one whose state is 'live'.
CREATE TABLE IF NOT EXISTS projection_builds (
  name       {name} NOT NULL,
  build      INTEGER NOT NULL,
  version    INTEGER NOT NULL,
  state      {name} NOT NULL,
  created_at {time} NOT NULL,
  updated_at {time} NOT NULL,
  PRIMARY KEY (name, build)
) {table};
