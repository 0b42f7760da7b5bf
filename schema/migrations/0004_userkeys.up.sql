-- The key of each user, encrypted with the wrapping key that wrapping names. Where it was destroyed the row stays without it,
-- so that the user gets no other.
CREATE TABLE IF NOT EXISTS user_keys (
  user_id      {id} NOT NULL,
  wrapping     {name} NOT NULL,
  wrapped_key  {key} NOT NULL,
  created_at   {time} NOT NULL,
  destroyed_at {time},
  PRIMARY KEY (user_id)
) {table};
