-- Notes that a worker lives, forgets those that do not, and tells who does.
--
-- KEYS[1]  workers, hash: worker -> JSON {"consumers":[…],"url":"…","heartbeat_ms":…}
-- ARGV[1]  time to live of a heartbeat, ms
-- ARGV[2]  worker, or "" to note none and forget none
-- ARGV[3]  its JSON up to the heartbeat: {"consumers":[…],"url":"…"
--
-- Returns 1 if the worker was not known before, else 0; then worker, JSON of each that lives.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = 1
if ARGV[2] ~= '' then
  known = redis.call('HEXISTS', KEYS[1], ARGV[2])
  local entry = ARGV[3] .. ',"heartbeat_ms":' .. string.format('%.0f', now) .. '}'
  redis.call('HSET', KEYS[1], ARGV[2], entry)
end

local result = {1 - known}
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
  local heartbeat = string.match(entries[i + 1], '"heartbeat_ms":(%d+)}$')
  if heartbeat and tonumber(heartbeat) + tonumber(ARGV[1]) > now then
    result[#result + 1] = entries[i]
    result[#result + 1] = entries[i + 1]
  elseif ARGV[2] ~= '' then
    redis.call('HDEL', KEYS[1], entries[i])
  end
end
return result
