-- Takes a checkpoint under a lease.
-- KEYS[1] checkpoint   ARGV[1] token of the lease
-- Returns sequence and stream id, both empty where there is none yet; or nothing where a newer lease has taken it.
local token = tonumber(redis.call('HGET', KEYS[1], 'token') or '0')
if token > tonumber(ARGV[1]) then
  return {}
end
redis.call('HSET', KEYS[1], 'token', ARGV[1])
local kept = redis.call('HMGET', KEYS[1], 'seq', 'id')
return {kept[1] or '', kept[2] or ''}
