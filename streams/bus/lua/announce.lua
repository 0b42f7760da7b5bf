-- Notes where a gateway is, and forgets those that have not said so for long.
-- KEYS[1] the directory   ARGV[1] gateway   ARGV[2] what it says   ARGV[3] how long that is believed, ms
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local kept = redis.call('HGETALL', KEYS[1])
for i = 1, #kept, 2 do
  if now - tonumber(string.match(kept[i + 1], '^%d+') or '0') > tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[1], kept[i])
  end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. ' ' .. ARGV[2])
return ''
