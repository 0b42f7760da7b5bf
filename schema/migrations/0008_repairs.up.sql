-- What repairs of the log wrote back and what they found lost, a row for each log.repaired: Redis had come back without the events
-- from_seq to to_seq of a partition, of which the last lost ones are gone. The others plan the repair, so that it can be gone on with:
-- head_seq and archived_seq are how far Redis and the archive were, common_seq is up to where all had seen the same, end_seq the last
-- event that is kept, and with anew the partition is written from nothing. finished_at is set when the log was opened again.
CREATE TABLE IF NOT EXISTS log_repairs (
  epoch         BIGINT NOT NULL,
  log_partition INTEGER NOT NULL,
  part          INTEGER NOT NULL,
  from_seq      BIGINT NOT NULL,
  to_seq        BIGINT NOT NULL,
  lost          BIGINT NOT NULL,
  head_seq      BIGINT NOT NULL,
  archived_seq  BIGINT NOT NULL,
  common_seq    BIGINT NOT NULL,
  end_seq       BIGINT NOT NULL,
  anew          {flag} NOT NULL,
  began_at      {time} NOT NULL,
  finished_at   {time},
  PRIMARY KEY (epoch, log_partition, part)
) {table};

-- Who repairs the log. There is one row at most; token counts who had the right.
CREATE TABLE IF NOT EXISTS log_repair_lease (
  singleton  {flag} NOT NULL,
  worker     {short} NOT NULL,
  token      BIGINT NOT NULL,
  expires_at {time} NOT NULL,
  PRIMARY KEY (singleton)
) {table};
