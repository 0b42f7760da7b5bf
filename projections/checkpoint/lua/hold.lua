-- Holds a build still in a partition, for a time.
--
-- KEYS[1] {p}:checkpoint:<projection>    ARGV[1] who holds it    ARGV[2] for how long, in milliseconds; 0 lets it go
--
-- Returns 1; 0 where somebody else holds it.
local hold = redis.call('HGET', KEYS[1], 'hold')
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
if hold then
  local till, who = string.match(hold, '^(%d+) (.*)$')
  if who ~= ARGV[1] and tonumber(till) > now then
    return 0
  end
end
if ARGV[2] == '0' then
  redis.call('HDEL', KEYS[1], 'hold')
else
  redis.call('HSET', KEYS[1], 'hold', string.format('%.0f', now + tonumber(ARGV[2])) .. ' ' .. ARGV[1])
end
return 1
