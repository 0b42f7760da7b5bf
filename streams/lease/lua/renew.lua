-- Renews a worker's leases of one partition and tells how all of the partition's leases stand. A lease that has expired
-- is not renewed, even if nobody took it: its holder has stopped believing in it.
--
-- KEYS[1]  {p}:leases, hash: consumer -> "worker token expires_ms", and consumer:token -> the last token given
-- ARGV[1]  time to live, ms
-- ARGV[2]  worker
-- ARGV[3], ARGV[4], …  consumer, token: the leases to renew, none to only look
--
-- Returns consumer, worker, token, remaining ms of each lease that has not expired.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local renewed = {}
for i = 3, #ARGV, 2 do
  renewed[ARGV[i]] = ARGV[i + 1]
end

local result = {}
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local worker, token, expires = string.match(fields[i + 1], '^(%S+) (%d+) (%d+)$')
  if worker and tonumber(expires) > now then
    if worker == ARGV[2] and token == renewed[fields[i]] then
      expires = now + tonumber(ARGV[1])
      redis.call('HSET', KEYS[1], fields[i], worker .. ' ' .. token .. ' ' .. string.format('%.0f', expires))
    end
    result[#result + 1] = fields[i]
    result[#result + 1] = worker
    result[#result + 1] = token
    result[#result + 1] = string.format('%.0f', expires - now)
  end
end
return result
