-- Notes what entries take, so that the cache knows its size on a server that it shares.
-- KEYS: when entries expire, their sizes, the sum. ARGV: key, bytes and expiry (ms) of each; no bytes for one that has gone.
local sum = 0
for i = 1, #ARGV, 3 do
  local key, size = ARGV[i], tonumber(ARGV[i + 1])
  sum = sum + size - tonumber(redis.call('HGET', KEYS[2], key) or 0)
  if size > 0 then
    redis.call('HSET', KEYS[2], key, ARGV[i + 1])
    redis.call('ZADD', KEYS[1], ARGV[i + 2], key)
  else
    redis.call('HDEL', KEYS[2], key)
    redis.call('ZREM', KEYS[1], key)
  end
end
return redis.call('INCRBY', KEYS[3], string.format('%.0f', sum))
