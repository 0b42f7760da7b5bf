-- Takes one of a number of attempts, or gives one back.
--
-- KEYS[1] attempts:{<key>}
-- ARGV[1] how many there are in a window, -1 to give one back   ARGV[2] the window, in milliseconds
--
-- Returns 0, or how many milliseconds are left of the window where no attempt is.

local taken = tonumber(redis.call('GET', KEYS[1]) or '0')
local limit = tonumber(ARGV[1])
if limit < 0 then
  if taken > 0 then redis.call('DECR', KEYS[1]) end
  return 0
end
if taken >= limit then
  return math.max(1, redis.call('PTTL', KEYS[1]))
end
if taken == 0 then
  redis.call('SET', KEYS[1], '1', 'PX', ARGV[2])
else
  redis.call('INCR', KEYS[1])
end
return 0
