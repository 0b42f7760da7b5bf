-- Keeps a user's key for a while, unless it is marked as destroyed.
--
-- KEYS[1] user:key:{<id>}
-- ARGV[1] what is kept: a wrapped key, or "-" for destroyed   ARGV[2] for how long, in milliseconds
--
-- Returns 1, or 0 where the mark stands.

if ARGV[1] ~= '-' and redis.call('GET', KEYS[1]) == '-' then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
