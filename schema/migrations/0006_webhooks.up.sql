-- Who is told of events, and from where on. rewinds counts how often it was set to another place.
CREATE TABLE IF NOT EXISTS webhooks (
  id         {name} NOT NULL,
  url        {text} NOT NULL,
  types      {text} NOT NULL,
  secret     {key} NOT NULL,
  rewinds    INTEGER NOT NULL,
  created_at {time} NOT NULL,
  PRIMARY KEY (id)
) {table};

-- How far each webhook has come in each partition: all events up to seq were delivered, passed over or given up. The
-- columns from failing_since on say since when the receiver does not take the next one.
CREATE TABLE IF NOT EXISTS webhook_checkpoints (
  webhook       {name} NOT NULL,
  log_partition INTEGER NOT NULL,
  seq           BIGINT NOT NULL,
  token         BIGINT NOT NULL,
  rewinds       INTEGER NOT NULL,
  delivered     BIGINT NOT NULL,
  delivered_at  {time},
  failing_since {time},
  attempts      INTEGER NOT NULL,
  next_at       {time},
  reason        {text} NOT NULL,
  updated_at    {time} NOT NULL,
  PRIMARY KEY (webhook, log_partition)
) {table};

-- Events whose side effect was given up: where they stand, not what they say. Those that somebody discarded stay, with the
-- reason.
CREATE TABLE IF NOT EXISTS dead_letters (
  handler         {name} NOT NULL,
  log_partition   INTEGER NOT NULL,
  seq             BIGINT NOT NULL,
  event           {name} NOT NULL,
  type            {name} NOT NULL,
  aggregate       {name} NOT NULL,
  reason          {text} NOT NULL,
  failures        INTEGER NOT NULL,
  first_failed_at {time} NOT NULL,
  last_failed_at  {time} NOT NULL,
  discarded_at    {time},
  discard_reason  {text} NOT NULL,
  PRIMARY KEY (handler, log_partition, seq)
) {table};
