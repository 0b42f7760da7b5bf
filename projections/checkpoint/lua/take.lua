-- Makes a token the newest of a partition, unless a newer one is there.
--
-- KEYS[1] {p}:checkpoint:<projection>    ARGV[1] token
--
-- Returns the checkpoint, sequence and stream id; or nil where there is a newer token.
local kept = redis.call('HMGET', KEYS[1], 'seq', 'id', 'token')
if kept[3] and tonumber(kept[3]) > tonumber(ARGV[1]) then
  return false
end
redis.call('HSET', KEYS[1], 'token', ARGV[1])
return {kept[1] or '0', kept[2] or ''}
