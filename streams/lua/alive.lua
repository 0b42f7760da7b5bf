-- Renews the sign of life of an appender, and says who is alive.
--
-- KEYS[1] appenders: process life, its last sign of life in milliseconds; ~run, the server's run id
-- ARGV[1] the server's run id   ARGV[2] process life, '' for one that only looks   ARGV[3] how long one lives after its last sign, in milliseconds
--
-- Returns the lives. Signs are by the server's clock, which goes on while the server is down. So in a new run, who lived when
-- the last one ended has that time again, from now on, to come back.

local call = redis.call
local time = call('TIME')
local now, keep = time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[3])
local signs, newest, all = {}, 0, call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local at = tonumber(all[i + 1])
  if all[i] ~= '~run' and at then
    signs[all[i]] = at
    if at > newest then newest = at end
  end
end
local again = call('HGET', KEYS[1], '~run') ~= ARGV[1]
if again then call('HSET', KEYS[1], '~run', ARGV[1]) end
if ARGV[2] ~= '' then
  signs[ARGV[2]] = nil
  call('HSET', KEYS[1], ARGV[2], string.format('%.0f', now))
end

local alive = { ARGV[2] ~= '' and ARGV[2] or nil }
for life, at in pairs(signs) do
  if again and at >= newest - keep then
    at = now
    call('HSET', KEYS[1], life, string.format('%.0f', now))
  end
  if at >= now - keep then
    alive[#alive + 1] = life
  else
    call('HDEL', KEYS[1], life)
  end
end
return alive
