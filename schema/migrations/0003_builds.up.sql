-- How far the log was when a build began: its past reaches to there.
CREATE TABLE IF NOT EXISTS projection_goals (
  name          {name} NOT NULL,
  build         INTEGER NOT NULL,
  log_partition INTEGER NOT NULL,
  seq           BIGINT NOT NULL,
  PRIMARY KEY (name, build, log_partition)
) {table};

-- The projections that are fed no more until they are resumed.
CREATE TABLE IF NOT EXISTS projection_pauses (
  name      {name} NOT NULL,
  paused_at {time} NOT NULL,
  PRIMARY KEY (name)
) {table};

-- The build that each view of a projection shows; another than the live one while it is pending.
CREATE TABLE IF NOT EXISTS projection_views (
  name      {name} NOT NULL,
  view_name {name} NOT NULL,
  build     INTEGER NOT NULL,
  shown_at  {time} NOT NULL,
  PRIMARY KEY (name, view_name)
) {table};

-- The tries to apply parked events after the first, which parked_events has: how many, and when the last one was.
CREATE TABLE IF NOT EXISTS parked_retries (
  projection    {name} NOT NULL,
  build         INTEGER NOT NULL,
  log_partition INTEGER NOT NULL,
  seq           BIGINT NOT NULL,
  attempts      INTEGER NOT NULL,
  tried_at      {time} NOT NULL,
  PRIMARY KEY (projection, build, log_partition, seq)
) {table};

-- Parked events that were given up, by whom, when and why.
CREATE TABLE IF NOT EXISTS parked_discards (
  projection    {name} NOT NULL,
  build         INTEGER NOT NULL,
  log_partition INTEGER NOT NULL,
  seq           BIGINT NOT NULL,
  aggregate     {name} NOT NULL,
  event         {bytes} NOT NULL,
  event_type    {short} NOT NULL,
  reason        {text} NOT NULL,
  parked_at     {time} NOT NULL,
  discarded_by  {short} NOT NULL,
  discarded_at  {time} NOT NULL,
  why           {text} NOT NULL,
  PRIMARY KEY (projection, build, log_partition, seq)
) {table};
